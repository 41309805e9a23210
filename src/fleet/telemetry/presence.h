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

#include <stdbool.h>
#include <stdint.h>

enum { PRESENCE_PERIOD_MS = 10000 };

enum presence { PRESENCE_NEVER, PRESENCE_LIVE, PRESENCE_LATE, PRESENCE_OFFLINE, PRESENCE_COUNT };

const char *presence_name(enum presence presence); /* "live" */

/* The silence a restarted server starts with: from the robot's last contact to the server's own last sign of
 * life. */
int64_t presence_silence_at_start(int64_t seen_ms, int64_t alive_ms);

enum presence presence_of(int64_t silence_ms); /* negative: never heard */

/* Three things that can be wrong one by one:
 *
 *   link        up; down: the robot hung up and was not heard since, or is silent for 3 T; unknown: never heard
 *   agent       ok: its own word is not older than 1.5 T; late; silent
 *   inference   ok: results came out in its newest window; stalled: frames went in and none came out, the dangerous one, for link and agent look well;
 *               unknown: no frames, or no window for so long that it says nothing about now
 *
 * Connections are numbered: one that is noticed to be gone only after the next one was opened changes nothing. */
enum presence_facet {
    FACET_UNKNOWN,
    FACET_UP,
    FACET_DOWN,
    FACET_OK,
    FACET_LATE,
    FACET_SILENT,
    FACET_STALLED,
    FACET_COUNT
};
const char *presence_facet_name(enum presence_facet facet); /* "stalled" */

struct presence_link {
    uint64_t epoch; /* of the newest connection; 0: none yet */
    bool open;
};
uint64_t presence_opened(struct presence_link *link); /* the new connection's epoch */
void presence_closed(struct presence_link *link, uint64_t epoch);

/* What the newest window said, and when it was told. */
struct presence_work {
    uint64_t frames, results;
    int64_t told_ms;   /* monotonic; 0: never */
    int64_t window_ms; /* how long windows are */
};
/* A window that ended long ago is history: it says nothing about now. `age_ms`: from its end to now, by the wall clock. */
void presence_told(struct presence_work *work, uint64_t frames, uint64_t results, int64_t window_ms,
                   int64_t age_ms, int64_t mono_ms);

enum presence_facet presence_link_facet(const struct presence_link *link, int64_t silence_ms);
enum presence_facet presence_agent_facet(int64_t silence_ms);
enum presence_facet presence_inference_facet(const struct presence_work *work, int64_t mono_ms);

#endif
