#include "fleet/telemetry/presence.h"

static const char *const names[PRESENCE_COUNT] = {
    [PRESENCE_NEVER] = "never",
    [PRESENCE_LIVE] = "live",
    [PRESENCE_LATE] = "late",
    [PRESENCE_OFFLINE] = "offline",
};

const char *presence_name(enum presence presence)
{
    return (unsigned)presence < PRESENCE_COUNT ? names[presence] : "never";
}

int64_t presence_silence_at_start(int64_t seen_ms, int64_t alive_ms)
{
    if (seen_ms <= 0)
        return -1;
    return alive_ms > seen_ms ? alive_ms - seen_ms : 0;
}

enum presence presence_of(int64_t silence_ms)
{
    if (silence_ms < 0)
        return PRESENCE_NEVER;
    if (silence_ms * 2 <= 3 * (int64_t)PRESENCE_PERIOD_MS)
        return PRESENCE_LIVE;
    if (silence_ms <= 3 * (int64_t)PRESENCE_PERIOD_MS)
        return PRESENCE_LATE;
    return PRESENCE_OFFLINE;
}
