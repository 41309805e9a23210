#include "base/str.h"
#include "robot/store/inside.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <fcntl.h>

struct partial {
    struct store *store; /* borrowed */
    struct digest digest;
    uint64_t size, have; /* bytes */
    struct hash *hash;   /* of the bytes that are there */
    int fd;
    char *path;
};

static int hash_what_is_there(struct partial *partial, struct err *err)
{
    uint8_t piece[16 << 10];
    for (;;) {
        ssize_t got = read(partial->fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "%s", partial->path);
        if (got == 0)
            return 0;
        hash_update(partial->hash, piece, (size_t)got);
        partial->have += (uint64_t)got;
        if (partial->have > partial->size)
            return 0;
    }
}

/* Longer than the blob can be: nothing of it is worth keeping. */
static int start_over(struct partial *partial, struct err *err)
{
    if (ftruncate(partial->fd, 0) < 0 || lseek(partial->fd, 0, SEEK_SET) < 0)
        return err_errno(err, "%s", partial->path);
    hash_finish(partial->hash);
    partial->have = 0;
    return 0;
}

int partial_open(struct store *store, const struct digest *digest, uint64_t size, struct partial **out,
                 uint64_t *out_have, struct err *err)
{
    cleanup_partial struct partial *partial = mem_zalloc(1, sizeof *partial);
    if (!partial)
        return err_no_memory(err);
    *partial = (struct partial){.store = store, .digest = *digest, .size = size, .fd = -1};
    struct digest_text text = digest_format(digest);
    partial->path = file_join(store->partials, digest_hex(&text));
    partial->hash = hash_new();
    if (!partial->path || !partial->hash)
        return err_no_memory(err);
    partial->fd = open(partial->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (partial->fd < 0)
        return err_errno(err, "%s", partial->path);
    if (hash_what_is_there(partial, err) < 0)
        return -1;
    if (partial->have > size && start_over(partial, err) < 0)
        return -1;
    *out_have = partial->have;
    *out = TAKE_PTR(partial);
    return 0;
}

/* Short, so that the cause is not cut off in a report. */
static int write_failed(const struct partial *partial, struct err *err)
{
    struct digest_text text = digest_format(&partial->digest);
    return err_errno(err, "blob %.19s... cannot be kept", text.text);
}

int partial_write(struct partial *partial, const void *data, size_t len, struct err *err)
{
    if (len > partial->size - partial->have)
        return err_set(err, ERR_TOO_BIG, "the server sends more than the %llu bytes that were announced",
                       (unsigned long long)partial->size);
    for (const uint8_t *at = data; len > 0;) {
        ssize_t put = write(partial->fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return write_failed(partial, err);
        hash_update(partial->hash, at, (size_t)put);
        partial->have += (uint64_t)put;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

int partial_discard(struct partial *partial, struct err *err)
{
    if (unlink(partial->path) < 0 && errno != ENOENT)
        return err_errno(err, "%s", partial->path);
    return 0;
}

static int refuse(struct partial *partial, struct err *err)
{
    struct digest_text want = digest_format(&partial->digest);
    if (partial_discard(partial, err) < 0)
        return -1;
    return err_set(err, ERR_CORRUPT, "blob %.19s...: its bytes do not fit its digest; they were thrown away",
                   want.text);
}

int partial_finish(struct partial *partial, struct err *err)
{
    if (partial->have != partial->size)
        return err_set(err, ERR_UNREACHABLE, "the download ended after %llu of %llu bytes",
                       (unsigned long long)partial->have, (unsigned long long)partial->size);
    struct digest got = hash_finish(partial->hash);
    if (!digest_equal(&got, &partial->digest))
        return refuse(partial, err);
    if (fsync(partial->fd) < 0)
        return err_errno(err, "%s", partial->path);
    cleanup_free char *target = store_blob_path(partial->store, &partial->digest);
    if (!target)
        return err_no_memory(err);
    return file_rename(partial->path, target, err);
}

void partial_free(struct partial *partial)
{
    if (!partial)
        return;
    mem_cleanup_close(&partial->fd);
    hash_free(partial->hash);
    free(partial->path);
    free(partial);
}
