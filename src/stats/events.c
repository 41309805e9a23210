#include "stats/events.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>

size_t events_find(const float *scores, size_t count, size_t stride, double rate_hz, float threshold,
                   double join_s, uint32_t label, struct event *out, size_t max)
{
    size_t found = 0;
    double last = -INFINITY; /* time of the newest frame over the threshold */
    for (size_t i = 0; i < count; i++) {
        double now = (double)i / rate_hz;
        if (!(scores[i * stride] >= threshold))
            continue;
        bool goes_on = found && now - last <= join_s + 1.5 / rate_hz;
        if (!goes_on && found++ < max)
            out[found - 1] = (struct event){.label = label, .from_s = now};
        if (found <= max)
            out[found - 1].to_s = now;
        last = now;
    }
    return found;
}

static bool overlaps(const struct event *truth, const struct event *said, double tolerance_s)
{
    return said->to_s >= truth->from_s - tolerance_s && said->from_s <= truth->to_s + tolerance_s;
}

/* The event that finds it first; NULL: missed. */
static const struct event *first_on(const struct event *truth, const struct event *said, size_t count,
                                    double tolerance_s)
{
    const struct event *first = NULL;
    for (size_t i = 0; i < count; i++)
        if (said[i].label == truth->label && overlaps(truth, &said[i], tolerance_s) &&
            (!first || said[i].from_s < first->from_s))
            first = &said[i];
    return first;
}

static bool is_right(const struct event *said, const struct event *truth, size_t count, double tolerance_s)
{
    for (size_t i = 0; i < count; i++)
        if (truth[i].label == said->label && overlaps(&truth[i], said, tolerance_s))
            return true;
    return false;
}

void events_match(const struct event *truth, size_t truth_count, const struct event *said, size_t said_count,
                  uint32_t label, double tolerance_s, struct event_tally *tally)
{
    for (size_t i = 0; i < truth_count; i++) {
        if (truth[i].label != label)
            continue;
        const struct event *first = first_on(&truth[i], said, said_count, tolerance_s);
        tally->truths++;
        tally->found += first != NULL;
        tally->delay_sum_s += first ? fmax(0, first->from_s - truth[i].from_s) : 0;
    }
    for (size_t i = 0; i < said_count; i++) {
        if (said[i].label != label)
            continue;
        tally->said++;
        tally->false_alarms += !is_right(&said[i], truth, truth_count, tolerance_s);
    }
}
