/* For tests and bench-forward: a log that is killed, or whose power is cut, again and again, with a server that counts.
 *
 * One life is a process: it opens the log, appends events, windows and samples, and sends some of them to the server, which lives in shared memory and takes
 * each (stream, class, number) once. It ends by SIGKILL at a random moment (real), or at a random change of the file system, with what was not synced lost
 * (robot/store/powercut.h). In the end one life sends all that is left, and the books have to be right:
 *
 *   an event whose append returned 0     was taken exactly once            one whose append did not return: once or never
 *   every other number                   was taken once, or is inside of exactly one GAP; never both
 *   a window that was taken              stands for just those numbers that were merged into it */
#ifndef MUSTER_ROBOT_FORWARD_CAMPAIGN_H
#define MUSTER_ROBOT_FORWARD_CAMPAIGN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_options {
    const char *dir; /* an existing, empty folder */
    long kills, cuts;
    uint64_t seed;
    void (*progress)(long done, long all); /* or NULL */
};

struct campaign_result {
    long lives, kills, cuts;
    uint64_t appended[3], taken[3], offered_again[3]; /* by class */
    uint64_t gaps, in_gaps, merged, restarts;
    uint64_t lost, doubled, unexplained, explained_twice, wrong_sums; /* all have to be 0 */
    char first_wrong[160];
};

int campaign_run(const struct campaign_options *options, struct campaign_result *out,
                 struct err *err) must_check;

#endif
