/* What humans and the hardware ask for, who holds what, and the latch behind it. In this order, always: into a latched
 * state first the verdicts, then the file, then the reply; out of one first the file, then the state. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/guard/state.h"

bool guard_overruled(enum guard_state state)
{
    return guard_fsm_latched(state) && guard_fsm_answer(state) == GUARD_ANSWER_SAFE;
}

static void remember(struct guard *guard, const char *who, const char *reason)
{
    str_copy(guard->who, sizeof guard->who, who);
    str_copy(guard->reason, sizeof guard->reason, reason);
}

static struct latch_record record_of(enum guard_state state, const struct oversight *oversight,
                                     const char *who, const char *reason)
{
    struct latch_record record = {.lease = oversight->lease};
    if (!guard_fsm_latched(state))
        return record;
    record.state = state;
    record.local = oversight->local_word;
    str_copy(record.who, sizeof record.who, who);
    str_copy(record.reason, sizeof record.reason, reason);
    return record;
}

static int keep(struct guard *guard, struct err *err)
{
    struct latch_record record = record_of(guard->state, &guard->oversight, guard->who, guard->reason);
    bool was_kept = guard->latch.kept;
    int done = latch_keep(&guard->latch, &record, err);
    if (done < 0 && was_kept)
        log_error("%s: %s is not kept over a restart", err->text, guard_state_name(guard->state));
    return done;
}

void guard_keep(struct guard *guard)
{
    struct err ignored = {0};
    (void)!keep(guard, &ignored);
}

void guard_restore(struct guard *guard)
{
    struct latch_record record = latch_open(&guard->latch, guard->options.state_dir);
    guard->state = oversight_restore(record.state);
    guard->oversight = (struct oversight){.lease = record.lease, .local_word = record.local != 0};
    if (guard->state == GUARD_INIT)
        return;
    remember(guard, record.who,
             record.state == GUARD_OVERRIDE ? "held the lease when the guard ended" : record.reason);
    log_warn("%s was latched by %s: %s", guard_state_name(guard->state), guard->who, guard->reason);
}

static void tell(struct guard *guard, const struct ctl_command *command, enum oversight_rank rank,
                 enum err_code result, const char *outcome)
{
    char text[160];
    const char *verb = oversight_verb_name((enum ctl_verb)command->verb);
    snprintf(text, sizeof text, "%s by %s: %s", verb, command->who, outcome);
    log_info("%s (%s)", text, command->reason);
    guard_notice_command(guard, command, rank == OVERSIGHT_LOCAL, (int32_t)result, text);
}

static int carry_out(struct guard *guard, const struct ctl_command *command, enum oversight_rank rank,
                     int64_t now_ns, struct err *err)
{
    guard_humans_tick(guard, now_ns);
    struct oversight next = guard->oversight;
    struct oversight_effect effect;
    if (oversight_command(&next, guard->state, command, rank, now_ns, &effect, err) < 0)
        return -1;
    if (guard_fsm_latched(guard->state) && !guard_fsm_latched(effect.next)) {
        struct latch_record open = record_of(effect.next, &next, "", "");
        if (latch_keep(&guard->latch, &open, err) < 0)
            return err_prefix(err, "%s stays", guard_state_name(guard->state));
    }
    guard->oversight = next;
    remember(guard, command->who, command->reason);
    guard_event(guard, effect.event, now_ns);
    struct err unkept = {0}; /* a new lease, or another reason, in the same state */
    if (keep(guard, &unkept) < 0 && guard_fsm_latched(guard->state))
        snprintf(err->text, sizeof err->text, "%s, but not kept over a restart: %.150s",
                 guard_state_name(guard->state), unkept.text);
    return 0;
}

/* Obeyed, with something to add: *err holds the remark, and no code. */
int guard_command(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                  int64_t now_ns, struct err *err)
{
    enum oversight_rank rank = peer->role == CTL_ROLE_OPERATOR ? OVERSIGHT_LOCAL : OVERSIGHT_REMOTE;
    int done = carry_out(guard, &order->command, rank, now_ns, err);
    if (done < 0)
        tell(guard, &order->command, rank, err->code, err->text);
    else if (order->command.verb != CTL_VERB_RENEW)
        tell(guard, &order->command, rank, ERR_NONE,
             err->text[0] ? err->text : guard_state_name(guard->state));
    return done;
}

static bool any_pressed(const struct guard *guard)
{
    bool pressed = guard->mirror_lost;
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        pressed |= guard->peers[i].used && guard->peers[i].pressed;
    return pressed;
}

static void press(struct guard *guard, const char *who, const char *reason, int64_t now_ns)
{
    if (guard->state == GUARD_ESTOP)
        return;
    remember(guard, who, reason);
    guard_event(guard, GUARD_EV_ESTOP_PRESSED, now_ns);
}

int guard_estop(struct guard *guard, const struct guard_peer *peer, const struct ctl_message *order,
                int64_t now_ns, struct err *err)
{
    bool mirror = peer->role == CTL_ROLE_ESTOP, pressed = order->count != 0;
    guard->peers[peer - guard->peers].pressed = pressed;
    if (mirror && !pressed)
        guard->mirror_lost = false;
    if (pressed)
        press(guard, mirror ? "e-stop mirror" : "robot program", "emergency stop pressed", now_ns);
    else if (!any_pressed(guard))
        guard_event(guard, GUARD_EV_ESTOP_RELEASED, now_ns);
    return 0;
}

void guard_mirror_gone(struct guard *guard, int64_t now_ns)
{
    guard->mirror_lost = true;
    press(guard, "guard", "the e-stop mirror is gone: counts as pressed", now_ns);
}

void guard_humans_tick(struct guard *guard, int64_t now_ns)
{
    if (oversight_expired(&guard->oversight, now_ns)) {
        char reason[112];
        snprintf(reason, sizeof reason, "lease %llu of %s was not renewed in time",
                 (unsigned long long)guard->oversight.lease, guard->who);
        remember(guard, "guard", reason);
        guard_event(guard, GUARD_EV_LEASE_LOST, now_ns);
    }
    bool fault = guard->fault && !guard_overruled(guard->state);
    guard->fault = false;
    if (fault) {
        remember(guard, "guard", "too many frames in a row without a usable result");
        guard_event(guard, GUARD_EV_FAULT, now_ns);
    }
}
