/* Who asks too often: a token bucket per key (an address, an operator), in bounded memory. Pure: the time is an argument.
 *
 *     level(t) = min(burst, level(t0) + (t - t0) · per_minute / 60 000)      an act takes 1; below 1 it is refused
 *
 * There are LIMITER_SLOTS buckets. A key that has none takes that of the key which has been quiet longest among a few candidates, so a flood of
 * new keys costs its own kind their history but never memory; a bucket begins full.
 */
#ifndef MUSTER_FLEET_CORE_LIMITER_H
#define MUSTER_FLEET_CORE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIMITER_SLOTS = 4096, LIMITER_WAYS = 8 };

struct limiter {
    double per_minute, burst;
    struct limiter_slot {
        uint64_t key; /* 0: free */
        int64_t at_ms;
        double level;
    } slots[LIMITER_SLOTS];
};

void limiter_init(struct limiter *limiter, double per_minute, double burst);
/* Takes one. False: too often; *out_wait_ms (may be NULL) is when the next one is free. */
bool limiter_take(struct limiter *limiter, const char *key, int64_t mono_ms, int64_t *out_wait_ms);

#endif
