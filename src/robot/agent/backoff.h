/* When to try again: delays that double from min_ms to max_ms, each drawn from its upper half, so that a
 * thousand robots that lost their server do not come back at once. Pure: time and random bits are arguments.
 */
#ifndef MUSTER_ROBOT_AGENT_BACKOFF_H
#define MUSTER_ROBOT_AGENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    int64_t min_ms, max_ms;
    unsigned tries;   /* failures in a row */
    int64_t until_ms; /* monotonic; nothing before */
};

static inline bool backoff_ready(const struct backoff *backoff, int64_t now_ms)
{
    return now_ms >= backoff->until_ms;
}

static inline void backoff_reset(struct backoff *backoff)
{
    backoff->tries = 0;
    backoff->until_ms = 0;
}

static inline void backoff_failed(struct backoff *backoff, int64_t now_ms, uint32_t random)
{
    int64_t delay = backoff->min_ms;
    for (unsigned i = 0; i < backoff->tries && delay < backoff->max_ms; i++)
        delay *= 2;
    if (delay > backoff->max_ms)
        delay = backoff->max_ms;
    backoff->tries++;
    backoff->until_ms = now_ms + delay / 2 + (int64_t)(random % (uint32_t)(delay / 2 + 1));
}

#endif
