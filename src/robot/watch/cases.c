#include "robot/watch/cases.h"

#include "base/mem.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"
#include "stats/cause.h"
#include "wire/otlp.h"

#include <math.h>
#include <string.h>

/* What is said of a rule: `because` and `otherwise` take the value and the limit, or only the limit. */
static const struct wording {
    const char *because, *otherwise;
} wordings[CAUSE_RULES] = {
    [CAUSE_TIME] = {"the result was not there %.1f ms after its frame; %.1f ms are allowed",
                    "at most %.1f ms, and it would have passed"},
    [CAUSE_AGE] = {"the frame was %.1f ms old when it came; %.1f ms are allowed",
                   "at most %.1f ms, and it would have been answered"},
    [CAUSE_REPEATS] = {"the same picture came %.0f times in a row; %.0f are allowed",
                       "at most %.0f equal pictures, and it would have passed"},
    [CAUSE_SIZE] = {"the result has %.0f items; it may have %.0f", "%.0f items, and it would have passed"},
    [CAUSE_KIND] = {"the result is of another kind than the release's",
                    "the other kind, and it would have passed"},
    [CAUSE_BOX] = {"an edge of a box lies at %.1f pixels; the frame ends at %.1f",
                   "an edge within %.1f pixels, and it would have passed"},
    [CAUSE_SCORE] = {"a score is %.4g; the limit is %.4g",
                     "a score up to its limit of %.4g, and it would have passed"},
    [CAUSE_LABEL] = {"a label is number %.0f; the last one is %.0f",
                     "a label up to %.0f, and it would have passed"},
    [CAUSE_VALUE] = {"a value is %.4g; the limit is %.4g",
                     "a value up to its limit of %.4g, and it would have passed"},
    [CAUSE_RATE] = {"a value changed by %.4g since the last result; %.4g are possible",
                    "a change of at most %.4g, and it would have passed"},
    [CAUSE_JUMP] = {"an object moved by %.1f pixels since the last result; %.1f are possible",
                    "a move of at most %.1f pixels, and it would have passed"},
};

/* Reasons that no number decided (rule TIME), but the deadline's. */
static const struct wording plain[INTERVENTION_COUNT] = {
    [INTERVENED_STALE] = {"the frame was overwritten before the runner had read it, or was left out", ""},
    [INTERVENED_SEQUENCE] = {"a result came for a frame that nobody asked about, or a second time", ""},
    [INTERVENED_RUNNER_LOST] = {"the runner was lost: it crashed or hung, and no fallback was hot", ""},
    [INTERVENED_OVERSIGHT] = {"a human's order or a latch stood above the model", ""},
    [INTERVENED_OTHER] = {"the engine reported an error for this frame", ""},
};

bool case_is_one(const struct ring_verdict *verdict)
{
    return verdict->status != RING_VERDICT_OK && verdict->reason < INTERVENTION_COUNT;
}

