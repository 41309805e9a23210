#include "robot/testbed/testbed.h"
#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct {
    const char *name; /* NULL: any */
    unsigned nth, times, seen;
    int error;
    bool counts, shortens, paused;
    const char *failed;
} plan;

static struct {
    const char *name;
    unsigned count;
} counted[64];

static struct {
    int64_t mono_ns, wall_ms, slept_ns;
    unsigned kills;
    int64_t peer; /* 1 + uid; 0: the real one */
    unsigned link_nth;
    const char *link;
} world;

static void note(const char *name)
{
    size_t i = 0;
    while (counted[i].name && strcmp(counted[i].name, name) != 0)
        i++;
    counted[i].name = name;
    counted[i].count++;
}

static void arm(const char *name, unsigned nth, unsigned times, int error, bool shortens)
{
    plan.name = name;
    plan.nth = nth;
    plan.times = times;
    plan.error = error;
    plan.shortens = shortens;
    plan.seen = 0;
    plan.failed = NULL;
    plan.counts = true;
    memset(counted, 0, sizeof counted);
}

bool testbed_fail(unsigned nth, int error)
{
    arm(NULL, nth, 1, error, false);
    return true;
}

void testbed_fail_call(const char *name, unsigned nth, unsigned times, int error)
{
    arm(name, nth, times, error, false);
}

void testbed_short(const char *name, unsigned nth)
{
    arm(name, nth, 1, 0, true);
}

bool testbed_stop(void)
{
    plan.counts = false;
    return plan.failed != NULL;
}

void testbed_pause(bool paused)
{
    plan.paused = paused;
}

const char *testbed_failed(void)
{
    return plan.failed ? plan.failed : "nothing";
}

unsigned testbed_count(const char *name)
{
    for (size_t i = 0; counted[i].name; i++)
        if (strcmp(counted[i].name, name) == 0)
            return counted[i].count;
    return 0;
}

/* This call is one that is meant. */
static bool meant(const char *name)
{
    if (!plan.counts || plan.paused)
        return false;
    note(name);
    if (strcmp(plan.name ? plan.name : name, name) != 0 || (!plan.name && strcmp(name, "epoll_pwait2") == 0))
        return false;
    plan.seen++;
    if (plan.seen < plan.nth || plan.seen >= plan.nth + plan.times)
        return false;
    plan.failed = name;
    return true;
}

static bool fails(const char *name)
{
    if (!meant(name))
        return false;
    errno = plan.error;
    return true;
}

#define CALL(type, name, parameters, arguments)                                                              \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return fails(#name) ? -1 : __real_##name arguments;                                                  \
    }
#include "robot/testbed/testbed_calls.def"
#undef CALL

ssize_t __real_pread(int fd, void *to, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t len, off_t at)
{
    if (!meant("pread"))
        return __real_pread(fd, to, len, at);
    errno = plan.error;
    return plan.shortens ? __real_pread(fd, to, len / 2, at) : -1;
}

ssize_t __real_pwrite(int fd, const void *from, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t at)
{
    if (!meant("pwrite"))
        return __real_pwrite(fd, from, len, at);
    errno = plan.error;
    return plan.shortens ? __real_pwrite(fd, from, len / 2, at) : -1;
}

void *__real_mmap(void *where, size_t len, int access, int flags, int fd, off_t at);
void *__wrap_mmap(void *where, size_t len, int access, int flags, int fd, off_t at);
void *__wrap_mmap(void *where, size_t len, int access, int flags, int fd, off_t at)
{
    return fails("mmap") ? MAP_FAILED : __real_mmap(where, len, access, flags, fd, at);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return fails("open") ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return fails("openat") ? -1 : __real_openat(dir, path, flags, mode);
}

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
    va_list list;
    va_start(list, what);
    long more = what == F_GETFD || what == F_GET_SEALS ? 0 : va_arg(list, long);
    va_end(list);
    return fails("fcntl") ? -1 : __real_fcntl(fd, what, more);
}

int __real_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...)
{
    va_list list;
    va_start(list, what);
    void *more = va_arg(list, void *);
    va_end(list);
    return fails("ioctl") ? -1 : __real_ioctl(fd, what, more);
}

