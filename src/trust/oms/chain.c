#include "base/hex.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { MAX_ANCHOR_BYTES = 1 << 20, SECURITY_LEVEL = 2 /* 112 bits */ };

MUSTER_CLEANUP(X509_STORE *, X509_STORE_free)
MUSTER_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
#define cleanup_store __attribute__((cleanup(X509_STORE_freep)))
#define cleanup_store_ctx __attribute__((cleanup(X509_STORE_CTX_freep)))

struct oms_authorities {
    oms_chain *anchors;
};

void oms_chain_free(oms_chain *chain)
{
    sk_X509_pop_free(chain, X509_free);
}

X509 *oms_certificate_decode(const struct oms_bytes *der, struct err *err)
{
    const unsigned char *at = der->data;
    X509 *cert = d2i_X509(NULL, &at, (long)der->len);
    if (cert && at == der->data + der->len)
        return cert;
    X509_free(cert);
    (void)ossl_fail(err, ERR_INVALID, "model signature: one of its certificates is none");
    return NULL;
}

void oms_certificate_fingerprint(const X509 *cert, char out[65])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    out[0] = '\0';
    if (X509_digest(cert, EVP_sha256(), hash, &len) == 1 && len == 32)
        hex_encode(hash, len, out);
}

int oms_certificate_key(X509 *cert, struct oms_key **out, struct err *err)
{
    EVP_PKEY *key = X509_get_pubkey(cert);
    if (!key)
        return ossl_fail(err, ERR_UNSUPPORTED, "the signer's certificate has no key that can be read");
    return oms_key_wrap(key, out, err) < 0 ? err_prefix(err, "the signer's certificate") : 0;
}

/* ---- the path ---- */

static int untrusted(struct err *err, const char *why, int depth)
{
    ERR_clear_error();
    return err_set(err, ERR_UNTRUSTED, "the signer's certificate is not believed: %s%s", why,
                   depth == 0 ? "" : " (of an authority above it)");
}

static X509_STORE *make_store(const struct oms_path *path)
{
    cleanup_store X509_STORE *store = X509_STORE_new();
    X509_VERIFY_PARAM *rules = store ? X509_STORE_get0_param(store) : NULL;
    if (!rules || X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        return NULL;
    X509_VERIFY_PARAM_set_time(rules, path->time_s);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_depth(rules, OMS_MAX_CERTIFICATES);
    for (int i = 0; i < sk_X509_num(path->anchors); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(path->anchors, i)) != 1)
            return NULL;
    return TAKE_PTR(store);
}

static int build(const struct oms_path *path, oms_chain **out, struct err *err)
{
    cleanup_store X509_STORE *store = make_store(path);
    cleanup_store_ctx X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!store || !ctx || X509_STORE_CTX_init(ctx, store, path->leaf, path->between) != 1)
        return ossl_fail(err, ERR_NO_MEMORY, "cannot check certificates");
    if (X509_verify_cert(ctx) != 1)
        return untrusted(err, X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
                         X509_STORE_CTX_get_error_depth(ctx));
    *out = X509_STORE_CTX_get1_chain(ctx);
    return *out ? 0 : err_no_memory(err);
}

static bool may_sign_code(X509 *cert)
{
    return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) == 0 ||
           (X509_get_extended_key_usage(cert) & (XKU_CODE_SIGN | XKU_ANYEKU)) != 0;
}

static int check_use(const oms_chain *chain, struct err *err)
{
    X509 *leaf = sk_X509_value(chain, 0);
    uint32_t flags = X509_get_extension_flags(leaf);
    if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return untrusted(err, "its key usage is not digitalSignature", 0);
    if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN) == 0)
        return untrusted(err, "its extended key usage is not codeSigning", 0);
    for (int i = 1; i + 1 < sk_X509_num(chain); i++)
        if (!may_sign_code(sk_X509_value(chain, i)))
            return untrusted(err, "extended key usage without codeSigning", i);
    return 0;
}

int oms_path_check(const struct oms_path *path, oms_chain **out, struct err *err)
{
    cleanup_chain oms_chain *chain = NULL;
    if (build(path, &chain, err) < 0 || check_use(chain, err) < 0)
        return -1;
    *out = TAKE_PTR(chain);
    return 0;
}

/* ---- method certificate ---- */

static int read_anchors(BIO *pem, oms_chain *out, struct err *err)
{
    for (;;) {
        X509 *cert = PEM_read_bio_X509(pem, NULL, ossl_no_passphrase, NULL);
        if (!cert)
            break;
        if (sk_X509_push(out, cert) <= 0) {
            X509_free(cert);
            return err_no_memory(err);
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || sk_X509_num(out) == 0)
        return ossl_fail(err, ERR_INVALID, "not certificates in PEM");
    ERR_clear_error();
    return 0;
}

int oms_authorities_load(const char *path, struct oms_authorities **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_ANCHOR_BYTES);
    cleanup_oms_authorities struct oms_authorities *authorities = mem_zalloc(1, sizeof *authorities);
    if (file_read(path, &pem, err) < 0)
        return -1;
    cleanup_bio BIO *bio = BIO_new_mem_buf(buf_text(&pem), (int)pem.len);
    if (!authorities || !bio || !(authorities->anchors = sk_X509_new_null()))
        return err_no_memory(err);
    if (read_anchors(bio, authorities->anchors, err) < 0)
        return err_prefix(err, "%s", path);
    *out = TAKE_PTR(authorities);
    return 0;
}

void oms_authorities_free(struct oms_authorities *authorities)
{
    if (!authorities)
        return;
    oms_chain_free(authorities->anchors);
    free(authorities);
}

static oms_chain *decode_all(const struct oms_bundle *bundle, struct err *err)
{
    cleanup_chain oms_chain *chain = sk_X509_new_null();
    for (size_t i = 0; i < bundle->certificate_count; i++) {
        X509 *cert = oms_certificate_decode(&bundle->certificates[i], err);
        if (!cert)
            return NULL;
        if (!chain || sk_X509_push(chain, cert) <= 0) {
            X509_free(cert);
            (void)err_no_memory(err);
            return NULL;
        }
    }
    return TAKE_PTR(chain);
}

static void name_subject(const X509 *cert, struct oms_signer *who)
{
    cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (!bio ||
        X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253 | ASN1_STRFLGS_ESC_CTRL) < 0)
        return;
    long len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        snprintf(who->name, sizeof who->name, "%.*s", (int)len, text);
}

int oms_authorities_check(const struct oms_authorities *authorities, int64_t now_s,
                          const struct oms_bundle *bundle, struct oms_key **out, struct oms_signer *who,
                          struct err *err)
{
    cleanup_chain oms_chain *given = decode_all(bundle, err), *chain = NULL;
    if (!given)
        return -1;
    struct oms_path path = {
        .leaf = sk_X509_value(given, 0), .anchors = authorities->anchors, .between = given, .time_s = now_s};
    if (oms_path_check(&path, &chain, err) < 0 || oms_certificate_key(path.leaf, out, err) < 0)
        return -1;
    name_subject(path.leaf, who);
    oms_certificate_fingerprint(path.leaf, who->fingerprint);
    return 0;
}
