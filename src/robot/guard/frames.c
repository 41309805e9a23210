/* Frames that the guard has seen, and their one verdict. The guard reads heads only; of the payload a sample, and only where
 * a release wants repeated pictures to be noticed. */
#include "base/mem.h"
#include "robot/guard/state.h"

#define MAX_WAIT_NS 60000000000ll

static struct guard_entry *slot(struct guard *guard, uint64_t seq)
{
    return &guard->stream.entries[seq % GUARD_PENDING];
}

struct guard_entry *guard_frame_find(struct guard *guard, uint64_t stream, uint64_t seq)
{
    struct guard_entry *entry = slot(guard, seq);
    bool same = guard->stream.peer && stream == guard->stream.number && seq != 0 && entry->frame.seq == seq;
    return same ? entry : NULL;
}

/* The first place (after `last`) of a frame that has no verdict yet; NULL: there is none. */
static struct guard_entry *next_open(struct guard *guard, struct guard_entry *last)
{
    struct guard_entry *entry = last ? last + 1 : guard->stream.entries;
    for (; guard->stream.peer && entry < guard->stream.entries + GUARD_PENDING; entry++)
        if (entry->frame.seq && !entry->frame.decided)
            return entry;
    return NULL;
}

/* Fills in everything but the payload. */
static void draft(struct guard *guard, const struct guard_entry *entry, const struct ring_result *result,
                  enum intervention reason, int64_t now_ns)
{
    struct ring_verdict *verdict = &guard->verdict;
    struct guard_runner *runner =
        reason == INTERVENED_OVERSIGHT ? NULL : guard_runner_find(guard, entry->frame.generation);
    verdict->seq = entry->frame.seq;
    verdict->stream = entry->frame.stream;
    verdict->generation = runner ? runner->generation : 0;
    verdict->release = runner ? runner->release : (struct digest){{0}};
    verdict->decided_ns = now_ns;
    verdict->capture_ns = entry->frame.capture_ns;
    verdict->deadline_ns = entry->frame.deadline_ns;
    verdict->run_ns = verdict->started_ns = verdict->finished_ns = 0;
    verdict->signals = result ? result->signals : (struct frame_signals){0};
    verdict->cause = entry->cause;
    verdict->status = RING_VERDICT_SAFE;
    verdict->reason = reason;
    verdict->state = guard->state;
    verdict->kind = RING_DETECTIONS;
    verdict->min_score = runner ? runner->limits.min_score : 0;
    verdict->max_detections = runner ? runner->limits.max_detections : 0;
    verdict->label_count = runner ? runner->limits.label_count : 0;
    verdict->count = 0;
}

/* Bytes of a payload, in whole words. */
static size_t payload_bytes(uint32_t kind, uint32_t count)
{
    size_t bytes = kind == RING_VALUES ? count * sizeof(float) : count * sizeof(struct detection);
    return bytes + bytes % 8; /* they come in halves */
}

static void draft_result(struct guard *guard, const struct guard_entry *entry,
                         const struct ring_result *result)
{
    struct ring_verdict *verdict = &guard->verdict;
    verdict->status = entry->fallback == INTERVENTION_COUNT ? RING_VERDICT_OK : RING_VERDICT_FALLBACK;
    verdict->reason = entry->fallback;
    verdict->run_ns = result->run_ns;
    verdict->started_ns = result->started_ns;
    verdict->finished_ns = result->finished_ns;
    verdict->kind = result->kind;
    verdict->count = result->count;
    if (result->kind == RING_VALUES) /* how many there have to be */
        verdict->max_detections = result->count;
    memcpy(verdict->detections, result->detections, payload_bytes(result->kind, result->count));
}

static void publish(struct guard *guard)
{
    const struct ring_verdict *verdict = &guard->verdict;
    size_t len = offsetof(struct ring_verdict, detections) + payload_bytes(verdict->kind, verdict->count);
    if (ring_put(&guard->stream.verdicts, verdict->seq, verdict, len))
        ring_wake(&guard->stream.verdicts);
}

