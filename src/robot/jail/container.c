/* A container from its bundle to its end. */
#include "robot/jail/oci.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/jail/cgroup.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { RUNTIME_MS = 30000, MAX_ARGV = 20, HANDED_ON_FD = 3 };

/* A runner may end before its pid is known: whatever ended meanwhile is kept. */
enum { MAX_ENDED = 16 };
struct ended {
    pid_t pid;
    int status;
};

struct container {
    const struct jail *jail;
    const char *runtime;
    char *bundle, *state, *pid_file; /* owned */
    bool no_cgroups;                 /* crun without root */
    pid_t pid;
    size_t ended_count; /* all in all; the last MAX_ENDED are here */
    struct ended ended[MAX_ENDED];
};

static void container_fini(struct container *container)
{
    free(container->bundle);
    free(container->state);
    free(container->pid_file);
}

static bool is_crun(const char *runtime)
{
    return str_ends(runtime, "crun");
}

/* The runtime's own verbs: `words` after the options that all of them take. */
static int command(const struct container *container, const char *const *words, int keep_fd, pid_t *out_pid,
                   struct err *err)
{
    const char *argv[MAX_ARGV] = {container->runtime, "--root", container->state};
    size_t count = 3;
    if (container->no_cgroups)
        argv[count++] = "--cgroup-manager=disabled";
    for (size_t i = 0; words[i]; i++)
        argv[count++] = words[i];
    struct proc_options options = {.argv = argv, .keep_fd = keep_fd};
    return proc_spawn(&options, out_pid, err);
}

/* Everything that ends is ours: we are the subreaper. */
static void reap(struct container *container)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        container->ended[container->ended_count++ % MAX_ENDED] =
            (struct ended){pid, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

static const struct ended *has_ended(const struct container *container, pid_t pid)
{
    for (size_t i = 0; i < MIN(container->ended_count, MAX_ENDED); i++)
        if (container->ended[i].pid == pid)
            return &container->ended[i];
    return NULL;
}

/* Until `pid` ends; SIGTERM kills it. The signals are blocked, so none is lost. timeout_ms 0: no limit. */
static int await(struct container *container, pid_t pid, int64_t timeout_ms)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        reap(container);
        const struct ended *ended = has_ended(container, pid);
        if (ended)
            return ended->status;
        const struct timespec slice = {.tv_sec = 1};
        bool late = timeout_ms > 0 && clock_mono_ms() >= until_ms;
        if (sigtimedwait(&set, NULL, &slice) == SIGTERM || late)
            kill(pid, SIGKILL);
    }
}

static int finish(struct container *container, const char *const *words, int keep_fd, struct err *err)
{
    pid_t pid;
    if (command(container, words, keep_fd, &pid, err) < 0)
        return -1;
    int status = await(container, pid, RUNTIME_MS);
    return status == 0 ? 0
                       : err_set(err, ERR_UNSUPPORTED, "%s %s ended with status %d; its log line says why",
                                 container->runtime, words[0], status);
}

static void forget(struct container *container)
{
    struct err ignored = {0};
    const char *const words[] = {"delete", "--force", container->jail->id, NULL};
    if (finish(container, words, -1, &ignored) < 0)
        log_warn("container: %s", ignored.text);
    if (file_remove_tree(container->bundle, &ignored) < 0)
        log_warn("container: %s", ignored.text);
}

/* What a waiter that was killed left behind. */
static void forget_former(struct container *container)
{
    cleanup_free char *former = file_join(container->state, container->jail->id);
    if (former && file_exists(former))
        forget(container);
}

static int write_bundle(const struct container *container, struct err *err)
{
    cleanup_free char *rootfs = file_join(container->bundle, "rootfs");
    cleanup_free char *path = file_join(container->bundle, "config.json");
    cleanup_free char *text = oci_config(container->jail, geteuid() != 0, geteuid(), getegid());
    if (!rootfs || !path || !text)
        return err_no_memory(err);
    if (file_remove_tree(container->bundle, err) < 0 || file_make_dirs(rootfs, 0755, err) < 0 ||
        file_make_dirs(container->state, 0700, err) < 0 || jail_stage(container->jail, rootfs, err) < 0)
        return -1;
    return file_replace(path, text, strlen(text), 0644, err);
}

static int read_pid(struct container *container, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(64);
    int64_t pid = 0;
    if (file_read(container->pid_file, &text, err) < 0)
        return -1;
    if (!str_to_i64(buf_text(&text), &pid) || pid <= 1)
        return err_set(err, ERR_UNSUPPORTED, "%s did not say the container's process", container->runtime);
    container->pid = (pid_t)pid;
    return 0;
}

static int run(struct container *container, int *out_status, struct err *err)
{
    forget_former(container);
    if (write_bundle(container, err) < 0)
        return -1;
    bool hands_on = container->jail->hands_on;
    const char *const words[] = {"run",
                                 "--detach",
                                 "--pid-file",
                                 container->pid_file,
                                 "--bundle",
                                 container->bundle,
                                 hands_on ? "--preserve-fds" : container->jail->id,
                                 hands_on ? "1" : NULL,
                                 container->jail->id,
                                 NULL};
    int started = finish(container, words, hands_on ? HANDED_ON_FD : -1, err);
    if (hands_on)
        close(HANDED_ON_FD); /* what is in it is the runner's alone */
    if (started < 0 || read_pid(container, err) < 0)
        return -1;
    *out_status = await(container, container->pid, 0);
    return 0;
}

static void become_waiter(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    prctl(PR_SET_NAME, OCI_WAITER);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int on_death = 0;
    if (prctl(PR_GET_PDEATHSIG, &on_death) == 0 && on_death != 0)
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* so that the container goes too */
}

int oci_run(const struct jail *jail, const char *runtime, const char *base, int *out_status, struct err *err)
{
    struct container container = {.jail = jail,
                                  .runtime = runtime,
                                  .bundle = file_join(base, jail->id),
                                  .state = file_join(base, "state"),
                                  .no_cgroups = is_crun(runtime) && geteuid() != 0};
    container.pid_file = container.bundle ? file_join(container.bundle, "pid") : NULL;
    int done = -1;
    if (!container.bundle || !container.state || !container.pid_file) {
        container_fini(&container);
        return err_no_memory(err);
    }
    become_waiter();
    if (is_crun(runtime))
        cgroup_hide_unified();
    cgroup_sweep(jail->id);
    done = run(&container, out_status, err);
    forget(&container);
    container_fini(&container);
    return done;
}