int __real_getsockopt(int fd, int level, int what, void *out, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int what, void *out, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int what, void *out, socklen_t *size)
{
    if (fails("getsockopt"))
        return -1;
    int done = __real_getsockopt(fd, level, what, out, size);
    if (done == 0 && world.peer && !plan.paused && level == SOL_SOCKET && what == SO_PEERCRED)
        ((struct ucred *)out)->uid = (uid_t)(world.peer - 1);
    return done;
}

ssize_t __real_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size)
{
    if (fails("readlink"))
        return -1;
    if (world.link_nth == 0 || --world.link_nth > 0)
        return __real_readlink(path, out, size);
    size_t len = strlen(world.link);
    memcpy(out, world.link, len < size ? len : size);
    return (ssize_t)(len < size ? len : size);
}

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    enum { POPULATE_READ = 22 };
    errno = EINVAL;
    if (fails("madvise") || advice != POPULATE_READ)
        return -1;
    return __real_madvise(at, len, advice) < 0 && errno != EINVAL ? -1 : 0; /* older kernels do not know it */
}

int __wrap_mlockall(int flags);
int __wrap_mlockall(int flags)
{
    errno = EINVAL;
    return fails("mlockall") || flags != (MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? -1 : 0;
}

int __wrap_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param);
int __wrap_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
    errno = EINVAL;
    return fails("sched_setscheduler") || policy != (SCHED_FIFO | SCHED_RESET_ON_FORK) ||
                   param->sched_priority < 1
               ? -1
               : 0;
}

static int look(int epoll, struct epoll_event *events, int room, int64_t for_ns)
{
    int count = epoll_pwait(epoll, events, room, 0, NULL);
    world.slept_ns = count == 0 ? for_ns : -1;
    return count;
}

int __real_epoll_wait(int epoll, struct epoll_event *events, int room, int for_ms);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int room, int for_ms);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int room, int for_ms)
{
    if (fails("epoll_wait"))
        return -1;
    return world.mono_ns ? look(epoll, events, room, for_ms * 1000000ll)
                         : __real_epoll_wait(epoll, events, room, for_ms);
}

static const char *name_of(long number)
{
    switch (number) {
    case SYS_pidfd_open:
        return "pidfd_open";
    case SYS_pidfd_send_signal:
        return "pidfd_send_signal";
    case SYS_epoll_pwait2:
        return "epoll_pwait2";
    case SYS_futex:
        return "futex";
    default:
        return "syscall";
    }
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (fails(name_of(number)))
        return -1;
    if (world.mono_ns && number == SYS_epoll_pwait2) {
        const struct timespec *wait = (const void *)(uintptr_t)a[3];
        return look((int)a[0], (struct epoll_event *)(uintptr_t)a[1], (int)a[2],
                    wait->tv_sec * 1000000000 + wait->tv_nsec);
    }
    if (world.mono_ns && number == SYS_pidfd_send_signal)
        return (long)(world.kills++, 0);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int64_t __real_clock_mono_ns(void);
int64_t __wrap_clock_mono_ns(void);
int64_t __wrap_clock_mono_ns(void)
{
    return world.mono_ns ? world.mono_ns : __real_clock_mono_ns();
}

int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void)
{
    return world.wall_ms ? world.wall_ms : __real_clock_wall_ms();
}

static char said[16384];

void testbed_listen(void)
{
    said[0] = 0;
}

const char *testbed_said(void)
{
    return said;
}

void __real_log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char text[512];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    size_t len = strlen(said);
    if (!plan.paused)
        snprintf(said + len, sizeof said - len, "%s %s\n", names[level], text);
    __real_log_line(level, "%s", text);
}

void testbed_clock_set(int64_t mono_ns)
{
    world.kills = world.mono_ns && mono_ns ? world.kills : 0;
    world.mono_ns = mono_ns;
}

int64_t testbed_clock(void)
{
    return world.mono_ns;
}

void testbed_wall_set(int64_t wall_ms)
{
    world.wall_ms = wall_ms;
}

void testbed_peer(int64_t uid)
{
    world.peer = uid + 1;
}

void testbed_link(unsigned nth, const char *target)
{
    world.link_nth = nth;
    world.link = target;
}

int64_t testbed_slept_ns(void)
{
    return world.slept_ns;
}

unsigned testbed_kills(void)
{
    return world.kills;
}

int testbed_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += __real_fcntl(fd, F_GETFD) >= 0;
    return count;
}

int testbed_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, "/memfd:muster-") != NULL;
    if (file)
        fclose(file);
    return count;
}
