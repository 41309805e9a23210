/* Alarms of drift that people acknowledged at the fleet: what the server says of them (wire/seen.h) goes into RUN_DIR/watch.seen (robot/watch/seen_file.h),
 * where muster-watch finds it. How far this robot has come, which the server is told with every question, is what stands in that file: if it is lost, all
 * is told again. */
#ifndef MUSTER_ROBOT_AGENT_SEEN_H
#define MUSTER_ROBOT_AGENT_SEEN_H

#include "base/err.h"
#include "wire/seen.h"

#include <stdbool.h>

struct seen_book {
    const char *run_dir; /* borrowed */
    struct seen_list list;
    bool unsaved, complained;
};

void seen_book_open(struct seen_book *book,
                    const char *run_dir); /* a damaged file is said, and counts as none */
/* What came with an answer, maybe nothing. What does not get into the file is tried again with the next answer, and asked for again by the next agent: a full
 * disk keeps no command waiting. CONFLICT: the server said nothing new. */
int seen_book_take(struct seen_book *book, const struct seen_list *news, struct err *err) must_check;

#endif
