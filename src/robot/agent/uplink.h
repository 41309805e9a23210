/* What the agent tells the fleet server, each conversation with its own jittered back-off (0.2 to 5 s):
 *
 *     POST /api/v1/reports                     while some are not acknowledged
 *     POST /v1/metrics                         windows, one by one, once no report waits
 *     POST /api/v1/samples?stream=HEX&seq=N    frames for people, once nothing else waits and no release is being fetched
 *
 * Everything comes out of the robot's log (robot/forward) and stays there until it is acknowledged. Every telemetry_ms the guard's counters become a
 * window in it. What the server cannot take (malformed, too big) is given up: that is a report GAP. What the agent asks: director.h, anchor.h, command.h. */
#ifndef MUSTER_ROBOT_AGENT_UPLINK_H
#define MUSTER_ROBOT_AGENT_UPLINK_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/tally.h"
#include "robot/forward/forward.h"
#include "robot/store/reports.h"
#include "sys/fetch.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>

struct uplink;

struct uplink_options {
    struct fetch *fetch; /* borrowed, as everything here */
    const char *server;
    const char *robot; /* its id */
    struct forward *forward;
    struct report_log *log; /* class EVENT of it */
    struct tally *tally;
    const char *tally_path; /* where the tally is kept before each window goes to the log */
    int64_t telemetry_ms;
    bool (*busy)(void *arg); /* the link is needed for something better than frames */
    void *arg;
};

int uplink_new(const struct uplink_options *options, struct uplink **out, struct err *err) must_check;
void uplink_free(struct uplink *uplink);
MUSTER_CLEANUP(struct uplink *, uplink_free)
#define cleanup_uplink __attribute__((cleanup(uplink_freep)))

void uplink_tick(struct uplink *uplink, int64_t now_ms);
int64_t uplink_next_ms(const struct uplink *uplink); /* monotonic; when uplink_tick has something to do */

#endif
