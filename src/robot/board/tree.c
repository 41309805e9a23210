#include "robot/board/tree.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_BYTES = 512, LIST_LOOK_MAX = 4096, OPEN_TRIES = 100 };

static int open_below(const struct tree *tree, const char *path, int flags)
{
    while (*path == '/')
        path++;
    if (!*path)
        path = ".";
    flags |= flags & O_PATH
                 ? O_CLOEXEC
                 : O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY; /* openat2 takes no useless ones */
    if (!tree->recorded)
        return openat(tree->root_fd, path, flags);
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = -1, tries = 0;
    do /* EAGAIN: somebody renamed something, anywhere, while it looked at a ".." (openat2(2)) */
        fd = (int)syscall(SYS_openat2, tree->root_fd, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && ++tries < OPEN_TRIES);
    return fd;
}

int tree_open(const char *root, struct tree *out, struct err *err)
{
    bool recorded = *root && !str_eq(root, "/");
    struct tree tree = {.root_fd = open(recorded ? root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                        .recorded = recorded};
    if (tree.root_fd < 0)
        return err_errno(err, "root of the board %s", root);
    int probe = open_below(&tree, ".", O_DIRECTORY);
    if (probe < 0) {
        close(tree.root_fd);
        return err_set(
            err, ERR_UNSUPPORTED,
            "board below %s: this kernel cannot keep links inside of it; openat2 came with Linux 5.6", root);
    }
    close(probe);
    *out = tree;
    return 0;
}

void tree_close(struct tree *tree)
{
    mem_cleanup_close(&tree->root_fd);
    tree->root_fd = -1;
}

static bool path_of(char path[PATH_BYTES], const char *format, va_list args)
{
    int len = vsnprintf(path, PATH_BYTES, format, args);
    return len > 0 && len < PATH_BYTES;
}

/* Bytes read, at most size - 1; what a driver answers piece by piece is put together. */
static size_t read_some(int fd, char *out, size_t size)
{
    size_t have = 0;
    while (have + 1 < size) {
        ssize_t got = read(fd, out + have, size - 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    return have;
}

/* Zeros at the end are how device trees end their strings. Anything else that is no text becomes '?'. */
static void make_text(char *text, size_t len)
{
    while (len && ((unsigned char)text[len - 1] <= ' '))
        len--;
    text[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] > '~')
            text[i] = '?';
    size_t skip = strspn(text, " \t\n");
    memmove(text, text + skip, len - skip + 1);
}

static bool text_at(const struct tree *tree, const char *path, char *out, size_t size)
{
    cleanup_close int fd = open_below(tree, path, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    size_t len = read_some(fd, out, size);
    make_text(out, len);
    return *out != '\0';
}

static bool text_of(const struct tree *tree, char *out, size_t size, const char *format, va_list args)
{
    char path[PATH_BYTES];
    *out = '\0';
    return path_of(path, format, args) && text_at(tree, path, out, size);
}

bool tree_text(const struct tree *tree, char *out, size_t size, const char *path_format, ...)
{
    va_list args;
    va_start(args, path_format);
    bool there = text_of(tree, out, size, path_format, args);
    va_end(args);
    return there;
}

bool tree_line(const struct tree *tree, char *out, size_t size, const char *path_format, ...)
{
    va_list args;
    va_start(args, path_format);
    bool there = text_of(tree, out, size, path_format, args);
    va_end(args);
    out[strcspn(out, "\n\t")] = '\0';
    return there;
}

bool tree_number(const struct tree *tree, double *out, const char *path_format, ...)
{
    char path[PATH_BYTES], text[64];
    va_list args;
    va_start(args, path_format);
    bool fits = path_of(path, path_format, args);
    va_end(args);
    return fits && text_at(tree, path, text, sizeof text) && str_to_double(text, out);
}

bool tree_exists(const struct tree *tree, const char *path_format, ...)
{
    char path[PATH_BYTES];
    va_list args;
    va_start(args, path_format);
    bool fits = path_of(path, path_format, args);
    va_end(args);
    cleanup_close int fd = fits ? open_below(tree, path, O_PATH) : -1;
    return fd >= 0;
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(a, b);
}

void tree_list(const struct tree *tree, struct tree_names *out, const char *prefix, const char *path_format,
               ...)
{
    char path[PATH_BYTES];
    va_list args;
    va_start(args, path_format);
    bool fits = path_of(path, path_format, args);
    va_end(args);
    out->count = 0;
    int fd = fits ? open_below(tree, path, O_DIRECTORY) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *entry;
    for (int looked = 0; looked < LIST_LOOK_MAX && out->count < TREE_LIST_MAX && (entry = readdir(dir));
         looked++)
        if (entry->d_name[0] != '.' && str_starts(entry->d_name, prefix) &&
            str_copy(out->names[out->count], TREE_NAME_SIZE, entry->d_name))
            out->count++;
    closedir(dir);
    qsort(out->names, out->count, sizeof out->names[0], by_name);
}
