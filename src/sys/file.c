#include "sys/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int read_fd(int fd, struct buf *out, struct err *err)
{
    uint8_t piece[16 * 1024];
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read");
        if (got == 0)
            return 0;
        if (buf_put(out, piece, (size_t)got, err) < 0)
            return -1;
    }
}

int file_read(const char *path, struct buf *out, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    size_t before = out->len;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && buf_reserve(out, (size_t)st.st_size, err) < 0)
        return err_prefix(err, "%s", path);
    if (read_fd(fd, out, err) < 0) {
        out->len = before;
        if (out->data)
            out->data[before] = 0;
        return err_prefix(err, "%s", path);
    }
    return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        len -= (size_t)put;
    }
    return 0;
}

static int fill(int fd, const void *data, size_t len, mode_t mode)
{
    if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0)
        return -1;
    return fsync(fd);
}

/* The directory part of a path: "." for a bare name. */
static char *dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int sync_dir_of(const char *path, struct err *err)
{
    cleanup_free char *dir = dir_of(path);
    return dir ? file_fsync_dir(dir, err) : err_no_memory(err);
}

/* Renames without overwriting; by a hard link where the file system knows no RENAME_NOREPLACE (NFS). */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return link(from, to) < 0 ? -1 : unlink(from);
}

static int rename_over(const char *from, const char *to)
{
    return rename(from, to);
}

static int put_file(const char *path, const void *data, size_t len, mode_t mode,
                    int (*move)(const char *from, const char *to), struct err *err)
{
    cleanup_free char *temp = mem_printf("%s" FILE_TEMP_MARK "XXXXXX", path);
    if (!temp)
        return err_no_memory(err);
    cleanup_close int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (fill(fd, data, len, mode) < 0 || move(temp, path) < 0) {
        err_errno(err, "%s", path);
        unlink(temp);
        return -1;
    }
    return sync_dir_of(path, err);
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    return put_file(path, data, len, mode, rename_over, err);
}

int file_create(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    return put_file(path, data, len, mode, rename_new, err);
}

int file_rename(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) < 0)
        return err_errno(err, "cannot rename %s to %s", from, to);
    return sync_dir_of(to, err);
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int file_size(const char *path, uint64_t *out, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "%s", path);
    *out = (uint64_t)st.st_size;
    return 0;
}

int file_lock(const char *path, int *out_fd, struct err *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            return err_set(err, ERR_BUSY, "%s: in use by another process; stop that one first", path);
        return err_errno(err, "cannot lock %s", path);
    }
    *out_fd = TAKE_FD(fd);
    return 0;
}

int file_map(const char *path, struct file_map *out, struct err *err)
{
    cleanup_close int fd =
        open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO is refused, not waited for */
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: not a regular file", path);
    if (st.st_size == 0) {
        *out = (struct file_map){.data = (const uint8_t *)"", .size = 0};
        return 0;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_errno(err, "cannot map %s", path);
    *out = (struct file_map){.data = data, .size = (size_t)st.st_size};
    return 0;
}

void file_unmap(struct file_map *map)
{
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct file_map){0};
}

char *file_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    return mem_printf("%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}
