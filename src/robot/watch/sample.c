/* A frame as a sample. */
#include "robot/watch/inside.h"

#include "base/log.h"
#include "picture/picture.h"

#include <math.h>
#include <string.h>

enum { LONGEST_SIDE = 640, QUALITY = 80, MOST_SHRINK = 16 };

static void fill_answer(struct sample *sample, const struct ring_verdict *verdict)
{
    sample->is_values = verdict->kind == RING_VALUES;
    sample->count = verdict->count;
    if (sample->is_values)
        memcpy(sample->values, verdict->values, verdict->count * sizeof sample->values[0]);
    else
        memcpy(sample->detections, verdict->detections, verdict->count * sizeof sample->detections[0]);
}

static void begin_sample(struct core *core, const struct ring_verdict *verdict,
                         const struct choice_pick *pick, int64_t time_ms)
{
    struct sample *sample = &core->sample;
    *sample = (struct sample){.time_ms = MAX(time_ms, 0),
                              .release = verdict->release,
                              .seq = verdict->seq,
                              .stream = verdict->stream,
                              .reason = pick->reason,
                              .probability = pick->probability,
                              .signals = verdict->signals,
                              .picture = core->picture};
    fill_answer(sample, verdict);
}

/* Smaller until it fits. */
static bool encode(struct core *core, const struct core_frame *frame)
{
    uint32_t longer = MAX(frame->width, frame->height), shorter = MIN(frame->width, frame->height);
    uint32_t shrink = MAX((longer + LONGEST_SIDE - 1) / LONGEST_SIDE, 1u);
    for (; shrink <= MOST_SHRINK && shrink <= shorter; shrink *= 2) {
        struct err err = {0};
        struct picture_jpeg picture = {.rgb = frame->data,
                                       .width = (int)frame->width,
                                       .height = (int)frame->height,
                                       .shrink = (int)shrink,
                                       .quality = QUALITY};
        if (picture_encode_jpeg(&picture, core->picture, sizeof core->picture, &core->sample.picture_bytes,
                                &err) == 0)
            return true;
        if (err.code != ERR_TOO_BIG)
            return false;
    }
    return false;
}

static bool copy_values(struct core *core, const struct core_frame *frame)
{
    size_t bytes = (size_t)frame->width * sizeof(float);
    if (bytes > sizeof core->picture)
        return false;
    memcpy(core->picture, frame->data, bytes);
    core->sample.picture_bytes = bytes;
    return true;
}

static void send(struct core *core)
{
    cleanup_buf struct buf bytes = BUF_INIT(SAMPLE_MAX_PICTURE + (64 << 10));
    struct err err = {0};
    if (sample_format(&core->sample, &bytes, &err) < 0) {
        log_warn("%s", err.text);
        return;
    }
    choice_spent(&core->choice, bytes.len);
    if (core->outside.put(MAILBOX_SAMPLE, bytes.data, bytes.len, core->outside.arg) == 1)
        core->counts.samples++;
    else
        core->counts.samples_no_room++;
}

void sample_frame(struct core *core, const struct ring_verdict *verdict, const struct choice_pick *pick,
                  int64_t now_ms, int64_t wall_ms)
{
    struct core_frame frame;
    const struct core_outside *outside = &core->outside;
    begin_sample(core, verdict, pick, wall_ms);
    if (!outside->frame(verdict->stream, verdict->seq, &frame, outside->arg) ||
        !(frame.is_values ? copy_values(core, &frame) : encode(core, &frame)) ||
        !outside->still(verdict->stream, verdict->seq, outside->arg)) {
        core->counts.samples_without_frame++;
        return;
    }
    core->sample.time_ms = MAX(wall_ms - MAX(now_ms - frame.capture_ms, 0), 0);
    core->sample.width = frame.width;
    core->sample.height = frame.height;
    send(core);
}

/* ---- alarms of event models ---- */

void sample_event_frame(struct core *core, struct subject *subject)
{
    struct core_frame frame;
    struct subject_event *event = &subject->event;
    const struct core_outside *outside = &core->outside;
    uint64_t stream = event->verdict.stream, seq = event->verdict.seq;
    if (!outside->frame(stream, seq, &frame, outside->arg) || !frame.is_values ||
        frame.width > SUBJECT_EVENT_FLOATS)
        return;
    memcpy(event->frame, frame.data, frame.width * sizeof event->frame[0]);
    event->width = frame.width;
    event->has_frame = outside->still(stream, seq, outside->arg);
}

void sample_event(struct core *core, struct subject *subject, int64_t now_ms, int64_t wall_ms)
{
    struct subject_event *event = &subject->event;
    struct choice_pick pick;
    event->open = false;
    if (!choice_alarm(&core->choice, &pick))
        return;
    begin_sample(core, &event->verdict, &pick, event->time_ms);
    struct core_frame frame = {.data = event->frame, .width = event->width};
    if (!event->has_frame || !copy_values(core, &frame))
        core->counts.samples_without_frame++; /* an alarm is told all the same */
    core->sample.width = event->has_frame ? event->width : 0;
    core->sample.height = 1;
    core->sample.from_ms = MAX(wall_ms - (now_ms - event->from_ms), 0);
    core->sample.until_ms = MAX(wall_ms - (now_ms - event->last_ms), core->sample.from_ms);
    send(core);
}
