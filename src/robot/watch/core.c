/* Releases come and go, verdicts, windows. */
#include "robot/watch/inside.h"

#include "base/log.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEEN_FRAMES = 64,
    JUMP_MS = 5000,
    DAY_MS = 86400000,
    QUARTER_DAYS = 90,
    MAX_BLOCK_FRAMES = 1 << 20,
    OFF_PACE_WINDOWS = 10
};

/* ---- setting up ---- */

static void set_defaults(struct core_options *o)
{
    o->contexts = o->contexts ? o->contexts : 8;
    o->burn_in = o->burn_in ? o->burn_in : 60;
    o->window_ms = o->window_ms ? o->window_ms : 60000;
    o->block_ms = o->block_ms ? o->block_ms : 60000;
    o->detail_every = o->detail_every ? o->detail_every : 5;
    o->save_ms = o->save_ms ? o->save_ms : 300000;
    o->site_sd = o->site_sd > 0 ? o->site_sd : 2;
    o->robots = o->robots > 0 ? o->robots : 100;
    o->alarms = o->alarms > 0 ? o->alarms : 1;
}

int core_new(const struct core_options *options, const struct core_outside *outside, int64_t now_ms,
             int64_t wall_ms, struct core **out, struct err *err)
{
    cleanup_core struct core *core = mem_zalloc(1, sizeof *core);
    if (!core)
        return err_no_memory(err);
    core->options = *options;
    core->outside = *outside;
    set_defaults(&core->options);
    if (core->options.keep_dir && keep_open(core->options.keep_dir, err) < 0)
        return -1;
    choice_init(&core->choice, &core->options.choice);
    core->window_ms = core->save_ms = now_ms;
    core->window_wall_ms = core->detail_wall_ms = core->machine_wall_ms = wall_ms;
    core->offset_ms = wall_ms - now_ms;
    *out = TAKE_PTR(core);
    return 0;
}

void core_free(struct core *core)
{
    for (int i = 0; i < CORE_SUBJECTS; i++)
        subject_free(&core->subjects[i]);
    free(core);
}

/* ---- releases ---- */

static struct subject *find(const struct core *core, const struct digest *release)
{
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used && digest_equal(&core->subjects[i].release, release))
            return (struct subject *)&core->subjects[i];
    return NULL;
}

void core_save(struct core *core, const struct subject *subject)
{
    struct err err = {0};
    if (subject_save(subject, core->options.keep_dir, &core->kept, &err) < 0)
        log_warn("%s", err.text);
}

static void judge(struct core *core, struct subject *subject, uint32_t block_frames, int64_t wall_ms)
{
    const struct core_options *o = &core->options;
    struct err err = {0};
    bool damaged = false;
    struct drift_options options = {
        .block_frames = block_frames,
        .contexts = o->contexts,
        .burn_in = o->burn_in,
        .site_sd = o->site_sd,
        .arl_blocks = drift_budget(o->alarms, o->robots, QUARTER_DAYS, (double)o->block_ms / 1e3)};
    if (subject_judge(subject, o->keep_dir, &options, &core->kept, &damaged, &err) < 0) {
        log_warn("no drift is looked for: %s", err.text);
        subject->about.has_profile = false;
    }
    if (damaged)
        tell_note(core, &subject->release, "state",
                  "what was learned of this release is damaged and was set aside; it is learned anew", NAN,
                  wall_ms);
    alarm_seen(core, subject);
}

/* The place of the one that was silent for longest. */
static struct subject *make_room(struct core *core)
{
    struct subject *oldest = &core->subjects[0];
    for (int i = 0; i < CORE_SUBJECTS; i++) {
        struct subject *subject = &core->subjects[i];
        if (!subject->used)
            return subject;
        if (subject->last_ms < oldest->last_ms)
            oldest = subject;
    }
    core_save(core, oldest);
    return oldest;
}

