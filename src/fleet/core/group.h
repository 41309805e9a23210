/* Group commit: many requests, one fsync, and no reply before its transaction is on disk.
 *
 *     request A ─ enter ─ writes ─ leave ─ reply (parked) ┐
 *     request B ─ enter ─ writes ─ leave ─ reply (parked) ├─ ≤ 5 ms or 500 replies ─▶ COMMIT ─▶ all parked
 * replies go out request C ─ reads ───────────────────reply (parked) ┘                          └ fails ─▶
 * all become that error
 *
 * - While a transaction is open every reply is parked, also that of a request which only read: what it saw
 * may not come true. Outside a transaction a reply goes out at once.
 * - A request writes between enter and leave; cancel takes its writes back and nobody else's.
 * - Watchers run after every commit (and never after a failed one): they wake what waits for the new state.
 * - Nothing about the fleet is cached in memory, so a failed commit needs no reload.
 */
#ifndef MUSTER_FLEET_CORE_GROUP_H
#define MUSTER_FLEET_CORE_GROUP_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/store/store.h"
#include "stats/exphist.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct http_request;
struct group;

enum { GROUP_DELAY_MS = 5, GROUP_MAX_PARKED = 500, GROUP_MAX_WATCHERS = 8 };

struct group_stats {
    uint64_t commits, failures, parked; /* parked: replies, over all time */
    struct exphist commit_ms;
};

int group_new(struct event_base *base, struct store *store, struct group **out, struct err *err) must_check;
void group_free(struct group *group); /* commits what is open */
MUSTER_CLEANUP(struct group *, group_free)

int group_enter(struct group *group, struct err *err) must_check;
int group_leave(struct group *group, struct err *err) must_check; /* on failure as group_cancel */
void group_cancel(struct group *group);

/* Ends the request, now or with the commit. Takes `body`. `type` NULL: application/json; must be a literal.
 */
void group_reply(struct group *group, struct http_request *request, int status, const char *type, char *body,
                 size_t len);
void group_reply_error(struct group *group, struct http_request *request, const struct err *err);

void group_watch(struct group *group, void (*committed)(void *arg), void *arg);

/* The last word in every transaction: `seal` writes into it right before its commit (if it fails, everything is taken back), `settle` is told
 * whether the transaction came onto the disk. */
struct group_seal {
    int (*seal)(void *arg, struct err *err);
    void (*settle)(void *arg, bool kept);
    void *arg;
};
void group_seal(struct group *group, const struct group_seal *seal);

/* Commits now. 0 if nothing is open. */
int group_flush(struct group *group, struct err *err) must_check;

const struct group_stats *group_stats(const struct group *group);

#endif
