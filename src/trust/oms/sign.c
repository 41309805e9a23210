#include "base/str.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

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
