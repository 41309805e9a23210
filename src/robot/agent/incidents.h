/* Sends what the black box sealed (robot/recorder/shelf.h) to the fleet server: the gravest first, of these the oldest, and only
 * while the link has nothing better to do. A file goes in parts and goes on where it was:
 *
 *   PUT  /api/v1/incidents/DIGEST?offset=O&total=T    an empty part at 0 asks how much is there
 *   POST /api/v1/incidents {"digest"}                 it is there: look at it
 *   ID.sent beside ID.mcap                            the server has it
 *
 * What the server refuses for good (it is not whole, not signed by this robot) is said once and not sent again. */
#ifndef MUSTER_ROBOT_AGENT_INCIDENTS_H
#define MUSTER_ROBOT_AGENT_INCIDENTS_H

#include "base/err.h"
#include "base/mem.h"
#include "sys/fetch.h"

#include <stdbool.h>
#include <stdint.h>

struct incidents;

/* Everything borrowed. `state_dir`/incidents is the shelf. */
int incidents_new(struct fetch *fetch, const char *server, const char *state_dir, struct incidents **out,
                  struct err *err) must_check;
void incidents_free(struct incidents *incidents);
MUSTER_CLEANUP(struct incidents *, incidents_free)
#define cleanup_incidents __attribute__((cleanup(incidents_freep)))

void incidents_tick(struct incidents *incidents, bool link_busy, int64_t now_ms);
int64_t incidents_next_ms(const struct incidents *incidents);

#endif
