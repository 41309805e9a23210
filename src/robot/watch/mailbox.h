/* From muster-watch to the agent: files that appear whole, in order, and are taken away.
 *
 *   RUN_DIR/watch/00000001781234567017.metric   OTLP bytes without stream and seq (the log gives them)      FORWARD_METRIC
 *   RUN_DIR/watch/00000001781234567018.event    a report: wire/decision.h, or a drift alarm                  FORWARD_EVENT
 *   RUN_DIR/watch/00000001781234567019.sample   wire/sample.h                                                FORWARD_SAMPLE
 *
 * The writer renames into place; numbers grow, over restarts too: the first one is the milliseconds of the wall clock, or one more than the largest that
 * is there. The reader appends to its log (robot/forward), durable for events, and then unlinks. A reader that was killed in between has the file's number
 * as the last one that its log took (in the record's first 8 bytes there): equal, not less or equal, for the clock of a machine without power may go
 * back. At most MAILBOX_MAX files, a part of them kept for events: a writer without a reader keeps on adding up its window instead, and counts what samples
 * it did not put in. One writer, one reader.
 */
#ifndef MUSTER_ROBOT_WATCH_MAILBOX_H
#define MUSTER_ROBOT_WATCH_MAILBOX_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAILBOX_MAX = 64,
    MAILBOX_MAX_METRICS = 48,
    MAILBOX_MAX_SAMPLES = 32
}; /* files in all, when one of that kind is put */
enum mailbox_kind { MAILBOX_EVENT, MAILBOX_METRIC, MAILBOX_SAMPLE, MAILBOX_KINDS };

struct mailbox {
    char dir[256];
    uint64_t next;
};

/* For either side. Makes the folder; RUN_DIR itself must be there (NOT_FOUND). */
int mailbox_open(const char *run_dir, struct mailbox *out, struct err *err) must_check;
/* 1: put; 0: full. */
int mailbox_put(struct mailbox *mailbox, enum mailbox_kind kind, const void *data, size_t len,
                struct err *err) must_check;
/* The oldest file, `out` anew. 1: there is one; 0: none. Nonsense in the folder is removed: other names, what is no ordinary file, what is larger than
 * out->max, and what a writer that was killed left half written a minute ago. */
int mailbox_take(struct mailbox *mailbox, uint64_t *out_number, enum mailbox_kind *out_kind, struct buf *out,
                 struct err *err) must_check;
int mailbox_drop(struct mailbox *mailbox, uint64_t number, enum mailbox_kind kind,
                 struct err *err) must_check;

#endif
