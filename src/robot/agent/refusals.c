#include "robot/agent/refusals.h"

void refusals_init(struct refusals *refusals, const struct digest *last, int64_t now_ms)
{
    *refusals = (struct refusals){.tokens = REFUSALS_BURST, .filled_ms = now_ms, .next = 1};
    refusals->kept[0] = *last;
}

static bool is_kept(const struct refusals *refusals, const struct digest *key)
{
    for (size_t i = 0; i < REFUSALS_KEPT; i++)
        if (digest_equal(&refusals->kept[i], key))
            return true;
    return false;
}

static void fill(struct refusals *refusals, int64_t now_ms)
{
    int64_t more = (now_ms - refusals->filled_ms) / REFUSALS_PACE_MS;
    if (more <= 0)
        return;
    refusals->filled_ms += more * REFUSALS_PACE_MS;
    refusals->tokens =
        more > REFUSALS_BURST - refusals->tokens ? REFUSALS_BURST : refusals->tokens + (int)more;
}

bool refusals_is_new(struct refusals *refusals, const struct digest *key, int64_t now_ms,
                     unsigned *out_untold)
{
    if (is_kept(refusals, key))
        return false;
    fill(refusals, now_ms);
    if (refusals->tokens == 0) { /* not kept: it may come again when there is time for it */
        refusals->untold++;
        return false;
    }
    refusals->tokens--;
    refusals->kept[refusals->next] = *key;
    refusals->next = (refusals->next + 1) % REFUSALS_KEPT;
    *out_untold = refusals->untold;
    refusals->untold = 0;
    return true;
}

void refusals_forget(struct refusals *refusals, const struct digest *key)
{
    for (size_t i = 0; i < REFUSALS_KEPT; i++)
        if (digest_equal(&refusals->kept[i], key))
            refusals->kept[i] = (struct digest){0};
}
