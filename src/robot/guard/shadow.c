/* A candidate computes live frames beside the active generation: compared, never used, held against nobody. Its result and
 * the verdict of the same frame may come in either order; the verdict is in our own page, the result is kept here. */
#include "base/log.h"
#include "base/mem.h"
#include "robot/guard/state.h"

int guard_shadow_order(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                       int64_t now_ns, struct err *err)
{
    struct guard_runner *runner = guard_runner_find(guard, order->generation);
    if (!guard_runner_live(runner))
        return err_set(err, ERR_CONFLICT, "generation %llu has no live, admitted runner",
                       (unsigned long long)order->generation);
    if (order->count && runner == guard_answerer(guard))
        return err_set(err, ERR_CONFLICT, "generation %llu answers already",
                       (unsigned long long)order->generation);
    guard_frames_scan(guard, now_ns);
    for (int i = 0; order->count && i < CTL_MAX_RUNNERS; i++)
        guard->runners[i].shadow_left = 0; /* one at a time */
    if (order->count)
        runner->shadow_frames = runner->shadow_agreed = runner->shadow_failed = 0;
    runner->shadow_left = order->count;
    guard_shadow_forget(guard);
    guard_direct(guard);
    return 0;
}

void guard_shadow_forget(struct guard *guard)
{
    for (int i = 0; i < GUARD_SHADOWS; i++)
        guard->shadows[i].seq = 0;
}

static void counted(struct guard *guard, struct guard_runner *runner, uint64_t *what)
{
    ++*what;
    if (--runner->shadow_left == 0)
        guard_direct(guard);
}

static void compare(struct guard *guard, struct guard_runner *runner, const struct ring_verdict *verdict,
                    const struct ring_result *result)
{
    struct guard_payload shadow = guard_payload_of(result), active = {
                                                                .is_values = verdict->kind == RING_VALUES,
                                                                .count = verdict->count,
                                                                .detections = verdict->detections,
                                                                .values = verdict->values,
                                                            };
    runner->shadow_agreed += guard_agree(&active, &shadow);
    counted(guard, runner, &runner->shadow_frames);
}

bool guard_shadow_take(struct guard *guard, struct guard_runner *runner, const struct guard_entry *entry)
{
    const struct ring_result *result = &guard->result;
    if (runner->mode != RING_MODE_SHADOW || !entry || result->generation != runner->generation ||
        result->seq <= runner->shadow_seq)
        return runner->mode == RING_MODE_SHADOW || result->shadow;
    runner->shadow_seq = result->seq;
    struct guard_frame frame = entry->frame;
    frame.generation = runner->generation;
    frame.decided = false;
    if (result->status == RING_RESULT_STALE)
        return true; /* it runs beside the active one, at the lowest priority: slow is no fault */
    if (guard_judge(result, &frame, &runner->limits, frame.capture_ns, &(struct frame_cause){0}) !=
        INTERVENTION_COUNT) {
        counted(guard, runner, &runner->shadow_failed);
        return true;
    }
    const struct ring_verdict *verdict =
        entry->frame.decided ? ring_peek(&guard->stream.verdicts, result->seq) : NULL;
    if (!entry->frame.decided)
        guard->shadows[result->seq % GUARD_SHADOWS] = *result;
    else if (verdict && verdict->status != RING_VERDICT_SAFE)
        compare(guard, runner, verdict, result);
    return true;
}

void guard_shadow_compare(struct guard *guard)
{
    struct ring_result *result = &guard->shadows[guard->verdict.seq % GUARD_SHADOWS];
    if (result->seq != guard->verdict.seq) /* of this stream: a new one forgets them all */
        return;
    struct guard_runner *runner = guard_runner_find(guard, result->generation);
    if (runner && runner->shadow_left)
        compare(guard, runner, &guard->verdict, result);
    result->seq = 0;
}
