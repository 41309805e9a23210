/* Humans: what they order at the worst moment, who may not, and what comes back after the guard was killed. */
#include "bench/faults.h"
#include "robot/guard/latch.h"

#include <signal.h>

static bool ready(struct world *world, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY}, seen);
}

static enum err_code local(struct world *world, enum ctl_verb verb)
{
    return command(world->operator_fd, verb, 0, 1000, NULL, NULL);
}

static enum err_code remote(struct world *world, enum ctl_verb verb, uint64_t lease)
{
    return command(world->agent, verb, lease, 1000, NULL, NULL);
}

static bool obeyed(struct sight *seen, enum err_code said)
{
    return expect(seen, said == ERR_NONE, "refused (%s)", err_code_name(said));
}

static bool refused(struct sight *seen, enum err_code said)
{
    return expect(seen, said != ERR_NONE, "obeyed");
}

static uint64_t hold_lease(struct world *world, int fd, uint32_t ttl_ms, struct sight *seen)
{
    uint64_t lease = 0;
    obeyed(seen, command(fd, CTL_VERB_OVERRIDE, 0, ttl_ms, &lease, NULL));
    return lease;
}

static void press(int fd, bool pressed, struct sight *seen)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    expect(seen, ctl_send(fd, &message, NULL, &err) == 0, "%s", err.text);
}

/* The state first, then a frame: no model answers it. */
static void end_in(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (status_until(world, row->state, PATIENCE_MS, seen))
        frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* ---- mid-frame ---- */

static void order_mid_frame(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_COMMAND);
    message.command = (struct ctl_command){
        .verb = (uint32_t)row->variant, .ttl_ms = 1000, .who = "ann", .reason = "a fault"};
    expect(seen, ctl_send(world->operator_fd, &message, NULL, &err) == 0, "%s", err.text);
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    runner_act(world, PRIMARY, ACT_WELL);
}

static void estop_mid_frame(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_close int mirror = dial_as(world, CTL_ROLE_ESTOP, seen);
    runner_act(world, PRIMARY, ACT_WAIT);
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    int64_t struck_ns = now_ns();
    if (row->variant == 0)
        press(mirror, true, seen);
    else if (row->variant == 1)
        mem_cleanup_close(&mirror), mirror = -1; /* it is gone, as when it is killed */
    else
        (void)muster_estop(world->robot, 1);
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    runner_act(world, PRIMARY, ACT_WELL);
    status_until(world, GUARD_ESTOP, PATIENCE_MS, seen);
    if (row->variant == 2)
        muster_close(TAKE_PTR(world->robot)); /* its next life knows of no press */
}

static void estop_while(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    uint64_t lease = 0;
    if (row->variant == CTL_VERB_OVERRIDE)
        lease = hold_lease(world, world->operator_fd, 60000, seen);
    else
        obeyed(seen, local(world, (enum ctl_verb)row->variant));
    cleanup_close int mirror = dial_as(world, CTL_ROLE_ESTOP, seen);
    int64_t struck_ns = now_ns();
    press(mirror, true, seen);
    status_until(world, GUARD_ESTOP, PATIENCE_MS, seen);
    seen->us = us_since(struck_ns);
    if (lease)
        refused(seen, command(world->operator_fd, CTL_VERB_RENEW, lease, 1000, NULL, NULL));
    refused(seen, local(world, CTL_VERB_RESTART));
    end_in(world, row, seen);
}

static void released_starts_nothing(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_close int mirror = dial_as(world, CTL_ROLE_ESTOP, seen);
    press(mirror, true, seen);
    status_until(world, GUARD_ESTOP, PATIENCE_MS, seen);
    int64_t struck_ns = now_ns();
    press(mirror, false, seen);
    end_in(world, row, seen);
    seen->us = us_since(struck_ns);
    guard_kill(world, SIGKILL); /* before the mirror goes: that would be a press */
    guard_start(world, seen);
}

