#include "sys/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>

struct hash {
    EVP_MD_CTX *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* fetched once: a fetch per use takes a global lock in OpenSSL 3.0 */

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* A digest that is silently wrong would be believed: there is no way on without SHA-256. */
static void insist(int good)
{
    if (good)
        return;
    fputs("muster: SHA-256 of OpenSSL failed (out of memory, or no default provider)\n", stderr);
    abort();
}

static const EVP_MD *md(void)
{
    pthread_once(&once, fetch_sha256);
    insist(sha256 != NULL);
    return sha256;
}

struct hash *hash_new(void)
{
    cleanup_free struct hash *hash = mem_zalloc(1, sizeof *hash);
    if (!hash)
        return NULL;
    hash->ctx = EVP_MD_CTX_new();
    if (!hash->ctx)
        return NULL;
    insist(EVP_DigestInit_ex2(hash->ctx, md(), NULL));
    return TAKE_PTR(hash);
}

void hash_free(struct hash *hash)
{
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->ctx);
    free(hash);
}

void hash_update(struct hash *hash, const void *data, size_t len)
{
    insist(EVP_DigestUpdate(hash->ctx, data, len));
}

struct digest hash_finish(struct hash *hash)
{
    struct digest digest;
    insist(EVP_DigestFinal_ex(hash->ctx, digest.bytes, NULL));
    insist(EVP_DigestInit_ex2(hash->ctx, md(), NULL));
    return digest;
}

struct digest hash_bytes(const void *data, size_t len)
{
    struct digest digest;
    insist(EVP_Digest(data, len, digest.bytes, NULL, md(), NULL));
    return digest;
}

static int hash_fd(int fd, struct hash *hash, uint64_t *out_size)
{
    enum { PIECE_BYTES = 64 * 1024 };
    cleanup_free uint8_t *piece = mem_zalloc(PIECE_BYTES, 1);
    if (!piece) {
        errno = ENOMEM;
        return -1;
    }
    for (*out_size = 0;;) {
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        hash_update(hash, piece, (size_t)got);
        *out_size += (uint64_t)got;
    }
}

int hash_file(const char *path, struct digest *out, uint64_t *out_size, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        return err_no_memory(err);
    uint64_t size;
    if (hash_fd(fd, hash, &size) < 0)
        return err_errno(err, "%s", path);
    *out = hash_finish(hash);
    if (out_size)
        *out_size = size;
    return 0;
}
