#include "robot/decide/oversight.h"

#include <string.h>

/* What a verb is, besides its event. */
enum {
    WANTS_TTL = 1,
    TAKES_BACK = 2, /* the word of whoever was there before: it starts something, or takes control */
    LOCAL_WORD = 4, /* puts something in force that, said at the robot, no remote operator takes back */
};

/* GUARD_EVENT_COUNT marks what is no verb: nobody's event. */
static const struct verb_row {
    const char *name;
    enum guard_event event;
    unsigned flags;
    const char *needs; /* where the state does not know it */
} verbs[CTL_VERB_END] = {
    [0] = {.name = "unknown", .event = GUARD_EVENT_COUNT},
    [CTL_VERB_HOLD] = {"hold", GUARD_EV_HOLD, LOCAL_WORD,
                       "it holds a robot at work; `stop` stops from anywhere"},
    [CTL_VERB_RELEASE] = {"release", GUARD_EV_RELEASE, TAKES_BACK,
                          "it ends hold, override and fallback; a latch needs `reset`"},
    [CTL_VERB_OVERRIDE] = {"override", GUARD_EV_OVERRIDE, WANTS_TTL | TAKES_BACK | LOCAL_WORD,
                           "a latch needs `reset` first"},
    [CTL_VERB_RENEW] = {"renew", GUARD_EV_RENEW, WANTS_TTL, "there is no lease; ask for one with `override`"},
    [CTL_VERB_FALLBACK] = {"fallback", GUARD_EV_FORCE_FALLBACK, LOCAL_WORD,
                           "end what stands first: `release`, or `reset` and `restart`"},
    [CTL_VERB_STOP] = {"stop", GUARD_EV_STOP, LOCAL_WORD, ""},
    [CTL_VERB_RESET] = {"reset", GUARD_EV_RESET, TAKES_BACK,
                        "no latch is there, or what caused it still stands"},
    [CTL_VERB_RESTART] = {"restart", GUARD_EV_RESTART, TAKES_BACK, "`reset` comes before it"},
    [CTL_VERB_SERVICE] = {"service", GUARD_EV_SERVICE, LOCAL_WORD,
                          "`hold` comes before it; after a stop, `reset`"},
};

static const struct verb_row *verb_row(uint32_t verb)
{
    return &verbs[verb < CTL_VERB_END ? verb : 0];
}

static int check_lease(const struct oversight *oversight, const struct ctl_command *command,
                       enum guard_event event, enum oversight_rank rank, int64_t now_ns, struct err *err)
{
    if (oversight->held && now_ns >= oversight->until_ns)
        return err_set(err, ERR_CONFLICT, "the lease has run out: the robot stops; `reset`, then `restart`");
    bool is_holder = oversight->held && command->lease == oversight->lease;
    if (command->lease != 0 && !is_holder)
        return err_set(err, ERR_CONFLICT, "lease %llu is void; ask for a new one with `override`",
                       (unsigned long long)command->lease);
    if (event == GUARD_EV_RENEW && !is_holder)
        return err_set(err, ERR_CONFLICT, "renew needs the number of the current lease");
    if (oversight->held && !is_holder && rank <= oversight->rank)
        return err_set(err, ERR_DENIED, "a%s operator holds the lease; he releases it, or `stop` ends it",
                       oversight->rank == OVERSIGHT_LOCAL ? " local" : "nother");
    return 0;
}

static int check_ttl(const struct verb_row *row, uint32_t ttl_ms, struct err *err)
{
    if ((row->flags & WANTS_TTL) && (ttl_ms < OVERSIGHT_MIN_TTL_MS || ttl_ms > OVERSIGHT_MAX_TTL_MS))
        return err_set(err, ERR_INVALID, "a lease of %u ms: it is %d to %d ms", ttl_ms, OVERSIGHT_MIN_TTL_MS,
                       OVERSIGHT_MAX_TTL_MS);
    return 0;
}

static int check_rights(const struct oversight *in_force, const struct verb_row *row,
                        const struct ctl_command *command, enum oversight_rank rank, int64_t now_ns,
                        struct err *err)
{
    if (check_ttl(row, command->ttl_ms, err) < 0 ||
        check_lease(in_force, command, row->event, rank, now_ns, err) < 0)
        return -1;
    if (in_force->local_word && rank == OVERSIGHT_REMOTE && (row->flags & TAKES_BACK))
        return err_set(err, ERR_DENIED, "a local operator's word stands; it is taken back at the robot");
    if (row->event == GUARD_EV_OVERRIDE && in_force->lease == UINT64_MAX)
        return err_set(err, ERR_CONFLICT, "no lease number is left; the guard's latch file is damaged");
    return 0;
}

static void take_effect(struct oversight *oversight, const struct verb_row *row, uint32_t ttl_ms,
                        enum oversight_rank rank, int64_t now_ns)
{
    if (rank == OVERSIGHT_LOCAL && (row->flags & LOCAL_WORD))
        oversight->local_word = true;
    oversight->until_ns = now_ns + (int64_t)ttl_ms * 1000000; /* means something only while held */
    if (row->event == GUARD_EV_OVERRIDE) {
        oversight->lease++;
        oversight->held = true;
        oversight->rank = rank;
    }
}

int oversight_command(struct oversight *oversight, enum guard_state state, const struct ctl_command *command,
                      enum oversight_rank rank, int64_t now_ns, struct oversight_effect *out, struct err *err)
{
    const struct verb_row *row = verb_row(command->verb);
    if (row->event == GUARD_EVENT_COUNT)
        return err_set(err, ERR_INVALID, "no such command: %u", command->verb);
    struct oversight in_force = *oversight;
    oversight_follow(&in_force, state);
    if (row->event != GUARD_EV_STOP && check_rights(&in_force, row, command, rank, now_ns, err) < 0)
        return -1;
    struct guard_step step = guard_fsm_step(state, row->event);
    if (!step.accepted)
        return err_set(err, ERR_CONFLICT, "%s means nothing in %s: %s", row->name, guard_state_name(state),
                       row->needs);
    *out = (struct oversight_effect){.event = row->event, .next = step.next};
    *oversight = in_force;
    take_effect(oversight, row, command->ttl_ms, rank, now_ns);
    oversight_follow(oversight, step.next);
    return 0;
}

bool oversight_expired(struct oversight *oversight, int64_t now_ns)
{
    if (!oversight->held || now_ns < oversight->until_ns)
        return false;
    oversight->held = false;
    return true;
}

void oversight_follow(struct oversight *oversight, enum guard_state state)
{
    if (state != GUARD_OVERRIDE)
        oversight->held = false;
    if (!guard_fsm_latched(state))
        oversight->local_word = false;
}

enum guard_state oversight_restore(uint32_t kept_state)
{
    if (kept_state >= GUARD_STATE_COUNT || kept_state == GUARD_OVERRIDE)
        return GUARD_SAFE_STOP;
    return guard_fsm_latched((enum guard_state)kept_state) ? (enum guard_state)kept_state : GUARD_INIT;
}

enum guard_event oversight_event(enum ctl_verb verb)
{
    return verb_row(verb)->event;
}

const char *oversight_verb_name(enum ctl_verb verb)
{
    return verb_row(verb)->name;
}

bool oversight_verb_parse(const char *text, enum ctl_verb *out)
{
    for (uint32_t v = 1; v < CTL_VERB_END; v++)
        if (strcmp(text, verbs[v].name) == 0) {
            *out = (enum ctl_verb)v;
            return true;
        }
    return false;
}
