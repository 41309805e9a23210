#include "robot/store/powercut.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 256, MAX_OPS = 4096 };

enum op_kind { OP_CREATE, OP_RENAME, OP_UNLINK, OP_MKDIR };

/* A change of names that no fsync of its directory has made durable. */
struct op {
    enum op_kind kind;
    char from[PATH_MAX / 8], to[PATH_MAX / 8]; /* `to` is the name that changed */
    char grave[PATH_MAX / 8];                  /* what `to` was before; "" if nothing */
    bool to_synced, from_synced;
};

/* A file with bytes that no fsync has made durable. */
struct dirty {
    dev_t dev;
    ino_t ino;
    int fd; /* of our own */
    off_t durable;
};

static struct {
    bool armed, full;
    enum powercut_mode mode;
    long at, count, graves;
    char graveyard[PATH_MAX / 8];
    size_t op_count, file_count;
    struct op ops[MAX_OPS];
    struct dirty files[MAX_FILES];
} cut;

#define REAL(name, type) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

static int (*real_rename(void))(const char *, const char *)
{
    return REAL("rename", int (*)(const char *, const char *));
}

static int (*real_unlink(void))(const char *)
{
    return REAL("unlink", int (*)(const char *));
}

static int (*real_link(void))(const char *, const char *)
{
    return REAL("link", int (*)(const char *, const char *));
}

static int (*real_truncate(void))(int, off_t)
{
    return REAL("ftruncate", int (*)(int, off_t));
}

/* Losing what was not durable. */

static void undo(const struct op *op)
{
    if (op->kind == OP_RENAME && op->to_synced) { /* the old name may still be there as well */
        if (!op->from_synced)
            real_link()(op->to, op->from);
        return;
    }
    if (op->to_synced)
        return;
    if (op->kind == OP_RENAME)
        real_rename()(op->to, op->from);
    else if (op->kind == OP_CREATE)
        real_unlink()(op->to);
    else if (op->kind == OP_MKDIR)
        rmdir(op->to);
    if (op->grave[0])
        real_link()(op->grave, op->to);
}

static void lose(void)
{
    for (size_t i = 0; i < cut.file_count; i++)
        if (cut.files[i].fd >= 0)
            real_truncate()(cut.files[i].fd, cut.files[i].durable);
    for (size_t i = cut.op_count; i > 0; i--)
        undo(&cut.ops[i - 1]);
}

/* True if the call shall fail. */
static bool step(bool needs_space)
{
    if (!cut.armed)
        return false;
    if (++cut.count == cut.at) {
        cut.full = true;
        if (cut.mode == CUT_ENOSPC)
            goto out;
        cut.armed = false;
        if (cut.mode == CUT_POWER)
            lose();
        _exit(CUT_STATUS);
    }
out:
    if (cut.mode != CUT_ENOSPC || !cut.full || !needs_space)
        return false;
    errno = ENOSPC;
    return true;
}

/* Remembering. */

static bool tracking(void)
{
    return cut.armed && cut.mode == CUT_POWER;
}

static void remember(enum op_kind kind, const char *from, const char *to, const char *grave)
{
    if (cut.op_count == MAX_OPS)
        abort();
    struct op *op = &cut.ops[cut.op_count++];
    *op = (struct op){.kind = kind};
    snprintf(op->from, sizeof op->from, "%s", from);
    snprintf(op->to, sizeof op->to, "%s", to);
    snprintf(op->grave, sizeof op->grave, "%s", grave);
}

/* Keeps what `path` names reachable, so that its loss can be undone. */
static void bury(const char *path, char grave[PATH_MAX / 8])
{
    grave[0] = 0;
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    snprintf(grave, PATH_MAX / 8, "%s/%ld", cut.graveyard, cut.graves++);
    if (real_link()(path, grave) < 0)
        abort();
}

static struct dirty *find_dirty(const struct stat *st)
{
    for (size_t i = 0; i < cut.file_count; i++)
        if (cut.files[i].dev == st->st_dev && cut.files[i].ino == st->st_ino)
            return &cut.files[i];
    return NULL;
}

