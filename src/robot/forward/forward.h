/* Store and forward: what the fleet has to know, kept on the robot until the fleet has it.
 *
 *   DIR/forward.lock   DIR/N.seg: header, then records   u32 bytes  u32 crc32c  u8 class  u8 kind  u16 0  u32 level  u64 seq  i64 time_ms  payload
 *   DIR/acked          one line per class, replaced atomically
 *
 *   class   for                                  on disk when append returns    when there is no room
 *   EVENT   reports, decisions, gap records       yes (fdatasync)                refused, never dropped: the quota keeps room for them
 *   METRIC  windows (OTLP bytes)                  group commit, ≤ 1 s            thinned: two neighbours become one of half the resolution (`merge`)
 *   SAMPLE  frames for review                     when the system likes          every second one dropped, and that is a gap record
 *
 * Each class has its own sequence numbers from 1, without holes; a record that was thinned or lost is inside of exactly one GAP record
 * (class EVENT: which class, which numbers, from when to when, how many, why), durable before what it speaks of is gone. The reader offers records
 * again until they are acknowledged: at least once on the wire, exactly once at the server, by (stream, class, seq). A cut at any instruction: a record
 * is whole or absent; acknowledged ones never come back; what a cut took of METRIC and SAMPLE becomes a GAP at the next start.
 */
#ifndef MUSTER_ROBOT_FORWARD_H
#define MUSTER_ROBOT_FORWARD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

enum forward_class { FORWARD_EVENT, FORWARD_METRIC, FORWARD_SAMPLE, FORWARD_CLASSES };
enum { FORWARD_MAX_RECORD = 256 << 10 };

struct forward_record {
    enum forward_class class;
    uint8_t kind;   /* the caller's */
    uint32_t level; /* METRIC: how often it was merged: covers 2^level of the first ones */
    uint64_t seq;
    int64_t time_ms;
    const uint8_t *data;
    size_t len;
};

struct forward_options {
    const char *dir;
    uint64_t quota_bytes; /* of the whole log, segments and all */
    /* Two METRIC records of one kind and level, the older first, into one. 1: done; 0: these do not merge (then they are thinned by dropping the
     * younger, with a gap); -1: error. NULL: nothing merges. */
    int (*merge)(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                 struct err *err);
    void *arg;
};

struct forward;

int forward_open(const struct forward_options *options, int64_t now_ms, struct forward **out,
                 struct err *err) must_check;
void forward_free(struct forward *forward);
MUSTER_CLEANUP(struct forward *, forward_free)
#define cleanup_forward __attribute__((cleanup(forward_freep)))

const char *forward_stream(const struct forward *forward); /* 32 hex; made anew when the log was lost */
int forward_append(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                   const void *data, size_t len, struct err *err) must_check;
void forward_tick(struct forward *forward, int64_t now_ms); /* commits METRIC at most 1 s late */
/* The oldest unacknowledged record of a class; borrowed until the next call. 1: there is one; 0: none. `after`: of those with a larger seq. */
int forward_next(struct forward *forward, enum forward_class class, uint64_t after,
                 struct forward_record *out, struct err *err) must_check;
int forward_ack(struct forward *forward, enum forward_class class, uint64_t seq,
                struct err *err) must_check; /* everything up to it */
uint64_t forward_pending(const struct forward *forward, enum forward_class class);
uint64_t forward_bytes(const struct forward *forward);

#endif
