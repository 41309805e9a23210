/* The last line of a child's log: its reason, in its own words. */
#ifndef MUSTER_ROBOT_AGENT_LASTLINE_H
#define MUSTER_ROBOT_AGENT_LASTLINE_H

#include <stddef.h>

/* "" if there is none. Cut to size; a time stamp, level and program in front (base/log.h) are left out. */
void last_line(const char *path, char *out, size_t out_size);

#endif
