/* What the guard says, into the arena and to the trigger. */
#include "robot/recorder/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>
#include <time.h>

enum { LOST_EVERY_MS = 1000 };

/* ---- entries ---- */

void recorder_note(struct recorder *r, const char *text, int64_t now_ns)
{
    size_t len = strlen(text);
    void *entry = arena_put(&r->arena, ENTRY_LOG, now_ns, len);
    if (entry)
        memcpy(entry, text, len);
    log_info("%s", text);
}

void recorder_note_lost(struct recorder *r, int64_t now_ns, bool at_once)
{
    if ((r->lost.frames == 0 && r->lost.verdicts == 0) ||
        (!at_once && now_ns - r->lost_noted_ns < LOST_EVERY_MS * MS_NS))
        return;
    struct entry_lost *entry = arena_put(&r->arena, ENTRY_LOST, now_ns, sizeof *entry);
    if (entry)
        *entry = r->lost;
    r->lost = (struct entry_lost){0};
    r->lost_noted_ns = now_ns;
}

static void on_notice(const struct ctl_message *message, void *arg)
{
    struct recorder *r = arg;
    int64_t now_ns = clock_mono_ns();
    struct entry_notice *entry = arena_put(&r->arena, ENTRY_NOTICE, now_ns, sizeof *entry);
    struct trigger_why why = {0};
    str_copy(why.text, sizeof why.text, message->text);
    str_copy(why.who, sizeof why.who, message->command.who);
    str_copy(why.reason, sizeof why.reason, message->command.reason);
    if (entry) {
        *entry = (struct entry_notice){.notice = message->notice,
                                       .state = message->state,
                                       .result = message->result,
                                       .count = message->count,
                                       .generation = message->generation};
        str_copy(entry->text, sizeof entry->text, why.text);
        str_copy(entry->who, sizeof entry->who, why.who);
        str_copy(entry->reason, sizeof entry->reason, why.reason);
    }
    if (message->notice == CTL_NOTICE_LOST)
        trigger_pull(&r->trigger, CAUSE_RUNNER_LOST, &why, now_ns);
    if (message->state < GUARD_STATE_COUNT)
        trigger_state(&r->trigger, message->state, &why, now_ns);
}

static void on_attached(uint64_t stream, void *arg)
{
    struct recorder *r = arg;
    char text[64];
    snprintf(text, sizeof text, "a robot program is attached: stream %llu", (unsigned long long)stream);
    r->last_frame = 0;
    r->frame_due_ns = 0;
    r->verdict_gap_ns = 0;
    recorder_note(r, text, clock_mono_ns());
}

static void on_guard_lost(void *arg)
{
    struct recorder *r = arg;
    int64_t now_ns = clock_mono_ns();
    recorder_note(r, "the guard is gone", now_ns);
    trigger_pull(&r->trigger, CAUSE_GUARD_LOST, &(struct trigger_why){.text = "the guard hung up"}, now_ns);
}

const struct observer_events recorder_events = {
    .notice = on_notice, .attached = on_attached, .lost = on_guard_lost};

/* ---- verdicts ---- */

static void keep_verdict(struct recorder *r, int64_t now_ns)
{
    const struct ring_verdict *verdict = &r->verdict;
    size_t len = entry_verdict_bytes(verdict);
    void *entry = arena_put(&r->arena, ENTRY_VERDICT, now_ns, len);
    if (entry)
        memcpy(entry, verdict, len);
    if (verdict->state < GUARD_STATE_COUNT)
        trigger_state(&r->trigger, verdict->state, NULL, now_ns);
    if (verdict->status != RING_VERDICT_OK && verdict->reason < INTERVENTION_COUNT)
        trigger_intervention(&r->trigger, (enum intervention)verdict->reason, now_ns);
}

void recorder_take_verdicts(struct recorder *r, int64_t now_ns)
{
    unsigned taken = 0;
    for (uint64_t missed = 0; observer_verdict(&r->observer, &r->verdict, &missed) && taken < RING_MAX_SLOTS;
         taken++) {
        r->lost.verdicts += missed;
        keep_verdict(r, now_ns);
    }
    if (taken == 0)
        return;
    double gap_ns = (double)(now_ns - r->verdict_ns) / taken;
    r->verdict_gap_ns = r->verdict_gap_ns > 0 ? r->verdict_gap_ns + (gap_ns - r->verdict_gap_ns) / 4 : gap_ns;
    r->verdict_ns = now_ns;
}

/* ---- frames ---- */

int64_t recorder_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void keep_frame(struct recorder *r, uint64_t seq, int64_t now_ns)
{
    int64_t before_ns = recorder_cpu_ns();
    size_t bytes = 0;
    enum capture_result result =
        capture_frame(&r->capture, &r->observer.frames, r->observer.stream, seq, now_ns, &bytes);
    governor_frame(&r->governor, recorder_cpu_ns() - before_ns, bytes);
    r->lost.frames += result == CAPTURE_OVERTAKEN;
}

/* Short frames of numbers are a time series, of little use with holes: all of them, as long as the budget allows it. */
static bool is_series(const struct recorder *r, uint64_t newest)
{
    struct ring_frame head;
    return ring_read(&r->observer.frames, newest, &head, sizeof head) && head.format == RING_FLOAT32 &&
           head.width <= CAPTURE_MAX_VALUES &&
           (double)governor_floor_ns(&r->governor, r->trigger.open) <= r->verdict_gap_ns;
}

static void take_series(struct recorder *r, uint64_t newest, int64_t now_ns)
{
    uint32_t slots = r->observer.frames.slot_count;
    uint64_t oldest = newest >= slots ? newest - slots + 1 : 1;
    bool known = r->last_frame > 0 && r->last_frame < newest;
    uint64_t first = known ? r->last_frame + 1 : newest;
    if (first < oldest) {
        r->lost.frames += oldest - first;
        first = oldest;
    }
    for (uint64_t seq = first; seq <= newest; seq++)
        keep_frame(r, seq, now_ns);
}

void recorder_take_frame(struct recorder *r, int64_t now_ns)
{
    uint64_t newest = r->observer.stream ? ring_newest(&r->observer.frames) : 0;
    if (newest == 0 || newest == r->last_frame)
        return;
    if (is_series(r, newest)) {
        take_series(r, newest, now_ns);
    } else if (now_ns >= r->frame_due_ns) {
        keep_frame(r, newest, now_ns);
        int64_t interval_ns = governor_interval_ns(&r->governor, r->trigger.open);
        r->frame_due_ns = MAX(r->frame_due_ns + interval_ns, now_ns + interval_ns / 2);
    } else {
        return;
    }
    r->last_frame = newest;
}
