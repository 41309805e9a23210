#include "robot/jail/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>

/* Rights and restrictions of later versions; numbers of the kernel's interface. */
enum {
    FS_REFER = 1 << 13,     /* 2 */
    FS_TRUNCATE = 1 << 14,  /* 3 */
    FS_IOCTL_DEV = 1 << 15, /* 5 */
    NET_TCP = 3,            /* 4: bind and connect */
    SCOPES = 3              /* 6: abstract sockets and signals outside */
};

enum {
    READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    EXECUTE = READ | LANDLOCK_ACCESS_FS_EXECUTE,
    ALL_FIRST = (1 << 13) - 1
};

struct ruleset { /* of version 6; older kernels take a prefix of it */
    uint64_t fs, net, scoped;
};

struct lock {
    int fd;
    uint64_t handled;
};

static const uint64_t rights[] = {[JAIL_PROGRAM] = EXECUTE,
                                  [JAIL_LIBRARY] = READ,
                                  [JAIL_DATA] = READ,
                                  [JAIL_DEVICE] =
                                      READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
                                  [JAIL_DOOR] = 0};

static int create(struct lock *lock)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, (unsigned)LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return -1;
    struct ruleset set = {.fs = ALL_FIRST, .net = NET_TCP, .scoped = SCOPES};
    set.fs |=
        (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) | (version >= 5 ? FS_IOCTL_DEV : 0);
    size_t size = version >= 6 ? sizeof set : version >= 4 ? offsetof(struct ruleset, scoped) : sizeof set.fs;
    lock->handled = set.fs;
    lock->fd = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
    return lock->fd;
}

static int allow(const struct lock *lock, const char *path, bool directory, uint64_t what)
{
    if (!directory)
        what &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
    cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    struct landlock_path_beneath_attr rule = {.allowed_access = what & lock->handled, .parent_fd = fd};
    return rule.allowed_access == 0
               ? 0
               : (int)syscall(SYS_landlock_add_rule, lock->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int allow_all(const struct jail *jail, const struct lock *lock)
{
    for (size_t i = 0; i < jail->bind_count; i++) {
        const struct jail_bind *bind = &jail->binds[i];
        if (allow(lock, bind->target, bind->directory, rights[bind->kind]) < 0)
            return -1;
    }
    return allow(lock, "/proc", true, READ) < 0 ||
                   (!jail->in_place && allow(lock, JAIL_STORE, true, READ) < 0)
               ? -1
               : 0;
}

int landlock_apply(const struct jail *jail, struct err *err)
{
    struct lock lock = {.fd = -1};
    int done = create(&lock);
    cleanup_close int fd = lock.fd;
    if (done >= 0)
        done = allow_all(jail, &lock);
    if (done >= 0)
        done = (int)syscall(SYS_landlock_restrict_self, fd, 0);
    if (done >= 0)
        return 0;
    err_errno(err, "Landlock");
    err->code = ERR_UNSUPPORTED;
    return -1;
}