static struct subject *enter(struct core *core, const struct digest *release, int64_t now_ms, int64_t wall_ms)
{
    struct err err = {0};
    struct subject *subject = make_room(core);
    subject_free(subject);
    *subject =
        (struct subject){.used = true, .release = *release, .last_ms = now_ms, .pace_since_ms = now_ms};
    if (core->outside.load(release, &subject->about, core->outside.arg, &err) < 0) {
        log_warn("watched without its profile: %s", err.text);
        subject->about = (struct subject_about){.threshold = NAN};
    }
    window_begin(&subject->window, wall_ms);
    window_begin(&subject->detail, wall_ms);
    judge(core, subject, core->options.block_frames, wall_ms);
    return subject;
}

void core_engine(struct core *core, const struct digest *release, const char *engine)
{
    struct subject *subject = find(core, release);
    if (subject)
        str_copy(subject->engine, sizeof subject->engine, engine);
}

/* ---- verdicts ---- */

void core_stream(struct core *core, uint64_t stream)
{
    core->stream = stream;
    core->newest = core->seen = 0;
}

/* True the first time that a frame is decided. */
static bool is_new(struct core *core, const struct ring_verdict *verdict)
{
    if (verdict->stream != core->stream)
        core_stream(core, verdict->stream);
    uint64_t ahead = verdict->seq - core->newest;
    if (verdict->seq > core->newest) {
        core->seen = ahead < SEEN_FRAMES ? core->seen << ahead | 1 : 1;
        core->newest = verdict->seq;
        return true;
    }
    uint64_t behind = core->newest - verdict->seq;
    if (behind >= SEEN_FRAMES) {
        core->counts.too_old++;
        return false;
    }
    bool twice = core->seen >> behind & 1;
    core->counts.duplicates += twice;
    core->seen |= UINT64_C(1) << behind;
    return !twice;
}

static uint32_t context_of(const struct core *core, int64_t wall_ms)
{
    int64_t of_day_ms = (wall_ms % DAY_MS + DAY_MS) % DAY_MS;
    return (uint32_t)(of_day_ms * core->options.contexts / DAY_MS);
}

static void take_answer(struct core *core, struct subject *subject, const struct ring_verdict *verdict,
                        int64_t now_ms, int64_t wall_ms)
{
    subject->pace_frames++;
    window_add(&subject->window, verdict);
    if (verdict->signals.valid && subject->drift &&
        drift_frame(subject->drift, verdict->signals.values, context_of(core, wall_ms)))
        alarm_look(core, subject, wall_ms);
    if (subject_event_frame(subject, verdict, now_ms, wall_ms) == EDGE_BETTER)
        sample_event_frame(core, subject);
}

void core_verdict(struct core *core, const struct ring_verdict *verdict, int64_t now_ms, int64_t wall_ms)
{
    struct choice_pick pick;
    if (!is_new(core, verdict))
        return;
    core->counts.verdicts++;
    bool answered = verdict->status == RING_VERDICT_OK || verdict->status == RING_VERDICT_FALLBACK;
    struct subject *subject = find(core, &verdict->release);
    if (!subject && answered && !digest_is_zero(&verdict->release))
        subject = enter(core, &verdict->release, now_ms, wall_ms);
    if (subject)
        subject->last_ms = now_ms;
    if (subject && answered)
        take_answer(core, subject, verdict, now_ms, wall_ms);
    struct cases_about about = {subject ? subject->about.version : "", subject ? subject->engine : ""};
    cases_add(&core->cases, verdict, &about, now_ms, wall_ms);
    if (choice_frame(&core->choice, verdict, subject ? subject->about.threshold : NAN, &pick))
        sample_frame(core, verdict, &pick, now_ms, wall_ms);
}

void core_missed(struct core *core, uint64_t verdicts)
{
    core->counts.missed += verdicts;
}

void core_ask(struct core *core)
{
    choice_ask(&core->choice);
}

/* ---- time ---- */

