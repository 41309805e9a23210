/* Windows of telemetry as the log keeps them (class METRIC), and as they are sent.
 *
 *   kind           payload
 *   WINDOW_TALLY   an export of wire/otlp.h: frames, results, interventions, latencies per release
 *   WINDOW_WATCH   u64 number in the mailbox, then points of wire/otlp_points.h: signals, drift, how the machine is
 *
 * Who sends them, and under which number, is put in when they are sent: before, they may be merged (robot/forward). Sums are added, gauges averaged by the
 * time that they stand for, histograms merged; what only one of both says is kept. */
#ifndef MUSTER_ROBOT_AGENT_WINDOWS_H
#define MUSTER_ROBOT_AGENT_WINDOWS_H

#include "base/buf.h"
#include "robot/forward/forward.h"

enum { WINDOW_TALLY = 1, WINDOW_WATCH = 2, WINDOW_WATCH_HEAD = 8 };

/* Appends what is sent. Errors: INVALID for what is neither. */
int window_stamp(const struct forward_record *record, const char *robot, const char *stream, struct buf *out,
                 struct err *err) must_check;
/* forward_options.merge */
int window_merge(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                 struct err *err) must_check;

#endif
