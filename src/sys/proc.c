#include "sys/proc.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { KEPT_FD = 3, ERROR_FD = 4, FIRST_FREE_FD = 10 };

/* Everything the child needs, made ready before fork: behind it only async-signal-safe calls are allowed. */
struct plan {
    char path[PATH_MAX];
    char *const *argv;
    int in_fd, out_fd, err_fd; /* -1: inherited */
    int kept_fd;               /* -1: none */
    int error_fd;              /* write end of a CLOEXEC pipe: errno of what failed */
    bool detach, die_with_parent;
    unsigned namespaces;
    char users[32], groups[32]; /* maps of a new user namespace */
    bool own_group;             /* so that all of its family can be killed */
    pid_t parent;
};

/* ---- in the child ---- */

static void fail_child(const struct plan *plan)
{
    int number = errno;
    ssize_t ignored = write(plan->error_fd, &number, sizeof number);
    (void)ignored;
    _exit(127);
}

static void reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool place(int fd, int at)
{
    return fd < 0 || dup2(fd, at) >= 0;
}

static void close_from(int first)
{
    if (close_range((unsigned)first, ~0u, 0) == 0)
        return;
    for (int fd = first; fd < 4096; fd++) /* kernels before 5.9, and containers that filter the call */
        close(fd);
}

/* Leaves open: 0, 1, 2, the kept descriptor as 3, and the error pipe (4) until exec. */
static bool arrange_fds(struct plan *plan)
{
    bool good = place(plan->in_fd, 0) && place(plan->out_fd, 1) && place(plan->err_fd, 2);
    if (!good || !place(plan->kept_fd, KEPT_FD) || dup3(plan->error_fd, ERROR_FD, O_CLOEXEC) < 0)
        return false;
    plan->error_fd = ERROR_FD;
    if (plan->kept_fd < 0)
        close(KEPT_FD);
    close_from(ERROR_FD + 1);
    return true;
}

/* The death signal is asked for first and the parent checked behind it: a parent that died in between is
 * noticed. */
static bool tie_to_parent(const struct plan *plan)
{
    if (!plan->die_with_parent)
        return true;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return false;
    if (getppid() != plan->parent && !(plan->namespaces & CLONE_NEWPID)) /* there the parent is 0 */
        _exit(127);
    return true;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;
    close(fd);
    return written;
}

/* Before exec: a program that begins without a user of its own has no capabilities either. */
static bool map_user(const struct plan *plan)
{
    if (!(plan->namespaces & CLONE_NEWUSER))
        return true;
    return write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", plan->groups) &&
           write_text("/proc/self/uid_map", plan->users);
}

static void run_child(struct plan *plan)
{
    if (plan->own_group)
        setpgid(0, 0);
    if ((plan->detach && setsid() < 0) || !tie_to_parent(plan) || !arrange_fds(plan) || !map_user(plan))
        fail_child(plan);
    reset_signals();
    execv(plan->path, plan->argv);
    fail_child(plan);
}

/* ---- in the parent ---- */

/* As execvp would find it, but before the fork. */
static int find_program(const char *name, char out[PATH_MAX], struct err *err)
{
    if (strchr(name, '/')) {
        if (!str_copy(out, PATH_MAX, name))
            return err_set(err, ERR_INVALID, "%.60s…: path too long", name);
        return 0;
    }
    const char *rest = getenv("PATH");
    for (rest = rest ? rest : "/usr/bin:/bin"; rest;) {
        const char *colon = strchr(rest, ':');
        int len = colon ? (int)(colon - rest) : (int)strlen(rest);
        int used = snprintf(out, PATH_MAX, "%.*s/%s", len, len ? rest : ".", name);
        if (used > 0 && used < PATH_MAX && access(out, X_OK) == 0)
            return 0;
        rest = colon ? colon + 1 : NULL;
    }
    return err_set(err, ERR_NOT_FOUND, "cannot run %s: not found in PATH; install it or set PATH", name);
}

