/* Who does not answer, or too late: the runner, the guard, the whole core. */
#include "base/clock.h"
#include "bench/faults.h"

#include <signal.h>
#include <sys/wait.h>

static bool hasty(struct world *world, uint64_t generation, struct sight *seen)
{
    const struct ctl_limits limits = world_hasty();
    return world_ready(world, &(struct needs){.active = generation, .limits = &limits}, seen);
}

/* A frame captured now; its verdict, and how long after the deadline it came. */
static void look_over(struct world *world, uint64_t seq, int64_t capture_ns, struct sight *seen)
{
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - capture_ns) / 1000 - DEADLINE_MS * 1000;
}

static void stop_runner(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!hasty(world, PRIMARY, seen))
        return;
    bool mid_frame = row->variant;
    if (!mid_frame)
        kill(world->runner[PRIMARY], SIGSTOP);
    else
        runner_act(world, PRIMARY, ACT_WAIT);
    int64_t capture_ns = now_ns();
    uint64_t seq = frame_send(world, capture_ns, LONG_US);
    while (mid_frame && atomic_load(&world->stage[PRIMARY].in_hand) < seq && us_since(capture_ns) < 3000)
        nap_us(20);
    kill(world->runner[PRIMARY], SIGSTOP);
    look_over(world, seq, capture_ns, seen);
    runner_act(world, PRIMARY, ACT_WELL);
    kill(world->runner[PRIMARY], SIGCONT);
}

static void be_slow(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!hasty(world, PRIMARY, seen))
        return;
    runner_act(world, PRIMARY, row->variant ? ACT_SLOW : ACT_LOOP);
    atomic_store(&world->stage[PRIMARY].slow_ns, row->variant * 1000000ll);
    int64_t capture_ns = now_ns();
    look_over(world, frame_send(world, capture_ns, LONG_US), capture_ns, seen);
    runner_act(world, PRIMARY, ACT_WELL);
    if (row->variant > DEADLINE_MS) /* its late answer changes nothing */
        nap_us(row->variant * 1000);
}

static void every_third(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!hasty(world, PUPPET, seen))
        return;
    for (int i = 0; i < 2; i++) {
        int64_t capture_ns = now_ns();
        look_over(world, frame_send(world, capture_ns, LONG_US), capture_ns, seen);
        expect(seen, seen->answer == MUSTER_SAFE, "an unanswered frame is answered");
    }
    frame_healthy(world, seen);
}

static void ring_only(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!hasty(world, PUPPET, seen))
        return;
    int64_t capture_ns = now_ns();
    uint64_t seq = frame_send(world, capture_ns, LONG_US);
    struct ring_result old = puppet_result(&world->puppet, seq - 1);
    while (us_since(capture_ns) < DEADLINE_MS * 800) {
        if (row->variant)
            puppet_put(&world->puppet, &old);
        puppet_ring(&world->puppet);
        nap_us(200);
    }
    look_over(world, seq, capture_ns, seen);
}

