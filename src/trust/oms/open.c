#include "base/str.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

#include <openssl/err.h>

struct digest oms_root(const struct oms_statement *statement)
{
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        abort(); /* as hashing does everywhere */
    for (size_t i = 0; i < statement->count; i++)
        hash_update(hash, statement->resources[i].digest.bytes, sizeof statement->resources[i].digest.bytes);
    return hash_finish(hash);
}

bool oms_key_check(const struct oms_key *key, const void *data, size_t len, const void *sig, size_t sig_len)
{
    cleanup_md EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, key->digest, NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;
    ERR_clear_error();
    return good;
}

static int check_signature(const struct oms_bundle *bundle, const struct oms_key *key, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(2 * OMS_MAX_BYTES);
    if (oms_pae(bundle, &bytes, err) < 0)
        return -1;
    if (oms_key_check(key, bytes.data, bytes.len, bundle->sig, bundle->sig_len))
        return 0;
    if (bundle->hint[0] && !str_eq(bundle->hint, key->hint))
        return err_set(err, ERR_UNTRUSTED, "signed with another key (%.16s…) than this one (%.16s…)",
                       bundle->hint, key->hint);
    return err_set(err, ERR_UNTRUSTED, "the signature does not hold: it was changed, or another key made it");
}

static int check_method(const struct oms_bundle *bundle, const struct oms_believed *believed, struct err *err)
{
    static const char *const is[] = {[OMS_KEY] = "a key (method \"key\")",
                                     [OMS_CERTIFICATE] =
                                         "a certificate of an authority (method \"certificate\")",
                                     [OMS_SIGSTORE] = "a certificate of Sigstore (method \"sigstore\")"};
    static const char *const wants[] = {[OMS_KEY] = "a public key",
                                        [OMS_CERTIFICATE] = "the authorities that you believe",
                                        [OMS_SIGSTORE] =
                                            "a trusted root of Sigstore, an identity and its provider"};
    enum oms_method method = believed->key ? OMS_KEY : believed->authorities ? OMS_CERTIFICATE : OMS_SIGSTORE;
    if (bundle->method == method)
        return 0;
    return err_set(err, ERR_UNTRUSTED, "signed with %s; to verify that takes %s", is[bundle->method],
                   wants[bundle->method]);
}

static int check_signer(const struct oms_bundle *bundle, const struct oms_believed *believed,
                        struct oms_signer *who, struct err *err)
{
    cleanup_oms_key struct oms_key *own = NULL;
    const struct oms_key *key = believed->key;
    who->method = bundle->method;
    if (check_method(bundle, believed, err) < 0)
        return -1;
    if (believed->authorities &&
        oms_authorities_check(believed->authorities, believed->now_s, bundle, &own, who, err) < 0)
        return -1;
    if (believed->sigstore && oms_sigstore_check(believed->sigstore, bundle, &own, who, err) < 0)
        return -1;
    if (key)
        str_copy(who->fingerprint, sizeof who->fingerprint, key->hint);
    else
        key = own;
    who->curve = key->curve;
    return check_signature(bundle, key, err);
}

int oms_open(const void *text, size_t len, const struct oms_believed *believed, struct oms_statement *out,
             struct oms_signer *out_who, struct err *err)
{
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    struct oms_signer who = {0};
    *out = (struct oms_statement){0};
    if (oms_bundle_parse(text, len, &bundle, err) < 0 || check_signer(&bundle, believed, &who, err) < 0 ||
        oms_statement_parse(bundle.payload, bundle.payload_len, out, err) < 0)
        return -1;
    struct digest root = oms_root(out);
    if (!digest_equal(&root, &out->root)) {
        oms_statement_fini(out);
        return err_set(err, ERR_INVALID, "model signature: the root digest is not that of its files");
    }
    oms_statement_sort(out);
    if (out_who)
        *out_who = who;
    return 0;
}
