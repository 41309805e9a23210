#include "base/str.h"
#include "sys/file.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Fulcio's extensions. */
#define ISSUER_OLD "1.3.6.1.4.1.57264.1.1" /* text as it is */
#define ISSUER "1.3.6.1.4.1.57264.1.8"     /* UTF8String */
#define USER_NAME "1.3.6.1.4.1.57264.1.7"  /* another name, UTF8String */

MUSTER_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
MUSTER_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)
MUSTER_CLEANUP(ASN1_UTF8STRING *, ASN1_UTF8STRING_free)
#define cleanup_names __attribute__((cleanup(GENERAL_NAMES_freep)))
#define cleanup_object __attribute__((cleanup(ASN1_OBJECT_freep)))
#define cleanup_utf8 __attribute__((cleanup(ASN1_UTF8STRING_freep)))

struct oms_sigstore {
    struct sigstore_root root;
    char *identity, *provider;
};

int oms_sigstore_load(const char *path, const char *identity, const char *provider, struct oms_sigstore **out,
                      struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(SIGSTORE_ROOT_MAX_BYTES);
    cleanup_oms_sigstore struct oms_sigstore *sigstore = mem_zalloc(1, sizeof *sigstore);
    if (!sigstore)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0)
        return -1;
    if (sigstore_root_parse(text.data, text.len, &sigstore->root, err) < 0)
        return err_prefix(err, "%s", path);
    sigstore->identity = mem_strdup(identity);
    sigstore->provider = mem_strdup(provider);
    if (!sigstore->identity || !sigstore->provider)
        return err_no_memory(err);
    *out = TAKE_PTR(sigstore);
    return 0;
}

void oms_sigstore_free(struct oms_sigstore *sigstore)
{
    if (!sigstore)
        return;
    sigstore_root_fini(&sigstore->root);
    free(sigstore->identity);
    free(sigstore->provider);
    free(sigstore);
}

/* ---- who it is ---- */

/* Only visible ASCII and blanks: it is compared byte by byte, and shown. */
static bool take_text(const unsigned char *data, int len, char *out, size_t size)
{
    if (!data || len <= 0 || (size_t)len >= size)
        return false;
    for (int i = 0; i < len; i++)
        if (data[i] < ' ' || data[i] > '~')
            return false;
    memcpy(out, data, (size_t)len);
    out[len] = '\0';
    return true;
}

static bool take_string(const ASN1_STRING *text, char *out, size_t size)
{
    return text && take_text(ASN1_STRING_get0_data(text), ASN1_STRING_length(text), out, size);
}

static bool read_other_name(const OTHERNAME *name, char *out, size_t size)
{
    cleanup_object ASN1_OBJECT *user = OBJ_txt2obj(USER_NAME, 1);
    return user && OBJ_cmp(name->type_id, user) == 0 && name->value->type == V_ASN1_UTF8STRING &&
           take_string(name->value->value.utf8string, out, size);
}

/* The one alternative name of the certificate. */
static bool read_identity(const X509 *cert, char *out, size_t size)
{
    cleanup_names GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    if (sk_GENERAL_NAME_num(names) != 1)
        return false;
    int type = 0;
    void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &type);
    if (type == GEN_OTHERNAME)
        return read_other_name(value, out, size);
    return (type == GEN_EMAIL || type == GEN_URI) && take_string(value, out, size);
}

/* NULL: not there; twice is as bad as never. */
static const ASN1_OCTET_STRING *find_extension(const X509 *cert, const char *oid)
{
    cleanup_object ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = object ? X509_get_ext_by_OBJ(cert, object, -1) : -1;
    if (at < 0 || X509_get_ext_by_OBJ(cert, object, at) >= 0)
        return NULL;
    return X509_EXTENSION_get_data(X509_get_ext(cert, at));
}

static bool read_issuer(const X509 *cert, char *out, size_t size)
{
    const ASN1_OCTET_STRING *data = find_extension(cert, ISSUER), *old = find_extension(cert, ISSUER_OLD);
    char before[256] = "";
    if (!data)
        return take_string(old, out, size);
    const unsigned char *begin = ASN1_STRING_get0_data(data), *at = begin;
    cleanup_utf8 ASN1_UTF8STRING *text = d2i_ASN1_UTF8STRING(NULL, &at, ASN1_STRING_length(data));
    if (!text || at != begin + ASN1_STRING_length(data) || !take_string(text, out, size))
        return false;
    return !old || (take_string(old, before, sizeof before) && str_eq(before, out));
}