static void hang_for_good(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct ctl_limits limits = world_hasty();
    const struct needs needs = {.active = PRIMARY, .limits = &limits, .hang_ms = 50};
    struct ctl_status status = {0};
    if (!world_ready(world, &needs, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    int64_t begun_ns = now_ns();
    for (int i = 0; i < 400 && status.state != GUARD_STANDBY; i++) {
        frame_look(world, frame_send(world, 0, LONG_US), seen);
        if (!expect(seen, seen->answer == MUSTER_SAFE, "a hung runner answers") ||
            !status_get(world, &status, seen))
            return;
    }
    seen->us = us_since(begun_ns);
    expect(seen, status_runner(&status, PRIMARY)->hung, "it is not called hung");
    int ended = 0;
    if (expect(seen, waitpid(world->runner[PRIMARY], &ended, 0) > 0 && WIFSIGNALED(ended),
               "it was not killed"))
        world->runner[PRIMARY] = 0;
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

static void stop_guard(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!world_ready(world, &(struct needs){.active = PRIMARY}, seen))
        return;
    bool mid_frame = row->variant;
    if (mid_frame)
        runner_act(world, PRIMARY, ACT_WAIT);
    else
        kill(world->guard, SIGSTOP);
    int64_t capture_ns = now_ns();
    uint64_t seq = frame_send(world, capture_ns, DEADLINE_MS * 1000);
    kill(world->guard, SIGSTOP);
    look_over(world, seq, capture_ns, seen);
    runner_act(world, PRIMARY, ACT_WELL);
    kill(world->guard, SIGCONT);
    frame_healthy(world, seen);
}

/* Two processes that want every core for themselves. The program that waits is delayed by them, so the guard's own clock
 * tells when it decided. */
static void hog_cores(struct world *world, const struct fault_case *row, struct sight *seen)
{
    pid_t hogs[2];
    if (!hasty(world, PRIMARY, seen))
        return;
    for (size_t i = 0; i < ARRAY_LEN(hogs); i++) {
        hogs[i] = child_start(world);
        if (hogs[i] == 0)
            for (;;)
                ring_relax();
    }
    kill(world->runner[PRIMARY], SIGSTOP);
    nap_us(3000);
    int64_t capture_ns = now_ns();
    frame_look(world, frame_send(world, capture_ns, LONG_US), seen);
    seen->us = (seen->decided_ns - capture_ns) / 1000 - DEADLINE_MS * 1000;
    for (size_t i = 0; i < ARRAY_LEN(hogs); i++)
        child_kill(&hogs[i], SIGKILL);
    kill(world->runner[PRIMARY], SIGCONT);
}

#define LATE                                                                                                 \
    .answers = IS_SAFE, .reasons = BECAUSE(DEADLINE), .state = GUARD_AUTO, .measure = OVER_DEADLINE,         \
    .bound_us = 1000

static const struct fault_case cases[] = {
    {"runner_sigstop_mid_frame", "SIGSTOP of the runner, a frame in hand",
     "the next frame after SIGCONT is answered", stop_runner, LATE, .share = 600, .variant = 1},
    {"runner_sigstop_idle", "SIGSTOP of the runner between two frames",
     "the next frame after SIGCONT is answered", stop_runner, LATE, .share = 300},
    {"runner_endless_loop", "the model loops for ever", NULL, be_slow, LATE, .share = 200},
    {"runner_late_1ms", "the model answers one millisecond late", "the late result is not given out", be_slow,
     LATE, .share = 150, .variant = DEADLINE_MS + 1},
    {"runner_late_tenfold", "the model takes ten times as long as it may", "the late result is not given out",
     be_slow, LATE, .share = 40, .variant = 10 * DEADLINE_MS},
    {"runner_answers_every_third", "a runner answers every third frame only", "the third is answered",
     every_third, LATE, .share = 60},
    {"runner_rings_without_result", "a lying heartbeat: the doorbell rings, no result is there", NULL,
     ring_only, LATE, .share = 100},
    {"runner_repeats_old_result", "a lying heartbeat: the last frame's result, again and again", NULL,
     ring_only, LATE, .share = 60, .variant = 1},
    {"runner_hung_for_good", "a runner leaves ten frames and 50 ms without any result (limit set to that)",
     "it is killed and called hung", hang_for_good, .answers = IS_SAFE, .reasons = BECAUSE(RUNNER_LOST),
     .state = GUARD_STANDBY, .measure = ANSWERED, .bound_us = 200000, .share = 10},
    {"guard_sigstop_mid_frame", "SIGSTOP of the guard, a frame in hand",
     "libmuster decides; after SIGCONT frames are answered", stop_guard, LATE, .share = 150, .variant = 1},
    {"guard_sigstop_idle", "SIGSTOP of the guard between two frames",
     "libmuster decides; after SIGCONT frames are answered", stop_guard, LATE, .share = 100},
    {"cores_hogged",
     "two endless loops on a machine of two cores, and a stopped runner (timed: the guard's decision)", NULL,
     hog_cores, .answers = IS_SAFE, .reasons = BECAUSE(DEADLINE), .state = GUARD_AUTO, .measure = ANSWERED,
     .bound_us = 5000, .share = 20},
};
const struct group faults_hang = {cases, ARRAY_LEN(cases)};
