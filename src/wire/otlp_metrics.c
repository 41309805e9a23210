#include "wire/otlp_metrics.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>

const char *const otlp_reason_names[OTLP_REASONS] = {"deadline", "sequence",    "not_finite", "range",
                                                     "too_many", "runner_lost", "stale",      "frozen",
                                                     "rate",     "oversight",   "other"};
static const char *const outcome_names[] = {"tp", "fp", "fn"};

/* The three outcomes are read and written as an array. */
_Static_assert(offsetof(struct otlp_window, score_fp) == offsetof(struct otlp_window, score_tp) + 8,
               "outcomes in a row");
_Static_assert(offsetof(struct otlp_window, score_fn) == offsetof(struct otlp_window, score_tp) + 16,
               "outcomes in a row");

#define AT(member) .offset = offsetof(struct otlp_window, member), .value_count = 1

const struct otlp_metric otlp_metrics[OTLP_METRICS] = {
    {.name = "muster.frames", .unit = "{frame}", .kind = OTLP_COUNT, AT(frames), .always = true},
    {.name = "muster.results", .unit = "{result}", .kind = OTLP_COUNT, AT(results)},
    {.name = "muster.frames.lost", .unit = "{frame}", .kind = OTLP_COUNT, AT(lost)},
    {.name = "muster.guard.interventions",
     .unit = "{intervention}",
     .kind = OTLP_COUNT,
     .offset = offsetof(struct otlp_window, interventions),
     .attribute = "muster.reason",
     .values = otlp_reason_names,
     .value_count = OTLP_REASONS},
    {.name = "muster.score",
     .unit = "{match}",
     .kind = OTLP_COUNT,
     .offset = offsetof(struct otlp_window, score_tp),
     .attribute = "muster.outcome",
     .values = outcome_names,
     .value_count = ARRAY_LEN(outcome_names)},
    {.name = "muster.score.frames", .unit = "{frame}", .kind = OTLP_COUNT, AT(score_frames)},
    {.name = "muster.detections", .unit = "{detection}", .kind = OTLP_COUNT, AT(detections)},
    {.name = "muster.confidence.sum", .unit = "1", .kind = OTLP_REAL, AT(confidence_sum)},
    {.name = "muster.inference.latency", .unit = "ms", .kind = OTLP_HISTOGRAM, AT(latency_ms)},
    {.name = "muster.frame.latency", .unit = "ms", .kind = OTLP_HISTOGRAM, AT(frame_ms)},
};

int otlp_check_source(const char *robot, size_t robot_size, const char *stream, uint64_t seq, struct err *err)
{
    if (!str_is_name(robot, robot_size - 1))
        return err_set(err, ERR_INVALID, "OTLP: muster.robot is no name");
    if (strlen(stream) != 32 || strspn(stream, "0123456789abcdef") != 32)
        return err_set(err, ERR_INVALID, "OTLP: muster.stream must be 32 lower-case hexadecimal digits");
    if (seq < 1 || seq > INT64_MAX)
        return err_set(err, ERR_INVALID, "OTLP: muster.seq must be 1 or more");
    return 0;
}

/* Buckets of values that a double can hold. Beyond them indices could overflow when histograms merge. */
static bool buckets_plausible(const struct exphist *hist)
{
    double low = ldexp(hist->offset, -hist->scale),
           high = ldexp((double)hist->offset + hist->used, -hist->scale);
    return !hist->used || (low >= -1076 && high <= 1025);
}

static int check_histogram(const struct exphist *hist, const char *name, struct err *err)
{
    if (!exphist_valid(hist) || !buckets_plausible(hist))
        return err_set(err, ERR_INVALID, "OTLP: %s: buckets, count and bounds do not fit together", name);
    if (hist->min < 0 || hist->sum < 0)
        return err_set(err, ERR_INVALID, "OTLP: %s: holds negative values", name);
    return 0;
}

int otlp_check_window(const struct otlp_window *window, struct err *err)
{
    struct digest digest;
    if (!digest_parse(window->release, &digest))
        return err_set(err, ERR_INVALID, "OTLP: muster.release is no digest");
    if (!str_is_name(window->version, sizeof window->version - 1))
        return err_set(err, ERR_INVALID, "OTLP: muster.version is no version");
    if (window->start_ms < 0 || window->end_ms < window->start_ms || window->end_ms > INT64_MAX / 1000000)
        return err_set(err, ERR_INVALID, "OTLP: a window must end after it starts, before the year 2262");
    if (!isfinite(window->confidence_sum) || window->confidence_sum < 0)
        return err_set(err, ERR_INVALID, "OTLP: muster.confidence.sum is negative or no number");
    if (check_histogram(&window->latency_ms, "muster.inference.latency", err) < 0)
        return -1;
    return check_histogram(&window->frame_ms, "muster.frame.latency", err);
}
