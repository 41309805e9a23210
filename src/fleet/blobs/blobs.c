#include "fleet/blobs/blobs.h"

#include "base/clock.h"
#include "base/str.h"
#include "release/image.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { HASHES_KEPT = 8, HASH_STEP_BYTES = 1 << 16, UPLOAD_KEPT_MS = 7 * 24 * 3600 * 1000 };

/* The hash of an upload so far, so that the last part does not have to read everything again. Lost at a
 * restart. */
struct running_hash {
    struct digest digest;
    uint64_t bytes; /* hashed */
    struct hash *hash;
    uint64_t used; /* for the least recently used one */
};

struct blobs {
    char *dir, *uploads;
    uint64_t max_bytes;
    uint64_t clock;
    struct running_hash hashes[HASHES_KEPT];
};

static char *blob_path(const struct blobs *blobs, const struct digest *digest)
{
    return image_blob_path(blobs->dir, digest);
}

static char *upload_path(const struct blobs *blobs, const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    return file_join(blobs->uploads, digest_hex(&text));
}

/* An upload that nobody went on with for so long is given up. */
static int drop_if_old(const char *name, void *arg)
{
    const struct blobs *blobs = arg;
    cleanup_free char *path = file_join(blobs->uploads, name);
    struct stat st;
    if (path && stat(path, &st) == 0 && clock_wall_ms() - (int64_t)st.st_mtime * 1000 > UPLOAD_KEPT_MS)
        unlink(path);
    return 0;
}

int blobs_open(const char *dir, uint64_t max_bytes, struct blobs **out, struct err *err)
{
    cleanup_blobs struct blobs *blobs = mem_zalloc(1, sizeof *blobs);
    if (!blobs || !(blobs->dir = mem_strdup(dir)) || !(blobs->uploads = file_join(dir, "uploads")))
        return err_no_memory(err);
    blobs->max_bytes = max_bytes;
    if (file_make_dirs(blobs->uploads, 0700, err) < 0 || layout_init(dir, err) < 0 ||
        file_list(blobs->uploads, drop_if_old, blobs, err) < 0)
        return err_prefix(err, "blobs in %s", dir);
    *out = TAKE_PTR(blobs);
    return 0;
}

void blobs_free(struct blobs *blobs)
{
    if (!blobs)
        return;
    for (size_t i = 0; i < HASHES_KEPT; i++)
        if (blobs->hashes[i].hash)
            hash_free(blobs->hashes[i].hash);
    free(blobs->dir);
    free(blobs->uploads);
    free(blobs);
}

const char *blobs_dir(const struct blobs *blobs)
{
    return blobs->dir;
}

static int missing(const struct digest *digest, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "the server does not have blob %s; push its release again",
                   digest_format(digest).text);
}

