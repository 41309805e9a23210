#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/seal/inside.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/mman.h>

/* Of our own, and not of a file: a limit on the size of files does not touch it, and no path leads to it. */
static int map_memory(size_t size, uint8_t **out, size_t *out_mapped, struct err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *out_mapped = (MAX(size, (size_t)1) + page - 1) / page * page;
    void *memory = mmap(NULL, *out_mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return err_errno(err, "memory for the weights");
    (void)madvise(memory, *out_mapped, MADV_DONTDUMP);
    (void)madvise(memory, *out_mapped, MADV_WIPEONFORK);
    (void)mlock(memory, *out_mapped); /* as much as RLIMIT_MEMLOCK lets us */
    *out = memory;
    return 0;
}

static bool open_chunk(EVP_CIPHER_CTX *cipher, const struct file_key *key, uint64_t number, bool last,
                       const uint8_t *sealed, size_t len, uint8_t *out)
{
    uint8_t nonce[12], tag[SEALED_TAG_BYTES];
    int done = 0, rest = 0;
    seal_nonce(number, last, nonce);
    memcpy(tag, sealed + len, sizeof tag);
    return EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
           EVP_DecryptUpdate(cipher, out, &done, sealed, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           EVP_DecryptFinal_ex(cipher, out + done, &rest) == 1;
}

static int open_chunks(const struct sealed_head *head, const struct file_key *key, const uint8_t *sealed,
                       uint8_t *out, struct err *err)
{
    cleanup_cipher EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint64_t chunks = sealed_chunks(head->plain_bytes);
    if (!cipher)
        return err_no_memory(err);
    for (uint64_t i = 0; i < chunks; i++) {
        uint64_t at = i * SEALED_CHUNK_BYTES;
        size_t len = (size_t)MIN(head->plain_bytes - at, (uint64_t)SEALED_CHUNK_BYTES);
        const uint8_t *chunk = sealed + SEALED_HEAD_BYTES + i * (SEALED_CHUNK_BYTES + SEALED_TAG_BYTES);
        if (open_chunk(cipher, key, i, i + 1 == chunks, chunk, len, out + at))
            continue;
        ERR_clear_error();
        return err_set(err, ERR_CORRUPT,
                       "sealed weights: chunk %" PRIu64 " of %" PRIu64
                       " was changed or is not where it belongs",
                       i + 1, chunks);
    }
    return 0;
}

static int check_key(const struct sealed_head *head, const struct seal_key *key, struct err *err)
{
    uint8_t id[32];
    if (seal_key_id(key, id, err) < 0)
        return -1;
    if (CRYPTO_memcmp(id, head->key_id, sizeof id) == 0)
        return 0;
    return err_set(err, ERR_UNTRUSTED, "the weights are sealed with another content key");
}

/* The salt says which plaintext this is. */
static int check_plain(const struct sealed_head *head, const struct seal_key *key, const uint8_t *plain,
                       struct err *err)
{
    struct digest digest = hash_bytes(plain, (size_t)head->plain_bytes);
    uint8_t salt[32];
    if (seal_salt(key, &digest, salt, err) < 0)
        return -1;
    if (CRYPTO_memcmp(salt, head->salt, sizeof salt) == 0)
        return 0;
    return err_set(err, ERR_CORRUPT, "sealed weights: they were sealed wrongly");
}

static int unseal(const struct sealed_head *head, const uint8_t *sealed, const struct seal_key *key,
                  uint8_t *out, struct err *err)
{
    cleanup_file_key struct file_key file_key = {{0}};
    if (seal_file_key(key, sealed, head->salt, &file_key, err) < 0 ||
        open_chunks(head, &file_key, sealed, out, err) < 0)
        return -1;
    return check_plain(head, key, out, err);
}

int seal_open(const void *sealed, size_t len, const struct seal_key *key, struct seal_plain *out,
              struct err *err)
{
    struct sealed_head head;
    uint8_t *memory = NULL;
    *out = (struct seal_plain){0};
    if (sealed_parse(sealed, len, len, &head, err) < 0 || check_key(&head, key, err) < 0 ||
        map_memory((size_t)head.plain_bytes, &memory, &out->mapped, err) < 0)
        return -1;
    out->data = memory;
    out->size = (size_t)head.plain_bytes;
    int result = unseal(&head, sealed, key, memory, err);
    if (result == 0 && mprotect(memory, out->mapped, PROT_READ) < 0)
        result = err_errno(err, "read-only weights");
    if (result < 0)
        seal_plain_fini(out);
    return result;
}

void seal_plain_fini(struct seal_plain *plain)
{
    void *memory = (void *)(uintptr_t)plain->data;
    if (memory) {
        if (mprotect(memory, plain->mapped, PROT_READ | PROT_WRITE) == 0)
            OPENSSL_cleanse(memory, plain->mapped);
        munmap(memory, plain->mapped);
    }
    *plain = (struct seal_plain){0};
}
