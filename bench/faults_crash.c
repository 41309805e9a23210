/* Deaths: of runners, at every moment; of the guard, the robot program, the agent, the observer. */
#include "base/clock.h"
#include "base/str.h"
#include "bench/faults.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MID_FRAME = 1, IDLE = 2, BACKED = 4, FULL_RING = 8 };

static bool ready(struct world *world, uint64_t fallback, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY, .fallback = fallback}, seen);
}

static void timed_from(struct sight *seen, int64_t struck_ns)
{
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

static void kill_runner(struct world *world, const struct fault_case *row, struct sight *seen)
{
    uint64_t seq = 0;
    if (!ready(world, row->variant & BACKED ? SPARE : 0, seen))
        return;
    if (row->variant & (MID_FRAME | FULL_RING)) {
        runner_act(world, PRIMARY, ACT_WAIT);
        seq = frame_send(world, 0, LONG_US);
        if (!runner_has(world, PRIMARY, seq, seen))
            return;
    }
    for (int i = 0; row->variant & FULL_RING && i < RING_SLOTS - 1; i++)
        seq = frame_send(world, 0, LONG_US);
    int64_t struck_ns = now_ns();
    kill(world->runner[PRIMARY], SIGKILL);
    if (!seq)
        seq = frame_send(world, 0, LONG_US);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
    child_kill(&world->runner[PRIMARY], SIGKILL);
}

/* By its own hand, in the middle of a frame. */
static void die(struct world *world, const struct fault_case *row, struct sight *seen)
{
    bool backed = row->answers == IS_FALLBACK;
    if (!ready(world, backed ? SPARE : 0, seen))
        return;
    runner_act(world, PRIMARY, (enum act)row->variant);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    timed_from(seen, atomic_load(&world->stage[PRIMARY].struck_ns));
    child_kill(&world->runner[PRIMARY], SIGKILL);
}

static void kill_both(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    kill(world->runner[SPARE], SIGKILL);
    kill(world->runner[PRIMARY], SIGKILL);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
    child_kill(&world->runner[PRIMARY], SIGKILL);
    child_kill(&world->runner[SPARE], SIGKILL);
    status_until(world, row->state, PATIENCE_MS, seen);
}

static void kill_answering_fallback(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    child_kill(&world->runner[PRIMARY], SIGKILL);
    if (!status_until(world, GUARD_FALLBACK, PATIENCE_MS, seen))
        return;
    runner_act(world, SPARE, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, SPARE, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    kill(world->runner[SPARE], SIGKILL);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
    child_kill(&world->runner[SPARE], SIGKILL);
}

static void kill_idle_fallback(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    child_kill(&world->runner[SPARE], SIGKILL);
    runner_act(world, PRIMARY, ACT_WELL);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
}

static void kill_shadow(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    runner_act(world, SPARE, ACT_WAIT);
    if (!expect(seen, order(world, CTL_SHADOW, SPARE, 0, NULL) == ERR_NONE, "SHADOW is refused"))
        return;
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    expect(seen, seen->answer == MUSTER_OK, "a shadow is in the way");
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    child_kill(&world->runner[SPARE], SIGKILL);
    runner_act(world, PRIMARY, ACT_WELL);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
    expect(seen, seen->generation == PRIMARY, "generation %llu answers",
           (unsigned long long)seen->generation);
}

/* The agent switches to a candidate, which dies in the same instant: `variant` 0 just before, 1 just after. */
static void kill_candidate(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t first = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, first, seen))
        return;
    int64_t struck_ns = now_ns();
    if (row->variant == 0)
        kill(world->runner[SPARE], SIGKILL);
    enum err_code said = order(world, CTL_ACTIVATE, SPARE, PRIMARY, NULL);
    if (row->variant == 1) {
        struck_ns = now_ns();
        kill(world->runner[SPARE], SIGKILL);
    }
    runner_act(world, PRIMARY, ACT_WELL);
    struct sight old = {0};
    frame_look(world, first, &old);
    expect(seen, old.answer == MUSTER_OK, "the frame before the switch is answered %s",
           muster_answer_name(old.answer));
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    timed_from(seen, struck_ns);
    expect(seen, said == ERR_NONE || said == ERR_CONFLICT, "ACTIVATE: %s", err_code_name(said));
    expect(seen, seen->generation == PRIMARY, "generation %llu answers",
           (unsigned long long)seen->generation);
    child_kill(&world->runner[SPARE], SIGKILL);
    status_until(world, said == ERR_NONE ? GUARD_FALLBACK : GUARD_AUTO, PATIENCE_MS, seen);
}

/* ---- memory ---- */

static void starve_runner(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, 0, seen))
        return;
    runner_act(world, PRIMARY, ACT_STARVE);
    int64_t struck_ns = now_ns();
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    timed_from(seen, struck_ns);
    runner_act(world, PRIMARY, ACT_WELL);
    frame_healthy(world, seen);
}

