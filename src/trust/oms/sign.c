#include "base/str.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

#include <openssl/err.h>

MUSTER_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
#define cleanup_md __attribute__((cleanup(EVP_MD_CTX_freep)))

struct digest oms_root(const struct oms_statement *statement)
{
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        abort(); /* as hashing does everywhere */
    for (size_t i = 0; i < statement->count; i++)
        hash_update(hash, statement->resources[i].digest.bytes, sizeof statement->resources[i].digest.bytes);
    return hash_finish(hash);
}

static int sign_bytes(const struct oms_key *key, const struct buf *bytes, struct oms_bundle *bundle,
                      struct err *err)
{
    cleanup_md EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bundle->sig_len = sizeof bundle->sig;
    if (ctx && EVP_DigestSignInit(ctx, NULL, key->digest, NULL, key->pkey) == 1 &&
        EVP_DigestSign(ctx, bundle->sig, &bundle->sig_len, bytes->data, bytes->len) == 1)
        return 0;
    return ossl_fail(err, ERR_INVALID, "cannot sign with this key; is it a private one?");
}

int oms_sign(struct oms_statement *statement, const struct oms_key *key, char **out, struct err *err)
{
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    cleanup_buf struct buf bytes = BUF_INIT(2 * OMS_MAX_BYTES);
    if (statement->count == 0)
        return err_set(err, ERR_INVALID, "there is no file to sign");
    oms_statement_sort(statement);
    statement->root = oms_root(statement);
    char *payload = oms_statement_format(statement);
    if (!payload)
        return err_no_memory(err);
    bundle.payload = (uint8_t *)payload;
    bundle.payload_len = strlen(payload);
    str_copy(bundle.hint, sizeof bundle.hint, key->hint);
    if (oms_pae(&bundle, &bytes, err) < 0 || sign_bytes(key, &bytes, &bundle, err) < 0)
        return -1;
    *out = oms_bundle_format(&bundle);
    if (!*out)
        return err_no_memory(err);
    if (strlen(*out) <= OMS_MAX_BYTES)
        return 0;
    free(*out);
    *out = NULL;
    return err_set(err, ERR_TOO_BIG, "the signature would have more than %d bytes; sign fewer files",
                   OMS_MAX_BYTES);
}

static int check_signature(const struct oms_bundle *bundle, const struct oms_key *key, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(2 * OMS_MAX_BYTES);
    if (oms_pae(bundle, &bytes, err) < 0)
        return -1;
    cleanup_md EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, key->digest, NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, bundle->sig, bundle->sig_len, bytes.data, bytes.len) == 1;
    ERR_clear_error();
    if (good)
        return 0;
    if (bundle->hint[0] && !str_eq(bundle->hint, key->hint))
        return err_set(err, ERR_UNTRUSTED, "signed with another key (%.16s…) than this one (%.16s…)",
                       bundle->hint, key->hint);
    return err_set(err, ERR_UNTRUSTED, "the signature does not hold: it was changed, or another key made it");
}

int oms_open(const void *text, size_t len, const struct oms_key *key, struct oms_statement *out,
             struct err *err)
{
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    *out = (struct oms_statement){0};
    if (oms_bundle_parse(text, len, &bundle, err) < 0 || check_signature(&bundle, key, err) < 0 ||
        oms_statement_parse(bundle.payload, bundle.payload_len, out, err) < 0)
        return -1;
    struct digest root = oms_root(out);
    if (!digest_equal(&root, &out->root)) {
        oms_statement_fini(out);
        return err_set(err, ERR_INVALID, "model signature: the root digest is not that of its files");
    }
    oms_statement_sort(out);
    return 0;
}
