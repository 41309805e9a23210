/* The children that build and verify: low priority, limits, its own process group, killed as a whole. */
#include "infer/derived_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { IOPRIO_IDLE = 3 << 13, IOPRIO_PROCESS = 1 };

struct child {
    pid_t pid;
    int pidfd;
    int words; /* where it says what went wrong */
};

/* ---- in the child ---- */

/* Each is a wish: a kernel that refuses one does not make the build wrong. */
static void be_modest(const struct derived_limits *limits)
{
    const struct {
        __rlimit_resource_t resource;
        rlim_t most;
    } wanted[] = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow memory counts as data */
        {RLIMIT_DATA, limits->memory_bytes},
#endif
        {RLIMIT_FSIZE, limits->file_bytes},
        {RLIMIT_CORE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        (void)setrlimit(wanted[i].resource, &(struct rlimit){wanted[i].most, wanted[i].most});
    (void)setpriority(PRIO_PROCESS, 0, 19);
    (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    (void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
}

/* The parent's handlers and mask are not this process's. */
static void reset_signals(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a write that fails says why */
}

static int sync_file(const char *path, const struct derived_limits *limits, struct err *err)
{
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || fsync(fd) < 0)
        return err_errno(err, "the derived file");
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size > limits->file_bytes)
        return err_set(err, ERR_REFUSED, "the derived file has %lld bytes, allowed are 1 to %llu",
                       (long long)st.st_size, (unsigned long long)limits->file_bytes);
    return 0;
}

struct task {
    const struct derived_builder *builder;
    const char *source, *target;
    const struct derived_limits *limits;
    bool build; /* else verify */
    pid_t parent;
};

static int do_task(const struct task *task, struct err *err)
{
    if (task->build)
        return task->builder->build(task->builder->self, task->source, task->target, err);
    if (sync_file(task->target, task->limits, err) < 0)
        return -1;
    return task->builder->verify(task->builder->self, task->target, err);
}

static void run_child(const struct task *task, int words) __attribute__((noreturn));
static void run_child(const struct task *task, int words)
{
    struct err err = {0};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != task->parent) /* it died before it could be our death */
        _exit(1);
    prctl(PR_SET_NAME, "derive");
    reset_signals();
    be_modest(task->limits);
    if (do_task(task, &err) == 0)
        _exit(0);
    ssize_t ignored = write(words, err.text, strlen(err.text));
    (void)ignored;
    _exit(1);
}

/* ---- in the parent ---- */

static int start(const struct task *task, struct child *out, struct err *err)
{
    int words[2];
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, "pipe");
    out->pid = fork();
    if (out->pid == 0)
        run_child(task, words[1]);
    int saved = errno;
    close(words[1]);
    if (out->pid < 0) {
        close(words[0]);
        errno = saved;
        return err_errno(err, "fork");
    }
    setpgid(out->pid, out->pid); /* here as well: whoever is first */
    out->words = words[0];
    out->pidfd = (int)syscall(SYS_pidfd_open, out->pid, 0);
    return 0;
}

/* True if it ended by itself before the time is up. Kernels without pidfd (before 5.3) are asked every 10 ms. */
static bool await_end(const struct child *child, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == child->pid)
            return true;
        if (left <= 0)
            return false;
        struct pollfd wait = {.fd = child->pidfd, .events = POLLIN};
        poll(&wait, child->pidfd >= 0, (int)MIN(left, child->pidfd >= 0 ? INT32_MAX : 10));
    }
}

static int explain(const struct child *child, int status, struct err *err)
{
    char words[sizeof err->text] = "";
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return err_set(err, ERR_REFUSED, "it ended with signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    ssize_t len = read(child->words, words, sizeof words - 1);
    if (len > 0)
        return err_set(err, ERR_REFUSED, "%s", words);
    return err_set(err, ERR_REFUSED, "it ended with status %d", WEXITSTATUS(status));
}

static int run(const struct task *task, int64_t until_ms, struct err *err)
{
    struct child child = {.pidfd = -1, .words = -1};
    int status = 0;
    if (start(task, &child, err) < 0)
        return -1;
    bool ended = await_end(&child, until_ms);
    kill(-child.pid, SIGKILL); /* with all that it left behind */
    if (!ended)
        kill(child.pid, SIGKILL);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    int result =
        ended ? explain(&child, status, err)
              : err_set(err, ERR_TIMEOUT, "it took longer than %lld ms", (long long)task->limits->time_ms);
    close(child.words);
    if (child.pidfd >= 0)
        close(child.pidfd);
    return result;
}

int derived_build(const struct derived_builder *builder, const char *source, const char *target,
                  const struct derived_limits *limits, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + limits->time_ms;
    struct task task = {.builder = builder,
                        .source = source,
                        .target = target,
                        .limits = limits,
                        .build = true,
                        .parent = getpid()};
    if (run(&task, until_ms, err) < 0)
        return err_prefix(err, "build");
    task.build = false;
    return run(&task, until_ms, err) < 0 ? err_prefix(err, "verify") : 0;
}
