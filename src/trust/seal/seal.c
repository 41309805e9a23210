#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/seal/inside.h"

#include <fcntl.h>
#include <openssl/crypto.h>

struct sealer {
    EVP_CIPHER_CTX *cipher;
    int fd;
    const char *path;
    uint8_t *out; /* a chunk and its tag */
};

static int write_all(const struct sealer *sealer, const uint8_t *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t n = write(sealer->fd, data, len);
        if (n < 0)
            return err_errno(err, "write %s", sealer->path);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int seal_chunk(const struct sealer *sealer, const struct file_key *key, uint64_t number, bool last,
                      const uint8_t *data, size_t len, struct err *err)
{
    uint8_t nonce[12];
    int done = 0, rest = 0;
    seal_nonce(number, last, nonce);
    if (EVP_EncryptInit_ex(sealer->cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) != 1 ||
        EVP_EncryptUpdate(sealer->cipher, sealer->out, &done, data, (int)len) != 1 ||
        EVP_EncryptFinal_ex(sealer->cipher, sealer->out + done, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(sealer->cipher, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG_BYTES, sealer->out + len) != 1)
        return ossl_fail(err, ERR_INTERNAL, "cannot encrypt");
    return write_all(sealer, sealer->out, len + SEALED_TAG_BYTES, err);
}

static int seal_chunks(const struct sealer *sealer, const struct file_key *key, const struct file_map *plain,
                       struct err *err)
{
    uint64_t chunks = sealed_chunks(plain->size);
    for (uint64_t i = 0; i < chunks; i++) {
        size_t at = (size_t)i * SEALED_CHUNK_BYTES;
        size_t len = MIN(plain->size - at, (size_t)SEALED_CHUNK_BYTES);
        if (seal_chunk(sealer, key, i, i + 1 == chunks, plain->data + at, len, err) < 0)
            return -1;
    }
    return fsync(sealer->fd) < 0 ? err_errno(err, "fsync %s", sealer->path) : 0;
}

static int make_head(const struct file_map *plain, const struct seal_key *key,
                     uint8_t head[SEALED_HEAD_BYTES], struct file_key *out, struct err *err)
{
    struct digest digest = hash_bytes(plain->data, plain->size);
    struct sealed_head fields = {.plain_bytes = plain->size};
    if (seal_key_id(key, fields.key_id, err) < 0 || seal_salt(key, &digest, fields.salt, err) < 0)
        return -1;
    sealed_format(&fields, head);
    return seal_file_key(key, head, fields.salt, out, err);
}

int seal_file(const char *from, const char *to, const struct seal_key *key, struct err *err)
{
    cleanup_file_map struct file_map plain = {0};
    cleanup_cipher EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    cleanup_free uint8_t *out = mem_zalloc(1, SEALED_CHUNK_BYTES + SEALED_TAG_BYTES);
    cleanup_file_key struct file_key file_key = {{0}};
    uint8_t head[SEALED_HEAD_BYTES];
    if (!cipher || !out)
        return err_no_memory(err);
    if (file_map(from, &plain, err) < 0)
        return -1;
    if (plain.size > SEALED_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "%s: %zu bytes, the limit is %llu", from, plain.size,
                       SEALED_MAX_BYTES);
    if (make_head(&plain, key, head, &file_key, err) < 0)
        return -1;
    cleanup_close int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, "%s", to);
    struct sealer sealer = {.cipher = cipher, .fd = fd, .path = to, .out = out};
    return write_all(&sealer, head, sizeof head, err) < 0 ? -1 : seal_chunks(&sealer, &file_key, &plain, err);
}
