/* Results: copied first, then looked at. */
#include "base/mem.h"
#include "robot/guard/state.h"

static void out_of_sequence(struct guard_runner *runner)
{
    if (runner->draining)
        runner->draining =
            false; /* it was at work when it was told to stop: nothing passes, nothing is held against it */
    else
        runner->counters.interventions[INTERVENED_SEQUENCE]++;
}

static void count_run(struct guard *guard, struct guard_runner *runner, const struct guard_frame *frame,
                      int64_t now_ns)
{
    struct ring_result *result = &guard->result;
    result->run_ns = guard_plausible_run_ns(result->run_ns, frame->capture_ns, now_ns);
    if (result->status != RING_RESULT_OK)
        return;
    guard_count_latency(runner->counters.infer_us, result->run_ns);
    runner->counters.infer_sum_us += (double)result->run_ns / 1000.0;
}

struct guard_payload guard_payload_of(const struct ring_result *result)
{
    return (struct guard_payload){.is_values = result->kind == RING_VALUES,
                                  .count = result->count,
                                  .detections = result->detections,
                                  .values = result->values};
}

enum intervention guard_judge(const struct ring_result *result, const struct guard_frame *frame,
                              const struct ctl_limits *limits, int64_t now_ns, struct frame_cause *why)
{
    if (result->status == RING_RESULT_STALE)
        return INTERVENED_STALE;
    if (result->status == RING_RESULT_NOT_FINITE)
        return INTERVENED_NOT_FINITE;
    if (result->status != RING_RESULT_OK || result->kind > RING_VALUES)
        return INTERVENED_OTHER;
    struct guard_result claim = {.seq = result->seq,
                                 .stream = result->stream,
                                 .generation = result->generation,
                                 .count = result->count,
                                 .room = result->kind == RING_VALUES ? RING_MAX_VALUES : RING_MAX_DETECTIONS,
                                 .is_values = result->kind == RING_VALUES,
                                 .detections = result->detections,
                                 .values = result->values};
    return guard_check_result(&claim, frame, limits, now_ns, why);
}

/* Sound by itself: does it follow from what came before? */
static enum intervention judge_in_time(struct guard *guard, const struct guard_runner *runner,
                                       struct guard_entry *entry, int64_t now_ns)
{
    const struct guard_frame *frame = &entry->frame;
    enum intervention finding = guard_judge(&guard->result, frame, &runner->limits, now_ns, &entry->cause);
    if (finding != INTERVENTION_COUNT)
        return finding;
    struct guard_payload payload = guard_payload_of(&guard->result);
    return guard_monitor_result(&guard->stream.monitor, &payload, runner->generation, frame->capture_ns,
                                frame->width, frame->height, &runner->limits, &entry->cause);
}

/* guard->result holds the private copy. */
static void take(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    struct ring_result *result = &guard->result;
    guard_frames_scan(guard, now_ns);
    struct guard_entry *entry = guard_frame_find(guard, result->stream, result->seq);
    bool asked =
        entry && entry->frame.generation == runner->generation && result->generation == runner->generation;
    if (!asked || entry->answered) {
        if (!guard_shadow_take(guard, runner, entry))
            out_of_sequence(runner);
        return;
    }
    entry->answered = true;
    runner->silent_frames = 0;
    count_run(guard, runner, &entry->frame, now_ns);
    if (entry->frame.decided)
        return; /* late: the deadline was its verdict */
    enum intervention finding = judge_in_time(guard, runner, entry, now_ns);
    guard_decide(guard, entry, result, finding, now_ns);
}

/* Copies the head, then only as much as it names; a count beyond the room is judged, not read. */
static bool copy_result(struct guard_runner *runner, uint64_t index, struct ring_result *out)
{
    const size_t head = offsetof(struct ring_result, detections);
    if (!ring_read(&runner->results, index, out, head))
        return false;
    uint32_t claimed = out->count, kind = out->kind;
    size_t bytes = kind == RING_VALUES
                       ? MIN(claimed, (uint32_t)RING_MAX_VALUES) * sizeof out->values[0]
                       : MIN(claimed, (uint32_t)RING_MAX_DETECTIONS) * sizeof out->detections[0];
    if (!ring_read(&runner->results, index, out, head + bytes + bytes % 8))
        return false;
    return out->count == claimed && out->kind == kind; /* it changed between the two looks: not a result */
}

void guard_results_drain(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    if (!runner->peer)
        return;
    uint64_t newest = ring_newest(&runner->results);
    if (newest >= runner->next_result && newest - runner->next_result >= runner->results.slot_count)
        runner->next_result = newest - runner->results.slot_count + 1;
    /* Bounded by the ring, whatever `newest` says. */
    for (uint32_t i = 0; i < runner->results.slot_count && runner->next_result <= newest;
         i++, runner->next_result++)
        if (copy_result(runner, runner->next_result, &guard->result))
            take(guard, runner, now_ns);
        else
            runner->counters.interventions[INTERVENED_OTHER]++;
}
