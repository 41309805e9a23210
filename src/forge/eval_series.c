#include "forge/eval_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/floats.h"
#include "forge/truth.h"
#include "stats/bound.h"
#include "stats/order.h"
#include "sys/file.h"

#include <math.h>

enum { EVENTS_MAX = 4 << 20, MAX_SAID = 4096 };

static const double alpha = 0.05;

struct judge {
    struct eval_run *run;
    const struct truth *truth;
    struct event_tally tallies[RELEASE_MAX_LABELS]; /* of truth->labels[i] */
    size_t frames;
};

/* Scores of all frames of one series, one row per frame. */
struct scores {
    float *values; /* owned */
    size_t frames, labels;
};

static int run_frames(struct judge *judge, const uint8_t *floats, size_t frames, size_t width,
                      struct scores *out, struct err *err)
{
    cleanup_free float *frame = mem_zalloc(width, sizeof *frame);
    out->labels = judge->run->release->label_count;
    out->frames = frames;
    out->values = mem_zalloc(MAX(frames * out->labels, 1), sizeof *out->values);
    if (!frame || !out->values)
        return err_no_memory(err);
    pipeline_reset_state(judge->run->pipeline);
    for (size_t i = 0; i < frames; i++) {
        memcpy(frame, floats + i * width * sizeof *frame, width * sizeof *frame);
        const struct pipeline_frame input = {.data = frame, .width = (int)width, .height = 1};
        struct pipeline_result result = {.values = out->values + i * out->labels, .max_values = out->labels};
        if (eval_frame(judge->run, &input, &result, err) < 0)
            return -1;
    }
    return 0;
}

static int run_series(struct judge *judge, const char *name, struct scores *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *floats = NULL;
    size_t count = 0, width = tensor_elements(&judge->run->release->inputs[0]);
    cleanup_free char *path = file_join(judge->run->data_dir, name);
    if (!path)
        return err_no_memory(err);
    if (file_map(path, &map, err) < 0 || floats_find(path, map.data, map.size, &floats, &count, err) < 0)
        return -1;
    if (count % width)
        return err_set(err, ERR_INVALID, "%s: %zu numbers are no whole frames of %zu", path, count, width);
    if (run_frames(judge, floats, count / width, width, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

static int judge_label(struct judge *judge, const struct truth_file *file, const struct scores *scores,
                       size_t which, struct err *err)
{
    const struct truth *truth = judge->truth;
    double threshold = judge->run->options->event_score;
    uint32_t label = truth->labels[which];
    cleanup_free struct event *said = mem_zalloc(MAX_SAID, sizeof *said);
    if (!said)
        return err_no_memory(err);
    size_t count = events_find(scores->values + label, scores->frames, scores->labels, truth->rate_hz,
                               (float)(threshold > 0 ? threshold : EVAL_EVENT_SCORE), truth->join_s, label,
                               said, MAX_SAID);
    if (count > MAX_SAID)
        return err_set(err, ERR_TOO_BIG, "%s: more than %d events; is the threshold right?", file->name,
                       MAX_SAID);
    events_match(truth->events + file->first, file->count, said, count, label, truth->tolerance_s,
                 &judge->tallies[which]);
    return 0;
}

static int judge_series(struct judge *judge, const struct truth_file *file, struct err *err)
{
    struct scores scores = {0};
    int result = run_series(judge, file->name, &scores, err);
    for (size_t i = 0; result == 0 && i < judge->truth->label_count; i++)
        result = judge_label(judge, file, &scores, i, err);
    judge->frames += scores.frames;
    free(scores.values);
    return result;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : (double)NAN;
}

static struct eval_bounds share_bounds(uint64_t part, uint64_t whole)
{
    return (struct eval_bounds){bound_share_lower(part, whole, alpha / 2),
                                bound_share_upper(part, whole, alpha / 2)};
}

static void report_label(const struct judge *judge, size_t which, struct eval_class *out)
{
    const struct event_tally *tally = &judge->tallies[which];
    *out = (struct eval_class){.known = true,
                               .truths = tally->truths,
                               .ap50 = NAN,
                               .precision = share(tally->said - tally->false_alarms, tally->said),
                               .recall = share(tally->found, tally->truths),
                               .recall_bounds = share_bounds(tally->found, tally->truths),
                               .false_alarms = tally->false_alarms};
    out->f1 = 2 * out->precision * out->recall / (out->precision + out->recall);
    str_copy(out->name, sizeof out->name, judge->run->release->labels[judge->truth->labels[which]]);
}

static void report(const struct judge *judge, struct eval_report *out)
{
    struct event_tally sum = {0};
    out->class_count = judge->truth->label_count;
    for (size_t i = 0; i < out->class_count; i++) {
        const struct event_tally *tally = &judge->tallies[i];
        report_label(judge, i, &out->classes[i]);
        sum.truths += tally->truths;
        sum.found += tally->found;
        sum.said += tally->said;
        sum.false_alarms += tally->false_alarms;
        sum.delay_sum_s += tally->delay_sum_s;
    }
    out->series = judge->truth->file_count;
    out->frames = judge->frames;
    out->hours = (double)judge->frames / judge->truth->rate_hz / 3600;
    out->events = sum.truths;
    out->found = sum.found;
    out->false_alarms = sum.false_alarms;
    out->recall = share(sum.found, sum.truths);
    out->recall_bounds = share_bounds(sum.found, sum.truths);
    out->precision = share(sum.said - sum.false_alarms, sum.said);
    out->mean_delay_s = sum.found ? sum.delay_sum_s / (double)sum.found : (double)NAN;
    out->false_alarms_per_hour = (double)sum.false_alarms / out->hours;
    order_rate_bounds(sum.false_alarms, out->hours, alpha, &out->false_alarm_bounds.low,
                      &out->false_alarm_bounds.high);
}

int eval_series(struct eval_run *run, struct eval_report *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(EVENTS_MAX);
    cleanup_truth struct truth *truth = NULL;
    if (eval_read(run, "events.json", &text, err) < 0)
        return -1;
    if (truth_parse_events(text.data, text.len, run->release, &truth, err) < 0)
        return err_prefix(err, "%s", run->data_dir);
    cleanup_free struct judge *judge = mem_zalloc(1, sizeof *judge);
    if (!judge)
        return err_no_memory(err);
    judge->run = run;
    judge->truth = truth;
    for (size_t i = 0; i < truth->file_count; i++) {
        if (judge_series(judge, &truth->files[i], err) < 0)
            return -1;
        eval_show(run, i + 1, truth->file_count);
    }
    if (judge->frames == 0)
        return err_set(err, ERR_INVALID, "%s: the series hold no frames", run->data_dir);
    report(judge, out);
    return 0;
}
