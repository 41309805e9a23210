/* What is told: windows, alarms, decisions. */
#include "robot/watch/inside.h"

#include "base/log.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- events ---- */

static bool put_decision(struct core *core, const struct decision *decision)
{
    cleanup_free char *text = decision_format(decision);
    if (!text) {
        log_error("a decision record: out of memory");
        return false;
    }
    return core->outside.put(MAILBOX_EVENT, text, strlen(text), core->outside.arg) == 1;
}

/* A record that finds no room waits in its place, and counts what comes meanwhile. */
void tell_decisions(struct core *core, int64_t now_ms, bool all)
{
    for (int i = 0; i < CASES_OPEN; i++) {
        struct decision decision;
        if (!cases_take(&core->cases, now_ms, all, &decision))
            return;
        if (!put_decision(core, &decision)) {
            cases_put_back(&core->cases, now_ms);
            return;
        }
        core->counts.decisions++;
    }
}

void tell_note(struct core *core, const struct digest *release, const char *rule, const char *because,
               double value, int64_t wall_ms)
{
    struct decision note = {.time_ms = MAX(wall_ms, 0),
                            .who = DECIDER_AGENT,
                            .value = value,
                            .limit = NAN,
                            .margin = NAN,
                            .count = 1};
    str_copy(note.rule, sizeof note.rule, rule);
    str_copy(note.because, sizeof note.because, because);
    if (release)
        note.release = *release;
    log_warn("%s", because);
    if (!put_decision(core, &note))
        log_warn("nobody takes this: %s", because);
}

/* "sharpness fell by 2.1 sd, from -9.2 to -11.3, 14 blocks ago" */
static void say_change(const struct drift_report *report, char *out, size_t out_size)
{
    const struct drift_signal_report *worst = &report->signals[report->worst];
    const char *name = signal_infos[report->worst].name;
    const char *moved = report->results_moved ? "; the results moved too" : "; the results hold";
    if (worst->direction == 0 && !(fabs(worst->shift) >= 0.5))
        snprintf(out, out_size, "%s is distributed in another way since about %u blocks%s", name,
                 report->since_blocks, moved);
    else
        snprintf(out, out_size, "%s %s by %.1f sd, from %.3g to %.3g, since about %u blocks%s", name,
                 worst->shift > 0 ? "rose" : "fell", fabs(worst->shift), worst->expected, worst->mean,
                 report->since_blocks, moved);
}

void tell_alarm(struct core *core, struct subject *subject, const struct drift_report *report,
                int64_t wall_ms)
{
    double limit = log10(subject->options.arl_blocks);
    int64_t time_ms = MAX(wall_ms, 1);
    struct decision alarm = {.time_ms = time_ms + (time_ms == subject->told_ms), /* it is known by that */
                             .who = DECIDER_DRIFT,
                             .release = subject->release,
                             .value = report->log10_e,
                             .limit = limit,
                             .margin = limit - report->log10_e,
                             .count = 1,
                             .unit = "log10(e)"};
    str_copy(alarm.version, sizeof alarm.version, subject->about.version);
    str_copy(alarm.engine, sizeof alarm.engine, subject->engine);
    str_copy(alarm.rule, sizeof alarm.rule, drift_cause_name(report->cause));
    str_copy(alarm.subject, sizeof alarm.subject, signal_infos[report->worst].name);
    say_change(report, alarm.because, sizeof alarm.because);
    str_copy(alarm.otherwise, sizeof alarm.otherwise, drift_remedy(report->cause));
    alarm.signals.valid = 1;
    for (int i = 0; i < SIGNALS; i++)
        alarm.signals.values[i] = report->signals[i].log10_e != 0 ? (float)report->signals[i].mean : NAN;
    log_warn("drift, cause %s: %s", alarm.rule, alarm.because);
    subject->alarmed = put_decision(core, &alarm); /* else it is told with the next block */
    subject->told_ms = subject->alarmed ? alarm.time_ms : subject->told_ms;
    core->counts.alarms += subject->alarmed;
}

/* ---- windows ---- */

