/* Alarms of drift that people have acknowledged at the fleet, on their way to the robot that raised them.
 *
 *   {"seen": [{"number": 1700000000123, "release": "sha256:…", "time_ms": 1700000000000}, …]}
 *
 * An alarm is known by its release and its own time, as its robot told it (wire/decision.h): nothing else is acknowledged by it, neither an older alarm
 * nor a newer one. `number` grows with every acknowledgement in the fleet, has holes for each robot, and is how far the robot has come: the last entry's.
 * It goes back only if the server does (a backup); entries that come again are the same ones, and change nothing.
 *
 * In the answer to a robot's question for commands (docs/api.md), and in RUN_DIR/watch.seen, from the agent to muster-watch. Unknown members are passed over.
 */
#ifndef MUSTER_WIRE_SEEN_H
#define MUSTER_WIRE_SEEN_H

#include "base/digest.h"
#include "base/err.h"
#include "wire/json.h"
#include "wire/json_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEEN_MAX = 64, SEEN_MAX_BYTES = 16 << 10 };

struct seen_alarm {
    uint64_t number; /* from 1 */
    struct digest release;
    int64_t time_ms; /* of the alarm, by its robot's clock; from 1 */
};

struct seen_list { /* in the order in which they came */
    size_t count;
    struct seen_alarm items[SEEN_MAX];
};

int seen_parse(const void *text, size_t len, struct seen_list *out, struct err *err) must_check;
char *seen_format(const struct seen_list *list); /* free() it; NULL: out of memory */
/* Member "seen" of an object; none: an empty list. Errors go to the reader. */
void seen_read(struct json_at object, struct seen_list *out);
void seen_write(struct json_writer *w, const struct seen_alarm *seen); /* an item of a list */

/* As the newest. The same alarm is in it once; if there is no room the oldest goes. */
void seen_add(struct seen_list *list, const struct seen_alarm *seen);
bool seen_has(const struct seen_list *list, const struct digest *release, int64_t time_ms);
uint64_t seen_last(const struct seen_list *list); /* number of the newest; 0: none */

#endif
