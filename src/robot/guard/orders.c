/* Packets after HELLO: who may send which, and the agent's orders about generations. */
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
    bool envelope = limits->value_count
                        ? limits->value_count <= RING_MAX_VALUES && isfinite(limits->value_min) &&
                              isfinite(limits->value_max) && limits->value_min <= limits->value_max
                        : limits->label_count >= 1 && limits->label_count <= 65536 &&
                              limits->max_detections <= RING_MAX_DETECTIONS && limits->min_score >= 0 &&
                              limits->min_score <= 1;
    return envelope && limits->deadline_us >= 1 && limits->deadline_us <= 60000000 &&
           limits->max_age_us <= 60000000 && isfinite(limits->max_rate) && limits->max_rate >= 0 &&
           isfinite(limits->max_jump) && limits->max_jump >= 0;
}

/* A runner that nobody admitted makes room for one that somebody does. */
static void evict_stranger(struct guard *guard, int64_t now_ns)
{
    for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct guard_runner *runner = &guard->runners[i];
        if (runner->admitted)
            continue;
        guard_peer_drop(guard, runner->peer, now_ns);
        return;
    }
}

static int admit(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns, struct err *err)
{
    if (order->generation == 0 || !limits_ok(&order->limits))
        return err_set(err, ERR_INVALID, "generation or limits are out of range");
    struct guard_runner *runner = guard_runner_slot(guard, order->generation, &order->release);
    if (!runner) {
        evict_stranger(guard, now_ns);
        runner = guard_runner_slot(guard, order->generation, &order->release);
    }
    if (!runner)
        return err_set(err, ERR_TOO_BIG, "%d generations are known already: retire one", CTL_MAX_RUNNERS);
    if (!digest_equal(&runner->release, &order->release))
        return err_set(err, ERR_CONFLICT, "generation %llu is of another release",
                       (unsigned long long)order->generation);
    runner->limits = order->limits;
    runner->admitted = true;
    guard_runners_changed(guard, now_ns); /* or it has another deadline now */
    return 0;
}

static int deactivate(struct guard *guard, int64_t now_ns)
{
    uint64_t was = guard->active, spare = guard->fallback;
    guard_frames_scan(guard, now_ns);
    guard->active = guard->fallback = guard->next.generation = 0;
    guard_event(guard, GUARD_EV_DEACTIVATED, now_ns);
    guard_frames_reassign(guard, was, now_ns);
    guard_frames_reassign(guard, spare, now_ns);
    return 0;
}

static int activate(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                    int64_t now_ns, struct err *err)
{
    if (order->generation == 0)
        return deactivate(guard, now_ns);
    if (order->generation == order->fallback)
        return err_set(err, ERR_INVALID, "a generation cannot be its own fallback");
    if (!guard_runner_live(guard_runner_find(guard, order->generation)))
        return err_set(err, ERR_CONFLICT, "generation %llu has no live, admitted runner",
                       (unsigned long long)order->generation);
    guard_frames_scan(guard, now_ns);
    if (!order->count || !guard_runner_live(guard_runner_find(guard, guard->active))) {
        guard_activate(guard, order->generation, order->fallback, now_ns);
        return 0;
    }
    if (guard->next.generation != order->generation) /* said again and again: it waits since the first time */
        guard->next.until_ns = now_ns + CTL_SEQUENCE_WAIT_MS * 1000000ll;
    guard->next.generation = order->generation;
    guard->next.fallback = order->fallback;
    return 0;
}

void guard_activate_due(struct guard *guard, bool sequence_ends, int64_t now_ns)
{
    uint64_t generation = guard->next.generation;
    if (!generation || !(sequence_ends || !guard->stream.peer || now_ns >= guard->next.until_ns))
        return;
    if (guard_runner_live(guard_runner_find(guard, generation)))
        guard_activate(guard, generation, guard->next.fallback, now_ns);
    guard->next.generation = 0;
}

static int retire(struct guard *guard, const struct guard_peer *asker, const struct ctl_message *order,
                  int64_t now_ns, struct err *err)
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
        guard_frames_scan(guard, now_ns);
        guard_runner_disconnect(guard, runner);
    }
    if (runner->generation == guard->active)
        deactivate(guard, now_ns);
    else
        guard_runner_lost(guard, runner, now_ns);
    if (runner->generation == guard->fallback)
        guard->fallback = 0;
    if (runner->generation == guard->next.generation)
        guard->next.generation = 0;
    runner->generation = 0;
    return 0;
}

static int score(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns, struct err *err)
{
    struct guard_runner *runner = guard_runner_find(guard, order->generation);
    const uint32_t most = 256;
    if (!runner || order->score.tp > most || order->score.fp > most || order->score.fn > most)
        return 0;
    runner->counters.score_frames++;
    runner->counters.score_tp += order->score.tp;
    runner->counters.score_fp += order->score.fp;
    runner->counters.score_fn += order->score.fn;
    return 0;
}

/* There is one to look at. */
static int frame(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns, struct err *err)
{
    guard_frames_scan(guard, now_ns);
    return 0;
}

static int send_status(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                       int64_t now_ns, struct err *err)
{
    guard_fill_status(guard);
    if (ctl_send(peer->fd, &guard->status.header, NULL, err) < 0)
        log_debug("status to process %d: %s", (int)peer->pid, err->text);
    return 0;
}

enum {
    CLIENT = 1 << CTL_ROLE_CLIENT,
    AGENT = 1 << CTL_ROLE_AGENT,
    OPERATOR = 1 << CTL_ROLE_OPERATOR,
    ESTOP = 1 << CTL_ROLE_ESTOP,
    OBSERVER = 1 << CTL_ROLE_OBSERVER,
};

static const struct order_row {
    int (*carry_out)(struct guard *, const struct guard_peer *, const struct ctl_message *, int64_t,
                     struct err *);
    unsigned roles;
    bool reply;
} orders[CTL_KIND_END] = {
    [CTL_ADMIT] = {admit, AGENT, true},
    [CTL_ACTIVATE] = {activate, AGENT, true},
    [CTL_RETIRE] = {retire, AGENT, true},
    [CTL_SHADOW] = {guard_shadow_order, AGENT, true},
    [CTL_COMMAND] = {guard_command, AGENT | OPERATOR, true},
    [CTL_STATUS_REQUEST] = {send_status, AGENT | OPERATOR | OBSERVER, false},
    [CTL_SCORE] = {score, CLIENT, false},
    [CTL_FRAME] = {frame, CLIENT, false},
    [CTL_ESTOP] = {guard_estop, CLIENT | ESTOP, false},
};

bool guard_order(struct guard *guard, struct guard_peer *peer, const struct ctl_message *order,
                 int64_t now_ns)
{
    const struct order_row *row = &orders[order->kind];
    if (!row->carry_out || !(row->roles & 1u << peer->role))
        return false;
    struct err err = {0};
    int done = row->carry_out(guard, peer, order, now_ns, &err);
    if (done < 0)
        log_warn("order %u for generation %llu: %s", order->kind, (unsigned long long)order->generation,
                 err.text);
    if (!row->reply)
        return true;
    bool lease = done == 0 && order->kind == CTL_COMMAND && order->command.verb == CTL_VERB_OVERRIDE;
    return guard_reply(peer, order, lease ? guard->oversight.lease : order->generation, &err) == 0;
}
