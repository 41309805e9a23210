#include "robot/decide/guard_monitor.h"

#include "base/mem.h"
#include "robot/decide/guard_check.h"

#include <math.h>
#include <string.h>

enum { SAMPLE_WORDS = 512 };
#define NS_PER_S 1000000000LL
#define NS_PER_MS 1e6
#define US_PER_MS 1e3
#define AGREE_IOU 0.5f
#define AGREE_DISTANCE 0.05

void guard_monitor_init(struct guard_monitor *monitor)
{
    memset(monitor, 0, sizeof *monitor);
}

static bool too_old(int64_t capture_ns, int64_t now_ns, uint32_t max_age_us, struct frame_cause *why)
{
    if (max_age_us == 0 || capture_ns >= now_ns)
        return false;
    uint64_t age_ns = (uint64_t)now_ns - (uint64_t)capture_ns;
    return !guard_within(why, CAUSE_AGE, 0, (double)age_ns / NS_PER_MS, 0, max_age_us / US_PER_MS);
}

static uint32_t one_more(uint32_t count)
{
    return count == UINT32_MAX ? count : count + 1;
}

enum intervention guard_monitor_frame(struct guard_monitor *monitor, uint64_t picture, int64_t capture_ns,
                                      const struct ctl_limits *limits, int64_t now_ns,
                                      struct frame_cause *why)
{
    bool repeated = monitor->same_pictures != 0 && picture == monitor->picture;
    monitor->same_pictures = repeated ? one_more(monitor->same_pictures) : 1;
    monitor->picture = picture;
    if (too_old(capture_ns, now_ns, limits->max_age_us, why))
        return INTERVENED_STALE;
    if (limits->frozen_frames != 0 &&
        !guard_within(why, CAUSE_REPEATS, 0, monitor->same_pictures, 0, (double)limits->frozen_frames - 1))
        return INTERVENED_FROZEN;
    return INTERVENTION_COUNT;
}

/* From the history to this result; 0 where time stood or ran backwards. */
static double elapsed_s(const struct guard_monitor *monitor, int64_t capture_ns)
{
    if (capture_ns <= monitor->last_ns)
        return 0;
    return (double)((uint64_t)capture_ns - (uint64_t)monitor->last_ns) / (double)NS_PER_S;
}

/* Comparisons are written so that a NaN is found. */
static bool values_too_fast(const struct guard_monitor *monitor, const float *values, double allowed,
                            struct frame_cause *why)
{
    for (uint32_t i = 0; i < monitor->count; i++)
        if (!guard_within(why, CAUSE_RATE, i, fabs((double)values[i] - (double)monitor->values[i]), 0,
                          allowed))
            return true;
    return false;
}

static double distance(const struct detection *a, const struct detection *b)
{
    double dx = ((double)a->x0 + a->x1 - b->x0 - b->x1) / 2, dy = ((double)a->y0 + a->y1 - b->y0 - b->y1) / 2;
    return sqrt(dx * dx + dy * dy);
}

struct nearest {
    uint32_t count; /* of the label */
    double distance;
};

static struct nearest nearest_of_label(const struct detection *items, uint32_t count,
                                       const struct detection *wanted)
{
    struct nearest found = {.distance = INFINITY};
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].label != wanted->label)
            continue;
        found.count++;
        found.distance = fmin(found.distance, distance(&items[i], wanted));
    }
    return found;
}

static bool objects_jump(const struct guard_monitor *monitor, const struct guard_payload *payload,
                         double allowed, struct frame_cause *why)
{
    for (uint32_t i = 0; i < payload->count; i++) {
        const struct detection *item = &payload->detections[i];
        uint32_t now = nearest_of_label(payload->detections, payload->count, item).count;
        struct nearest before = nearest_of_label(monitor->detections, monitor->count, item);
        if (before.count == now && !guard_within(why, CAUSE_JUMP, i, before.distance, 0, allowed))
            return true;
    }
    return false;
}

