/* Store and forward: what the fleet has to know, kept on the robot until the fleet has it.
 *
 *   DIR/forward.lock
 *   DIR/N.seg    records of one class, oldest first (segment.h); N grows over all classes
 *   DIR/N.new    what takes the place of N.seg, once the GAP record that it names is in the log (thin.h)
 *   DIR/marks    stream, boot, and per class: acknowledged, offered, bound; replaced atomically (marks.h)
 *
 *   class   for                                  on disk when append returns    when there is no room
 *   EVENT   reports, decisions, gap records       yes (fdatasync)                refused, never dropped: a share of the quota is kept for them
 *   METRIC  windows (OTLP bytes)                  group commit, ≤ 1 s            thinned: two of a kind become one of half the resolution (`merge`)
 *   SAMPLE  frames for review                     when the system likes          every second one dropped
 *
 * Each class has its own sequence numbers from 1. A number that the reader never sees is inside of exactly one GAP record (class EVENT, kind
 * FORWARD_KIND_GAP, text below), which is durable before what it speaks of is gone. EVENT has no such numbers. The reader is offered records again until
 * it acknowledges them: at least once on the wire, exactly once at the server, by (stream, class, number). A cut at any instruction: a record is whole or
 * absent; acknowledged ones never come back; what a cut took of METRIC and SAMPLE becomes a GAP at the next start. What was offered once is never merged or
 * dropped, for the server may have it.
 *
 *   {"class":"metric","count":400,"first":1,"from_ms":…,"last":799,"merged":400,"numbers":"1-799/2","until_ms":…,"why":"no room: two became one"}
 *
 * `numbers`: FIRST, FIRST-LAST or FIRST-LAST/STEP, by commas. `merged`: as many of them are not lost: what they said is in the next number of their kind.
 * After the power went without a goodbye nobody can know which of the last numbers had been given: the GAP has all up to the bound in `marks`, and says so.
 *
 * Shares of the quota: METRIC 1/2, SAMPLE 1/4, EVENT 1/4 less what a rewritten segment and GAP records need. 64 segments fill it. */
#ifndef MUSTER_ROBOT_FORWARD_H
#define MUSTER_ROBOT_FORWARD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

enum forward_class { FORWARD_EVENT, FORWARD_METRIC, FORWARD_SAMPLE, FORWARD_CLASSES };
enum {
    FORWARD_MAX_RECORD = 256 << 10, /* and at most 1/64 of the quota */
    FORWARD_MIN_QUOTA = 256 << 10,
    FORWARD_KIND_GAP = 255, /* of EVENT: written here */
    FORWARD_MAX_GAP = 3 << 10,
};

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
    /* Two METRIC records of one kind and level, the older first, into one. 1: done; 0: these do not merge (then the older one is
     * dropped); -1: error, as 0. NULL: nothing merges. */
    int (*merge)(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                 struct err *err);
    void *arg;
    const char *
        boot; /* names this time that the machine is up: within it a write is not lost. NULL: the kernel's boot id */
};

struct forward;

/* Errors: BUSY if another process has it; IO, NO_SPACE. Damage is no error: it becomes GAP records. */
int forward_open(const struct forward_options *options, int64_t now_ms, struct forward **out,
                 struct err *err) must_check;
void forward_free(struct forward *forward);
MUSTER_CLEANUP(struct forward *, forward_free)
#define cleanup_forward __attribute__((cleanup(forward_freep)))

const char *forward_stream(const struct forward *forward); /* 32 hex; made anew when the log was lost */
/* On failure nothing was appended. NO_SPACE: no room, nor can any be made; TOO_BIG. */
int forward_append(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                   const void *data, size_t len, struct err *err) must_check;
void forward_tick(struct forward *forward,
                  int64_t now_ms);                      /* commits METRIC at most 1 s late; monotonic time */
int64_t forward_next_ms(const struct forward *forward); /* when forward_tick has something to do */
/* The oldest unacknowledged record of a class; borrowed until the next call. 1: there is one; 0: none. `after`: of those with a larger seq. */
int forward_next(struct forward *forward, enum forward_class class, uint64_t after,
                 struct forward_record *out, struct err *err) must_check;
/* Everything up to it, durably. CONFLICT: more than was ever given. Less than before: nothing happens. */
int forward_ack(struct forward *forward, enum forward_class class, uint64_t seq, struct err *err) must_check;
uint64_t forward_pending(const struct forward *forward, enum forward_class class);
uint64_t forward_acked(const struct forward *forward, enum forward_class class);
uint64_t forward_last(const struct forward *forward, enum forward_class class); /* the last number given */
uint64_t forward_bytes(const struct forward *forward);
/* The last record of a kind that was appended, acknowledged or not, as far as its segment is there: for writers that must not say a thing twice. 1 or 0. */
int forward_newest(struct forward *forward, enum forward_class class, uint8_t kind,
                   struct forward_record *out, struct err *err) must_check;

/* The server's and the robot's numbers do not fit together (either was set back): a new stream; EVENT records that wait are numbered from 2 on, after a GAP
 * that says why. */
int forward_restart(struct forward *forward, int64_t now_ms, const char *why, struct err *err) must_check;
/* A log without any event yet takes over stream and numbers of another: the next EVENT is number `first`. CONFLICT otherwise. */
int forward_adopt(struct forward *forward, const char *stream, uint64_t first, struct err *err) must_check;

#endif
