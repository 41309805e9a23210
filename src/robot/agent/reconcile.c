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

static bool may_answer(const struct wanted *wanted, uint64_t generation)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->items[i].generation == generation)
            return !wanted->items[i].standby;
    return false;
}

struct choice {
    uint64_t active, fallback;
    const struct wanted_item *item; /* that is to answer; NULL: nobody, or as it is */
};

static const struct wanted_item *next_after(const struct wanted *wanted, size_t i)
{
    for (i++; i < wanted->count; i++)
        if (!wanted->items[i].standby)
            return &wanted->items[i];
    return NULL;
}

/* Who should answer now, given who lives. What the guard does by itself (its fallback answers) is left alone. */
static struct choice choose(const struct wanted *wanted, const struct ctl_status *status)
{
    struct choice as_it_is = {status->active_generation, status->fallback_generation, NULL};
    for (size_t i = 0; i < wanted->count; i++) {
        const struct wanted_item *item = &wanted->items[i], *next = next_after(wanted, i);
        if (item->standby)
            continue;
        if (live(find(status, item->generation)))
            return (struct choice){item->generation, next ? next->generation : 0, item};
        if (item->generation == status->active_generation && status->state == GUARD_FALLBACK)
            return as_it_is;
        uint64_t older = i == 0 ? stand_in(wanted, status) : 0;
        if (older)
            return (struct choice){older, next ? next->generation : 0, NULL};
    }
    if (may_answer(wanted, status->active_generation))
        return as_it_is; /* nothing lives: it answers again as soon as its runner is back */
    return (struct choice){0, 0, NULL};
}

/* While a human has the fallback answer, nothing else becomes the fallback. */
static struct choice obey_human(struct choice choice, const struct ctl_status *status)
{
    bool stands = status->state == GUARD_FORCED && live(find(status, status->fallback_generation));
    bool way_back = choice.active == status->fallback_generation && choice.fallback == 0;
    if (!stands || way_back || choice.fallback == status->fallback_generation)
        return choice;
    return (struct choice){status->active_generation, status->fallback_generation, NULL};
}

static bool may_stay(const struct wanted *wanted, const struct ctl_status *status,
                     const struct choice *choice, uint64_t generation)
{
    bool forced = status->state == GUARD_FORCED && generation == choice->fallback;
    return generation == choice->active || forced || is_wanted(wanted, generation);
}

/* Whether memory still holds what is not wanted. */
static bool crowded(const struct wanted *wanted, const struct ctl_status *status, const struct choice *choice)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].connected && !may_stay(wanted, status, choice, status->runners[i].generation))
            return true;
    return wanted->leaving;
}

static void provide(const struct wanted *wanted, size_t i, const struct ctl_status *status, bool is_crowded,
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
    else if (!item->runner_on_its_way && item->may_spawn && !item->patient && !(item->alone && is_crowded))
        put(out, (struct order){.kind = ORDER_SPAWN, .generation = item->generation, .item = i});
}

/* Level-triggered too: what was lost with a runner or a guard is asked for again, from the first frame on. */
static void shadow(const struct wanted_item *item, const struct ctl_status *status, struct orders *out)
{
    const struct ctl_runner_status *runner = find(status, item->generation);
    if (!item->standby || !live(runner) || runner->shadow_left > 0)
        return;
    uint64_t done = runner->shadow_frames + runner->shadow_failed;
    if (done < item->shadow && item->generation != status->active_generation &&
        live(find(status, status->active_generation)))
        put(out, (struct order){.kind = ORDER_SHADOW, .generation = item->generation, .count = item->shadow});
}

static void activate(const struct choice *choice, const struct ctl_status *status, struct orders *out)
{
    if (choice->active == status->active_generation && choice->fallback == status->fallback_generation)
        return;
    bool another =
        choice->active != status->active_generation && live(find(status, status->active_generation));
    bool waits = choice->item && choice->item->at_sequence_end && another;
    put(out, (struct order){.kind = ORDER_ACTIVATE,
                            .generation = choice->active,
                            .fallback = choice->fallback,
                            .count = waits ? 1 : 0});
}

void reconcile(const struct wanted *wanted, const struct ctl_status *status, struct orders *out)
{
    out->count = 0;
    if (wanted->unknown)
        return;
    struct choice choice = obey_human(choose(wanted, status), status);
    bool is_crowded = crowded(wanted, status, &choice);
    for (size_t i = 0; i < wanted->count; i++)
        provide(wanted, i, status, is_crowded, out);
    for (size_t i = 0; i < wanted->count; i++)
        shadow(&wanted->items[i], status, out);
    activate(&choice, status, out);
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        uint64_t generation = status->runners[i].generation;
        if (generation && !may_stay(wanted, status, &choice, generation))
            put(out, (struct order){.kind = ORDER_RETIRE, .generation = generation});
    }
}
