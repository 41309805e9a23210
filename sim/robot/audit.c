#include "sim/robot/audit.h"

#include <string.h>

void audit_submitted(struct audit *audit, const struct guard_frame *frame)
{
    audit->frames[frame->seq % AUDIT_FRAMES] = *frame;
}

static bool same_detections(const struct muster_verdict *verdict, const struct ring_verdict *raw)
{
    return verdict->seq == raw->seq && verdict->generation == raw->generation &&
           verdict->count == raw->count &&
           memcmp(verdict->detections, raw->detections, raw->count * sizeof raw->detections[0]) == 0;
}

static bool sound(struct guard_frame *frame, const struct ring_verdict *raw, int64_t now_ns)
{
    struct guard_result result = {
        .seq = raw->seq,
        .stream = raw->stream,
        .generation = raw->generation,
        .count = raw->count,
        .room = RING_MAX_DETECTIONS,
        .detections = raw->detections,
    };
    struct ctl_limits limits = {
        .max_detections = raw->max_detections, .label_count = raw->label_count, .min_score = raw->min_score};
    frame->generation = raw->generation;
    bool in_time = raw->decided_ns >= frame->capture_ns && raw->decided_ns <= now_ns;
    return in_time && guard_check_result(&result, frame, &limits, raw->decided_ns,
                                         &(struct frame_cause){0}) == INTERVENTION_COUNT;
}

bool audit_answer(struct audit *audit, const struct muster_verdict *verdict, const struct ring_verdict *raw,
                  bool sealed, int64_t now_ns)
{
    struct guard_frame *frame = &audit->frames[verdict->seq % AUDIT_FRAMES];
    bool usable = verdict->answer == MUSTER_OK || verdict->answer == MUSTER_FALLBACK;
    bool ok = !usable || (sealed && frame->seq == verdict->seq && raw->count <= RING_MAX_DETECTIONS &&
                          same_detections(verdict, raw) && sound(frame, raw, now_ns));
    frame->decided = true;
    return ok;
}