/* ---- while something else goes on ---- */

static void stop_during(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!world_ready(world, &(struct needs){.active = PRIMARY, .fallback = SPARE}, seen))
        return;
    struct ctl_message waits;
    struct err err = {0};
    if (row->variant == CTL_SHADOW) {
        expect(seen, order(world, CTL_SHADOW, SPARE, 0, NULL) == ERR_NONE, "SHADOW is refused");
    } else if (row->variant == CTL_ACTIVATE) { /* at the end of a sequence, which does not come */
        ctl_message_init(&waits, CTL_ACTIVATE);
        waits.generation = SPARE;
        waits.fallback = PRIMARY;
        waits.count = 1;
        expect(seen, ctl_call(world->agent, &waits, PATIENCE_MS, &err) == 0, "%s", err.text);
    } else { /* nothing live */
        child_kill(&world->runner[PRIMARY], SIGKILL);
        child_kill(&world->runner[SPARE], SIGKILL);
    }
    int64_t struck_ns = now_ns();
    obeyed(seen, remote(world, CTL_VERB_STOP, 0));
    end_in(world, row, seen);
    seen->us = us_since(struck_ns);
    expect(seen, order(world, CTL_ACTIVATE, 0, 0, NULL) == ERR_NONE, "the agent is refused");
    expect(seen, status_until(world, GUARD_SAFE_STOP, 100, seen), "an agent's order opens the latch");
}

/* ---- orders that are not for this moment ---- */

enum untimely {
    RESTART_FIRST,
    RELEASE_IN_STOP,
    HOLD_IN_STOP,
    FALLBACK_IN_STOP,
    OVERRIDE_IN_STOP,
    REMOTE_RELEASE,
    REMOTE_RESET,
    TTL_WRONG
};

static void untimely(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    int what = row->variant;
    if (what == REMOTE_RELEASE)
        obeyed(seen, local(world, CTL_VERB_HOLD));
    else if (what != TTL_WRONG)
        obeyed(seen, local(world, CTL_VERB_STOP));
    int64_t struck_ns = now_ns();
    static const enum ctl_verb verbs[] = {CTL_VERB_RESTART,  CTL_VERB_RELEASE,  CTL_VERB_HOLD,
                                          CTL_VERB_FALLBACK, CTL_VERB_OVERRIDE, CTL_VERB_RELEASE,
                                          CTL_VERB_RESET};
    if (what == TTL_WRONG) {
        refused(seen, command(world->operator_fd, CTL_VERB_OVERRIDE, 0, 10, NULL, NULL));
        refused(seen, command(world->operator_fd, CTL_VERB_OVERRIDE, 0, 3600000, NULL, NULL));
    } else if (what == REMOTE_RELEASE || what == REMOTE_RESET) {
        refused(seen, remote(world, verbs[what], 0));
    } else {
        refused(seen, local(world, verbs[what]));
    }
    seen->us = us_since(struck_ns);
    end_in(world, row, seen);
}

/* ---- leases ---- */

enum leases { LOST, STALE_NUMBER, DOUBLED, LATE_RENEW, TAKEN_OVER, REPLAYED, TWO_AFAR, WRONG_RELEASE };

