/* A whole robot in small: guard, one runner, one robot program, each on its core. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench/dataplane.h"
#include "robot/ctl/ctl.h"
#include "robot/guard/guard.h"
#include "robot/runner/engine.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

int pin(pid_t pid, int core, struct err *err)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core < 0)
        return 0;
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(pid, sizeof set, &set) == 0 ? 0 : err_errno(err, "core %d", core);
}

static int spawn(const char *program, const char *const *rest, pid_t *out, struct err *err)
{
    cleanup_free char *bin = proc_self_dir();
    cleanup_free char *path = bin ? file_join(bin, program) : NULL;
    const char *argv[24] = {path};
    for (size_t i = 0; rest[i] && i < ARRAY_LEN(argv) - 2; i++)
        argv[i + 1] = rest[i];
    struct proc_options options = {.argv = argv, .die_with_parent = true, .keep_fd = -1};
    return path ? proc_spawn(&options, out, err) : err_no_memory(err);
}

static pid_t fork_as(enum count_role role)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        count_as(role);
    }
    return pid;
}

static int start_guard(struct rig *rig, const struct mode *mode, bool counted, struct err *err)
{
    const char *const argv[] = {"--run-dir", rig->run_dir, mode->guard_option, NULL};
    if (!counted)
        return spawn("muster-guard", argv, &rig->guard, err);
    rig->guard = fork_as(COUNT_GUARD);
    if (rig->guard != 0)
        return rig->guard > 0 ? 0 : err_errno(err, "fork");
    const struct guard_options options = {.run_dir = rig->run_dir, .spin = mode->spin};
    struct guard *guard = NULL;
    _exit(guard_open(&options, &guard, err) < 0 || guard_run(guard, err) < 0);
}

/* What muster-runner does, with this program's counters below it. */
_Noreturn static void be_runner(const struct rig *rig, const char *store, const struct digest *release,
                                struct err *err)
{
    struct engine engine = {0};
    const struct runner_options options = {.run_dir = rig->run_dir, .generation = 1, .release = *release};
    const struct pipeline_options load = {.deadlines = true};
    int done = engine_open(&engine, store, release, &load, err);
    struct runner_engine served = engine_of(&engine);
    if (done == 0)
        done = runner_serve(&options, &served, err);
    if (done < 0)
        fprintf(stderr, "bench-dataplane: runner: %s\n", err->text);
    _exit(done < 0);
}

static int start_runner(struct rig *rig, const char *store, const struct digest *release,
                        const struct mode *mode, bool counted, struct err *err)
{
    struct digest_text digest = digest_format(release);
    char core[16];
    snprintf(core, sizeof core, "%d", mode->cores.runner);
    const char *const argv[] = {"--run-dir",
                                rig->run_dir,
                                "--store",
                                store,
                                "--release",
                                digest.text,
                                "--generation",
                                "1",
                                "--wait",
                                mode->runner_wait,
                                mode->cores.runner < 0 ? NULL : "--cpu",
                                core,
                                NULL};
    if (!counted)
        return spawn("muster-runner", argv, &rig->runner, err);
    rig->runner = fork_as(COUNT_RUNNER);
    if (rig->runner == 0)
        be_runner(rig, store, release, err);
    return rig->runner > 0 ? 0 : err_errno(err, "fork");
}

static int connect_agent(struct rig *rig, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (ctl_connect(rig->run_dir, CTL_ROLE_AGENT, &rig->agent, err) < 0) {
        if (clock_mono_ms() > until_ms)
            return -1;
        poll(NULL, 0, 5);
    }
    return 0;
}

static int order(struct rig *rig, const struct image *image, enum ctl_kind kind, struct err *err)
{
    const struct release *release = &image->release;
    struct ctl_message message;
    ctl_message_init(&message, kind);
    message.generation = 1;
    message.release = image->digest;
    message.limits = (struct ctl_limits){
        .deadline_us = 1000000,
        .max_detections = (uint32_t)release->envelope.max_detections,
        .label_count = (uint32_t)release->label_count,
        .min_score = (float)release->envelope.min_score,
        .value_count = (uint32_t)release_value_count(release),
        .value_min = -1e30f,
        .value_max = 1e30f,
    };
    return ctl_call(rig->agent, &message, PATIENCE_MS, err);
}

static int await_runner(struct rig *rig, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    struct ctl_status status;
    do {
        if (ctl_status(rig->agent, PATIENCE_MS, &status, err) < 0)
            return -1;
        if (status.runners[0].connected)
            return 0;
        poll(NULL, 0, 5);
    } while (clock_mono_ms() < until_ms);
    return err_set(err, ERR_TIMEOUT, "the runner did not come up");
}

static int open_robot(struct rig *rig, const struct mode *mode, const struct frames *frames, struct err *err)
{
    const struct muster_options options = {.run_dir = rig->run_dir,
                                           .floats = frames->floats,
                                           .width = frames->width,
                                           .height = frames->height,
                                           .patient = mode->patient,
                                           .spin = mode->spin};
    char why[MUSTER_TEXT_SIZE];
    return muster_open(&options, &rig->robot, why) == 0 ? 0 : err_set(err, ERR_IO, "%s", why);
}

static int start_all(struct rig *rig, const struct image *image, const struct mode *mode,
                     const struct frames *frames, bool counted, struct err *err)
{
    if (start_guard(rig, mode, counted, err) < 0 || pin(rig->guard, mode->cores.guard, err) < 0 ||
        connect_agent(rig, err) < 0 ||
        start_runner(rig, image->dir, &image->digest, mode, counted, err) < 0 ||
        order(rig, image, CTL_ADMIT, err) < 0 || await_runner(rig, err) < 0 ||
        order(rig, image, CTL_ACTIVATE, err) < 0)
        return -1;
    return open_robot(rig, mode, frames, err);
}

int rig_start(struct rig *rig, const char *dir, const char *store, const struct mode *mode,
              const struct frames *frames, bool counted, struct err *err)
{
    static unsigned number;
    *rig = (struct rig){.agent = -1};
    snprintf(rig->run_dir, sizeof rig->run_dir, "%s/run-%u", dir, number++);
    cleanup_image struct image image = {0};
    if (image_open(store, NULL, &image, err) < 0 || start_all(rig, &image, mode, frames, counted, err) < 0) {
        rig_stop(rig);
        return err_prefix(err, "%s", mode->name);
    }
    return 0;
}

void rig_stop(struct rig *rig)
{
    muster_close(rig->robot);
    mem_cleanup_close(&rig->agent);
    const pid_t children[] = {rig->runner, rig->guard};
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        if (children[i] > 0) {
            kill(children[i], SIGTERM);
            waitpid(children[i], NULL, 0);
        }
    *rig = (struct rig){.agent = -1};
}