static bool moves_too_fast(const struct guard_monitor *monitor, const struct guard_payload *payload,
                           int64_t capture_ns, double diagonal, const struct ctl_limits *limits,
                           struct frame_cause *why)
{
    double elapsed = elapsed_s(monitor, capture_ns);
    if (payload->is_values)
        return payload->count == monitor->count &&
               values_too_fast(monitor, payload->values, elapsed * (double)limits->max_rate, why);
    return elapsed <= 1 && objects_jump(monitor, payload, elapsed * diagonal * (double)limits->max_jump, why);
}

static void remember(struct guard_monitor *monitor, const struct guard_payload *payload, uint64_t generation,
                     int64_t capture_ns)
{
    monitor->last_ns = capture_ns;
    monitor->generation = generation;
    monitor->is_values = payload->is_values;
    monitor->count = payload->count;
    monitor->known = true;
    if (payload->count == 0)
        return;
    if (payload->is_values)
        memcpy(monitor->values, payload->values, payload->count * sizeof *payload->values);
    else
        memcpy(monitor->detections, payload->detections, payload->count * sizeof *payload->detections);
}

enum intervention guard_monitor_result(struct guard_monitor *monitor, const struct guard_payload *payload,
                                       uint64_t generation, int64_t capture_ns, uint32_t width,
                                       uint32_t height, const struct ctl_limits *limits,
                                       struct frame_cause *why)
{
    if (!((payload->is_values ? limits->max_rate : limits->max_jump) > 0))
        return INTERVENTION_COUNT;
    const double most = payload->is_values ? GUARD_MAX_VALUES : GUARD_MAX_DETECTIONS;
    if (!guard_within(why, CAUSE_SIZE, 0, payload->count, 0, most))
        return INTERVENED_TOO_MANY;
    bool comparable =
        monitor->known && monitor->generation == generation && monitor->is_values == payload->is_values;
    double diagonal = sqrt((double)width * width + (double)height * height);
    if (comparable && moves_too_fast(monitor, payload, capture_ns, diagonal, limits, why))
        return INTERVENED_RATE;
    remember(monitor, payload, generation, capture_ns);
    return INTERVENTION_COUNT;
}

bool guard_monitor_verdict(struct guard_monitor *monitor, bool usable, const struct ctl_limits *limits)
{
    monitor->unusable = usable ? 0 : one_more(monitor->unusable);
    if (limits->latch_after == 0 || monitor->unusable < limits->latch_after)
        return false;
    monitor->unusable = 0;
    return true;
}

static uint64_t fnv(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * 0x100000001b3;
}

uint64_t guard_picture(const void *pixels, size_t bytes)
{
    const unsigned char *at = pixels;
    size_t words = bytes / sizeof(uint64_t), samples = MIN(words, (size_t)SAMPLE_WORDS);
    uint64_t hash = fnv(0xcbf29ce484222325, bytes), word;
    for (size_t i = 0; i < samples; i++) {
        memcpy(&word, at + i * words / samples * sizeof word, sizeof word);
        hash = fnv(hash, word);
    }
    for (size_t i = words * sizeof word; i < bytes; i++)
        hash = fnv(hash, at[i]);
    return hash;
}

static uint32_t largest(const float *values, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

static bool values_agree(const struct guard_payload *active, const struct guard_payload *shadow)
{
    if (active->by_rank)
        return largest(active->values, active->count) == largest(shadow->values, shadow->count);
    double length = 0, apart = 0;
    for (uint32_t i = 0; i < active->count; i++) {
        double a = (double)active->values[i], difference = a - (double)shadow->values[i];
        length += a * a;
        apart += difference * difference;
    }
    return apart <= AGREE_DISTANCE * AGREE_DISTANCE * length;
}

bool guard_agree(const struct guard_payload *active, const struct guard_payload *shadow)
{
    if (active->is_values != shadow->is_values || active->count != shadow->count)
        return false;
    if (active->is_values)
        return values_agree(active, shadow);
    struct detection_match match =
        detection_match(shadow->detections, shadow->count, active->detections, active->count, 0, AGREE_IOU);
    return match.tp == active->count;
}
