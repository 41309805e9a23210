#include "base/hex.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/rule.h"
#include "trust/tuf/public.h"
#include "trust/tuf/signer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

enum { RSA_MIN_BITS = 2048, RSA_MAX_BITS = 8192, MAX_PUBLIC_BYTES = 16 * 1024 };

int tuf_key_id(enum tuf_scheme scheme, const char *public_text, char out[65], struct err *err)
{
    size_t len = 0;
    cleanup_free char *canonical = tuf_key_canonical(scheme, public_text, &len, err);
    if (!canonical)
        return -1;
    struct digest digest = hash_bytes(canonical, len);
    hex_encode(digest.bytes, sizeof digest.bytes, out);
    return 0;
}

/* ---- public keys ---- */

static EVP_PKEY *read_ed25519(const char *hex)
{
    uint8_t raw[32] = {0};
    if (strlen(hex) != 64 || !hex_decode(hex, 64, raw))
        return NULL;
    return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, sizeof raw);
}

static EVP_PKEY *read_pem(const char *pem)
{
    size_t len = strlen(pem);
    BIO *bio = len <= MAX_PUBLIC_BYTES ? BIO_new_mem_buf(pem, (int)len) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, ossl_no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return pkey;
}

enum tuf_scheme tuf_pkey_scheme(const EVP_PKEY *pkey)
{
    char group[32] = "";
    size_t len = 0;
    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return TUF_ED25519;
    if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) == 1)
        return strcmp(group, "prime256v1") == 0 ? TUF_ECDSA_P256 : TUF_SCHEME_UNKNOWN;
    int bits = EVP_PKEY_get_bits(pkey);
    bool rsa = EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS;
    return rsa ? TUF_RSA_PSS : TUF_SCHEME_UNKNOWN;
}

/* NULL for what is no key of its scheme. */
static EVP_PKEY *read_public(const struct tuf_key *key)
{
    enum tuf_scheme wanted = key->scheme == TUF_RSA_PKCS1 ? TUF_RSA_PSS : key->scheme;
    if (key->scheme == TUF_SCHEME_UNKNOWN || !key->public_text)
        return NULL;
    EVP_PKEY *pkey = key->scheme == TUF_ED25519 ? read_ed25519(key->public_text) : read_pem(key->public_text);
    if (pkey && tuf_pkey_scheme(pkey) == wanted)
        return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

bool tuf_pkey_padding(EVP_PKEY_CTX *ctx, enum tuf_scheme scheme, int salt_len)
{
    if (scheme == TUF_RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return scheme != TUF_RSA_PSS || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                                     EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt_len) == 1 &&
                                     EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1);
}

/* ---- one signature ---- */

static bool holds(EVP_PKEY *pkey, enum tuf_scheme scheme, const void *data, size_t len, const uint8_t *sig,
                  size_t sig_len)
{
    EVP_PKEY_CTX *key_ctx = NULL; /* belongs to ctx */
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const char *digest = scheme == TUF_ED25519 ? NULL : "SHA256";
    bool good = ctx && EVP_DigestVerifyInit_ex(ctx, &key_ctx, digest, NULL, NULL, pkey, NULL) == 1 &&
                tuf_pkey_padding(key_ctx, scheme, RSA_PSS_SALTLEN_AUTO) &&
                EVP_DigestVerify(ctx, sig, sig_len, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

bool tuf_key_verify(const struct tuf_key *key, const void *data, size_t len, const uint8_t *sig,
                    size_t sig_len)
{
    if (!sig || sig_len == 0)
        return false;
    EVP_PKEY *pkey = read_public(key);
    bool good = pkey && holds(pkey, key->scheme, data, len, sig, sig_len);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return good;
}

/* ---- a threshold of them ---- */

static const struct tuf_key *find_key(const struct tuf_key *keys, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].id, id) == 0)
            return &keys[i];
    return NULL;
}

/* The last of them that the parser would not have let through twice. */
static const struct tuf_signature *find_signature(const struct tuf_signature *signatures, size_t count,
                                                  const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(signatures[i].keyid, id) == 0)
            return &signatures[i];
    return NULL;
}

struct count { /* keys that signed */
    int64_t count;
    EVP_PKEY **pkeys;
};

static bool is_counted(const struct count *counted, const EVP_PKEY *pkey)
{
    for (int64_t i = 0; i < counted->count; i++)
        if (EVP_PKEY_eq(counted->pkeys[i], pkey) == 1)
            return true;
    return false;
}

static void count_one(struct count *counted, const struct tuf_key *key, const void *text, size_t len,
                      const struct tuf_signature *signature)
{
    EVP_PKEY *pkey = key && signature && signature->len ? read_public(key) : NULL;
    if (pkey && !is_counted(counted, pkey) &&
        holds(pkey, key->scheme, text, len, signature->sig, signature->len))
        counted->pkeys[counted->count++] = pkey;
    else
        EVP_PKEY_free(pkey);
}

int tuf_verify_text(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
                    const void *text, size_t len, const struct tuf_signature *signatures, size_t count,
                    int rule, const char *what, struct err *err)
{
    struct count counted = {.pkeys = mem_zalloc(set->count + 1, sizeof *counted.pkeys)};
    if (!counted.pkeys)
        return err_no_memory(err);
    for (size_t i = 0; i < set->count && counted.count < set->threshold; i++)
        count_one(&counted, find_key(keys, key_count, set->keyids[i]), text, len,
                  find_signature(signatures, count, set->keyids[i]));
    for (int64_t i = 0; i < counted.count; i++)
        EVP_PKEY_free(counted.pkeys[i]);
    free(counted.pkeys);
    ERR_clear_error();
    if (set->threshold >= 1 && counted.count >= set->threshold)
        return 0;
    return trust_refuse(err, rule, "%s: %lld of %lld signatures hold", what, (long long)counted.count,
                        (long long)set->threshold);
}

int tuf_verify(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
               const struct tuf_metadata *metadata, int rule, const char *what, struct err *err)
{
    return tuf_verify_text(set, keys, key_count, metadata->signed_text, metadata->signed_len,
                           metadata->signatures, metadata->signature_count, rule, what, err);
}
