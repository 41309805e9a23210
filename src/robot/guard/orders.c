/* What the agent asks for: ADMIT, ACTIVATE, RETIRE, STATUS; and the robot program's SCORE. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "robot/guard/state.h"

#include <math.h>

struct guard_runner *guard_runner_find(struct guard *guard, uint64_t generation)
{
    for (int i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (guard->runners[i].generation == generation)
            return &guard->runners[i];
    return NULL;
}

struct guard_runner *guard_runner_slot(struct guard *guard, uint64_t generation, const struct digest *release)
{
    struct guard_runner *found = guard_runner_find(guard, generation);
    if (found)
        return found;
    for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct guard_runner *runner = &guard->runners[i];
        if (runner->generation)
            continue;
        *runner = (struct guard_runner){.generation = generation,
                                        .release = *release,
                                        .results = {.fd = -1},
                                        .control = {.fd = -1},
                                        .bell_fd = -1};
        return runner;
    }
    return NULL;
}

static bool limits_ok(const struct ctl_limits *limits)
{
    return limits->deadline_us >= 1 && limits->deadline_us <= 60000000 && limits->label_count >= 1 &&
           limits->label_count <= 65536 && limits->max_detections <= RING_MAX_DETECTIONS &&
           isfinite(limits->min_score) && limits->min_score >= 0 && limits->min_score <= 1;
}

/* A runner that nobody admitted makes room for one that somebody does. */
static bool evict_stranger(struct guard *guard, int64_t now_ns)
{
    for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct guard_runner *runner = &guard->runners[i];
        if (runner->admitted || !runner->peer)
            continue;
        guard_peer_drop(guard, runner->peer, now_ns);
        return true;
    }
    return false;
}

static int admit(struct guard *guard, const struct ctl_message *order, int64_t now_ns, struct err *err)
{
    if (order->generation == 0 || !limits_ok(&order->limits))
        return err_set(err, ERR_INVALID, "generation or limits are out of range");
    struct guard_runner *runner = guard_runner_slot(guard, order->generation, &order->release);
    if (!runner && evict_stranger(guard, now_ns))
        runner = guard_runner_slot(guard, order->generation, &order->release);
    if (!runner)
        return err_set(err, ERR_TOO_BIG, "%d generations are known already: retire one", CTL_MAX_RUNNERS);
    if (!digest_equal(&runner->release, &order->release))
        return err_set(err, ERR_CONFLICT, "generation %llu is of another release",
                       (unsigned long long)order->generation);
    bool news = !runner->admitted;
    runner->limits = order->limits;
    runner->admitted = true;
    if (news)
        guard_runner_ready(guard, runner, now_ns);
    return 0;
}

static int deactivate(struct guard *guard, int64_t now_ns)
{
    uint64_t was = guard->active, spare = guard->fallback;
    guard_frames_scan(guard, now_ns);
    guard->active = guard->fallback = 0;
    guard_event(guard, GUARD_EV_DEACTIVATED, now_ns);
    guard_frames_reassign(guard, was, now_ns);
    guard_frames_reassign(guard, spare, now_ns);
    guard_direct(guard);
    return 0;
}

static int activate(struct guard *guard, const struct ctl_message *order, int64_t now_ns, struct err *err)
{
    if (order->generation == 0)
        return deactivate(guard, now_ns);
    if (order->generation == order->fallback)
        return err_set(err, ERR_INVALID, "a generation cannot be its own fallback");
    if (!guard_runner_live(guard_runner_find(guard, order->generation)))
        return err_set(err, ERR_CONFLICT, "generation %llu has no live, admitted runner",
                       (unsigned long long)order->generation);
    guard_frames_scan(guard, now_ns);
    if (guard->active != order->generation)
        log_info("generation %llu answers from frame %llu on", (unsigned long long)order->generation,
                 (unsigned long long)guard->stream.seen + 1);
    guard->active = order->generation;
    guard->fallback = order->fallback;
    guard_event(guard, GUARD_EV_PRIMARY_READY, now_ns);
    guard_direct(guard);
    return 0;
}

static int retire(struct guard *guard, const struct ctl_message *order, int64_t now_ns, struct err *err)
{
    struct guard_runner *runner = guard_runner_find(guard, order->generation);
    if (!runner)
        return 0; /* level-triggered: gone is gone */
    struct guard_peer *peer = runner->peer;
    if (peer) {
        struct ctl_message out;
        struct err ignored = {0};
        ctl_message_init(&out, CTL_EXIT);
        if (ctl_send(peer->fd, &out, NULL, &ignored) < 0)
            guard_peer_kill(peer);
        peer->doomed_ns = now_ns + 2000000000;
        peer->runner = NULL;
        guard_runner_disconnect(guard, runner);
    }
    if (runner->generation == guard->active)
        deactivate(guard, now_ns);
    else
        guard_runner_lost(guard, runner, now_ns);
    if (runner->generation == guard->fallback)
        guard->fallback = 0;
    runner->generation = 0;
    return 0;
}

static void score(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order)
{
    struct guard_runner *runner = guard_runner_find(guard, order->generation);
    const uint32_t most = 256;
    if (peer != guard->stream.peer || !runner || order->score.tp > most || order->score.fp > most ||
        order->score.fn > most)
        return;
    runner->counters.score_frames++;
    runner->counters.score_tp += order->score.tp;
    runner->counters.score_fp += order->score.fp;
    runner->counters.score_fn += order->score.fn;
}

static void send_status(struct guard *guard, struct guard_peer *peer)
{
    struct err err = {0};
    guard_fill_status(guard);
    if (ctl_send(peer->fd, &guard->status.header, NULL, &err) < 0)
        log_debug("status to process %d: %s", (int)peer->pid, err.text);
}

typedef int order_fn(struct guard *, const struct ctl_message *, int64_t, struct err *);

bool guard_order(struct guard *guard, struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns)
{
    static order_fn *const orders[] = {[CTL_ADMIT] = admit, [CTL_ACTIVATE] = activate, [CTL_RETIRE] = retire};
    if (order->kind == CTL_SCORE && peer->role == CTL_ROLE_CLIENT) {
        score(guard, peer, order);
        return true;
    }
    if (peer->role != CTL_ROLE_AGENT)
        return false;
    if (order->kind == CTL_STATUS_REQUEST) {
        send_status(guard, peer);
        return true;
    }
    if (order->kind >= ARRAY_LEN(orders) || !orders[order->kind])
        return false;
    struct err err = {0};
    int done = orders[order->kind](guard, order, now_ns, &err);
    if (done < 0)
        log_warn("agent's order %u for generation %llu: %s", order->kind,
                 (unsigned long long)order->generation, err.text);
    return guard_reply(peer, order, &err) == 0;
}
