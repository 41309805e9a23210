/* Files: whole-file reads with a limit, replacements that survive a power cut, directories.
 *
 *     path ── write ──▶ path.tmp-XXXXXX ── fsync ── rename ──▶ path ── fsync of the directory
 *
 * - A call that fails leaves the old content and no temporary file. Only a cut between the first and the last
 * step can leave a "….tmp-XXXXXX" behind; it is never read, and whoever owns the directory removes it
 * (FILE_TEMP_MARK).
 * - Error lines begin with the path. */
#ifndef MUSTER_SYS_FILE_H
#define MUSTER_SYS_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILE_TEMP_MARK ".tmp-" /* followed by six characters, at the end of a temporary file's name */

/* Appends the whole file to `out`. Errors: NOT_FOUND; TOO_BIG if it passes out->max; IO. */
int file_read(const char *path, struct buf *out, struct err *err) must_check;

/* Replaces `path` atomically: temporary file beside it, fsync, rename, fsync of the directory. After a cut at
 * any instruction the old or the new content is there, whole. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err) must_check;

/* As file_replace, but fails with EXISTS where `path` exists (keys and tokens are never overwritten). */
int file_create(const char *path, const void *data, size_t len, mode_t mode, struct err *err) must_check;

/* Renames durably: rename, then fsync of the target's directory. */
int file_rename(const char *from, const char *to, struct err *err) must_check;

int file_fsync_dir(const char *dir, struct err *err) must_check;
int file_make_dirs(const char *path, mode_t mode, struct err *err) must_check; /* like mkdir -p */
int file_remove_tree(const char *path, struct err *err) must_check; /* like rm -rf; a missing path is fine */
bool file_exists(const char *path);
int file_size(const char *path, uint64_t *out, struct err *err) must_check;

/* Calls `visit(name, arg)` for each entry but "." and "..", in byte order, until it returns non-zero
 * (which is not an error). The list is complete before the first call, so entries may be removed on the way.
 */
int file_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg,
              struct err *err) must_check;

/* Takes an exclusive lock on `path` (created 0600), held until the descriptor is closed or the process ends.
 * Errors: BUSY if another process holds it. */
int file_lock(const char *path, int *out_fd, struct err *err) must_check;

/* A whole file mapped read-only. Unmap with file_unmap. An empty file maps to data "" and size 0. */
struct file_map {
    const uint8_t *data;
    size_t size;
};
int file_map(const char *path, struct file_map *out, struct err *err) must_check;
void file_unmap(struct file_map *map);
#define cleanup_file_map __attribute__((cleanup(file_unmap)))

/* "a/b" from "a" and "b"; NULL if out of memory; free() it. */
char *file_join(const char *dir, const char *name);

#endif
