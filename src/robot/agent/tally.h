/* From the guard's counters to telemetry: deltas per release, and totals per generation for the probation.
 *
 *   guard's counters (only grow; start anew with the guard's epoch)
 *        │ tally_observe: difference to what was seen last
 *        ├──▶ total per generation, over all epochs           tally_total
 *        └──▶ window per release, since the last export       tally_freeze ──▶ OTLP bytes, numbered (stream,
 * seq)
 *
 * A frozen export is sent until the server has it (tally_sent), unchanged and under the same number; what
 * happens meanwhile goes into the next one, so windows that could not be sent merge. tally_save keeps the
 * frozen export and what was seen when it was frozen: an agent that is killed counts nothing twice, and loses
 * nothing as long as the guard lives. The file belongs on a tmpfs: after a reboot the guard counts anew as
 * well.
 *
 * Pure but for the random stream id that it is given. */
#ifndef MUSTER_ROBOT_AGENT_TALLY_H
#define MUSTER_ROBOT_AGENT_TALLY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "robot/ctl/ctl.h"
#include "wire/otlp.h"

#include <stdbool.h>
#include <stdint.h>

struct tally;

struct tally_total {
    uint64_t frames, results, inferences, over_budget, interventions;
    uint32_t runner_losses;
    double latency_p99_ms;
};

/* `stream`: 16 random bytes. NULL: out of memory. */
struct tally *tally_new(const char *robot, const uint8_t stream[16], int64_t now_ms);
void tally_free(struct tally *tally);
MUSTER_CLEANUP(struct tally *, tally_free)
#define cleanup_tally __attribute__((cleanup(tally_freep)))

/* The version a release is shown with. */
void tally_name(struct tally *tally, const struct digest *release, const char *version);
void tally_observe(struct tally *tally, const struct ctl_status *status);
/* Everything about one generation, without what humans decided (INTERVENED_OVERSIGHT). Buckets that reach over the budget's edge do not count as over it. */
struct tally_total tally_total(const struct tally *tally, uint64_t generation, double budget_ms);

/* 1 if there is something to send, 0 if not; freezes it if nothing is frozen yet. *out_body is borrowed until
 * tally_sent. -1: what was counted since the last time cannot be written and is lost. */
int tally_freeze(struct tally *tally, int64_t now_ms, const struct buf **out_body,
                 struct err *err) must_check;
void tally_sent(struct tally *tally);

/* As bytes, and back. A restore of damaged or foreign bytes fails and leaves the tally empty. */
int tally_save(const struct tally *tally, struct buf *out, struct err *err) must_check;
int tally_restore(struct tally *tally, const uint8_t *data, size_t len, struct err *err) must_check;

#endif
