/* Prometheus remote write out of the server: samples go in, batches go out, in order, one at a time.
 *
 *     remote_put ─▶ open batch ── full, or 5 s old ──▶ sorted by time, snappy ─▶ queue ─▶ POST ── 2xx ─▶ sent
 *                                                                              │         ├─ 429, 5xx, no answer: again, after 1, 2, 4 … 60 s
 *                                                     full: the oldest batch ◀─┘         └─ other 4xx: never again (refused)
 *                                                     is dropped, counted
 *
 * Nothing here waits or blocks: `remote_tick` moves what can be moved. Nothing is kept over a restart: who must not lose a sample lets Prometheus
 * or an agent of it scrape or receive on this machine.
 */
#ifndef MUSTER_FLEET_REMOTE_REMOTE_H
#define MUSTER_FLEET_REMOTE_REMOTE_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/remote_write.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REMOTE_BATCH_SAMPLES = 2000, REMOTE_BATCH_BYTES = 1 << 20, REMOTE_QUEUE = 64, REMOTE_BATCH_MS = 5000 };
enum { REMOTE_MIN_WAIT_MS = 1000, REMOTE_MAX_WAIT_MS = 60000, REMOTE_TIMEOUT_MS = 30000 };

struct remote_options {
    const char *url;        /* https://host/api/v1/write; http for loopback addresses only */
    const char *ca_path;    /* of the receiver, PEM; NULL: http only */
    const char *token_path; /* a bearer token; NULL: none */
};

struct remote_counters {
    uint64_t sent, dropped, refused; /* samples */
    uint64_t requests, retries;
    uint64_t pending; /* samples in memory now */
    char last_error[200];
};

struct remote;

int remote_new(const struct remote_options *options, struct remote **out, struct err *err) must_check;
void remote_free(struct remote *remote); /* what has not gone out is gone */
MUSTER_CLEANUP(struct remote *, remote_free)
#define cleanup_remote __attribute__((cleanup(remote_freep)))

/* Takes a sample, or counts it as dropped. */
void remote_put(struct remote *remote, const struct remote_label *labels, size_t count, double value,
                int64_t time_ms);
/* To be called often while something is pending; `now_ms` is monotonic. Returns in how many ms it wants to be called again at the latest. */
int64_t remote_tick(struct remote *remote, int64_t now_ms);
void remote_flush(struct remote *remote); /* what is collected goes to the queue now */
void remote_look(const struct remote *remote, struct remote_counters *out);

#endif