static int high_fd(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

/* Waits until the child has executed its program (pipe closed by exec) or said why it could not. */
static int wait_for_exec(int error_fd, const char *program, pid_t pid, struct err *err)
{
    int number = 0;
    ssize_t got;
    do {
        got = read(error_fd, &number, sizeof number);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof number)
        return 0;
    waitpid(pid, NULL, 0);
    errno = number;
    return err_errno(err, "cannot run %s", program);
}

/* As fork, but glibc has no word for namespaces. The child is behind the same rule: async-signal-safe calls only. */
static pid_t clone_apart(unsigned namespaces)
{
    return (pid_t)syscall(SYS_clone, (unsigned long)(namespaces | SIGCHLD), NULL, NULL, NULL, NULL);
}

static pid_t fork_with_blocked_signals(struct plan *plan)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    plan->parent = getpid();
    pid_t pid = plan->namespaces ? clone_apart(plan->namespaces) : fork();
    if (pid == 0)
        run_child(plan);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int start(struct plan *plan, pid_t *out_pid, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot run %s", plan->path);
    cleanup_close int read_end = ends[0];
    cleanup_close int low_end = ends[1];
    cleanup_close int write_end = high_fd(low_end);
    plan->error_fd = write_end;
    pid_t pid = write_end < 0 ? -1 : fork_with_blocked_signals(plan);
    if (pid < 0)
        return err_errno(err, "cannot run %s", plan->path);
    close(TAKE_FD(low_end));
    close(TAKE_FD(write_end));
    if (wait_for_exec(read_end, plan->path, pid, err) < 0)
        return -1;
    *out_pid = pid;
    return 0;
}

static int open_high(const char *path, int flags, int *out_fd, struct err *err)
{
    cleanup_close int fd = open(path, flags | O_CLOEXEC, 0644);
    *out_fd = fd < 0 ? -1 : high_fd(fd);
    return *out_fd < 0 ? err_errno(err, "%s", path) : 0;
}

int proc_spawn(const struct proc_options *options, pid_t *out_pid, struct err *err)
{
    if (options->detach && options->die_with_parent)
        return err_set(err, ERR_INVALID, "a process cannot both be detached and die with its parent");
    struct plan plan = {.argv = (char *const *)(uintptr_t)options->argv, .err_fd = -1, .kept_fd = -1};
    plan.detach = options->detach;
    plan.die_with_parent = options->die_with_parent;
    plan.namespaces = options->namespaces;
    snprintf(plan.users, sizeof plan.users, "0 %u 1", geteuid());
    snprintf(plan.groups, sizeof plan.groups, "0 %u 1", getegid());
    if (find_program(options->argv[0], plan.path, err) < 0)
        return -1;
    cleanup_close int in_fd = -1;
    cleanup_close int log_fd = -1;
    cleanup_close int kept_fd = -1;
    if (open_high("/dev/null", O_RDONLY, &in_fd, err) < 0)
        return -1;
    if (options->log_path && open_high(options->log_path, O_WRONLY | O_APPEND | O_CREAT, &log_fd, err) < 0)
        return -1;
    if (options->keep_fd > 0 && (kept_fd = high_fd(options->keep_fd)) < 0)
        return err_errno(err, "descriptor %d for %s", options->keep_fd, plan.path);
    plan.in_fd = in_fd;
    plan.out_fd = plan.err_fd = log_fd;
    plan.kept_fd = kept_fd;
    return start(&plan, out_pid, err);
}

/* ---- running to the end ---- */

static int exit_status_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reads what is there. Returns 1 at the end of the stream, 0 if more may come, -1 with an error. */
static int drain(int fd, struct buf *out, struct err *err)
{
    uint8_t piece[4096];
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got == 0)
            return 1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN ? 0 : err_errno(err, "cannot read the output");
        if (out && buf_put(out, piece, (size_t)got, err) < 0)
            return -1;
    }
}

/* Until the child has ended; what it wrote before is in `out` then, even if a grandchild holds the pipe open.
 */
static int wait_and_drain(pid_t pid, int fd, int64_t timeout_ms, struct buf *out, int *out_status,
                          struct err *err)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    int status = 0;
    for (bool open = true;;) {
        bool ended = waitpid(pid, &status, WNOHANG) == pid;
        int rc = open ? drain(fd, out, err) : 1;
        if (ended)
            *out_status = exit_status_of(status);
        if (ended && rc >= 0)
            return 0;
        if (rc >= 0 && timeout_ms > 0 && clock_mono_ms() >= end_ms)
            rc = err_set(err, ERR_TIMEOUT, "took longer than %lld ms and was killed", (long long)timeout_ms);
        if (rc < 0) {
            kill(-pid, SIGKILL);
            if (!ended)
                waitpid(pid, NULL, 0);
            return -1;
        }
        open = rc == 0;
        struct pollfd wait = {.fd = open ? fd : -1, .events = POLLIN};
        poll(&wait, 1, open ? 20 : 5);
    }
}

int proc_run(const char *const *argv, int64_t timeout_ms, struct buf *out, int *out_status, struct err *err)
{
    struct plan plan = {.argv = (char *const *)(uintptr_t)argv, .err_fd = -1, .kept_fd = -1};
    plan.die_with_parent = plan.own_group = true;
    cleanup_close int in_fd = -1;
    int ends[2];
    if (find_program(argv[0], plan.path, err) < 0 || open_high("/dev/null", O_RDONLY, &in_fd, err) < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot run %s", argv[0]);
    cleanup_close int read_end = ends[0];
    cleanup_close int low_end = ends[1];
    cleanup_close int write_end = high_fd(low_end);
    plan.in_fd = in_fd;
    plan.out_fd = write_end;
    pid_t pid;
    if (write_end < 0 || fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, "cannot run %s", argv[0]);
    if (start(&plan, &pid, err) < 0)
        return -1;
    close(TAKE_FD(low_end));
    close(TAKE_FD(write_end));
    if (wait_and_drain(pid, read_end, timeout_ms, out, out_status, err) < 0)
        return err_prefix(err, "%s", argv[0]);
    return 0;
}
