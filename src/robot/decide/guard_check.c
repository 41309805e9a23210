#include "robot/decide/guard_check.h"

#include <math.h>

bool guard_within(struct frame_cause *why, enum cause_rule rule, uint32_t index, double value, double low,
                  double high)
{
    if (value >= low && value <= high)
        return true;
    *why = (struct frame_cause){rule, index, (float)value, (float)(value < low ? low : high)};
    return false;
}

/* Something is out of range: of its number and of that beside it. */
static enum intervention out_of_range(const struct frame_cause *why)
{
    return isfinite(why->value) && isfinite(why->limit) ? INTERVENED_RANGE : INTERVENED_NOT_FINITE;
}

static bool in_range(const struct detection *item, uint32_t i, uint32_t width, uint32_t height,
                     const struct ctl_limits *limits, struct frame_cause *why)
{
    const double x0 = (double)item->x0, y0 = (double)item->y0, x1 = (double)item->x1, y1 = (double)item->y1;
    return guard_within(why, CAUSE_BOX, i, x0, -GUARD_CHECK_MARGIN_PX, x1) &&
           guard_within(why, CAUSE_BOX, i, x1, x0, width + GUARD_CHECK_MARGIN_PX) &&
           guard_within(why, CAUSE_BOX, i, y0, -GUARD_CHECK_MARGIN_PX, y1) &&
           guard_within(why, CAUSE_BOX, i, y1, y0, height + GUARD_CHECK_MARGIN_PX) &&
           guard_within(why, CAUSE_SCORE, i, (double)item->score, (double)limits->min_score, 1) &&
           guard_within(why, CAUSE_LABEL, i, item->label, 0, (double)limits->label_count - 1);
}

enum intervention guard_check_detections(const struct detection *items, uint32_t count, uint32_t width,
                                         uint32_t height, const struct ctl_limits *limits,
                                         struct frame_cause *why)
{
    if (!guard_within(why, CAUSE_SIZE, 0, count, 0, limits->max_detections))
        return INTERVENED_TOO_MANY;
    for (uint32_t i = 0; i < count; i++)
        if (!in_range(&items[i], i, width, height, limits, why))
            return out_of_range(why);
    return INTERVENTION_COUNT;
}

enum intervention guard_check_values(const float *values, uint32_t count, const struct ctl_limits *limits,
                                     struct frame_cause *why)
{
    const double low = (double)limits->value_min, high = (double)limits->value_max;
    if (!guard_within(why, CAUSE_SIZE, 0, count, 0, limits->value_count))
        return INTERVENED_TOO_MANY;
    for (uint32_t i = 0; i < count; i++)
        if (!guard_within(why, CAUSE_VALUE, i, (double)values[i], low, high))
            return out_of_range(why);
    if (!guard_within(why, CAUSE_SIZE, 0, count, limits->value_count, count))
        return INTERVENED_RANGE;
    return INTERVENTION_COUNT;
}

enum intervention guard_check_result(const struct guard_result *result, const struct guard_frame *frame,
                                     const struct ctl_limits *limits, int64_t now_ns, struct frame_cause *why)
{
    const double wanted = limits->value_count != 0;
    if (result->seq != frame->seq || result->stream != frame->stream ||
        result->generation != frame->generation || frame->decided)
        return INTERVENED_SEQUENCE;
    if (now_ns > frame->deadline_ns)
        return INTERVENED_DEADLINE;
    if (!guard_within(why, CAUSE_SIZE, 0, result->count, 0, result->room))
        return INTERVENED_TOO_MANY;
    if (!guard_within(why, CAUSE_KIND, 0, result->is_values, wanted, wanted))
        return INTERVENED_RANGE;
    if (result->is_values)
        return guard_check_values(result->values, result->count, limits, why);
    return guard_check_detections(result->detections, result->count, frame->width, frame->height, limits,
                                  why);
}

int64_t guard_frame_deadline_ns(int64_t capture_ns, int64_t program_deadline_ns, uint32_t limit_us)
{
    int64_t own_ns;
    if (__builtin_add_overflow(capture_ns, (int64_t)limit_us * 1000, &own_ns))
        return program_deadline_ns;
    return own_ns < program_deadline_ns ? own_ns : program_deadline_ns;
}
