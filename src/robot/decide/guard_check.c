#include "robot/decide/guard_check.h"

#include <math.h>

static bool all_finite(const struct detection *item)
{
    return isfinite(item->x0) && isfinite(item->y0) && isfinite(item->x1) && isfinite(item->y1) &&
           isfinite(item->score);
}

static bool span_ok(float low, float high, uint32_t side)
{
    return low >= -GUARD_CHECK_MARGIN_PX && low <= high && high <= (float)side + GUARD_CHECK_MARGIN_PX;
}

static bool in_range(const struct detection *item, uint32_t width, uint32_t height,
                     const struct ctl_limits *limits)
{
    return span_ok(item->x0, item->x1, width) && span_ok(item->y0, item->y1, height) &&
           item->score >= limits->min_score && item->score <= 1.0f && item->label < limits->label_count;
}

enum intervention guard_check_detections(const struct detection *items, uint32_t count, uint32_t width,
                                         uint32_t height, const struct ctl_limits *limits)
{
    if (count > limits->max_detections)
        return INTERVENED_TOO_MANY;
    for (uint32_t i = 0; i < count; i++)
        if (!all_finite(&items[i]))
            return INTERVENED_NOT_FINITE;
    for (uint32_t i = 0; i < count; i++)
        if (!in_range(&items[i], width, height, limits))
            return INTERVENED_RANGE;
    return INTERVENTION_COUNT;
}

enum intervention guard_check_values(const float *values, uint32_t count, const struct ctl_limits *limits)
{
    if (count > limits->value_count)
        return INTERVENED_TOO_MANY;
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return INTERVENED_NOT_FINITE;
    for (uint32_t i = 0; i < count; i++)
        if (!(values[i] >= limits->value_min && values[i] <= limits->value_max))
            return INTERVENED_RANGE;
    return count == limits->value_count ? INTERVENTION_COUNT : INTERVENED_RANGE;
}

enum intervention guard_check_result(const struct guard_result *result, const struct guard_frame *frame,
                                     const struct ctl_limits *limits, int64_t now_ns)
{
    if (result->seq != frame->seq || result->stream != frame->stream ||
        result->generation != frame->generation || frame->decided)
        return INTERVENED_SEQUENCE;
    if (now_ns > frame->deadline_ns)
        return INTERVENED_DEADLINE;
    if (result->count > result->room)
        return INTERVENED_TOO_MANY;
    if (result->is_values != (limits->value_count != 0))
        return INTERVENED_RANGE;
    if (result->is_values)
        return guard_check_values(result->values, result->count, limits);
    return guard_check_detections(result->detections, result->count, frame->width, frame->height, limits);
}

int64_t guard_frame_deadline_ns(int64_t capture_ns, int64_t program_deadline_ns, uint32_t limit_us)
{
    int64_t own_ns;
    if (__builtin_add_overflow(capture_ns, (int64_t)limit_us * 1000, &own_ns))
        return program_deadline_ns;
    return own_ns < program_deadline_ns ? own_ns : program_deadline_ns;
}
