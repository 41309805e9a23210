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

static const char *const facet_names[FACET_COUNT] = {
    [FACET_UNKNOWN] = "unknown", [FACET_UP] = "up",         [FACET_DOWN] = "down",       [FACET_OK] = "ok",
    [FACET_LATE] = "late",       [FACET_SILENT] = "silent", [FACET_STALLED] = "stalled",
};

const char *presence_facet_name(enum presence_facet facet)
{
    return (unsigned)facet < FACET_COUNT ? facet_names[facet] : "unknown";
}

uint64_t presence_opened(struct presence_link *link)
{
    link->open = true;
    return ++link->epoch;
}

void presence_closed(struct presence_link *link, uint64_t epoch)
{
    if (epoch == link->epoch)
        link->open = false;
}

static int64_t longest_silence(const struct presence_work *work)
{
    int64_t period_ms = work->window_ms > PRESENCE_PERIOD_MS ? work->window_ms : PRESENCE_PERIOD_MS;
    return 3 * period_ms;
}

void presence_told(struct presence_work *work, uint64_t frames, uint64_t results, int64_t window_ms,
                   int64_t age_ms, int64_t mono_ms)
{
    struct presence_work told = {
        .frames = frames, .results = results, .told_ms = mono_ms, .window_ms = window_ms < 0 ? 0 : window_ms};
    if (age_ms <= longest_silence(&told))
        *work = told;
}

enum presence_facet presence_link_facet(const struct presence_link *link, int64_t silence_ms)
{
    if (silence_ms < 0)
        return FACET_UNKNOWN;
    return link->open && presence_of(silence_ms) != PRESENCE_OFFLINE ? FACET_UP : FACET_DOWN;
}

enum presence_facet presence_agent_facet(int64_t silence_ms)
{
    static const enum presence_facet facets[PRESENCE_COUNT] = {[PRESENCE_NEVER] = FACET_UNKNOWN,
                                                               [PRESENCE_LIVE] = FACET_OK,
                                                               [PRESENCE_LATE] = FACET_LATE,
                                                               [PRESENCE_OFFLINE] = FACET_SILENT};
    return facets[presence_of(silence_ms)];
}

enum presence_facet presence_inference_facet(const struct presence_work *work, int64_t mono_ms)
{
    if (work->told_ms == 0 || work->frames == 0 || mono_ms - work->told_ms > longest_silence(work))
        return FACET_UNKNOWN;
    return work->results > 0 ? FACET_OK : FACET_STALLED;
}
