/* Who answers: events into the table of decide/guard_fsm.h, and its answer out to the runners' control pages.
 */
#include "base/log.h"
#include "base/mem.h"
#include "robot/guard/state.h"

bool guard_runner_live(const struct guard_runner *runner)
{
    return runner && runner->admitted && runner->peer;
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

static enum ring_mode mode_for(const struct guard *guard, const struct guard_runner *runner,
                               const struct guard_runner *answerer)
{
    if (!guard->stream.peer)
        return RING_MODE_IDLE;
    if (runner == answerer)
        return RING_MODE_ACTIVE;
    return runner->shadow_left ? RING_MODE_SHADOW : RING_MODE_IDLE;
}

static void kick(const struct guard_runner *runner)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ACTIVATE);
    if (ctl_send(runner->peer->fd, &message, NULL, &err) < 0)
        log_warn("runner of generation %llu: %s", (unsigned long long)runner->generation, err.text);
}

static void tell(struct guard *guard, struct guard_runner *runner, enum ring_mode mode)
{
    struct ring_control page = {
        .stream = guard->stream.number,
        .from_seq = guard_oldest_open(guard, runner->generation),
        .until_seq = mode == RING_MODE_IDLE ? guard->stream.seen : UINT64_MAX,
        .mode = mode,
        .flags = guard->options.spin ? RING_CONTROL_NO_BELL : 0,
    };
    runner->draining = runner->mode == RING_MODE_ACTIVE;
    runner->mode = mode;
    runner->silent_frames = 0;
    if (mode == RING_MODE_ACTIVE)
        runner->shadow_left = 0;
    (void)ring_put(&runner->control, ++runner->control_seq, &page, sizeof page);
    ring_wake(&runner->control);
    if (mode != RING_MODE_IDLE)
        kick(runner);
}

void guard_direct(struct guard *guard)
{
    struct guard_runner *answerer = guard->stream.peer ? guard_answerer(guard) : NULL;
    if (answerer && answerer->mode != RING_MODE_ACTIVE)
        tell(guard, answerer, RING_MODE_ACTIVE); /* the new one first: no frame falls between the two */
    if (guard->stream.peer)
        ring_ask(&guard->stream.verdicts, answerer ? answerer->limits.deadline_us / 2 : 0);
    if (!answerer)
        guard->next_tick_ns = 0; /* a frame that came just before */
    for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct guard_runner *runner = &guard->runners[i];
        enum ring_mode mode = mode_for(guard, runner, answerer);
        if (runner->peer && runner->mode != mode)
            tell(guard, runner, mode);
    }
}

static void step(struct guard *guard, enum guard_event event)
{
    enum guard_state before = guard->state;
    guard->state = guard_fsm_step(before, event).next;
    oversight_follow(&guard->oversight, guard->state);
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
        step(guard, primary->degraded ? GUARD_EV_PRIMARY_DEGRADED : GUARD_EV_PRIMARY_READY);
    else if (guard_runner_live(guard_runner_find(guard, guard->fallback)))
        step(guard, GUARD_EV_FALLBACK_READY);
}

/* The verdicts come first, then the disk, then the news. */
static void entered(struct guard *guard, enum guard_state before, int64_t now_ns)
{
    char text[64];
    snprintf(text, sizeof text, "%s -> %s", guard_state_name(before), guard_state_name(guard->state));
    if (guard_overruled(guard->state))
        guard_frames_overrule(guard, now_ns);
    else if (guard_overruled(before))
        guard_monitor_init(&guard->stream.monitor);
    guard_keep(guard);
    guard_notice(guard, CTL_NOTICE_STATE, guard->active, text);
}

static void rise(struct guard *guard, enum guard_state before, int64_t now_ns)
{
    settle(guard);
    if (guard->state != before)
        entered(guard, before, now_ns);
}

static void raise_event(struct guard *guard, enum guard_event event, int64_t now_ns)
{
    guard_frames_scan(guard, now_ns); /* frames up to here belong to whoever was to answer them */
    enum guard_state before = guard->state;
    step(guard, event);
    rise(guard, before, now_ns);
}

void guard_event(struct guard *guard, enum guard_event event, int64_t now_ns)
{
    raise_event(guard, event, now_ns);
    guard_direct(guard);
}

/* From the next frame that is admitted on. */
void guard_activate(struct guard *guard, uint64_t generation, uint64_t fallback, int64_t now_ns)
{
    if (guard->active != generation)
        log_info("generation %llu answers from frame %llu on", (unsigned long long)generation,
                 (unsigned long long)guard->stream.seen + 1);
    guard->active = generation;
    guard->fallback = fallback;
    guard->next.generation = 0;
    rise(guard, guard->state, now_ns);
    guard_direct(guard);
}

void guard_runners_changed(struct guard *guard, int64_t now_ns)
{
    guard_frames_scan(guard, now_ns);
    rise(guard, guard->state, now_ns);
    guard_direct(guard);
}

/* No look at the frames in between: one that came since the runner went is not its own, but whoever's answers now. */
void guard_runner_lost(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    enum guard_state before = guard->state;
    if (runner->generation == guard->active)
        step(guard, GUARD_EV_PRIMARY_LOST);
    else if (runner->generation == guard->fallback)
        step(guard, GUARD_EV_FALLBACK_LOST);
    rise(guard, before, now_ns);
    guard_frames_reassign(guard, runner->generation,
                          now_ns); /* before whoever inherits them is told where to begin */
    guard_direct(guard);
}
