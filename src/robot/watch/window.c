#include "robot/watch/window.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

void window_begin(struct watch_window *window, int64_t start_ms)
{
    *window = (struct watch_window){.start_ms = start_ms};
}

static void add_signal(struct watch_window *window, int signal, double value)
{
    if (!isfinite(value)) {
        window->bad_numbers += !isnan(value); /* NaN: there is none */
        return;
    }
    double delta = value - window->mean[signal];
    window->count[signal]++;
    window->mean[signal] += delta / (double)window->count[signal];
    window->m2[signal] += delta * (value - window->mean[signal]);
}

static void add_confidence(struct watch_window *window, float score)
{
    if (score >= 0 && score <= 1)
        window->bins[MIN((int)(score * LABELFREE_BINS), LABELFREE_BINS - 1)]++;
    else
        window->bad_numbers++;
}

static void add_label(struct watch_window *window, uint32_t label)
{
    window->labels[MIN(label, (uint32_t)SIGNAL_LABELS - 1)]++;
}

/* Of several values the largest stands for the answer: the class, the event. */
static void add_values(struct watch_window *window, const struct ring_verdict *verdict)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < verdict->count; i++)
        if (verdict->values[i] > verdict->values[best])
            best = i;
    if (verdict->count == 0 || verdict->label_count == 0)
        return;
    add_label(window, best);
    add_confidence(window, verdict->values[best]);
}

void window_add(struct watch_window *window, const struct ring_verdict *verdict)
{
    window->frames++;
    if (verdict->signals.valid)
        for (int i = 0; i < SIGNALS; i++)
            add_signal(window, i, (double)verdict->signals.values[i]);
    if (verdict->kind == RING_VALUES) {
        add_values(window, verdict);
        return;
    }
    for (uint32_t i = 0; i < verdict->count; i++) {
        add_label(window, verdict->detections[i].label);
        add_confidence(window, verdict->detections[i].score);
    }
}

void window_merge(struct watch_window *into, const struct watch_window *from)
{
    into->start_ms = into->frames ? MIN(into->start_ms, from->start_ms) : from->start_ms;
    into->frames += from->frames;
    into->bad_numbers += from->bad_numbers;
    for (int i = 0; i < SIGNALS; i++) {
        double a = (double)into->count[i], b = (double)from->count[i];
        if (from->count[i] == 0)
            continue;
        double delta = from->mean[i] - into->mean[i];
        into->mean[i] += delta * b / (a + b);
        into->m2[i] += from->m2[i] + delta * delta * a * b / (a + b);
        into->count[i] += from->count[i];
    }
    for (int i = 0; i < SIGNAL_LABELS; i++)
        into->labels[i] += from->labels[i];
    for (int i = 0; i < LABELFREE_BINS; i++)
        into->bins[i] += from->bins[i];
}

/* ---- points ---- */

struct otlp_point *points_next(struct otlp_points *out, const char *name, const char *unit, int64_t start_ms,
                               int64_t end_ms)
{
    if (out->count >= OTLP_MAX_POINTS)
        return NULL;
    struct otlp_point *point = &out->points[out->count++];
    *point = (struct otlp_point){.kind = OTLP_GAUGE, .start_ms = MIN(start_ms, end_ms), .end_ms = end_ms};
    str_copy(point->name, sizeof point->name, name);
    str_copy(point->unit, sizeof point->unit, unit);
    return point;
}

struct painter { /* of one window's points */
    struct otlp_points *out;
    const struct window_about *about;
    int64_t start_ms, end_ms;
};

static void put(const struct painter *p, const char *name, const char *unit, const char *attribute,
                const char *word, double value)
{
    struct otlp_point *point =
        isfinite(value) ? points_next(p->out, name, unit, p->start_ms, p->end_ms) : NULL;
    if (!point)
        return;
    str_copy(point->attribute, sizeof point->attribute, attribute);
    str_copy(point->word, sizeof point->word, word);
    str_copy(point->release, sizeof point->release, p->about->release);
    point->value = value;
}

static void put_count(const struct painter *p, const char *name, const char *unit, const char *attribute,
                      const char *word, uint64_t count)
{
    size_t before = p->out->count;
    if (count == 0)
        return;
    put(p, name, unit, attribute, word, (double)count);
    if (p->out->count > before)
        p->out->points[before].kind = OTLP_DELTA_SUM;
}

static void put_signals(const struct painter *p, const struct watch_window *window)
{
    for (int i = 0; i < SIGNALS; i++) {
        const struct signal_info *info = &signal_infos[i];
        if (window->count[i] == 0)
            continue;
        put(p, "muster.signal", info->unit, "muster.signal", info->name, window->mean[i]);
        put(p, "muster.signal.sd", info->unit, "muster.signal", info->name,
            sqrt(window->m2[i] / (double)window->count[i]));
    }
}

static void put_evidence(const struct painter *p, const struct drift_report *drift)
{
    for (int i = 0; i < SIGNALS; i++)
        if (drift->signals[i].log10_e != 0)
            put(p, "muster.drift.log_e", "1", "muster.signal", signal_infos[i].name,
                drift->signals[i].log10_e);
}

static void put_labels(const struct painter *p, const struct watch_window *window)
{
    for (size_t i = 0; i < SIGNAL_LABELS; i++) {
        bool others = i == SIGNAL_LABELS - 1 && p->about->label_count > SIGNAL_LABELS;
        put_count(p, "muster.labels", "{detection}", "muster.label",
                  others                      ? "other"
                  : i < p->about->label_count ? p->about->labels[i]
                                              : "unknown",
                  window->labels[i]);
    }
}

static void put_bins(const struct painter *p, const struct watch_window *window)
{
    for (int i = 0; i < LABELFREE_BINS; i++) {
        char bin[8];
        snprintf(bin, sizeof bin, "%d", i);
        put_count(p, "muster.confidence.bin", "{answer}", "muster.bin", bin, window->bins[i]);
    }
}

void window_points(const struct watch_window *window, const struct window_about *about, int64_t end_ms,
                   bool brief, struct otlp_points *out)
{
    struct painter p = {out, about, window->start_ms, end_ms};
    if (about->drift) {
        put(&p, "muster.drift.log_e", "1", "muster.signal", "all", about->drift->log10_e);
        put(&p, "muster.drift.alarm", "1", "", "", about->drift->alarm ? about->drift->cause : DRIFT_NONE);
    }
    if (brief)
        return;
    put_signals(&p, window);
    if (about->drift)
        put_evidence(&p, about->drift);
    put_labels(&p, window);
    put_bins(&p, window);
}