/* The texts of the tables above are all there is: what is foreign are numbers. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void word(struct decision *out, const struct wording *wording, double value, double limit)
{
    snprintf(out->because, sizeof out->because, wording->because, value, limit);
    snprintf(out->otherwise, sizeof out->otherwise, wording->otherwise, limit);
}
#pragma GCC diagnostic pop

static void add_subject(struct decision *out, const struct frame_cause *cause)
{
    size_t len = strlen(out->subject);
    const char *subject = cause->rule < CAUSE_RULES ? cause_infos[cause->rule].subject : NULL;
    if (subject)
        snprintf(out->subject + len, sizeof out->subject - len, ", %s %u", subject, cause->index);
}

static void say_not_finite(struct decision *out, const struct frame_cause *cause)
{
    str_copy(out->because, sizeof out->because, "the result holds a number that is none (NaN or infinite)");
    str_copy(out->otherwise, sizeof out->otherwise, "finite numbers, and it would have passed");
    add_subject(out, cause);
}

static void say_numbers(struct decision *out, const struct frame_cause *cause)
{
    const struct cause_info *info = &cause_infos[cause->rule % CAUSE_RULES];
    double value = (double)cause->value, limit = (double)cause->limit;
    word(out, &wordings[cause->rule % CAUSE_RULES], value, limit);
    add_subject(out, cause);
    if (cause->rule == CAUSE_KIND)
        return;
    out->value = value;
    out->limit = limit;
    out->margin = -fabs(value - limit);
    str_copy(out->unit, sizeof out->unit, info->unit);
}

static void describe(const struct ring_verdict *verdict, const struct cases_about *about, int64_t wall_ms,
                     struct decision *out)
{
    const struct frame_cause numbers = ring_cause(verdict), *cause = &numbers;
    *out = (struct decision){.time_ms = wall_ms,
                             .who = DECIDER_GUARD,
                             .release = verdict->release,
                             .value = NAN,
                             .limit = NAN,
                             .margin = NAN,
                             .count = 1,
                             .signals = verdict->signals};
    str_copy(out->version, sizeof out->version, about->version);
    str_copy(out->engine, sizeof out->engine, about->engine);
    str_copy(out->rule, sizeof out->rule, otlp_reason_names[verdict->reason]);
    snprintf(out->subject, sizeof out->subject, "frame %llu", (unsigned long long)verdict->seq);
    bool by_numbers = cause->rule < CAUSE_RULES && cause->rule != CAUSE_TIME;
    if (verdict->reason == INTERVENED_NOT_FINITE)
        say_not_finite(out, cause);
    else if (by_numbers || verdict->reason == INTERVENED_DEADLINE)
        say_numbers(out, cause);
    else if (plain[verdict->reason].because)
        word(out, &plain[verdict->reason], 0, 0);
    if (!out->because[0])
        str_copy(out->because, sizeof out->because, "the guard did not pass the result on");
}

static bool is_alike(const struct cases_open *open, const struct ring_verdict *verdict)
{
    return open->together_ms && open->reason == verdict->reason && open->rule == verdict->cause.rule &&
           digest_equal(&open->decision.release, &verdict->release);
}

/* The one of its kind, or the place that was not needed for the longest time. */
static struct cases_open *find(struct cases *cases, const struct ring_verdict *verdict)
{
    struct cases_open *oldest = NULL;
    for (size_t i = 0; i < CASES_OPEN; i++) {
        struct cases_open *open = &cases->open[i];
        if (is_alike(open, verdict))
            return open;
        if (!open->used && (!oldest || open->due_ms < oldest->due_ms))
            oldest = open;
    }
    return oldest;
}

void cases_add(struct cases *cases, const struct ring_verdict *verdict, const struct cases_about *about,
               int64_t now_ms, int64_t wall_ms)
{
    if (!case_is_one(verdict))
        return;
    struct cases_open *open = find(cases, verdict);
    if (!open) {
        cases->left_out++;
        return;
    }
    if (open->used) {
        open->decision.count++;
        return;
    }
    bool goes_on = is_alike(open, verdict) && now_ms - open->due_ms < CASES_LONGEST_MS;
    int64_t wait_ms = goes_on ? MIN(2 * open->together_ms, (int64_t)CASES_LONGEST_MS) : CASES_TOGETHER_MS;
    *open = (struct cases_open){.used = true,
                                .since_ms = now_ms,
                                .due_ms = now_ms + wait_ms,
                                .together_ms = wait_ms,
                                .reason = verdict->reason,
                                .rule = verdict->cause.rule};
    describe(verdict, about, wall_ms, &open->decision);
}

bool cases_take(struct cases *cases, int64_t now_ms, bool all, struct decision *out)
{
    for (size_t i = 0; i < CASES_OPEN; i++) {
        struct cases_open *open = &cases->open[i];
        if (!open->used || (!all && now_ms < open->due_ms))
            continue;
        *out = open->decision;
        open->used = false;
        cases->last = i;
        return true;
    }
    return false;
}

void cases_put_back(struct cases *cases, int64_t now_ms)
{
    struct cases_open *open = &cases->open[cases->last];
    open->used = true;
    open->due_ms = now_ms + open->together_ms;
}

int64_t cases_due_ms(const struct cases *cases)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < CASES_OPEN; i++)
        if (cases->open[i].used)
            due_ms = MIN(due_ms, cases->open[i].due_ms);
    return due_ms;
}
