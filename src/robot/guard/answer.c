/* Who answers: events into the table of decide/guard_fsm.h, and its answer out to the runners' control pages.
 */
#include "base/log.h"
#include "base/mem.h"
#include "robot/guard/state.h"

bool guard_runner_live(const struct guard_runner *runner)
{
    return runner && runner->generation && runner->admitted && runner->peer;
}

struct guard_runner *guard_answerer(struct guard *guard)
{
    enum guard_answer answer = guard_fsm_answer(guard->state);
    if (answer == GUARD_ANSWER_SAFE)
        return NULL;
    struct guard_runner *runner =
        guard_runner_find(guard, answer == GUARD_ANSWER_PRIMARY ? guard->active : guard->fallback);
    return guard_runner_live(runner) ? runner : NULL;
}

static void tell(struct guard *guard, struct guard_runner *runner, bool active)
{
    struct ring_control page = {
        .stream = guard->stream.number,
        .from_seq = guard_oldest_open(guard, runner->generation),
        .until_seq = active ? UINT64_MAX : guard->stream.seen,
        .mode = active ? RING_MODE_ACTIVE : RING_MODE_IDLE,
    };
    runner->draining = runner->active;
    runner->active = active;
    runner->silent_frames = 0;
    if (ring_put(&runner->control, ++runner->control_seq, &page, sizeof page))
        ring_wake(&runner->control);
    struct ctl_message kick;
    struct err err = {0};
    ctl_message_init(&kick, CTL_ACTIVATE);
    if (active && ctl_send(runner->peer->fd, &kick, NULL, &err) < 0)
        log_warn("runner of generation %llu: %s", (unsigned long long)runner->generation, err.text);
}

void guard_direct(struct guard *guard)
{
    struct guard_runner *answerer = guard->stream.peer ? guard_answerer(guard) : NULL;
    if (answerer && !answerer->active)
        tell(guard, answerer, true); /* the new one first: no frame falls between the two */
    for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct guard_runner *runner = &guard->runners[i];
        if (runner->peer && runner != answerer && runner->active)
            tell(guard, runner, false);
    }
}

static void step(struct guard *guard, enum guard_event event)
{
    enum guard_state before = guard->state;
    guard->state = guard_fsm_step(before, event).next;
    if (guard->state != before)
        log_info("%s: %s -> %s, generation %llu, fallback %llu", guard_event_name(event),
                 guard_state_name(before), guard_state_name(guard->state), (unsigned long long)guard->active,
                 (unsigned long long)guard->fallback);
}

/* What is live may answer, if the state lets it: STANDBY is left in the same instant. */
static void settle(struct guard *guard)
{
    const struct guard_runner *primary = guard_runner_find(guard, guard->active);
    if (guard_runner_live(primary))
        step(guard, GUARD_EV_PRIMARY_READY);
    else if (guard_runner_live(guard_runner_find(guard, guard->fallback)))
        step(guard, GUARD_EV_FALLBACK_READY);
}

void guard_event(struct guard *guard, enum guard_event event, int64_t now_ns)
{
    guard_frames_scan(guard, now_ns); /* frames up to here belong to whoever was to answer them */
    step(guard, event);
    settle(guard);
}

void guard_runner_ready(struct guard *guard, const struct guard_runner *runner, int64_t now_ns)
{
    if (!guard_runner_live(runner))
        return;
    if (runner->generation == guard->active)
        guard_event(guard, GUARD_EV_PRIMARY_READY, now_ns);
    else if (runner->generation == guard->fallback)
        guard_event(guard, GUARD_EV_FALLBACK_READY, now_ns);
    guard_direct(guard);
}

void guard_runner_lost(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    if (runner->generation == guard->active)
        guard_event(guard, GUARD_EV_PRIMARY_LOST, now_ns);
    else if (runner->generation == guard->fallback)
        guard_event(guard, GUARD_EV_FALLBACK_LOST, now_ns);
    guard_frames_reassign(guard, runner->generation, now_ns);
    guard_direct(guard);
}
