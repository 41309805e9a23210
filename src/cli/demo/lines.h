/* Files of JSON lines that the simulator writes while a demo plays (sim/robot/LOG.md, sim/link). */
#ifndef MUSTER_CLI_DEMO_LINES_H
#define MUSTER_CLI_DEMO_LINES_H

#include "base/err.h"
#include "wire/json.h"

/* Calls `visit` for each whole line that is an object; *offset: where to begin, and where to go on next time. A file that is not there has no lines. */
int lines_read(const char *path, long *offset, void (*visit)(struct json_at root, void *arg), void *arg,
               struct err *err) must_check;

#endif
