/* Time series are judged by events, not by frames: a fall is found or missed, an alarm is right or false, and it comes so many seconds late.
 *
 *     scores   ──────▁▂▆█▇▃▁────▁▇▁────        score ≥ threshold; what is interrupted for at most join_s is one event
 *     said           ├──────┤   ├┤
 *     truth         ├────────┤                 found: some event of its label overlaps [from - tolerance, to + tolerance]
 *                                              false alarm: an event that overlaps no truth of its label, widened by the tolerance
 *
 * Several events on one truth find it once and are no false alarms.
 */
#ifndef MUSTER_STATS_EVENTS_H
#define MUSTER_STATS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct event {
    uint32_t label;
    double from_s, to_s; /* of a single frame: both its time */
};

struct event_tally {
    uint64_t truths, found, said, false_alarms;
    double delay_sum_s; /* over the found ones: first event's start after the truth's, at least 0 */
};

/* scores[i * stride] of frames i at i / rate_hz. Returns how many there are; at most `max` are written. */
size_t events_find(const float *scores, size_t count, size_t stride, double rate_hz, float threshold,
                   double join_s, uint32_t label, struct event *out, size_t max);

/* Adds one series to the tally, for one label. The arrays may hold other labels too. */
void events_match(const struct event *truth, size_t truth_count, const struct event *said, size_t said_count,
                  uint32_t label, double tolerance_s, struct event_tally *tally);

#endif
