#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

int file_fsync_dir(const char *dir, struct err *err)
{
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(err, "cannot sync directory %s", dir);
    return 0;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One directory, whose entry in `parent` is made durable if it is new. */
static int make_dir(const char *path, const char *parent, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0)
        return file_fsync_dir(parent, err);
    if (errno == EEXIST && is_dir(path))
        return 0;
    return err_errno(err, "cannot make directory %s", path);
}

int file_make_dirs(const char *path, mode_t mode, struct err *err)
{
    char part[PATH_MAX], parent[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return err_set(err, ERR_INVALID, "'%.40s': empty or too long as a directory name", path);
    memcpy(parent, path[0] == '/' ? "/" : ".", 2);
    for (size_t end = 1; end <= len; end++) {
        if ((path[end] != '/' && path[end] != 0) || path[end - 1] == '/')
            continue;
        memcpy(part, path, end);
        part[end] = 0;
        if (make_dir(part, parent, mode, err) < 0)
            return -1;
        memcpy(parent, part, end + 1);
    }
    return 0;
}

static int remove_entries(int dir_fd, int depth);

static int remove_entry(int dir_fd, const char *name, int depth)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    cleanup_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || remove_entries(TAKE_FD(fd), depth + 1) < 0)
        return -1;
    return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* Takes the descriptor. */
static int remove_entries(int dir_fd, int depth)
{
    enum { MAX_DEPTH = 100 };
    DIR *dir = depth > MAX_DEPTH ? NULL : fdopendir(dir_fd);
    if (!dir) {
        errno = depth > MAX_DEPTH ? ELOOP : errno;
        mem_cleanup_close(&dir_fd);
        return -1;
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = remove_entry(dirfd(dir), entry->d_name, depth);
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

int file_remove_tree(const char *path, struct err *err)
{
    if (remove_entry(AT_FDCWD, path, 0) < 0)
        return err_errno(err, "cannot remove %s", path);
    return 0;
}

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int file_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg, struct err *err)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, not_dots, by_bytes);
    if (count < 0)
        return err_errno(err, "%s", dir);
    int stop = 0;
    for (int i = 0; i < count; i++) {
        if (!stop)
            stop = visit(entries[i]->d_name, arg);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
