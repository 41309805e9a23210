/* From muster-watch to the agent: files that appear whole, in order, and are taken away.
 *
 *   RUN_DIR/watch/00000017.metric   OTLP bytes without stream and seq (the log gives them)      FORWARD_METRIC
 *   RUN_DIR/watch/00000018.event    a report: wire/decision.h, or a drift alarm                  FORWARD_EVENT
 *   RUN_DIR/watch/00000019.sample   wire/sample.h                                                FORWARD_SAMPLE
 *
 * The writer renames into place; numbers grow, over restarts too. The reader appends to its log (robot/forward), durable for events, and then
 * unlinks. A reader that is killed in between knows by the last number that its log took (in the record's first 8 bytes there) that it has it. At most
 * MAILBOX_MAX files: a writer without a reader keeps on adding up its window instead, and counts what samples it did not put in.
 */
#ifndef MUSTER_ROBOT_WATCH_MAILBOX_H
#define MUSTER_ROBOT_WATCH_MAILBOX_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAILBOX_MAX = 64 };
enum mailbox_kind { MAILBOX_EVENT, MAILBOX_METRIC, MAILBOX_SAMPLE, MAILBOX_KINDS };

struct mailbox {
    char dir[256];
    uint64_t next;
};

int mailbox_open(const char *run_dir, struct mailbox *out, struct err *err) must_check;
/* 1: put; 0: full. */
int mailbox_put(struct mailbox *mailbox, enum mailbox_kind kind, const void *data, size_t len,
                struct err *err) must_check;
/* The oldest file. 1: there is one; 0: none. Nonsense in the folder is removed. */
int mailbox_take(struct mailbox *mailbox, uint64_t *out_number, enum mailbox_kind *out_kind, struct buf *out,
                 struct err *err) must_check;
int mailbox_drop(struct mailbox *mailbox, uint64_t number, enum mailbox_kind kind,
                 struct err *err) must_check;

#endif
