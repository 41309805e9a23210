#include "base/mem.h"
#include "robot/decide/export/export.h"
#include "robot/decide/oversight.h"

#include <string.h>

/* The whole guard, as far as it can be seen: the table, a lease, what is live. */
struct place {
    int state;
    int primary;   /* 0 gone, 1 ready, 2 degraded */
    bool fallback; /* live */
    bool reached, done[64];
};

enum {
    ACT_PRIMARY_READY,
    ACT_PRIMARY_DEGRADED,
    ACT_PRIMARY_LOST,
    ACT_FALLBACK_READY,
    ACT_FALLBACK_LOST,
    ACT_PRESSED,
    ACT_RELEASED,
    ACT_FAULT,
    ACT_LEASE_LOST,
    ACT_REBOOT,
    ACT_VERBS,
    ACTS = ACT_VERBS + CTL_VERB_END - 1
};

static const char *const act_names[ACT_VERBS] = {
    "primary_ready", "primary_degraded", "primary_lost", "fallback_ready", "fallback_lost",
    "estop_pressed", "estop_released",   "fault",        "lease_lost",     "reboot",
};

static const char *act_name(int act)
{
    return act < ACT_VERBS ? act_names[act] : oversight_verb_name((enum ctl_verb)(act - ACT_VERBS + 1));
}

/* Some acts need something to act upon. A fault comes from frames that nobody answers: somebody must be meant to. */
static bool possible(const struct place *at, int act)
{
    switch (act) {
    case ACT_PRIMARY_READY:
    case ACT_PRIMARY_DEGRADED:
        return at->primary == 0;
    case ACT_PRIMARY_LOST:
        return at->primary != 0;
    case ACT_FALLBACK_READY:
        return !at->fallback;
    case ACT_FALLBACK_LOST:
        return at->fallback;
    case ACT_PRESSED:
        return at->state != GUARD_ESTOP;
    case ACT_RELEASED:
        return at->state == GUARD_ESTOP;
    case ACT_LEASE_LOST:
        return at->state == GUARD_OVERRIDE;
    case ACT_FAULT:
        return guard_fsm_answer((enum guard_state)at->state) != GUARD_ANSWER_SAFE;
    default:
        return true;
    }
}

static void raise_event(struct place *at, enum guard_event event)
{
    at->state = (int)guard_fsm_step((enum guard_state)at->state, event).next;
}

static void settle(struct place *at)
{
    if (at->primary != 0)
        raise_event(at, at->primary == 1 ? GUARD_EV_PRIMARY_READY : GUARD_EV_PRIMARY_DEGRADED);
    else if (at->fallback)
        raise_event(at, GUARD_EV_FALLBACK_READY);
}

static bool say(struct place *at, enum ctl_verb verb)
{
    bool holds = at->state == GUARD_OVERRIDE;
    struct oversight oversight = {.lease = 1, .held = holds, .until_ns = 1};
    struct oversight_effect effect;
    struct err err;
    const struct ctl_command command = {.verb = verb, .ttl_ms = OVERSIGHT_MAX_TTL_MS, .lease = holds ? 1 : 0};
    if (oversight_command(&oversight, (enum guard_state)at->state, &command, OVERSIGHT_REMOTE, 0, &effect,
                          &err) < 0)
        return false;
    at->state = (int)effect.next;
    return true;
}

static void reboot(struct place *at)
{
    at->state = (int)oversight_restore((uint32_t)at->state);
    at->primary = 0;
    at->fallback = false;
    raise_event(at, GUARD_EV_STARTED);
}

/* False: refused. */
static bool perform(struct place *at, int act)
{
    bool accepted = true;
    switch (act) {
    case ACT_PRIMARY_READY:
    case ACT_PRIMARY_DEGRADED:
        at->primary = act == ACT_PRIMARY_READY ? 1 : 2;
        break;
    case ACT_PRIMARY_LOST:
        at->primary = 0;
        raise_event(at, GUARD_EV_PRIMARY_LOST);
        break;
    case ACT_FALLBACK_READY:
        at->fallback = true;
        break;
    case ACT_FALLBACK_LOST:
        at->fallback = false;
        raise_event(at, GUARD_EV_FALLBACK_LOST);
        break;
    case ACT_PRESSED:
        raise_event(at, GUARD_EV_ESTOP_PRESSED);
        break;
    case ACT_RELEASED:
        raise_event(at, GUARD_EV_ESTOP_RELEASED);
        break;
    case ACT_FAULT:
        raise_event(at, GUARD_EV_FAULT);
        break;
    case ACT_LEASE_LOST:
        raise_event(at, GUARD_EV_LEASE_LOST);
        break;
    case ACT_REBOOT:
        reboot(at);
        break;
    default:
        accepted = say(at, (enum ctl_verb)(act - ACT_VERBS + 1));
        break;
    }
    settle(at);
    return accepted;
}

enum { PLACES = GUARD_STATE_COUNT * 6 };
struct tour {
    struct place places[PLACES];
    bool left_out[ACTS];
    FILE *out;
};

static int place_index(const struct place *at)
{
    return at->state * 6 + at->primary * 2 + at->fallback;
}

static int after(const struct tour *tour, int from, int act)
{
    struct place at = tour->places[from];
    perform(&at, act);
    return place_index(&at);
}

static bool allowed(const struct tour *tour, int from, int act)
{
    return !tour->left_out[act] && possible(&tour->places[from], act);
}

/* The first act of a shortest way to something not done yet; -1: all is done that can be reached. */
static int choose(const struct tour *tour, int start)
{
    int queue[PLACES], first[PLACES], head = 0, tail = 0;
    memset(first, -1, sizeof first);
    queue[tail++] = start;
    while (head < tail) {
        int from = queue[head++];
        for (int act = 0; act < ACTS; act++) {
            if (!allowed(tour, from, act))
                continue;
            int by = from == start ? act : first[from], to = after(tour, from, act);
            if (!tour->places[from].done[act])
                return by;
            if (to == start || first[to] >= 0)
                continue;
            first[to] = by;
            queue[tail++] = to;
        }
    }
    return -1;
}

static int walk(struct tour *tour, int from, int act)
{
    struct place at = tour->places[from];
    bool accepted = perform(&at, act);
    tour->places[from].done[act] = true;
    fprintf(tour->out, "%s %s%s\n", act_name(act), accepted ? "" : "-",
            guard_state_name((enum guard_state)at.state));
    return place_index(&at);
}

static bool leave_out(struct tour *tour, const char *name)
{
    for (int act = 0; act < ACTS; act++)
        if (strcmp(act_name(act), name) == 0)
            return tour->left_out[act] = true;
    return false;
}

bool export_tour(FILE *out, const char *const *without)
{
    static struct tour tour;
    tour = (struct tour){.out = out};
    for (; *without; without++)
        if (!leave_out(&tour, *without))
            return false;
    for (int i = 0; i < PLACES; i++)
        tour.places[i] = (struct place){.state = i / 6, .primary = i % 6 / 2, .fallback = i % 2};
    const struct place start = {.state = GUARD_STANDBY};
    for (int at = place_index(&start), act; (act = choose(&tour, at)) >= 0;)
        at = walk(&tour, at, act);
    return true;
}
