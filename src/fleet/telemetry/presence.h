/* Is a robot there? Derived from its last contact, never stored.
 *
 *     never │ live ── 1.5 T ──▶ late ── 3 T ──▶ offline        T = 10 s
 *
 * Silence is what counts, and time in which the server was down is not silence: a robot that was silent for 4
 * s when the server died is silent for 4 s when it comes back. `alive_ms` is when the server last said it was
 * alive (flushed now and then), so the error is at most one flush period.
 */
#ifndef MUSTER_FLEET_TELEMETRY_PRESENCE_H
#define MUSTER_FLEET_TELEMETRY_PRESENCE_H

#include <stdint.h>

enum { PRESENCE_PERIOD_MS = 10000 };

enum presence { PRESENCE_NEVER, PRESENCE_LIVE, PRESENCE_LATE, PRESENCE_OFFLINE, PRESENCE_COUNT };

const char *presence_name(enum presence presence); /* "live" */

/* The silence a restarted server starts with: from the robot's last contact to the server's own last sign of
 * life. */
int64_t presence_silence_at_start(int64_t seen_ms, int64_t alive_ms);

enum presence presence_of(int64_t silence_ms); /* negative: never heard */

#endif
