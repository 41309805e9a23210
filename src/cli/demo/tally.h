/* Adds up what the robot programs wrote down (DIR/rNN/frames.jsonl, see sim/robot): the fleet as the robots
 * saw it, independent of what server and guard say of themselves. */
#ifndef MUSTER_CLI_DEMO_TALLY_H
#define MUSTER_CLI_DEMO_TALLY_H

#include "cli/demo/stage.h"
#include "cli/demo/view.h"
#include "stats/detection.h"

struct tally_version {
    char digest[80];
    uint64_t frames;   /* answered by this release */
    uint64_t lost;     /* got the safe state instead of a model's result while this release was to answer */
    uint64_t labelled; /* frames with known objects */
    int robots;        /* how many robots it ever answered on */
    int64_t first_ms, last_ms; /* wall clock of its first and last answer; 0: none */
    struct ap_meter *meter;
};

struct tally {
    struct tally_version versions[STAGE_RELEASES];
    uint64_t unchecked;
};

/* `view` tells which digest is which version. Lines that are torn (a program killed while it wrote) are
 * skipped. */
int tally_read(const struct stage *stage, const struct view *view, struct tally *out,
               struct err *err) must_check;
void tally_fini(struct tally *tally);

#endif