static void count_safe(struct guard *guard, const struct guard_entry *entry, enum intervention reason,
                       int64_t now_ns)
{
    struct guard_runner *runner = guard_runner_find(guard, entry->frame.generation);
    guard->safe++;
    if (reason == INTERVENED_OVERSIGHT)
        guard->overridden += guard_runner_live(guard_runner_find(guard, guard->active)) ||
                             guard_runner_live(guard_runner_find(guard, guard->fallback));
    else
        guard_notice_intervention(guard, entry, reason, now_ns);
    if (!runner)
        return;
    runner->counters.interventions[reason]++;
    if (reason == INTERVENED_OVERSIGHT)
        return; /* nothing that a release could help */
    runner->counters.lost++;
    if (guard_fsm_answer(guard->state) !=
        GUARD_ANSWER_SAFE) /* somebody was meant to: a lost runner latches nothing */
        guard->fault |= guard_monitor_verdict(&guard->stream.monitor, false, &runner->limits);
}

static void count_checked(struct guard *guard, const struct guard_entry *entry,
                          const struct ring_result *result, int64_t now_ns)
{
    struct guard_runner *runner = guard_runner_find(guard, entry->frame.generation);
    guard->checked++; /* and the runner is there: it has just spoken */
    guard_count_result(&runner->counters, result, now_ns - entry->frame.capture_ns);
    (void)guard_monitor_verdict(&guard->stream.monitor, true, &runner->limits);
}

void guard_decide(struct guard *guard, struct guard_entry *entry, const struct ring_result *result,
                  enum intervention reason, int64_t now_ns)
{
    bool passed = reason == INTERVENTION_COUNT;
    draft(guard, entry, result, reason, now_ns);
    if (passed)
        draft_result(guard, entry, result);
    publish(guard);
    entry->frame.decided = true;
    if (passed)
        count_checked(guard, entry, result, now_ns);
    else
        count_safe(guard, entry, reason, now_ns);
    if (passed)
        guard_shadow_compare(guard);
}

/* Gives a frame to a generation, within the time that this one's release allows. */
static void give(struct guard *guard, struct guard_entry *entry, struct guard_runner *runner, int64_t now_ns)
{
    struct guard_frame *frame = &entry->frame;
    frame->generation = runner->generation;
    frame->deadline_ns =
        guard_frame_deadline_ns(frame->capture_ns, frame->deadline_ns, runner->limits.deadline_us);
    entry->fallback = INTERVENTION_COUNT;
    if (guard_fsm_answer(guard->state) == GUARD_ANSWER_FALLBACK)
        entry->fallback = guard->state == GUARD_FORCED ? INTERVENED_OVERSIGHT : INTERVENED_RUNNER_LOST;
    runner->counters.frames++;
    if (runner->silent_frames++ == 0)
        runner->silent_since_ns = now_ns;
}

/* Nobody can answer: if the agent named a generation, the frame counts as one that it failed. */
static void give_nobody(struct guard *guard, struct guard_entry *entry, int64_t now_ns)
{
    bool overruled = guard_overruled(guard->state);
    struct guard_runner *owed =
        overruled ? NULL
                  : guard_runner_find(guard, guard->state == GUARD_FORCED ? guard->fallback : guard->active);
    entry->frame.generation = owed ? owed->generation : 0;
    if (owed)
        owed->counters.frames++;
    guard_decide(guard, entry, NULL, overruled ? INTERVENED_OVERSIGHT : INTERVENED_RUNNER_LOST, now_ns);
}

/* What the frame itself shows: too old, or the same picture again. */
static void look_at(struct guard *guard, struct guard_entry *entry, const struct ring_frame *head,
                    const struct ctl_limits *limits, int64_t now_ns)
{
    const struct ring *frames = &guard->stream.frames;
    const uint8_t *body = limits->frozen_frames ? ring_peek(frames, entry->frame.seq) : NULL;
    size_t bytes = MIN(head->pixel_bytes, ring_pixel_capacity(frames));
    uint64_t picture = body ? guard_picture(body + sizeof *head, bytes) : 0;
    int64_t handed_ns = head->submitted_ns > 0 ? MIN(head->submitted_ns, now_ns) : now_ns;
    enum intervention finding = guard_monitor_frame(&guard->stream.monitor, picture, entry->frame.capture_ns,
                                                    limits, handed_ns, &entry->cause);
    if (finding != INTERVENTION_COUNT)
        guard_decide(guard, entry, NULL, finding, now_ns);
}