static int check_identity(const struct oms_sigstore *sigstore, const X509 *cert, struct oms_signer *who,
                          struct err *err)
{
    bool known = read_identity(cert, who->name, sizeof who->name) &&
                 read_issuer(cert, who->provider, sizeof who->provider);
    ERR_clear_error();
    if (!known)
        return err_set(err, ERR_UNTRUSTED,
                       "the signer's certificate names no single identity and who vouches for it");
    if (!str_eq(who->name, sigstore->identity))
        return err_set(err, ERR_UNTRUSTED, "signed by %.100s, not by %.60s", who->name, sigstore->identity);
    if (!str_eq(who->provider, sigstore->provider))
        return err_set(err, ERR_UNTRUSTED, "%.60s vouches for the signer, not %.60s", who->provider,
                       sigstore->provider);
    return 0;
}

/* ---- its certificate ---- */

static int push(oms_chain *chain, const struct oms_bytes *der, struct err *err)
{
    X509 *cert = oms_certificate_decode(der, err);
    if (cert && sk_X509_push(chain, cert) > 0)
        return 0;
    X509_free(cert);
    return cert ? err_no_memory(err) : err_prefix(err, "trusted root");
}

static int check_under(const struct sigstore_authority *authority, X509 *leaf, int64_t time_s,
                       oms_chain **out, struct err *err)
{
    cleanup_chain oms_chain *anchors = sk_X509_new_null(), *between = sk_X509_new_null();
    if (!anchors || !between)
        return err_no_memory(err);
    for (size_t i = 0; i < authority->count; i++)
        if (push(i + 1 == authority->count ? anchors : between, &authority->certificates[i], err) < 0)
            return -1;
    struct oms_path path = {.leaf = leaf, .anchors = anchors, .between = between, .time_s = time_s};
    return oms_path_check(&path, out, err);
}

static int check_chain(const struct sigstore_root *root, X509 *leaf, int64_t time_s, oms_chain **out,
                       struct err *err)
{
    struct err last = {0};
    for (size_t i = 0; i < root->authority_count; i++) {
        if (!sigstore_span_holds(&root->authorities[i].valid, time_s))
            continue;
        last = (struct err){0};
        if (check_under(&root->authorities[i], leaf, time_s, out, &last) == 0)
            return 0;
    }
    if (last.code == ERR_NONE)
        return err_set(err, ERR_UNTRUSTED,
                       "the trusted root knows no authority for the time of the signature");
    *err = last;
    return -1;
}

static int check_certificate(const struct oms_sigstore *sigstore, X509 *leaf, int64_t time_s,
                             struct oms_signer *who, struct err *err)
{
    cleanup_chain oms_chain *chain = NULL;
    if (check_chain(&sigstore->root, leaf, time_s, &chain, err) < 0)
        return -1;
    if (sk_X509_num(chain) < 2)
        return err_set(err, ERR_UNTRUSTED, "the signer's certificate is an authority itself");
    if (oms_sct_check(leaf, sk_X509_value(chain, 1), &sigstore->root, err) < 0)
        return -1;
    return check_identity(sigstore, leaf, who, err);
}

int oms_sigstore_check(const struct oms_sigstore *sigstore, const struct oms_bundle *bundle,
                       struct oms_key **out, struct oms_signer *who, struct err *err)
{
    cleanup_x509 X509 *leaf = oms_certificate_decode(&bundle->certificates[0], err);
    if (!leaf || oms_log_check(&sigstore->root, bundle, err) < 0 ||
        check_certificate(sigstore, leaf, bundle->entry->time_s, who, err) < 0)
        return -1;
    who->time_s = bundle->entry->time_s;
    who->log_index = bundle->entry->log_index;
    oms_certificate_fingerprint(leaf, who->fingerprint);
    return oms_certificate_key(leaf, out, err);
}