/* How many frames make a block is known once a window has shown the pace; later it stays, unless the pace is another one for long. */
static void look_at_pace(struct core *core, struct subject *subject, int64_t now_ms, int64_t wall_ms)
{
    int64_t for_ms = now_ms - subject->pace_since_ms;
    double frames = (double)subject->pace_frames * (double)core->options.block_ms / (double)MAX(for_ms, 1);
    subject->pace_since_ms = now_ms;
    subject->pace_frames = 0;
    if (core->options.block_frames || frames < 1)
        return;
    uint32_t block_frames = (uint32_t)MIN(frames, (double)MAX_BLOCK_FRAMES);
    double ratio = subject->drift ? frames / subject->options.block_frames : 1;
    subject->off_pace = ratio > 3 || ratio < 1.0 / 3 ? subject->off_pace + 1 : 0;
    if (subject->drift && subject->off_pace < OFF_PACE_WINDOWS)
        return;
    if (subject->off_pace) {
        tell_note(core, &subject->release, "pace",
                  "frames come at another pace than what was learned; it is learned anew", frames, wall_ms);
        if (core->options.keep_dir)
            keep_set_aside(core->options.keep_dir, &subject->release);
    }
    subject->off_pace = 0;
    judge(core, subject, MAX(block_frames, 1u), wall_ms);
}

static void look_at_clock(struct core *core, int64_t now_ms, int64_t wall_ms)
{
    int64_t offset_ms = wall_ms - now_ms, jump_ms = offset_ms - core->offset_ms;
    core->offset_ms = offset_ms;
    if (jump_ms > -JUMP_MS && jump_ms < JUMP_MS)
        return;
    core->counts.clock_jumps++;
    core->window_wall_ms += jump_ms;
    core->detail_wall_ms += jump_ms;
    core->machine_wall_ms += jump_ms;
    for (int i = 0; i < CORE_SUBJECTS; i++) {
        core->subjects[i].window.start_ms += jump_ms;
        core->subjects[i].detail.start_ms += jump_ms;
    }
    tell_note(
        core, NULL, "clock",
        "the wall clock jumped: times before it are on another clock; windows go on by the monotonic one",
        (double)jump_ms / 1e3, wall_ms);
}

static void end_window(struct core *core, int64_t now_ms, int64_t wall_ms, bool last)
{
    choice_window(&core->choice, (double)(now_ms - core->window_ms) / 1e3);
    core->windows++;
    core->counts.windows++;
    tell_windows(core, wall_ms, last);
    for (int i = 0; i < CORE_SUBJECTS && !last; i++)
        if (core->subjects[i].used && core->subjects[i].about.has_profile)
            look_at_pace(core, &core->subjects[i], now_ms, wall_ms);
    core->window_ms = now_ms;
    core->window_wall_ms = wall_ms;
}

void core_tick(struct core *core, int64_t now_ms, int64_t wall_ms)
{
    look_at_clock(core, now_ms, wall_ms);
    tell_decisions(core, now_ms, false);
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used && subject_event_over(&core->subjects[i], now_ms))
            sample_event(core, &core->subjects[i], now_ms, wall_ms);
    if (now_ms - core->window_ms >= core->options.window_ms)
        end_window(core, now_ms, wall_ms, false);
    if (now_ms - core->save_ms < core->options.save_ms)
        return;
    core->save_ms = now_ms;
    for (int i = 0; i < CORE_SUBJECTS; i++)
        core_save(core, &core->subjects[i]);
}

int64_t core_due_ms(const struct core *core)
{
    int64_t due_ms = MIN(core->window_ms + core->options.window_ms, cases_due_ms(&core->cases));
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used && core->subjects[i].event.open)
            due_ms = MIN(due_ms, core->subjects[i].event.last_ms + SUBJECT_EVENT_JOIN_MS);
    return due_ms;
}

void core_end(struct core *core, int64_t now_ms, int64_t wall_ms)
{
    tell_decisions(core, now_ms, true);
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used && core->subjects[i].event.open)
            sample_event(core, &core->subjects[i], now_ms, wall_ms);
    end_window(core, now_ms, wall_ms, true);
    for (int i = 0; i < CORE_SUBJECTS; i++)
        core_save(core, &core->subjects[i]);
}

/* ---- for others ---- */

void core_read(const struct core *core, struct core_counts *out)
{
    *out = core->counts;
    out->samples_cut_off = core->choice.cut_off;
}

bool core_drift(const struct core *core, const struct digest *release, struct drift_report *out)
{
    const struct subject *subject = find(core, release);
    if (subject && subject->drift)
        drift_read(subject->drift, out);
    return subject && subject->drift;
}