static void lease_fault(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_close int second = dial_as(world, CTL_ROLE_AGENT, seen);
    bool lost = row->variant == LOST || row->variant == LATE_RENEW;
    int64_t struck_ns = now_ns();
    uint64_t lease = hold_lease(world, world->agent, lost ? 200 : 60000, seen), next = 0;
    if (lost)
        status_until(world, GUARD_SAFE_STOP, PATIENCE_MS, seen);
    seen->us = us_since(struck_ns) - (lost ? 200000 : 0);
    if (row->variant == LATE_RENEW)
        refused(seen, remote(world, CTL_VERB_RENEW, lease));
    else if (row->variant == STALE_NUMBER)
        refused(seen, remote(world, CTL_VERB_RENEW, lease - 1));
    else if (row->variant == DOUBLED)
        refused(seen, remote(world, CTL_VERB_OVERRIDE, 0));
    else if (row->variant == TWO_AFAR)
        refused(seen, command(second, CTL_VERB_HOLD, 0, 0, NULL, NULL));
    else if (row->variant == WRONG_RELEASE)
        refused(seen, command(second, CTL_VERB_RELEASE, lease + 1, 0, NULL, NULL));
    else if (row->variant == TAKEN_OVER) {
        next = hold_lease(world, world->operator_fd, 60000, seen);
        refused(seen, remote(world, CTL_VERB_RENEW, lease));
        refused(seen, remote(world, CTL_VERB_RELEASE, lease));
        refused(seen, remote(world, CTL_VERB_OVERRIDE, 0));
    } else if (row->variant == REPLAYED) {
        obeyed(seen, remote(world, CTL_VERB_RELEASE, lease));
        obeyed(seen, remote(world, CTL_VERB_RESTART, 0));
        next = hold_lease(world, world->agent, 60000, seen);
        refused(seen, remote(world, CTL_VERB_RELEASE, lease));
    }
    expect(seen, next == 0 || next > lease, "lease %llu after %llu", (unsigned long long)next,
           (unsigned long long)lease);
    end_in(world, row, seen);
}

/* The operator's program dies with the lease in its hand. */
static void holder_dies(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_close int holder = dial_as(world, CTL_ROLE_OPERATOR, seen);
    (void)hold_lease(world, holder, 200, seen);
    int64_t struck_ns = now_ns();
    mem_cleanup_close(&holder);
    holder = -1;
    end_in(world, row, seen);
    seen->us = us_since(struck_ns) - 200000;
}

/* ---- faults ---- */

static void useless(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_limits limits = world_limits();
    limits.latch_after = 3;
    if (!world_ready(world, &(struct needs){.active = PRIMARY, .limits = &limits}, seen))
        return;
    runner_act(world, PRIMARY, ACT_FAIL);
    int64_t struck_ns = now_ns();
    for (int i = 0; i < 3; i++)
        frame_look(world, frame_send(world, 0, LONG_US), seen);
    end_in(world, row, seen);
    seen->us = us_since(struck_ns);
    runner_act(world, PRIMARY, ACT_WELL);
}

/* ---- over the death of the guard ---- */

struct way {
    enum ctl_verb verbs[4];
    bool estop;
};

static void come_back(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct way *way = row->detail;
    if (!ready(world, seen))
        return;
    cleanup_close int mirror = way->estop ? dial_as(world, CTL_ROLE_ESTOP, seen) : -1;
    if (way->estop)
        press(mirror, true, seen), status_until(world, GUARD_ESTOP, PATIENCE_MS, seen);
    for (size_t i = 0; i < ARRAY_LEN(way->verbs) && way->verbs[i]; i++)
        obeyed(seen, command(world->operator_fd, way->verbs[i], 0, 60000, NULL, NULL));
    guard_kill(world, SIGKILL);
    if (!guard_start(world, seen))
        return;
    int64_t struck_ns = now_ns();
    const struct ctl_limits limits = world_limits(); /* as the agent does after every restart */
    expect(seen, order(world, CTL_ADMIT, PRIMARY, 0, &limits) == ERR_NONE, "ADMIT is refused");
    for (int tries = 0; order(world, CTL_ACTIVATE, PRIMARY, 0, NULL) != ERR_NONE; tries++)
        if (nap_us(1000), !expect(seen, tries < 5000, "the runner does not come back"))
            return;
    if (robot_open(world, seen))
        end_in(world, row, seen);
    seen->us = us_since(struck_ns);
}

