/* From the agent to muster-watch: alarms that people acknowledged at the fleet (wire/seen.h), the last SEEN_MAX of them.
 *
 *   RUN_DIR/watch.seen   replaced as a whole by the agent, which also knows by it how far it has come; looked at by muster-watch, never changed
 *
 * Nothing is taken out of it: who reads it again, after a restart or twice, does what he did before. It goes with RUN_DIR at a power cut; then the agent
 * asks from the beginning, and the fleet tells it anew.
 */
#ifndef MUSTER_ROBOT_WATCH_SEEN_FILE_H
#define MUSTER_ROBOT_WATCH_SEEN_FILE_H

#include "base/err.h"
#include "wire/seen.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct seen_stamp { /* of the file that was read last; zero: none yet */
    ino_t inode;
    off_t size;
    struct timespec time;
};

/* 1: it is another file than last time, and `out` is what it says; 0: it is the same, or there is none. A damaged one is told once (-1). */
int seen_file_look(const char *run_dir, struct seen_stamp *stamp, struct seen_list *out,
                   struct err *err) must_check;
int seen_file_save(const char *run_dir, const struct seen_list *list, struct err *err) must_check;

#endif
