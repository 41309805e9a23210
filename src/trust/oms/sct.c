/* OpenSSL reads these timestamps, but checks them only with a list of logs in a file of its own; so the signed bytes are put together here. */
#include "base/str.h"
#include "sys/hash.h"
#include "trust/oms/inside.h"

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

MUSTER_CLEANUP(STACK_OF(SCT) *, SCT_LIST_free)
#define cleanup_scts __attribute__((cleanup(SCT_LIST_freep)))

enum { MAX_CERTIFICATE = 64 << 10 };

static int put_number(struct buf *out, uint64_t value, unsigned bytes, struct err *err)
{
    uint8_t text[8];
    for (unsigned i = 0; i < bytes; i++)
        text[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    return buf_put(out, text, bytes, err);
}

/* The certificate as it was before its timestamps were put in. */
static int put_precertificate(struct buf *out, const X509 *leaf, struct err *err)
{
    cleanup_x509 X509 *copy = X509_dup(leaf);
    int at = copy ? X509_get_ext_by_NID(copy, NID_ct_precert_scts, -1) : -1;
    unsigned char *der = NULL;
    if (at < 0)
        return err_no_memory(err);
    X509_EXTENSION_free(X509_delete_ext(copy, at));
    int len = i2d_re_X509_tbs(copy, &der);
    int result = len <= 0 ? err_no_memory(err) : put_number(out, (uint64_t)len, 3, err);
    if (result == 0)
        result = buf_put(out, der, (size_t)len, err);
    OPENSSL_free(der);
    return result;
}

static int put_issuer(struct buf *out, const X509 *issuer, struct err *err)
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &der);
    if (len <= 0)
        return err_no_memory(err);
    struct digest hash = hash_bytes(der, (size_t)len);
    OPENSSL_free(der);
    return buf_put(out, hash.bytes, sizeof hash.bytes, err);
}

/* RFC 6962, 3.2: version, signature type, time, entry type, hash of the issuer's key, certificate, extensions. */
static int put_signed(struct buf *out, const SCT *sct, const X509 *leaf, const X509 *issuer, struct err *err)
{
    unsigned char *extensions = NULL;
    size_t len = SCT_get0_extensions(sct, &extensions);
    if (put_number(out, 0, 2, err) < 0 || put_number(out, SCT_get_timestamp(sct), 8, err) < 0 ||
        put_number(out, 1, 2, err) < 0 || put_issuer(out, issuer, err) < 0 ||
        put_precertificate(out, leaf, err) < 0 || put_number(out, len, 2, err) < 0)
        return -1;
    return len ? buf_put(out, extensions, len, err) : 0;
}

static bool holds(const SCT *sct, const struct sigstore_root *root, const X509 *leaf, const X509 *issuer)
{
    struct err ignored = {0};
    struct digest id;
    unsigned char *name = NULL, *signature = NULL;
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_buf struct buf text = BUF_INIT(MAX_CERTIFICATE);
    if (SCT_get_version(sct) != SCT_VERSION_V1 || SCT_get0_log_id(sct, &name) != sizeof id.bytes)
        return false;
    memcpy(id.bytes, name, sizeof id.bytes);
    const struct sigstore_log *log =
        sigstore_find_log(&root->ct_logs, &id, (int64_t)(SCT_get_timestamp(sct) / 1000));
    size_t len = SCT_get0_signature(sct, &signature);
    return log && len > 0 && SCT_get_signature_nid(sct) == NID_ecdsa_with_SHA256 &&
           oms_key_decode(&log->key, &key, &ignored) == 0 &&
           put_signed(&text, sct, leaf, issuer, &ignored) == 0 &&
           oms_key_check(key, text.data, text.len, signature, len);
}

int oms_sct_check(const X509 *leaf, const X509 *issuer, const struct sigstore_root *root, struct err *err)
{
    cleanup_scts STACK_OF(SCT) *list = X509_get_ext_d2i(leaf, NID_ct_precert_scts, NULL, NULL);
    ERR_clear_error();
    if (sk_SCT_num(list) < 1)
        return err_set(err, ERR_UNTRUSTED,
                       "the signer's certificate carries no timestamp of a certificate transparency log");
    for (int i = 0; i < sk_SCT_num(list) && i < OMS_MAX_SCTS; i++)
        if (holds(sk_SCT_value(list, i), root, leaf, issuer))
            return 0;
    return err_set(err, ERR_UNTRUSTED,
                   "no certificate transparency log of the trusted root knows the signer's certificate");
}