static void admit_frame(struct guard *guard, uint64_t seq, uint64_t newest, int64_t now_ns)
{
    struct ring_frame head;
    struct guard_stream *stream = &guard->stream;
    struct guard_runner *runner = guard_answerer(guard);
    bool whole = ring_read(&stream->frames, seq, &head, sizeof head);
    if (!whole)
        head = (struct ring_frame){.capture_ns = now_ns}; /* overwritten already: its time is up */
    struct guard_entry *entry = slot(guard, seq);
    if (entry->frame.seq && !entry->frame.decided)
        guard_decide(guard, entry, NULL, INTERVENED_STALE, now_ns);
    head.capture_ns = MAX(MIN(head.capture_ns, now_ns), 0);
    head.deadline_ns = MAX(MIN(head.deadline_ns, now_ns + MAX_WAIT_NS), 0);
    *entry = (struct guard_entry){.frame = {
                                      .seq = seq,
                                      .stream = stream->number,
                                      .capture_ns = head.capture_ns,
                                      .deadline_ns = head.deadline_ns,
                                      .width = head.width,
                                      .height = head.height,
                                  }};
    if (!runner) {
        give_nobody(guard, entry, now_ns);
    } else {
        give(guard, entry, runner, now_ns);
        if (whole)
            look_at(guard, entry, &head, &runner->limits, now_ns);
    }
    /* With none behind it yet: no frame is torn from its sequence. */
    guard_activate_due(guard, (head.flags & RING_FRAME_SEQUENCE_END) && seq == newest, now_ns);
}

/* Frames that were overwritten before the guard came to see them. (The number is the robot program's word:
 * capped.) */
static void skip(struct guard *guard, uint64_t count)
{
    struct guard_runner *runner = guard_answerer(guard);
    uint64_t lost = MIN(count, 1000);
    guard->stream.seen += count;
    guard->safe += lost;
    if (!runner)
        return;
    runner->counters.frames += lost;
    runner->counters.lost += lost;
    runner->counters.interventions[INTERVENED_STALE] += lost;
}

void guard_frames_scan(struct guard *guard, int64_t now_ns)
{
    struct guard_stream *stream = &guard->stream;
    if (!stream->peer)
        return;
    uint64_t newest = ring_newest(&stream->frames);
    if (newest <= stream->seen)
        return;
    stream->last_frame_ns = now_ns;
    if (newest - stream->seen > stream->frames.slot_count)
        skip(guard, newest - stream->seen - stream->frames.slot_count);
    while (stream->seen < newest)
        admit_frame(guard, ++stream->seen, newest, now_ns);
}

void guard_frames_expire(struct guard *guard, int64_t now_ns)
{
    for (struct guard_entry *entry = NULL; (entry = next_open(guard, entry));)
        if (now_ns > entry->frame.deadline_ns)
            guard_decide(guard, entry, NULL, INTERVENED_DEADLINE, now_ns);
        else if (guard->stream.seen - entry->frame.seq >= guard->stream.frames.slot_count)
            guard_decide(guard, entry, NULL, INTERVENED_STALE, now_ns);
}

static void reassign(struct guard *guard, struct guard_entry *entry, int64_t now_ns)
{
    struct guard_runner *next = guard_answerer(guard);
    if (!next) {
        guard_decide(guard, entry, NULL, INTERVENED_RUNNER_LOST, now_ns);
        return;
    }
    guard_runner_find(guard, entry->frame.generation)->counters.interventions[INTERVENED_RUNNER_LOST]++;
    give(guard, entry, next, now_ns);
}

void guard_frames_reassign(struct guard *guard, uint64_t from_generation, int64_t now_ns)
{
    for (struct guard_entry *entry = NULL; (entry = next_open(guard, entry));)
        if (entry->frame.generation == from_generation)
            reassign(guard, entry, now_ns);
}

void guard_frames_overrule(struct guard *guard, int64_t now_ns)
{
    for (struct guard_entry *entry = NULL; (entry = next_open(guard, entry));)
        guard_decide(guard, entry, NULL, INTERVENED_OVERSIGHT, now_ns);
}

uint64_t guard_oldest_open(struct guard *guard, uint64_t generation)
{
    uint64_t oldest = guard->stream.seen + 1;
    for (struct guard_entry *entry = NULL; (entry = next_open(guard, entry));)
        if (entry->frame.generation == generation)
            oldest = MIN(oldest, entry->frame.seq);
    return oldest;
}

int64_t guard_next_deadline_ns(struct guard *guard)
{
    int64_t next_ns = INT64_MAX;
    for (struct guard_entry *entry = NULL; (entry = next_open(guard, entry));)
        next_ns = MIN(next_ns, entry->frame.deadline_ns);
    return next_ns;
}
