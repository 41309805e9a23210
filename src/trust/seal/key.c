#include "base/hex.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/ossl.h"
#include "trust/seal/inside.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <sys/stat.h>

static const char prefix[] = "muster-content-key-v1 ";
enum { PREFIX_LEN = sizeof prefix - 1, FILE_LEN = PREFIX_LEN + 2 * SEALED_KEY_BYTES + 1 };

MUSTER_CLEANUP(EVP_KDF *, EVP_KDF_free)
MUSTER_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)
#define cleanup_kdf __attribute__((cleanup(EVP_KDF_freep)))
#define cleanup_kdf_ctx __attribute__((cleanup(EVP_KDF_CTX_freep)))

int seal_key_make(struct seal_key *out, struct err *err)
{
    if (RAND_priv_bytes(out->bytes, sizeof out->bytes) == 1)
        return 0;
    return ossl_fail(err, ERR_INTERNAL, "no random bytes for a content key");
}

void seal_key_wipe(struct seal_key *key)
{
    OPENSSL_cleanse(key->bytes, sizeof key->bytes);
}

void file_key_wipe(struct file_key *key)
{
    OPENSSL_cleanse(key->bytes, sizeof key->bytes);
}

static int parse_file(const struct buf *text, struct seal_key *out, struct err *err)
{
    const char *at = buf_text(text);
    if (text->len == FILE_LEN && str_starts(at, prefix) && at[FILE_LEN - 1] == '\n' &&
        hex_decode(at + PREFIX_LEN, (size_t)2 * SEALED_KEY_BYTES, out->bytes))
        return 0;
    return err_set(err, ERR_INVALID, "no content key; muster pack --seal makes one");
}

int seal_key_load(const char *path, struct seal_key *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(FILE_LEN);
    struct stat st;
    if (file_read(path, &text, err) < 0)
        return -1;
    int result = parse_file(&text, out, err);
    OPENSSL_cleanse(text.data, text.cap);
    if (result < 0)
        return err_prefix(err, "%s", path);
    if (stat(path, &st) == 0 && (st.st_mode & 077) == 0)
        return 0;
    seal_key_wipe(out);
    return err_set(err, ERR_REFUSED,
                   "%s: others than its owner may read this content key; run chmod 600 on it", path);
}

int seal_key_save(const struct seal_key *key, const char *path, struct err *err)
{
    char text[FILE_LEN + 1], hex[2 * SEALED_KEY_BYTES + 1];
    hex_encode(key->bytes, sizeof key->bytes, hex);
    snprintf(text, sizeof text, "%s%s\n", prefix, hex);
    int result = file_create(path, text, FILE_LEN, 0600, err);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(hex, sizeof hex);
    return result;
}

int seal_hkdf(const uint8_t *secret, size_t secret_len, const uint8_t *salt, size_t salt_len,
              const void *info, size_t info_len, uint8_t out[32], struct err *err)
{
    cleanup_kdf EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    cleanup_kdf_ctx EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[5] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
        OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
    if (salt_len > 0)
        params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len);
    if (ctx && EVP_KDF_derive(ctx, out, 32, params) == 1)
        return 0;
    return ossl_fail(err, ERR_INTERNAL, "HKDF");
}

int seal_key_id(const struct seal_key *key, uint8_t out[32], struct err *err)
{
    static const char info[] = "muster-seal-v1 key id";
    return seal_hkdf(key->bytes, sizeof key->bytes, NULL, 0, info, sizeof info - 1, out, err);
}

int seal_salt(const struct seal_key *key, const struct digest *plain, uint8_t out[32], struct err *err)
{
    static const char label[] = "muster-seal-v1 salt";
    uint8_t message[sizeof label - 1 + sizeof plain->bytes];
    unsigned len = 0;
    memcpy(message, label, sizeof label - 1);
    memcpy(message + sizeof label - 1, plain->bytes, sizeof plain->bytes);
    if (HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, message, sizeof message, out, &len) && len == 32)
        return 0;
    return ossl_fail(err, ERR_INTERNAL, "HMAC");
}

int seal_file_key(const struct seal_key *key, const uint8_t head[SEALED_HEAD_BYTES], const uint8_t salt[32],
                  struct file_key *out, struct err *err)
{
    static const char label[] = "muster-seal-v1 file key";
    uint8_t info[sizeof label - 1 + SEALED_HEAD_BYTES];
    memcpy(info, label, sizeof label - 1);
    memcpy(info + sizeof label - 1, head, SEALED_HEAD_BYTES);
    return seal_hkdf(key->bytes, sizeof key->bytes, salt, 32, info, sizeof info, out->bytes, err);
}

void seal_nonce(uint64_t chunk, bool last, uint8_t out[12])
{
    memset(out, 0, 12);
    for (int i = 0; i < 4; i++)
        out[10 - i] = (uint8_t)(chunk >> (8 * i));
    out[11] = last;
}
