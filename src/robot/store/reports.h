/* The report log: what happened on the robot, kept until the server has it.
 *
 *   STATE_DIR/reports.log, numbers little-endian
 *     header   "MREPORT1"  u8[16] stream   u64 first seq of the file   u8[8] check
 *     record   u64 seq  i64 time_ms  u16 kind  u16 guard  u8[32] release  char[64] version  u64 bytes  char[160] text
 * u8[8] check
 *              ... each record 292 bytes; with a state of the guard who stands behind it is in the place of the version; check = first 8 bytes of SHA-256 over the rest of header or record
 *
 * - A report counts as made when report_log_append returns 0: the record is on the disk by then (fdatasync).
 * - seq starts at 1 in each stream and has no holes. Records are offered again and again until acknowledged;
 * what is acknowledged is dropped from the file by and by (the whole file is replaced when everything is
 * acknowledged and it has grown past REPORT_LOG_COMPACT_BYTES).
 * - A torn last record (power cut) is cut off. Damage in the middle, or a server that knows more than the
 * log, means that records are lost: a new stream begins, and its first record says so. A gap is itself a
 * record.
 */
#ifndef MUSTER_ROBOT_STORE_REPORTS_H
#define MUSTER_ROBOT_STORE_REPORTS_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/api.h"

#include <stddef.h>
#include <stdint.h>

enum { REPORT_LOG_COMPACT_BYTES = 64 << 10 };

struct report_log;

/* Opens or creates. `now_ms` (Unix time) is for the record that tells of a loss. */
int report_log_open(const char *path, int64_t now_ms, struct report_log **out, struct err *err) must_check;
void report_log_free(struct report_log *log);
MUSTER_CLEANUP(struct report_log *, report_log_free)
#define cleanup_report_log __attribute__((cleanup(report_log_freep)))

/* Appends durably; report->seq is ignored and given by the log. On failure nothing is appended. */
int report_log_append(struct report_log *log, const struct api_report *report, struct err *err) must_check;

size_t report_log_pending(const struct report_log *log); /* records not acknowledged */
uint64_t report_log_last_seq(const struct report_log *log);

/* The oldest unacknowledged records, at most API_MAX_RECORDS. */
int report_log_batch(struct report_log *log, struct api_reports *out, struct err *err) must_check;

/* The server has everything up to `acked`. An answer below what was acknowledged before means that the server
 * lost its memory: what the file still holds is offered again; what it does not begins a new stream. */
int report_log_ack(struct report_log *log, uint64_t acked, int64_t now_ms, struct err *err) must_check;

#endif