static void begin_points(struct otlp_points *out)
{
    out->count = 0;
    out->seq = 1;
    str_copy(out->robot, sizeof out->robot, "robot"); /* who sends it puts in who it is */
    str_copy(out->stream, sizeof out->stream, "00000000000000000000000000000000");
}

static bool put_points(struct core *core)
{
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    struct err err = {0};
    if (core->points.count == 0)
        return true;
    if (otlp_points_format(&core->points, &bytes, &err) < 0) {
        log_error("a window: %s", err.text);
        return true; /* it would be no better the next time */
    }
    return core->outside.put(MAILBOX_METRIC, bytes.data, bytes.len, core->outside.arg) == 1;
}

static void put_health(struct core *core, int64_t end_ms)
{
    struct core_counts now;
    core_read(core, &now);
    const struct {
        const char *name, *unit;
        uint64_t now, told;
    } counters[] = {
        {"muster.watch.verdicts", "{verdict}", now.verdicts, core->told.verdicts},
        {"muster.watch.missed", "{verdict}", now.missed, core->told.missed},
        {"muster.watch.duplicates", "{verdict}", now.duplicates, core->told.duplicates},
        {"muster.watch.too_old", "{verdict}", now.too_old, core->told.too_old},
        {"muster.watch.bad_numbers", "{value}", now.bad_numbers, core->told.bad_numbers},
        {"muster.watch.clock_jumps", "{jump}", now.clock_jumps, core->told.clock_jumps},
        {"muster.watch.samples.cut_off", "{sample}", now.samples_cut_off, core->told.samples_cut_off},
        {"muster.watch.samples.no_room", "{sample}", now.samples_no_room, core->told.samples_no_room},
    };
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        uint64_t delta = counters[i].now - counters[i].told;
        struct otlp_point *point = delta == 0 ? NULL
                                              : points_next(&core->points, counters[i].name, counters[i].unit,
                                                            core->machine_wall_ms, end_ms);
        if (!point)
            continue;
        point->kind = OTLP_DELTA_SUM;
        point->value = (double)delta;
    }
}

/* What `points` says of a subject; its names are borrowed from it. */
static void add_subject(struct core *core, const struct subject *subject, int64_t end_ms, bool brief)
{
    struct drift_report report;
    struct digest_text release = digest_format(&subject->release);
    struct window_about about = {
        .release = release.text, .label_count = subject->about.label_count, .labels = subject->about.labels};
    if (subject->drift) {
        drift_read(subject->drift, &report);
        about.drift = &report;
    }
    window_points(brief ? &subject->window : &subject->detail, &about, end_ms, brief, &core->points);
}

/* The machine, the watcher itself, and each release in brief: one export. */
static void tell_brief(struct core *core, int64_t wall_ms)
{
    begin_points(&core->points);
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used)
            add_subject(core, &core->subjects[i], wall_ms, true);
    put_health(core, wall_ms);
    if (core->outside.machine)
        core->outside.machine(core->machine_wall_ms, wall_ms, &core->points, core->outside.arg);
    if (!put_points(core)) {
        core->counts.windows_waiting++;
        return;
    }
    core_read(core, &core->told);
    core->machine_wall_ms = wall_ms;
}

static void tell_detail(struct core *core, struct subject *subject, int64_t wall_ms)
{
    if (subject->detail.frames == 0)
        return;
    begin_points(&core->points);
    add_subject(core, subject, wall_ms, false);
    if (put_points(core))
        window_begin(&subject->detail, wall_ms);
}

void tell_windows(struct core *core, int64_t wall_ms, bool last)
{
    bool detail = last || core->windows % core->options.detail_every == 1 || core->options.detail_every == 1;
    for (int i = 0; i < CORE_SUBJECTS; i++) {
        struct subject *subject = &core->subjects[i];
        if (!subject->used)
            continue;
        core->counts.bad_numbers += subject->window.bad_numbers;
        window_merge(&subject->detail, &subject->window);
        if (detail)
            tell_detail(core, subject, wall_ms);
    }
    tell_brief(core, wall_ms);
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used)
            window_begin(&core->subjects[i].window, wall_ms);
}
