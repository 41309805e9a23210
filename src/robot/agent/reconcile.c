#include "robot/agent/reconcile.h"

static const struct ctl_runner_status *find(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

static bool live(const struct ctl_runner_status *runner)
{
    return runner && runner->connected && runner->admitted;
}

static void put(struct orders *out, struct order order)
{
    if (out->count < RECONCILE_MAX_ORDERS)
        out->items[out->count++] = order;
}

static void provide(const struct wanted *wanted, size_t i, const struct ctl_status *status,
                    struct orders *out)
{
    const struct wanted_item *item = &wanted->items[i];
    const struct ctl_runner_status *runner = find(status, item->generation);
    if (!runner || !runner->admitted)
        put(out, (struct order){.kind = ORDER_ADMIT, .generation = item->generation, .item = i});
    if (runner && runner->connected)
        return;
    if (item->runner_overdue)
        put(out, (struct order){.kind = ORDER_KILL, .generation = item->generation, .item = i});
    else if (!item->runner_on_its_way && item->may_spawn)
        put(out, (struct order){.kind = ORDER_SPAWN, .generation = item->generation, .item = i});
}

/* An older generation of the release that should answer. */
static uint64_t stand_in(const struct wanted *wanted, const struct ctl_status *status)
{
    for (size_t i = 0; wanted->count && i < CTL_MAX_RUNNERS; i++)
        if (live(&status->runners[i]) && digest_equal(&status->runners[i].release, &wanted->items[0].release))
            return status->runners[i].generation;
    return 0;
}

static bool is_wanted(const struct wanted *wanted, uint64_t generation)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->items[i].generation == generation)
            return true;
    return false;
}

struct choice {
    uint64_t active, fallback;
};

/* Who should answer now, given who lives. What the guard does by itself (its fallback answers) is left alone.
 */
static struct choice choose(const struct wanted *wanted, const struct ctl_status *status)
{
    struct choice as_it_is = {status->active_generation, status->fallback_generation};
    for (size_t i = 0; i < wanted->count; i++) {
        uint64_t generation = wanted->items[i].generation;
        uint64_t next = i + 1 < wanted->count ? wanted->items[i + 1].generation : 0;
        if (live(find(status, generation)))
            return (struct choice){generation, next};
        if (generation == status->active_generation && status->state == GUARD_FALLBACK)
            return as_it_is;
        uint64_t older = i == 0 ? stand_in(wanted, status) : 0;
        if (older)
            return (struct choice){older, 0};
    }
    if (is_wanted(wanted, status->active_generation))
        return as_it_is; /* nothing lives: it answers again as soon as its runner is back */
    return (struct choice){0, 0};
}

void reconcile(const struct wanted *wanted, const struct ctl_status *status, struct orders *out)
{
    out->count = 0;
    if (wanted->unknown)
        return;
    for (size_t i = 0; i < wanted->count; i++)
        provide(wanted, i, status, out);
    struct choice choice = choose(wanted, status);
    if (choice.active != status->active_generation || choice.fallback != status->fallback_generation)
        put(out,
            (struct order){.kind = ORDER_ACTIVATE, .generation = choice.active, .fallback = choice.fallback});
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        uint64_t generation = status->runners[i].generation;
        if (generation && generation != choice.active && !is_wanted(wanted, generation))
            put(out, (struct order){.kind = ORDER_RETIRE, .generation = generation});
    }
}
