/* How often a frame may be kept, so that the recorder stays within its share of a core and what it keeps lasts as long as
 * it has to. Pure.
 *
 *   interval = max(1 / max_rate, cost of a frame / (share - what the rest takes), bytes of a frame / bytes_per_s)
 *
 * After a trigger the share is `boost` times as large: then the robot has something to tell.
 */
#ifndef MUSTER_ROBOT_RECORDER_GOVERNOR_H
#define MUSTER_ROBOT_RECORDER_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

struct governor_options {
    double share;       /* of one core */
    double boost;       /* ≥ 1 */
    double max_rate;    /* frames per second */
    double bytes_per_s; /* while nothing happens, and after a trigger */
    double boost_bytes_per_s;
};

struct governor {
    struct governor_options options;
    double cost_ns, bytes;    /* of a frame, smoothed; 0: none yet */
    double other_share;       /* what everything but frames takes */
    int64_t since_ns, cpu_ns; /* of the window for other_share */
    double frames_ns;         /* spent on frames in it */
};

void governor_init(struct governor *governor, const struct governor_options *options);
/* A frame took this much CPU time and memory (0 bytes: it was not kept). */
void governor_frame(struct governor *governor, int64_t cost_ns, uint64_t bytes);
/* The process has used cpu_ns so far. Call it now and then. */
void governor_cpu(struct governor *governor, int64_t cpu_ns, int64_t now_ns);
int64_t governor_interval_ns(const struct governor *governor, bool boosted);
int64_t governor_floor_ns(const struct governor *governor, bool boosted); /* without max_rate */

#endif
