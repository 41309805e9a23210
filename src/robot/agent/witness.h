/* The robot as a witness of the server's audit log: it remembers how long the log was and what its root was, and wants a proof that what it is
 * shown later is the same log, longer. A server that tells different robots different histories, or takes something back, is found out.
 *
 *     GET /api/v1/audit/checkpoint?since=N      at start, when the server is back, and about every hour
 *       ──▶ signed by an audit key of root (STATE_DIR/trust/root.json), consistent ──▶ STATE_DIR/trust/checkpoint
 *       ──▶ not: [audit.fork] [audit.shrunk] [audit.signature] ──▶ reported, loudly; STATE_DIR/trust/audit-evidence-N.json keeps both
 *
 * - STATE_DIR/trust/checkpoint is the signed note as it came: muster audit verify --witness takes it.
 * - After a fork the robot goes on from what it was shown, so that the next one is found, too. The evidence stays (16 of them).
 *   One that came through a server that had been away is the last one that is asked for out of turn for ten minutes, so that a server that lies
 *   and goes away, again and again, wears out no disk.
 * - A checkpoint that no key of root signed may only be one whose key this robot has not heard of yet: it is told when none has signed for
 *   patience_ms, once each time that this begins.
 * - A root that names no audit key, or none at all: nothing is asked. Errors of the way are tried again and said in the log only. */
#ifndef MUSTER_ROBOT_AGENT_WITNESS_H
#define MUSTER_ROBOT_AGENT_WITNESS_H

#include "base/err.h"
#include "base/mem.h"
#include "sys/fetch.h"

#include <stdint.h>

struct witness;

struct witness_options {
    struct fetch *fetch; /* borrowed, as everything here */
    const char *server;  /* URL */
    const char *dir;     /* STATE_DIR/trust */
    int64_t period_ms;   /* 0: an hour */
    int64_t patience_ms; /* how long a stranger may sign before that is told; 0: two hours */
    void (*violated)(const char *text, void *arg); /* "[audit.fork] …", to be reported */
    void *arg;
};

int witness_new(const struct witness_options *options, struct witness **out, struct err *err) must_check;
void witness_free(struct witness *witness);
MUSTER_CLEANUP(struct witness *, witness_free)
#define cleanup_witness __attribute__((cleanup(witness_freep)))

void witness_tick(struct witness *witness, int64_t now_ms);
int64_t witness_next_ms(const struct witness *witness); /* monotonic */
void witness_soon(struct witness *witness);             /* the server is back */

/* What a server answered, judged and kept as if it had come over the network. 0: the same log, or not judged yet; -1: *err names the rule. */
int witness_judge(struct witness *witness, const void *answer, size_t len, struct err *err) must_check;

#endif
