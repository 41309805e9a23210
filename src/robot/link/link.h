/* The inside of libmuster, for this room and for programs of Muster's own that audit it (muster-sim robot).
 */
#ifndef MUSTER_ROBOT_LINK_H
#define MUSTER_ROBOT_LINK_H

#include "base/err.h"
#include "muster/muster.h"
#include "robot/ring/pace.h"
#include "robot/ring/ring.h"

#include <stdbool.h>

struct link_sent { /* a frame that was submitted */
    uint64_t seq, stream;
    int64_t capture_ns, deadline_ns, submitted_ns;
};

struct muster {
    char *run_dir;          /* owned */
    uint32_t width, height; /* floats: width of them, height 1 */
    bool floats;
    bool patient, spin; /* always sleeps; never does */
    uint32_t flags;     /* of the frame to be submitted */
    struct pace pace;   /* from submit to verdict */
    struct ring frames;
    uint8_t *open_frame; /* begun, not submitted; NULL: none */
    uint64_t seq;        /* of the last submitted frame */
    struct link_sent sent[RING_MAX_SLOTS];

    int busy_fd;             /* -1: muster_busy was never asked for */
    int sock;                /* -1: not connected */
    uint64_t stream;         /* 0: no WELCOME yet */
    struct ring verdicts;    /* while stream != 0 */
    int64_t retry_ns;        /* not before then */
    struct ring_verdict raw; /* the private copy of the last verdict, as the guard wrote it */

    /* The hardware emergency stop, as the program said it. Until the guard's own verdicts show that it knows, nothing that
     * it says counts. */
    bool estop_said, estop_pressed, estop_unseen;
};

/* Tells the guard; -1: there is none. */
int link_say_estop(struct muster *robot);

/* The guard is to look at the frames, unless it has not even read the last word yet. */
void link_say_frame(struct muster *robot);

/* Keeps the connection: reads packets, notices a guard that went away, dials again when it is time. Never
 * blocks. */
void link_pump(struct muster *robot);
/* Waits up to timeout_ms for WELCOME, if there is a guard at all. */
void link_await(struct muster *robot, int timeout_ms);
void link_drop(struct muster *robot);

/* What the guard's page held for the verdict given out last. */
const struct ring_verdict *link_last_verdict(const struct muster *robot);
/* True while the verdict page cannot be written by this process (or anybody but its maker). */
bool link_page_is_sealed(const struct muster *robot);

#endif
