/* From the arena to a sealed file: DIR/ID.mcap, whole or not at all.
 *
 *     ID.mcap.tmp-XXXXXX ── messages, chain, signature ── fsync ── rename ──▶ ID.mcap ── fsync of the directory
 *
 * It only reads the arena: the recorder runs it in a child process, on a snapshot of its memory that costs a fork, and goes on
 * recording. A kill at any instant leaves no ID.mcap, or a whole one.
 */
#ifndef MUSTER_ROBOT_RECORDER_SEAL_H
#define MUSTER_ROBOT_RECORDER_SEAL_H

#include "base/err.h"
#include "robot/recorder/arena.h"
#include "trust/incident.h"

#include <stdint.h>

struct seal {
    const char *dir;
    const struct arena *arena;
    const struct incident_signer *signer; /* NULL: not signed */
    int64_t from_ns, at_ns, until_ns;     /* CLOCK_MONOTONIC; what lies between goes in */
    int64_t wall_offset_ns;
    uint64_t max_bytes; /* a longer file is given up (NO_SPACE); 0: any length */
    struct incident_facts
        facts; /* id, robot, cause, severity, text, who, reason; the rest is found in the arena */
};

int seal_write(struct seal *seal, struct err *err) must_check;

#endif
