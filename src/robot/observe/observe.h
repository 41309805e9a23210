/* An ear at the guard's socket, for muster-recorder and muster-watch: connected as an observer, which reads and can change nothing. A guard that is not
 * there is tried again; whatever the guard or the robot program do, nobody waits for an observer and it waits for nobody. */
#ifndef MUSTER_ROBOT_OBSERVE_H
#define MUSTER_ROBOT_OBSERVE_H

#include "robot/ctl/ctl.h"
#include "robot/ring/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct observer_events {
    void (*notice)(const struct ctl_message *message, void *arg);
    void (*attached)(uint64_t stream, void *arg);               /* a robot program; its frames begin anew */
    void (*lost)(void *arg);                                    /* the guard hung up */
    void (*status)(const struct ctl_status *status, void *arg); /* the answer to observer_ask; may be NULL */
    void *arg;
};

struct observer {
    const char *run_dir;
    struct observer_events events;
    int fd; /* -1: no guard; else wait for it to be readable */
    int64_t retry_ns;
    uint64_t stream;
    struct ring frames, verdicts; /* while stream != 0 */
    uint64_t low;                 /* verdicts before this one are settled; 0: none of this stream seen yet */
    uint64_t taken[RING_MAX_SLOTS];
};

void observer_init(struct observer *observer, const char *run_dir, const struct observer_events *events);
void observer_fini(struct observer *observer);

/* Connects when it is time and takes what has come. Waits at most 2 s, for a guard that accepts but does not answer. */
void observer_pump(struct observer *observer, int64_t now_ns);

/* Asks for the guard's STATUS; without a guard, or with a full socket, nothing comes of it. */
void observer_ask(const struct observer *observer);

/* A verdict that was not taken yet, copied and bounded; false: none. They may come a little out of order, as they were
 * decided. *out_missed, in either case: how many were overtaken since the last call. */
bool observer_verdict(struct observer *observer, struct ring_verdict *out, uint64_t *out_missed);

#endif