static void soil(int fd)
{
    struct stat st;
    if (!tracking() || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    struct dirty *dirty = find_dirty(&st);
    if (dirty && dirty->fd >= 0)
        return;
    if (!dirty) {
        if (cut.file_count == MAX_FILES)
            abort();
        dirty = &cut.files[cut.file_count++];
    }
    *dirty = (struct dirty){.dev = st.st_dev, .ino = st.st_ino, .durable = st.st_size};
    dirty->fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
}

static void clean_file(const struct stat *st)
{
    struct dirty *dirty = find_dirty(st);
    if (dirty && dirty->fd >= 0) {
        close(dirty->fd);
        dirty->fd = -1;
    }
}

static bool in_dir(const char *path, const struct stat *dir)
{
    char parent[PATH_MAX / 8];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    struct stat st;
    if (!slash)
        return false;
    *slash = 0;
    return stat(parent, &st) == 0 && st.st_dev == dir->st_dev && st.st_ino == dir->st_ino;
}

static void clean_dir(const struct stat *st)
{
    for (size_t i = 0; i < cut.op_count; i++) {
        cut.ops[i].to_synced |= in_dir(cut.ops[i].to, st);
        cut.ops[i].from_synced |= cut.ops[i].from[0] && in_dir(cut.ops[i].from, st);
    }
}

static void synced(int fd)
{
    struct stat st;
    if (!tracking() || fstat(fd, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode))
        clean_dir(&st);
    else
        clean_file(&st);
}

void powercut_arm(enum powercut_mode mode, long at, const char *graveyard)
{
    cut.mode = mode;
    cut.at = at;
    cut.count = 0;
    cut.full = false;
    snprintf(cut.graveyard, sizeof cut.graveyard, "%s", graveyard);
    cut.armed = true;
}

long powercut_disarm(void)
{
    cut.armed = false;
    return cut.count;
}

/* libc's names. */

static int create(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...))
{
    struct stat st;
    bool fresh = (flags & O_CREAT) && stat(path, &st) < 0;
    if (fresh && step(true))
        return -1;
    int fd = real(path, flags, mode);
    if (fresh && fd >= 0 && tracking())
        remember(OP_CREATE, "", path, "");
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return create(path, flags, mode, REAL("open", int (*)(const char *, int, ...)));
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return create(path, flags, mode, REAL("open64", int (*)(const char *, int, ...)));
}

int mkostemp(char *path, int flags)
{
    if (step(true))
        return -1;
    int fd = REAL("mkostemp", int (*)(char *, int))(path, flags);
    if (fd >= 0 && tracking())
        remember(OP_CREATE, "", path, "");
    return fd;
}

ssize_t write(int fd, const void *data, size_t len)
{
    struct stat st;
    bool file = cut.armed && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (file && step(true))
        return -1;
    if (file)
        soil(fd);
    return REAL("write", ssize_t(*)(int, const void *, size_t))(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (step(true))
        return -1;
    soil(fd);
    return REAL("pwrite", ssize_t(*)(int, const void *, size_t, off_t))(fd, data, len, offset);
}

int ftruncate(int fd, off_t size)
{
    if (step(false))
        return -1;
    return real_truncate()(fd, size);
}

/* The real ones would only cost time: durability is played here. */
int fsync(int fd)
{
    if (step(true))
        return -1;
    synced(fd);
    return 0;
}

int fdatasync(int fd)
{
    if (step(true))
        return -1;
    synced(fd);
    return 0;
}

int rename(const char *from, const char *to)
{
    if (step(true))
        return -1;
    char grave[PATH_MAX / 8] = "";
    if (tracking())
        bury(to, grave);
    int rc = real_rename()(from, to);
    if (rc == 0 && tracking())
        remember(OP_RENAME, from, to, grave);
    return rc;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (step(true))
        return -1;
    int rc = REAL("renameat2", int (*)(int, const char *, int, const char *, unsigned))(from_dir, from,
                                                                                        to_dir, to, flags);
    if (rc == 0 && tracking())
        remember(OP_RENAME, from, to, "");
    return rc;
}

int link(const char *from, const char *to)
{
    if (step(true))
        return -1;
    int rc = real_link()(from, to);
    if (rc == 0 && tracking())
        remember(OP_CREATE, "", to, "");
    return rc;
}

int unlink(const char *path)
{
    if (step(false))
        return -1;
    char grave[PATH_MAX / 8] = "";
    if (tracking())
        bury(path, grave);
    int rc = real_unlink()(path);
    if (rc == 0 && tracking())
        remember(OP_UNLINK, "", path, grave);
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    if (step(true))
        return -1;
    int rc = REAL("mkdir", int (*)(const char *, mode_t))(path, mode);
    if (rc == 0 && tracking())
        remember(OP_MKDIR, "", path, "");
    return rc;
}
