/* What keeps the trust of the fleet fresh while the server runs. */
#include "fleet/core/fleet.h"

#include "base/clock.h"
#include "base/log.h"
#include "fleet/authority/authority.h"

#include <event2/event.h>

enum { DAY_S = 86400, WARN_S = 30 * DAY_S };

static const struct {
    enum tuf_kind kind;
    const char *number; /* the version whose end was told */
} offline[] = {{TUF_ROOT, "told_root_expiry"}, {TUF_TARGETS, "told_targets_expiry"}};

static int tell(struct fleet *fleet, size_t index, int64_t version, int64_t left_s, struct err *err)
{
    const char *role = tuf_kind_name(offline[index].kind);
    const char *what = left_s > 0 ? "expires" : "has expired";
    log_warn("%s version %lld %s; sign it anew with the offline keys (muster keys list)", role,
             (long long)version, what);
    if (group_enter(fleet->group, err) < 0)
        return -1;
    if (fleet->store->ops->number_set(fleet->store, offline[index].number, version, err) < 0 ||
        fleet_event(fleet, "trust", NULL, err, "%s version %lld %s (%lld days): sign it anew", role,
                    (long long)version, what, (long long)(left_s / DAY_S)) < 0) {
        group_cancel(fleet->group);
        return -1;
    }
    return group_leave(fleet->group, err);
}

/* Once for each version. */
static int tell_expiry(struct fleet *fleet, size_t index, int64_t now_s, struct err *err)
{
    int64_t version, expires_s, told = 0;
    if (!authority_expiry(fleet->authority, offline[index].kind, &version, &expires_s) ||
        expires_s - now_s > WARN_S)
        return 0;
    if (fleet->store->ops->number_get(fleet->store, offline[index].number, &told, err) < 0)
        return -1;
    return told == version ? 0 : tell(fleet, index, version, expires_s - now_s, err);
}

int fleet_tend(struct fleet *fleet, int64_t now_ms, struct err *err)
{
    bool changed = false;
    if (authority_freshen(fleet->authority, now_ms / 1000, &changed, err) < 0)
        return -1;
    fleet->dirty = fleet->dirty || changed;
    for (size_t i = 0; i < ARRAY_LEN(offline); i++)
        if (tell_expiry(fleet, i, now_ms / 1000, err) < 0)
            return -1;
    return 0;
}

static void on_tend(evutil_socket_t fd, short what, void *arg)
{
    struct err err = {0};
    if (fleet_tend(arg, clock_wall_ms(), &err) < 0)
        log_error("trust: %s", err.text);
}

int fleet_tend_start(struct fleet *fleet, struct err *err)
{
    fleet->tend_timer = event_new(fleet->base, -1, EV_PERSIST, on_tend, fleet);
    if (!fleet->tend_timer)
        return err_no_memory(err);
    struct timeval period = {.tv_sec = (time_t)authority_period_s(fleet->authority)};
    event_add(fleet->tend_timer, &period);
    on_tend(-1, 0, fleet);
    return 0;
}
