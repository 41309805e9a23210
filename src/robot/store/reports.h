/* The report log: what happened on the robot, kept until the server has it. Class EVENT of the robot's one log (robot/forward), seen as reports.
 *
 *   kind                     payload
 *   REPORT_RECORD            one record of wire/api.h as JSON
 *   REPORT_WATCHED           u64 number in the mailbox, then an event of muster-watch (api_report_from_event)
 *   FORWARD_KIND_GAP         becomes a report GAP; if it is about reports themselves, RESTARTED: "reports were lost: …"
 *
 * - A report counts as made when report_log_append returns 0: the record is on the disk by then (fdatasync).
 * - seq starts at 1 in each stream and has no holes. Records are offered again and again until acknowledged.
 * - A record that cannot be read as what it says is a report GAP that says so: nothing stands in the way of what comes after it.
 * - Damage in the middle, or a server that knows more or less than it once acknowledged, means that records are lost: a new stream begins with what still
 *   waits, and its first record says so. A gap is itself a record. */
#ifndef MUSTER_ROBOT_STORE_REPORTS_H
#define MUSTER_ROBOT_STORE_REPORTS_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/forward/forward.h"
#include "wire/api.h"

#include <stddef.h>
#include <stdint.h>

enum { REPORT_RECORD = 1, REPORT_WATCHED = 2, REPORT_WATCHED_HEAD = 8 };

struct report_log;

/* `forward` is borrowed. `old_path`: a log of the format before, read once if it is there; NULL: none. */
int report_log_open(struct forward *forward, const char *old_path, struct report_log **out,
                    struct err *err) must_check;
void report_log_free(struct report_log *log);
MUSTER_CLEANUP(struct report_log *, report_log_free)
#define cleanup_report_log __attribute__((cleanup(report_log_freep)))

/* Appends durably; report->seq is ignored and given by the log. On failure nothing is appended. */
int report_log_append(struct report_log *log, const struct api_report *report, struct err *err) must_check;

size_t report_log_pending(const struct report_log *log); /* records not acknowledged */
uint64_t report_log_last_seq(const struct report_log *log);

/* The oldest unacknowledged records, at most API_MAX_RECORDS. */
int report_log_batch(struct report_log *log, struct api_reports *out, struct err *err) must_check;

/* The server has everything up to `acked`. An answer that does not fit to what was acknowledged before, or to what there is, begins a new stream. */
int report_log_ack(struct report_log *log, uint64_t acked, int64_t now_ms, struct err *err) must_check;

#endif