int blobs_size(const struct blobs *blobs, const struct digest *digest, uint64_t *out_size, struct err *err)
{
    cleanup_free char *path = blob_path(blobs, digest);
    if (!path)
        return err_no_memory(err);
    if (file_size(path, out_size, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND ? missing(digest, err) : -1;
}

int blobs_read(const struct blobs *blobs, const struct digest *digest, int *out_fd, uint64_t *out_size,
               struct err *err)
{
    cleanup_free char *path = blob_path(blobs, digest);
    if (!path)
        return err_no_memory(err);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? missing(digest, err) : err_errno(err, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot stat %s", path);
    *out_size = (uint64_t)st.st_size;
    *out_fd = TAKE_FD(fd);
    return 0;
}

/* The slot of this upload, or the least recently used one, emptied. */
static struct running_hash *hash_slot(struct blobs *blobs, const struct digest *digest)
{
    struct running_hash *slot = &blobs->hashes[0];
    for (size_t i = 0; i < HASHES_KEPT; i++) {
        struct running_hash *one = &blobs->hashes[i];
        if (one->hash && digest_equal(&one->digest, digest)) {
            slot = one;
            break;
        }
        if (one->used < slot->used)
            slot = one;
    }
    if (slot->hash && !digest_equal(&slot->digest, digest)) {
        hash_free(slot->hash);
        *slot = (struct running_hash){0};
    }
    if (!slot->hash)
        *slot = (struct running_hash){.digest = *digest, .hash = hash_new()};
    slot->used = ++blobs->clock;
    return slot->hash ? slot : NULL;
}

static void hash_forget(struct running_hash *slot)
{
    if (slot->hash)
        hash_free(slot->hash);
    *slot = (struct running_hash){0};
}

static void drop_upload(struct blobs *blobs, const char *upload, const struct digest *digest)
{
    unlink(upload);
    for (size_t i = 0; i < HASHES_KEPT; i++)
        if (digest_equal(&blobs->hashes[i].digest, digest))
            hash_forget(&blobs->hashes[i]);
}

/* Hashes what is in the file behind what was hashed already. */
static int hash_catch_up(struct running_hash *slot, int fd, uint64_t size, struct err *err)
{
    uint8_t step[HASH_STEP_BYTES];
    while (slot->bytes < size) {
        ssize_t got = pread(fd, step, MIN(sizeof step, (size_t)(size - slot->bytes)), (off_t)slot->bytes);
        if (got <= 0)
            return got < 0 ? err_errno(err, "cannot read the upload")
                           : err_set(err, ERR_IO, "the upload shrank");
        hash_update(slot->hash, step, (size_t)got);
        slot->bytes += (uint64_t)got;
    }
    return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t offset, struct err *err)
{
    while (len) {
        ssize_t wrote = pwrite(fd, data, len, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            return err_set(err, ERR_NO_SPACE,
                           "the server's disk is full; free space and send the part again");
        if (wrote < 0)
            return err_errno(err, "cannot write the upload");
        data += wrote;
        len -= (size_t)wrote;
        offset += (uint64_t)wrote;
    }
    return 0;
}

/* Appends the new bytes of the part; on failure the file is as it was. */
static int append(int fd, const struct blobs_part *part, uint64_t have, struct err *err)
{
    uint64_t skip = have - part->offset;
    if (skip >= part->len)
        return 0;
    if (write_all(fd, (const uint8_t *)part->data + skip, part->len - (size_t)skip, have, err) == 0)
        return 0;
    if (ftruncate(fd, (off_t)have) < 0)
        return err_errno(err, "cannot take back a part");
    return -1;
}

static int finish(struct blobs *blobs, struct running_hash *slot, const char *upload, int fd,
                  const struct blobs_part *part, struct err *err)
{
    if (hash_catch_up(slot, fd, part->total, err) < 0)
        return -1;
    struct digest got = hash_finish(slot->hash);
    hash_forget(slot);
    if (!digest_equal(&got, &part->digest)) {
        drop_upload(blobs, upload, &part->digest);
        return err_set(err, ERR_UNTRUSTED, "the bytes have digest %s, not %s; send the blob again",
                       digest_format(&got).text, digest_format(&part->digest).text);
    }
    cleanup_free char *path = blob_path(blobs, &part->digest);
    if (!path)
        return err_no_memory(err);
    if (fsync(fd) < 0)
        return err_errno(err, "cannot sync the upload");
    return file_rename(upload, path, err);
}

static int check_part(const struct blobs *blobs, const struct blobs_part *part, struct err *err)
{
    if (part->total > blobs->max_bytes)
        return err_set(err, ERR_TOO_BIG, "a blob of %llu bytes; this server takes at most %llu",
                       (unsigned long long)part->total, (unsigned long long)blobs->max_bytes);
    if (part->offset > part->total || part->len > part->total - part->offset)
        return err_set(err, ERR_INVALID, "part of %zu bytes at %llu passes the total of %llu", part->len,
                       (unsigned long long)part->offset, (unsigned long long)part->total);
    return 0;
}

/* Puts the part into the open upload, which has `have` bytes. */
static int take_part(struct blobs *blobs, const char *upload, int fd, const struct blobs_part *part,
                     uint64_t have, uint64_t *out_have, struct err *err)
{
    if (part->offset > have)
        return err_set(err, ERR_CONFLICT, "part at %llu, but the server has %llu bytes; go on from %llu",
                       (unsigned long long)part->offset, (unsigned long long)have, (unsigned long long)have);
    if (have > part->total) { /* another total was told before: nothing but a new beginning can end this */
        drop_upload(blobs, upload, &part->digest);
        return err_set(err, ERR_CONFLICT,
                       "an upload of this blob had %llu bytes, more than the total of %llu; it was dropped, "
                       "send the blob again",
                       (unsigned long long)have, (unsigned long long)part->total);
    }
    if (append(fd, part, have, err) < 0)
        return -1;
    *out_have = MAX(have, part->offset + part->len);
    struct running_hash *slot = hash_slot(blobs, &part->digest);
    if (!slot)
        return err_no_memory(err);
    if (*out_have < part->total)
        return hash_catch_up(slot, fd, *out_have, err);
    return finish(blobs, slot, upload, fd, part, err);
}

int blobs_put(struct blobs *blobs, const struct blobs_part *part, uint64_t *out_have, struct err *err)
{
    if (check_part(blobs, part, err) < 0)
        return -1;
    struct err absent = {0};
    if (blobs_size(blobs, &part->digest, out_have, &absent) == 0)
        return *out_have == part->total
                   ? 0
                   : err_set(err, ERR_CONFLICT, "this blob has %llu bytes, not %llu",
                             (unsigned long long)*out_have, (unsigned long long)part->total);
    cleanup_free char *upload = upload_path(blobs, &part->digest);
    if (!upload)
        return err_no_memory(err);
    cleanup_close int fd = open(upload, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot open the upload");
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot stat the upload");
    int rc = take_part(blobs, upload, fd, part, (uint64_t)st.st_size, out_have, err);
    if (rc < 0 && st.st_size == 0)
        drop_upload(blobs, upload, &part->digest); /* nothing was there before and nothing stays */
    return rc;
}

void blobs_drop(struct blobs *blobs, const struct digest *digest)
{
    cleanup_free char *path = blob_path(blobs, digest), *upload = upload_path(blobs, digest);
    if (path)
        unlink(path);
    if (upload)
        drop_upload(blobs, upload, digest);
}
