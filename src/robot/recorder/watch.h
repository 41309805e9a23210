/* The recorder's ear at the guard's socket: connected as an observer, which reads and can change nothing. A guard that is not
 * there is tried again; whatever the guard or the robot program do, nobody waits for the recorder and it waits for nobody. */
#ifndef MUSTER_ROBOT_RECORDER_WATCH_H
#define MUSTER_ROBOT_RECORDER_WATCH_H

#include "robot/ctl/ctl.h"
#include "robot/ring/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_events {
    void (*notice)(const struct ctl_message *message, void *arg);
    void (*attached)(uint64_t stream, void *arg); /* a robot program; its frames begin anew */
    void (*lost)(void *arg);                      /* the guard hung up */
    void *arg;
};

struct watch {
    const char *run_dir;
    struct watch_events events;
    int fd; /* -1: no guard; else wait for it to be readable */
    int64_t retry_ns;
    uint64_t stream;
    struct ring frames, verdicts; /* while stream != 0 */
    uint64_t low;                 /* verdicts before this one are settled; 0: none of this stream seen yet */
    uint64_t taken[RING_MAX_SLOTS];
};

void watch_init(struct watch *watch, const char *run_dir, const struct watch_events *events);
void watch_fini(struct watch *watch);

/* Connects when it is time and takes what has come. Waits at most 2 s, for a guard that accepts but does not answer. */
void watch_pump(struct watch *watch, int64_t now_ns);

/* A verdict that was not taken yet, copied and bounded; false: none. They may come a little out of order, as they were
 * decided. *out_missed, in either case: how many were overtaken since the last call. */
bool watch_verdict(struct watch *watch, struct ring_verdict *out, uint64_t *out_missed);

#endif
