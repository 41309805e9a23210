/* An agent that gives impossible orders, or possible ones at the worst moment. */
#include "bench/faults.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

static bool ready(struct world *world, uint64_t fallback, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY, .fallback = fallback}, seen);
}

enum refusal {
    DEAD,
    UNKNOWN,
    OWN_FALLBACK,
    FIFTH,
    NO_LIMITS,
    NAN_LIMITS,
    SHADOW_ACTIVE,
    SHADOW_DEAD,
    OTHER_RELEASE
};

static enum err_code overcrowd(struct world *world, const struct ctl_limits *limits)
{
    enum err_code said = ERR_NONE;
    for (uint64_t i = 91; i <= 94; i++)
        said = order(world, CTL_ADMIT, i, 0, limits);
    for (uint64_t i = 91; i <= 94; i++)
        (void)order(world, CTL_RETIRE, i, 0, NULL);
    return said;
}

static enum err_code wrong_order(struct world *world, int what, struct sight *seen)
{
    struct ctl_limits limits = world_limits();
    struct ctl_message message;
    struct err err = {0};
    switch ((enum refusal)what) {
    case DEAD:
        child_kill(&world->runner[SPARE], SIGKILL);
        nap_us(2000);
        return order(world, CTL_ACTIVATE, SPARE, PRIMARY, NULL);
    case UNKNOWN:
        return order(world, CTL_ACTIVATE, 99, PRIMARY, NULL);
    case OWN_FALLBACK:
        return order(world, CTL_ACTIVATE, PRIMARY, PRIMARY, NULL);
    case FIFTH:
        return overcrowd(world, &limits);
    case NO_LIMITS:
        limits.deadline_us = 0;
        return order(world, CTL_ADMIT, 98, 0, &limits);
    case NAN_LIMITS:
        limits.max_rate = NAN;
        return order(world, CTL_ADMIT, 98, 0, &limits);
    case SHADOW_ACTIVE:
        return order(world, CTL_SHADOW, PRIMARY, 0, NULL);
    case SHADOW_DEAD:
        return order(world, CTL_SHADOW, 97, 0, NULL);
    case OTHER_RELEASE:
        ctl_message_init(&message, CTL_ADMIT);
        message.generation = PRIMARY;
        message.limits = limits;
        return ctl_call(world->agent, &message, PATIENCE_MS, &err) == 0 ? ERR_NONE : err.code;
    }
    return ERR_NONE;
}

static void refuse(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, row->variant == DEAD ? SPARE : 0, seen))
        return;
    int64_t struck_ns = now_ns();
    expect(seen, wrong_order(world, row->variant, seen) != ERR_NONE, "the order is obeyed");
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    expect(seen, seen->generation == PRIMARY, "generation %llu answers",
           (unsigned long long)seen->generation);
}

/* The active generation is taken away while it has a frame in hand. */
static void take_away(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, 0, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    enum ctl_kind kind = row->variant ? CTL_RETIRE : CTL_ACTIVATE;
    expect(seen, order(world, kind, row->variant ? PRIMARY : 0, 0, NULL) == ERR_NONE, "the order is refused");
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    runner_act(world, PRIMARY, ACT_WELL);
    if (row->variant) {
        memset(&world->limits[PRIMARY], 0, sizeof world->limits[PRIMARY]);
        child_kill(&world->runner[PRIMARY], SIGKILL);
    }
}

/* A runner that is told to go and does not. */
static void stay(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    kill(world->runner[SPARE], SIGSTOP);
    int64_t struck_ns = now_ns();
    expect(seen, order(world, CTL_RETIRE, SPARE, 0, NULL) == ERR_NONE, "RETIRE is refused");
    int status = 0;
    while (waitpid(world->runner[SPARE], &status, WNOHANG) == 0 && us_since(struck_ns) < 10000000)
        nap_us(1000);
    seen->us = us_since(struck_ns);
    if (expect(seen, WIFSIGNALED(status), "it is still there"))
        world->runner[SPARE] = 0;
    memset(&world->limits[SPARE], 0, sizeof world->limits[SPARE]);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* Back and forth between two hot generations, frames in hand. */
static void switch_wildly(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, SPARE, seen))
        return;
    int64_t struck_ns = now_ns();
    for (int i = 0; i < 20; i++) {
        uint64_t seq = frame_send(world, 0, LONG_US);
        uint64_t to = i % 2 ? PRIMARY : SPARE;
        expect(seen, order(world, CTL_ACTIVATE, to, to == PRIMARY ? SPARE : PRIMARY, NULL) == ERR_NONE,
               "ACTIVATE is refused");
        frame_look(world, seq, seen);
        if (!expect(seen, seen->answer == MUSTER_OK, "frame %d is answered %s", i,
                    muster_answer_name(seen->answer)))
            return;
    }
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

#define REFUSED(name_, says, what)                                                                           \
    {                                                                                                        \
        .name = "order_" name_, .injected = says, .also = "refused; the active generation goes on",          \
        .inject = refuse, .answers = IS_OK, .state = GUARD_AUTO, .measure = ANSWERED, .bound_us = 50000,     \
        .share = 5, .variant = what                                                                          \
    }

static const struct fault_case cases[] = {
    REFUSED("activate_dead", "a generation is activated whose runner died", DEAD),
    REFUSED("activate_unknown", "a generation is activated that nobody knows", UNKNOWN),
    REFUSED("own_fallback", "a generation is to be its own fallback", OWN_FALLBACK),
    REFUSED("fifth_generation", "generations are admitted until there is no room", FIFTH),
    REFUSED("no_deadline", "a release without a deadline is admitted", NO_LIMITS),
    REFUSED("nan_limit", "a release with a limit of NaN is admitted", NAN_LIMITS),
    REFUSED("shadow_active", "the active generation is to shadow itself", SHADOW_ACTIVE),
    REFUSED("shadow_dead", "a generation without a runner is to shadow", SHADOW_DEAD),
    REFUSED("other_release", "another release is admitted under the active generation's number",
            OTHER_RELEASE),
    {.name = "active_retired",
     .injected = "the active generation is retired, a frame in hand",
     .inject = take_away,
     .answers = IS_SAFE,
     .reasons = BECAUSE(RUNNER_LOST),
     .state = GUARD_STANDBY,
     .measure = ANSWERED,
     .bound_us = 5000,
     .share = 10,
     .variant = 1},
    {.name = "active_deactivated",
     .injected = "no generation is to be active, a frame in hand",
     .inject = take_away,
     .answers = IS_SAFE,
     .reasons = BECAUSE(RUNNER_LOST),
     .state = GUARD_STANDBY,
     .measure = ANSWERED,
     .bound_us = 5000,
     .share = 10},
    {.name = "runner_does_not_go",
     .injected = "a stopped runner is told to end (timed: until it is killed)",
     .inject = stay,
     .answers = IS_OK,
     .state = GUARD_AUTO,
     .measure = ANSWERED,
     .bound_us = 2300000,
     .share = 2},
    {.name = "switches_back_and_forth",
     .injected = "20 switches between two hot generations, a frame in hand at each",
     .also = "every frame is answered",
     .inject = switch_wildly,
     .answers = IS_OK,
     .state = GUARD_AUTO,
     .measure = ANSWERED,
     .bound_us = 100000,
     .share = 5},
};
const struct group faults_orders = {cases, ARRAY_LEN(cases)};