static bool write_text(const char *path, const char *text)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A control group of version 1 or 2 that lets it have 24 MiB. */
static bool limit_memory(pid_t pid, char *out_group, size_t size)
{
    static const struct {
        const char *root, *limit;
    } kinds[] = {{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char path[160], number[16];
        snprintf(out_group, size, "%s/muster-faults-%d", kinds[i].root, (int)pid);
        if (mkdir(out_group, 0700) < 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", out_group, kinds[i].limit);
        bool limited = write_text(path, "25165824");
        snprintf(path, sizeof path, "%s/memory.swap.max", out_group);
        (void)!write_text(path, "0");
        snprintf(path, sizeof path, "%s/cgroup.procs", out_group);
        snprintf(number, sizeof number, "%d", (int)pid);
        if (limited && write_text(path, number))
            return true;
        rmdir(out_group);
    }
    return false;
}

static void exhaust_runner(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char group[96];
    if (!ready(world, 0, seen))
        return;
    if (!limit_memory(world->runner[PRIMARY], group, sizeof group)) {
        impossible(seen, "needs the right to make a memory control group");
        return;
    }
    runner_act(world, PRIMARY, ACT_EAT);
    int64_t struck_ns = now_ns();
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    timed_from(seen, struck_ns);
    int status = 0;
    waitpid(world->runner[PRIMARY], &status, 0);
    world->runner[PRIMARY] = 0;
    expect(seen, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the kernel did not kill it");
    for (int tries = 0; rmdir(group) < 0 && tries < 100; tries++)
        nap_us(1000);
}

/* ---- the others ---- */

static void kill_guard(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, 0, seen))
        return;
    bool mid_frame = row->detail != NULL;
    uint64_t seq = 0;
    runner_act(world, PRIMARY, ACT_WAIT);
    if (mid_frame) {
        seq = frame_send(world, 0, LONG_US);
        if (!runner_has(world, PRIMARY, seq, seen))
            return;
    }
    int64_t struck_ns = now_ns();
    kill(world->guard, row->variant);
    if (!mid_frame)
        seq = frame_send(world, 0, LONG_US);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
    guard_kill(world, SIGKILL);
    guard_start(world, seen);
}

/* A robot program of its own process, which sends frames until it dies. */
static void kill_program(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_status status;
    if (!world_ready(world, &(struct needs){.active = PRIMARY, .no_robot = true}, seen))
        return;
    if (!status_get(world, &status, seen))
        return;
    uint64_t before = status.checked;
    pid_t pid = child_start(world);
    if (pid == 0) {
        struct sight own = {0};
        world->robot = NULL;
        while (robot_open(world, &own))
            frame_look(world, frame_send(world, 0, LONG_US), &own);
        _exit(1);
    }
    do
        if (!status_get(world, &status, seen))
            break;
    while (status.checked == before);
    int64_t struck_ns = now_ns();
    child_kill(&pid, row->variant);
    while (status_get(world, &status, seen) && status.client_connected && us_since(struck_ns) < 5000000)
        nap_us(50);
    seen->us = us_since(struck_ns);
    expect(seen, !status.client_connected, "the guard does not notice");
    if (robot_open(world, seen))
        frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* Agent, observer, operator: whoever does not stand between a frame and its verdict. */
static void kill_peer(struct world *world, const struct fault_case *row, struct sight *seen)
{
    _Atomic uint64_t *up = &world->stage[0].in_hand;
    if (!ready(world, 0, seen))
        return;
    atomic_store(up, 0);
    pid_t pid = child_start(world);
    if (pid == 0) {
        struct sight own = {0};
        atomic_store(up, dial_as(world, (enum ctl_role)row->variant, &own) < 0 ? 2 : 1);
        for (;;)
            nap_us(1000000);
    }
    while (atomic_load(up) == 0)
        nap_us(100);
    expect(seen, atomic_load(up) == 1, "the peer is not let in");
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    child_kill(&pid, SIGKILL);
    runner_act(world, PRIMARY, ACT_WELL);
    frame_look(world, seq, seen);
    timed_from(seen, struck_ns);
}

#define GONE                                                                                                 \
    .answers = IS_SAFE, .reasons = BECAUSE(RUNNER_LOST), .state = GUARD_STANDBY, .measure = CRASH,           \
    .bound_us = 5000
#define HANDED                                                                                               \
    .answers = IS_FALLBACK, .reasons = BECAUSE(RUNNER_LOST), .state = GUARD_FALLBACK, .measure = CRASH,      \
    .bound_us = 5000
#define NO_GUARD                                                                                             \
    .answers = IS_SAFE, .reasons = BECAUSE(NO_GUARD), .measure = CRASH, .bound_us = 5000,                    \
    .state = GUARD_STANDBY
#define UNTOUCHED .answers = IS_OK, .state = GUARD_AUTO, .measure = ANSWERED, .bound_us = 20000

static const struct fault_case cases[] = {
    {"runner_sigkill_mid_frame", "SIGKILL of the runner, a frame in hand", NULL, kill_runner, GONE,
     .share = 1400, .variant = MID_FRAME},
    {"runner_sigkill_mid_frame_backed", "the same, a fallback hot", NULL, kill_runner, HANDED, .share = 1400,
     .variant = MID_FRAME | BACKED},
    {"runner_sigkill_idle", "SIGKILL of the runner between two frames", NULL, kill_runner, GONE, .share = 800,
     .variant = IDLE},
    {"runner_sigkill_idle_backed", "the same, a fallback hot", NULL, kill_runner, HANDED, .share = 600,
     .variant = IDLE | BACKED},
    {"runner_sigkill_full_ring", "SIGKILL of the runner, eight frames waiting", NULL, kill_runner, GONE,
     .share = 200, .variant = FULL_RING},
    {"runner_sigkill_full_ring_backed", "the same, a fallback hot", NULL, kill_runner, HANDED, .share = 200,
     .variant = FULL_RING | BACKED},
    {"runner_sigsegv", "the runner crashes in a frame", NULL, die, GONE, .share = 700, .variant = ACT_SEGV},
    {"runner_sigsegv_backed", "the same, a fallback hot", NULL, die, HANDED, .share = 500,
     .variant = ACT_SEGV},
    {"runner_sigabrt", "the runner aborts in a frame", NULL, die, GONE, .share = 400, .variant = ACT_ABORT},
    {"runner_exit", "the runner ends in a frame, status 0", NULL, die, GONE, .share = 400,
     .variant = ACT_EXIT},
    {"both_runners_sigkill", "SIGKILL of primary and fallback together", NULL, kill_both, GONE, .share = 200},
    {"answering_fallback_sigkill", "SIGKILL of the fallback that answers for a lost primary", NULL,
     kill_answering_fallback, GONE, .share = 200},
    {"idle_fallback_sigkill", "SIGKILL of the fallback while the primary has a frame in hand", NULL,
     kill_idle_fallback, UNTOUCHED, .share = 60},
    {"shadow_sigkill", "SIGKILL of a shadowing candidate, a frame in hand", "the active generation answers",
     kill_shadow, UNTOUCHED, .share = 60},
    {"candidate_sigkill_before_activation", "SIGKILL of the candidate, then at once its activation",
     "the previous generation answers, also the frame in hand", kill_candidate,
     .answers = IS_OK | IS_FALLBACK, .state = GUARD_STATE_COUNT, .measure = ANSWERED, .bound_us = 20000,
     .share = 100, .variant = 0},
    {"candidate_sigkill_at_activation", "activation, then at once SIGKILL of the new generation",
     "the previous generation answers, also the frame in hand", kill_candidate, .answers = IS_FALLBACK,
     .reasons = BECAUSE(RUNNER_LOST), .state = GUARD_FALLBACK, .measure = CRASH, .bound_us = 5000,
     .share = 200, .variant = 1},
    {"runner_no_memory", "an allocation of the runner fails", "the next frame is answered", starve_runner,
     .answers = IS_SAFE, .reasons = BECAUSE(OTHER), .state = GUARD_AUTO, .measure = ANSWERED,
     .bound_us = 20000, .share = 20},
    {"runner_oom_killed",
     "the runner passes its memory limit: the kernel kills it (timed from its first byte too many to ask "
     "for)",
     NULL, exhaust_runner, .answers = IS_SAFE, .reasons = BECAUSE(RUNNER_LOST), .state = GUARD_STANDBY,
     .measure = ANSWERED, .bound_us = 500000, .share = 10},
    {"guard_sigkill_mid_frame", "SIGKILL of the guard, a frame in hand", "the next guard serves", kill_guard,
     NO_GUARD, .share = 150, .variant = SIGKILL, .detail = ""},
    {"guard_sigsegv_mid_frame", "SIGSEGV of the guard, a frame in hand", "the next guard serves", kill_guard,
     NO_GUARD, .share = 30, .variant = SIGSEGV, .detail = ""},
    {"guard_sigkill_idle", "SIGKILL of the guard between two frames", "the next guard serves", kill_guard,
     NO_GUARD, .share = 30, .variant = SIGKILL},
    {"guard_sigterm", "the guard is told to end, a frame in hand", "the next guard serves", kill_guard,
     NO_GUARD, .share = 20, .variant = SIGTERM, .detail = ""},
    {"program_sigkill", "SIGKILL of the robot program amid its frames (timed: until the guard knows)",
     "the next program is served", kill_program, UNTOUCHED, .share = 30, .variant = SIGKILL},
    {"program_sigsegv", "the robot program crashes amid its frames (timed: until the guard knows)",
     "the next program is served", kill_program, UNTOUCHED, .share = 10, .variant = SIGSEGV},
    {"agent_sigkill", "SIGKILL of an agent, a frame in hand", NULL, kill_peer, UNTOUCHED, .share = 30,
     .variant = CTL_ROLE_AGENT},
    {"observer_sigkill", "SIGKILL of an observer, a frame in hand", NULL, kill_peer, UNTOUCHED, .share = 30,
     .variant = CTL_ROLE_OBSERVER},
    {"operator_sigkill", "SIGKILL of a local operator's program that holds nothing", NULL, kill_peer,
     UNTOUCHED, .share = 10, .variant = CTL_ROLE_OPERATOR},
};
const struct group faults_crash = {cases, ARRAY_LEN(cases)};
