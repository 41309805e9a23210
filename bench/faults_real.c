/* The real muster-runner with ONNX Runtime and a small made release, instead of a light one. It takes frames of floats. */
#include "base/clock.h"
#include "bench/faults.h"
#include "release/image.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <signal.h>

enum { FLOATS = MADE_PART_BYTES / sizeof(float), DEADLINE_US = 50000 };

static pid_t runner;
static struct digest digest;

static bool spawn(struct world *world, const char *store, struct sight *seen)
{
    struct err err = {0};
    cleanup_free char *bin = proc_self_dir();
    cleanup_free char *path = mem_printf("%s/muster-runner", bin ? bin : ".");
    struct digest_text text = digest_format(&digest);
    const char *const argv[] = {path,        "--run-dir", world->run_dir, "--store", store,
                                "--release", text.text,   "--generation", "4",       NULL};
    const struct proc_options options = {
        .argv = argv, .log_path = world->log_path, .die_with_parent = true, .keep_fd = -1};
    setenv("ASAN_OPTIONS", "detect_leaks=0",
           0); /* its checker wants ptrace, which a confined runner may not */
    return expect(seen, path && proc_spawn(&options, &runner, &err) == 0, "%s", err.text);
}

static bool start(struct world *world, struct sight *seen)
{
    struct err err = {0};
    cleanup_free char *store = NULL;
    cleanup_image struct image image = {0};
    if (made_release(world->dir, &(struct made_model){.bytes = MADE_PART_BYTES}, &store, &err) < 0 ||
        image_open(store, NULL, &image, &err) < 0)
        return expect(seen, false, "%s", err.text);
    digest = image.digest;
    return spawn(world, store, seen);
}

static enum err_code say(struct world *world, enum ctl_kind kind)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, kind);
    message.generation = CANDIDATE;
    message.release = digest;
    message.limits = (struct ctl_limits){
        .deadline_us = DEADLINE_US, .value_count = MADE_MEANS, .value_min = -1e6f, .value_max = 1e6f};
    return ctl_call(world->agent, &message, PATIENCE_MS, &err) == 0 ? ERR_NONE : err.code;
}

static bool activate(struct world *world, struct sight *seen)
{
    int64_t until_ms = clock_mono_ms() + 3 * PATIENCE_MS;
    expect(seen, say(world, CTL_ADMIT) == ERR_NONE, "ADMIT is refused");
    while (say(world, CTL_ACTIVATE) != ERR_NONE) {
        if (!proc_alive(runner)) {
            impossible(seen, "muster-runner does not start: is ONNX Runtime there?");
            return false;
        }
        if (!expect(seen, clock_mono_ms() < until_ms, "muster-runner does not come up"))
            return false;
        nap_us(5000);
    }
    return true;
}

static uint64_t send_floats(struct world *world)
{
    float *values = muster_values_begin(world->robot);
    for (int i = 0; i < FLOATS; i++)
        values[i] = 0.25f;
    return muster_frame_submit(world->robot, 0, LONG_US);
}

static bool bring_up(struct world *world, uint32_t floats, struct sight *seen)
{
    char why[MUSTER_TEXT_SIZE];
    const struct muster_options options = {.run_dir = world->run_dir, .floats = floats};
    child_kill(&runner, SIGKILL); /* the last injection's */
    if (world->agent >= 0)
        (void)order(world, CTL_RETIRE, CANDIDATE, 0, NULL);
    if (!world_ready(world, &(struct needs){.no_robot = true}, seen) || !start(world, seen) ||
        !activate(world, seen))
        return false;
    if (!expect(seen, muster_open(&options, &world->robot, why) == 0, "%s", why) || !robot_open(world, seen))
        return false;
    struct sight first = {0};
    for (int tries = 0; floats == FLOATS && first.answer != MUSTER_OK && tries < 20; tries++)
        frame_look(world, send_floats(world), &first); /* a busy machine may be late */
    return expect(seen, floats != FLOATS || first.answer == MUSTER_OK,
                  "the first frames are answered %s (%s)", muster_answer_name(first.answer),
                  muster_reason_name(first.reason));
}

/* Stopped first, so that it surely has not answered. */
static void no_answer(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!bring_up(world, FLOATS, seen))
        return;
    bool killed = row->measure == CRASH;
    kill(runner, SIGSTOP);
    int64_t struck_ns = now_ns();
    uint64_t seq = send_floats(world);
    if (killed) {
        struck_ns = now_ns();
        kill(runner, SIGKILL);
    }
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000 - (killed ? 0 : DEADLINE_US);
}

static void other_shape(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!bring_up(world, 64, seen))
        return;
    muster_values_begin(world->robot)[0] = 1;
    int64_t struck_ns = now_ns();
    frame_look(world, muster_frame_submit(world->robot, 0, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

static const struct fault_case cases[] = {
    {"real_runner_sigkill",
     "SIGKILL of muster-runner, a frame waiting (the kernel takes its memory down first)", NULL, no_answer,
     IS_SAFE, BECAUSE(RUNNER_LOST), GUARD_STANDBY, CRASH, 20000, 25, 0, NULL},
    {"real_runner_sigstop", "SIGSTOP of muster-runner", NULL, no_answer, IS_SAFE, BECAUSE(DEADLINE),
     GUARD_AUTO, OVER_DEADLINE, 1000, 10, 0, NULL},
    {"real_runner_other_shape", "muster-runner gets frames of another size than its model", NULL, other_shape,
     IS_SAFE, BECAUSE(OTHER), GUARD_AUTO, ANSWERED, 50000, 3, 0, NULL},
};
const struct group faults_real = {cases, ARRAY_LEN(cases)};