#define HUMAN IS_SAFE, BECAUSE(OVERSIGHT)
static const struct fault_case cases[] = {
    {"stop_mid_frame", "a stop, a frame in hand", NULL, order_mid_frame, HUMAN, GUARD_SAFE_STOP, ANSWERED,
     50000, 100, CTL_VERB_STOP, NULL},
    {"hold_mid_frame", "a hold, a frame in hand", NULL, order_mid_frame, HUMAN, GUARD_HOLD, ANSWERED, 50000,
     20, CTL_VERB_HOLD, NULL},
    {"override_mid_frame", "an override, a frame in hand", NULL, order_mid_frame, HUMAN, GUARD_OVERRIDE,
     ANSWERED, 50000, 20, CTL_VERB_OVERRIDE, NULL},
    {"estop_mid_frame", "the e-stop mirror says pressed, a frame in hand", NULL, estop_mid_frame, HUMAN,
     GUARD_ESTOP, ANSWERED, 50000, 10, 0, NULL},
    {"estop_mirror_lost", "the e-stop mirror goes away, a frame in hand", NULL, estop_mid_frame, HUMAN,
     GUARD_ESTOP, ANSWERED, 50000, 10, 1, NULL},
    {"estop_by_program", "the robot program says pressed, a frame in hand", NULL, estop_mid_frame, HUMAN,
     GUARD_ESTOP, ANSWERED, 50000, 10, 2, NULL},
    {"estop_during_override", "pressed while a human has the lease",
     "the lease is void; a restart is refused", estop_while, HUMAN, GUARD_ESTOP, ANSWERED, 50000, 5,
     CTL_VERB_OVERRIDE, NULL},
    {"estop_during_hold", "pressed while a human holds", "a restart is refused", estop_while, HUMAN,
     GUARD_ESTOP, ANSWERED, 50000, 5, CTL_VERB_HOLD, NULL},
    {"estop_during_stop", "pressed after a stop", "a restart is refused", estop_while, HUMAN, GUARD_ESTOP,
     ANSWERED, 50000, 5, CTL_VERB_STOP, NULL},
    {"estop_released", "the button is released", "nothing starts", released_starts_nothing, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 5, 0, NULL},
    {"stop_during_shadow", "a stop while a candidate shadows", "the agent opens no latch", stop_during, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 10, CTL_SHADOW, NULL},
    {"stop_during_switch", "a stop while a switch waits for the end of a sequence",
     "the agent opens no latch", stop_during, HUMAN, GUARD_SAFE_STOP, ANSWERED, 50000, 10, CTL_ACTIVATE,
     NULL},
    {"stop_in_standby", "a stop while nothing is live", "the agent opens no latch", stop_during, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 5, 0, NULL},
    {"restart_without_reset", "a restart after a stop, without a reset", "refused", untimely, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 5, RESTART_FIRST, NULL},
    {"release_during_stop", "a release after a stop", "refused", untimely, HUMAN, GUARD_SAFE_STOP, ANSWERED,
     50000, 5, RELEASE_IN_STOP, NULL},
    {"hold_during_stop", "a hold after a stop", "refused", untimely, HUMAN, GUARD_SAFE_STOP, ANSWERED, 50000,
     5, HOLD_IN_STOP, NULL},
    {"fallback_during_stop", "the fallback is wanted after a stop", "refused", untimely, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 5, FALLBACK_IN_STOP, NULL},
    {"override_during_stop", "an override after a stop", "refused", untimely, HUMAN, GUARD_SAFE_STOP,
     ANSWERED, 50000, 5, OVERRIDE_IN_STOP, NULL},
    {"remote_releases_local_hold", "a remote operator releases what a local one holds", "refused", untimely,
     HUMAN, GUARD_HOLD, ANSWERED, 50000, 5, REMOTE_RELEASE, NULL},
    {"remote_resets_local_stop", "a remote operator resets a local one's stop", "refused", untimely, HUMAN,
     GUARD_SAFE_STOP, ANSWERED, 50000, 5, REMOTE_RESET, NULL},
    {"lease_of_wrong_length", "a lease of 10 ms, and one of an hour", "both refused", untimely, IS_OK, 0,
     GUARD_AUTO, ANSWERED, 50000, 5, TTL_WRONG, NULL},
    {"lease_lost", "a lease of 200 ms is not renewed (timed: past its end, the latch written)", NULL,
     lease_fault, HUMAN, GUARD_SAFE_STOP, ANSWERED, 100000, 10, LOST, NULL},
    {"lease_renewed_late", "it is renewed after its end (timed: past its end, the latch written)", "refused",
     lease_fault, HUMAN, GUARD_SAFE_STOP, ANSWERED, 100000, 5, LATE_RENEW, NULL},
    {"lease_holder_dies",
     "the program of the local holder dies (timed: past the lease's end, the latch written)", NULL,
     holder_dies, HUMAN, GUARD_SAFE_STOP, ANSWERED, 100000, 5, 0, NULL},
    {"lease_stale_number", "renewed with an old number", "refused", lease_fault, HUMAN, GUARD_OVERRIDE,
     ANSWERED, 50000, 5, STALE_NUMBER, NULL},
    {"lease_doubled", "a second override while a lease is held", "refused", lease_fault, HUMAN,
     GUARD_OVERRIDE, ANSWERED, 50000, 5, DOUBLED, NULL},
    {"lease_two_operators", "a second remote operator's hold, without the number", "refused", lease_fault,
     HUMAN, GUARD_OVERRIDE, ANSWERED, 50000, 5, TWO_AFAR, NULL},
    {"lease_invented_number", "a release with a number that nobody was given", "refused", lease_fault, HUMAN,
     GUARD_OVERRIDE, ANSWERED, 50000, 5, WRONG_RELEASE, NULL},
    {"lease_taken_over", "a local operator takes over a remote one's lease",
     "the old number is void, for everything", lease_fault, HUMAN, GUARD_OVERRIDE, ANSWERED, 50000, 5,
     TAKEN_OVER, NULL},
    {"lease_release_replayed", "the release of an earlier lease comes once more", "refused", lease_fault,
     HUMAN, GUARD_OVERRIDE, ANSWERED, 50000, 5, REPLAYED, NULL},
    {"useless_frames_latch", "three frames in a row without a usable result, where the release allows two",
     NULL, useless, HUMAN, GUARD_SAFE_STOP, ANSWERED, 100000, 10, 0, NULL},
#define BACK(name_, says, ends_in, ...)                                                                      \
    {                                                                                                        \
        "guard_sigkill_in_" name_, "SIGKILL of the guard " says "; a new one, with model and program", NULL, \
            come_back, HUMAN, ends_in, ANSWERED, 500000, 5, 0, &(const struct way)                           \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
    BACK("hold", "in hold", GUARD_HOLD, {CTL_VERB_HOLD}, false),
    BACK("override", "in override: nobody holds a lease then", GUARD_SAFE_STOP, {CTL_VERB_OVERRIDE}, false),
    BACK("safe_stop", "in safe_stop", GUARD_SAFE_STOP, {CTL_VERB_STOP}, false),
    BACK("ack_wait", "in ack_wait", GUARD_ACK_WAIT, {CTL_VERB_STOP, CTL_VERB_RESET}, false),
    BACK("service", "in service", GUARD_SERVICE, {CTL_VERB_HOLD, CTL_VERB_SERVICE}, false),
    BACK("estop", "in estop", GUARD_ESTOP, {0}, true),
    {"guard_sigkill_in_forced", "SIGKILL of the guard while a human wants the fallback, which is not there",
     NULL, come_back, IS_SAFE, BECAUSE(RUNNER_LOST), GUARD_FORCED, ANSWERED, 500000, 5, 0,
     &(const struct way){{CTL_VERB_FALLBACK}, false}},
};
const struct group faults_human = {cases, ARRAY_LEN(cases)};
