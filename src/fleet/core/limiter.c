#include "fleet/core/limiter.h"

#include <math.h>
#include <string.h>

/* FNV-1a. An attacker who finds keys that meet in one set can only push each other out of it. */
static uint64_t hash(const char *key)
{
    uint64_t sum = 1469598103934665603u;
    for (const unsigned char *c = (const unsigned char *)key; *c; c++)
        sum = (sum ^ *c) * 1099511628211u;
    return sum ? sum : 1;
}

void limiter_init(struct limiter *limiter, double per_minute, double burst)
{
    memset(limiter, 0, sizeof *limiter);
    limiter->per_minute = per_minute;
    limiter->burst = burst;
}

static double level_at(const struct limiter *limiter, const struct limiter_slot *slot, int64_t now_ms)
{
    double passed_ms = now_ms > slot->at_ms ? (double)(now_ms - slot->at_ms) : 0;
    return fmin(limiter->burst, slot->level + passed_ms * limiter->per_minute / 60000);
}

static const struct limiter_slot *set_of(const struct limiter *limiter, uint64_t key)
{
    return &limiter->slots[(key % (LIMITER_SLOTS / LIMITER_WAYS)) * LIMITER_WAYS];
}

static const struct limiter_slot *find(const struct limiter *limiter, uint64_t key)
{
    const struct limiter_slot *set = set_of(limiter, key);
    for (size_t i = 0; i < LIMITER_WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct limiter_slot *take_slot(struct limiter *limiter, uint64_t key, int64_t now_ms)
{
    struct limiter_slot *set = (struct limiter_slot *)set_of(limiter, key), *quiet = set;
    for (size_t i = 1; i < LIMITER_WAYS; i++)
        if (set[i].key == 0 || (quiet->key != 0 && set[i].at_ms < quiet->at_ms))
            quiet = &set[i];
    *quiet = (struct limiter_slot){.key = key, .at_ms = now_ms, .level = limiter->burst};
    return quiet;
}

static void tell_wait(const struct limiter *limiter, double level, int64_t *out_wait_ms)
{
    if (out_wait_ms)
        *out_wait_ms = level >= 1 ? 0 : (int64_t)ceil((1 - level) * 60000 / limiter->per_minute);
}

bool limiter_take(struct limiter *limiter, const char *key, int64_t mono_ms, int64_t *out_wait_ms)
{
    uint64_t id = hash(key);
    struct limiter_slot *slot = (struct limiter_slot *)find(limiter, id);
    if (!slot)
        slot = take_slot(limiter, id, mono_ms);
    double level = level_at(limiter, slot, mono_ms);
    tell_wait(limiter, level, out_wait_ms);
    bool open = level >= 1;
    slot->level = open ? level - 1 : level;
    slot->at_ms = mono_ms > slot->at_ms ? mono_ms : slot->at_ms;
    return open;
}
