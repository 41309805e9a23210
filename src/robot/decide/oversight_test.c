/* Leases, ranks and latches: each rule by itself, then 100,000 random lives of a robot with two operators afar and one
 * beside it, whose commands come late, twice, in any order or never, with clocks that jump and a guard that dies. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/oversight.h"

#include <stdlib.h>
#include <string.h>

#define MS 1000000LL

struct robot {
    enum guard_state state;
    struct oversight oversight;
    int64_t now_ns;
};
static struct err err; /* of the last command */

static int say(struct robot *robot, enum ctl_verb verb, uint64_t lease, enum oversight_rank rank)
{
    struct oversight_effect effect;
    bool wants_ttl = verb == CTL_VERB_OVERRIDE || verb == CTL_VERB_RENEW;
    struct ctl_command command = {.verb = verb, .lease = lease, .ttl_ms = wants_ttl ? 1000 : 0};
    err = (struct err){0};
    if (oversight_command(&robot->oversight, robot->state, &command, rank, robot->now_ns, &effect, &err) < 0)
        return -1;
    assert_int_equal(effect.event, oversight_event(verb));
    robot->state = effect.next;
    return 0;
}

static void event(struct robot *robot, enum guard_event event)
{
    robot->state = guard_fsm_step(robot->state, event).next;
    oversight_follow(&robot->oversight, robot->state);
}

static void passes(struct robot *robot, int64_t ns)
{
    robot->now_ns += ns;
    if (oversight_expired(&robot->oversight, robot->now_ns))
        event(robot, GUARD_EV_LEASE_LOST);
}

#define says(verb, lease, rank) assert_ok(say(&robot, CTL_VERB_##verb, lease, OVERSIGHT_##rank), err)
#define refused(verb, lease, rank, code)                                                                     \
    assert_fails(say(&robot, CTL_VERB_##verb, lease, OVERSIGHT_##rank), err, ERR_##code)

static void an_override_is_a_lease(void **state)
{
    struct robot robot = {.state = GUARD_AUTO};
    says(OVERRIDE, 0, REMOTE);
    assert_int_equal(robot.state, GUARD_OVERRIDE);
    assert_int_equal(robot.oversight.lease, 1);
    assert_int_equal(robot.oversight.until_ns, 1000 * MS);
    refused(OVERRIDE, 0, REMOTE, DENIED);
    assert_non_null(strstr(err.text, "another operator"));
    refused(RELEASE, 0, REMOTE, DENIED);
    refused(RELEASE, 2, REMOTE, CONFLICT);
    refused(RENEW, 0, REMOTE, CONFLICT);
    refused(RENEW, 0, LOCAL, CONFLICT);
    passes(&robot, 999 * MS);
    says(RENEW, 1, REMOTE);
    assert_int_equal(robot.oversight.until_ns, 1999 * MS);
    passes(&robot, 999 * MS);
    says(RELEASE, 1, REMOTE);
    assert_int_equal(robot.state, GUARD_ACK_WAIT);
    assert_false(robot.oversight.held);
    refused(RENEW, 1, REMOTE, CONFLICT);
    refused(RESTART, 1, REMOTE, CONFLICT); /* it bears a void number */
    says(RESTART, 0, REMOTE);
    assert_int_equal(robot.state, GUARD_STANDBY);
}

static void a_lease_that_runs_out_stops(void **state)
{
    struct robot robot = {.state = GUARD_AUTO};
    says(OVERRIDE, 0, REMOTE);
    robot.now_ns = 1000 * MS; /* not noticed yet: nothing but a stop is taken */
    refused(RENEW, 1, REMOTE, CONFLICT);
    refused(RELEASE, 1, REMOTE, CONFLICT);
    refused(OVERRIDE, 0, LOCAL, CONFLICT);
    assert_true(oversight_expired(&robot.oversight, robot.now_ns));
    assert_false(oversight_expired(&robot.oversight, robot.now_ns));
    event(&robot, GUARD_EV_LEASE_LOST);
    assert_int_equal(robot.state, GUARD_SAFE_STOP);
    refused(RESTART, 0, REMOTE, CONFLICT);
    says(RESET, 0, REMOTE);
    says(RESTART, 0, REMOTE);
    says(OVERRIDE, 0, REMOTE);
    assert_int_equal(robot.oversight.lease, 2);
}

static void a_local_operator_takes_over(void **state)
{
    struct robot robot = {.state = GUARD_AUTO};
    says(OVERRIDE, 0, REMOTE);
    says(OVERRIDE, 0, LOCAL);
    assert_int_equal(robot.oversight.lease, 2);
    refused(RENEW, 1, REMOTE, CONFLICT);
    refused(OVERRIDE, 0, REMOTE, DENIED);
    assert_non_null(strstr(err.text, "a local operator"));
    refused(OVERRIDE, 0, LOCAL, DENIED); /* another one beside the robot: not behind his back either */
    says(OVERRIDE, 2, LOCAL);
    assert_int_equal(robot.oversight.lease, 3);
    says(RENEW, 3, LOCAL);
    says(RELEASE, 3, LOCAL);
    refused(RESTART, 0, REMOTE, DENIED);
    says(RESTART, 0, LOCAL);
}

static void a_local_word_is_taken_back_locally(void **state)
{
    static const enum ctl_verb words[] = {CTL_VERB_HOLD, CTL_VERB_FALLBACK, CTL_VERB_STOP, CTL_VERB_SERVICE};
    static const enum ctl_verb back[] = {CTL_VERB_RELEASE, CTL_VERB_RESET, CTL_VERB_RESTART,
                                         CTL_VERB_OVERRIDE};
    for (size_t w = 0; w < ARRAY_LEN(words); w++) {
        struct robot robot = {.state = GUARD_STANDBY};
        assert_ok(say(&robot, words[w], 0, OVERSIGHT_LOCAL), err);
        assert_true(robot.oversight.local_word);
        for (size_t b = 0; b < ARRAY_LEN(back); b++)
            assert_fails(say(&robot, back[b], 0, OVERSIGHT_REMOTE), err, ERR_DENIED);
        says(STOP, 0, REMOTE);
        refused(RESET, 0, REMOTE, DENIED);
        says(RESET, 0, LOCAL);
        refused(RESTART, 0, REMOTE, DENIED);
        says(RESTART, 0, LOCAL);
        assert_false(robot.oversight.local_word);
        says(HOLD, 0, REMOTE);
        says(RELEASE, 0, REMOTE);
    }
}

static void a_remote_operator_may_be_stricter(void **state)
{
    struct robot robot = {.state = GUARD_AUTO};
    says(FALLBACK, 0, LOCAL);
    says(HOLD, 0, REMOTE);
    refused(RELEASE, 0, REMOTE, DENIED);
    says(SERVICE, 0, REMOTE);
    says(STOP, 0, REMOTE);
    says(RESET, 0, LOCAL);
    says(RESTART, 0, LOCAL);
}

/* What a former state left behind does not count, even where nobody told us that it ended. */
static void only_the_state_as_it_is_counts(void **state)
{
    struct robot robot = {
        .state = GUARD_AUTO,
        .oversight = {.lease = 7, .held = true, .local_word = true, .rank = OVERSIGHT_LOCAL, .until_ns = 9}};
    refused(RENEW, 7, REMOTE, CONFLICT);
    says(HOLD, 0, REMOTE);
    assert_false(robot.oversight.held);
    assert_false(robot.oversight.local_word);
    says(RELEASE, 0, REMOTE);
    says(OVERRIDE, 0, REMOTE);
    assert_int_equal(robot.oversight.lease, 8);
    oversight_follow(&robot.oversight, GUARD_OVERRIDE);
    assert_true(robot.oversight.held);
    robot.oversight.local_word = true;
    oversight_follow(&robot.oversight, GUARD_SAFE_STOP);
    assert_false(robot.oversight.held);
    assert_true(robot.oversight.local_word);
    oversight_follow(&robot.oversight, GUARD_STANDBY);
    assert_false(robot.oversight.local_word);
}

static void what_is_malformed(void **state)
{
    struct robot robot = {.state = GUARD_AUTO};
    assert_fails(say(&robot, (enum ctl_verb)0, 0, OVERSIGHT_LOCAL), err, ERR_INVALID);
    assert_fails(say(&robot, CTL_VERB_END, 0, OVERSIGHT_LOCAL), err, ERR_INVALID);
    static const struct {
        uint32_t ttl_ms;
        int result;
    } ttls[] = {{199, -1}, {200, 0}, {60000, 0}, {60001, -1}, {0, -1}, {UINT32_MAX, -1}};
    for (size_t i = 0; i < ARRAY_LEN(ttls); i++) {
        struct oversight oversight = {0};
        struct oversight_effect effect;
        struct ctl_command command = {.verb = CTL_VERB_OVERRIDE, .ttl_ms = ttls[i].ttl_ms};
        assert_int_equal(
            oversight_command(&oversight, GUARD_AUTO, &command, OVERSIGHT_REMOTE, 5, &effect, &err),
            ttls[i].result);
        assert_int_equal(oversight.held, ttls[i].result == 0);
        if (oversight.held)
            assert_int_equal(oversight.until_ns, 5 + ttls[i].ttl_ms * MS);
    }
    robot.oversight.lease = UINT64_MAX;
    refused(OVERRIDE, 0, LOCAL, CONFLICT);
    says(HOLD, 0, LOCAL);
    robot.oversight.lease = UINT64_MAX - 1;
    says(OVERRIDE, 0, LOCAL);
    says(RENEW, UINT64_MAX, LOCAL);
}

static void a_restart_comes_back_latched(void **state)
{
    for (uint32_t s = 0; s < GUARD_STATE_COUNT; s++) {
        enum guard_state back = oversight_restore(s);
        if (s == GUARD_OVERRIDE)
            assert_int_equal(back, GUARD_SAFE_STOP);
        else
            assert_int_equal(back, guard_fsm_latched((enum guard_state)s) ? s : GUARD_INIT);
    }
    assert_int_equal(oversight_restore(GUARD_STATE_COUNT), GUARD_SAFE_STOP);
    assert_int_equal(oversight_restore(UINT32_MAX), GUARD_SAFE_STOP);
}

static void verbs_have_names(void **state)
{
    enum ctl_verb parsed;
    for (uint32_t v = 1; v < CTL_VERB_END; v++) {
        assert_true(oversight_verb_parse(oversight_verb_name((enum ctl_verb)v), &parsed));
        assert_int_equal(parsed, v);
        assert_int_equal(guard_fsm_source(oversight_event((enum ctl_verb)v)), GUARD_FROM_HUMAN);
        for (uint32_t other = 1; other < v; other++)
            assert_int_not_equal(oversight_event((enum ctl_verb)v), oversight_event((enum ctl_verb)other));
    }
    assert_false(oversight_verb_parse("unknown", &parsed));
    assert_false(oversight_verb_parse("", &parsed));
    assert_string_equal(oversight_verb_name(CTL_VERB_END), "unknown");
    assert_string_equal(oversight_verb_name((enum ctl_verb)0), "unknown");
    assert_int_equal(oversight_event(CTL_VERB_END), GUARD_EVENT_COUNT);
}

/* The random lives. The oracle knows no table and no rule of oversight.c, only what must never be seen. */
enum { OPERATORS = 3, LOCAL_ONE = 2, IN_FLIGHT = 8, NUMBERS = 64 };

struct sent {
    enum ctl_verb verb;
    uint64_t lease;
    int who;
};

struct life {
    struct robot robot;
    uint32_t kept_state; /* what the file says */
    struct oversight kept;
    struct sent
        sent[IN_FLIGHT];       /* on the way; delivered in any order, again and again, or overwritten: lost */
    uint64_t known[OPERATORS]; /* the last number of his that each one heard of */
    signed char owner[NUMBERS];      /* who was told this number; -1: nobody */
    bool wants_reset, wants_restart; /* a latch stands; it has not been acknowledged, not restarted */
    bool held_back, locked;          /* a hold stands; it was a local word */
    unsigned seed;
};

static unsigned draw(struct life *life, unsigned below)
{
    life->seed = life->seed * 1103515245u + 12345u;
    return (life->seed >> 16) % below;
}

/* Who could keep control now, told by the guard itself. */
static int holders(const struct life *life)
{
    int found = 0;
    for (uint64_t n = 1; n < NUMBERS; n++) {
        struct robot probe = life->robot;
        if (life->owner[n] >= 0 && say(&probe, CTL_VERB_RENEW, n, OVERSIGHT_REMOTE) == 0)
            found++;
    }
    return found;
}

static void latched(struct life *life)
{
    life->wants_reset = life->wants_restart = true;
    life->held_back = false;
}

/* A command was accepted: what does that mean to somebody who only reads the manual? */
static void understand(struct life *life, const struct sent *sent, const struct robot *before)
{
    bool local = sent->who == LOCAL_ONE, fresh = life->robot.oversight.lease != before->oversight.lease;
    assert_true(sent->lease == 0 || sent->verb == CTL_VERB_STOP ||
                (before->oversight.held && sent->lease == before->oversight.lease));
    assert_int_equal(fresh, sent->verb == CTL_VERB_OVERRIDE);
    if (life->locked && !local)
        assert_true(guard_fsm_severity(life->robot.state) >= guard_fsm_severity(before->state));
    if (sent->verb == CTL_VERB_STOP || sent->verb == CTL_VERB_SERVICE) {
        latched(life);
    } else if (sent->verb == CTL_VERB_OVERRIDE) { /* ends in a restart at best */
        latched(life);
        life->wants_reset = false;
    } else if (sent->verb == CTL_VERB_RESET) {
        life->wants_reset = false;
    } else if (sent->verb == CTL_VERB_RESTART) {
        assert_false(life->wants_reset);
        life->wants_restart = false;
    } else if (sent->verb == CTL_VERB_HOLD || sent->verb == CTL_VERB_RELEASE) {
        life->held_back = sent->verb == CTL_VERB_HOLD;
    }
    bool puts = sent->verb == CTL_VERB_STOP || sent->verb == CTL_VERB_SERVICE ||
                sent->verb == CTL_VERB_HOLD || sent->verb == CTL_VERB_FALLBACK ||
                sent->verb == CTL_VERB_OVERRIDE;
    life->locked = (life->locked || (puts && local)) && guard_fsm_latched(life->robot.state);
}

static void keep(struct life *life)
{
    life->kept_state = guard_fsm_latched(life->robot.state) ? life->robot.state : GUARD_INIT;
    life->kept = life->robot.oversight;
}

static void deliver(struct life *life, const struct sent *sent)
{
    struct robot before = life->robot;
    if (say(&life->robot, sent->verb, sent->lease,
            sent->who == LOCAL_ONE ? OVERSIGHT_LOCAL : OVERSIGHT_REMOTE) < 0) {
        assert_int_not_equal(sent->verb, CTL_VERB_STOP);
        assert_int_equal(life->robot.state, before.state);
        assert_memory_equal(&life->robot.oversight, &before.oversight, sizeof before.oversight);
        return;
    }
    understand(life, sent, &before);
    keep(life);
    if (sent->verb != CTL_VERB_OVERRIDE || draw(life, 4) == 0) /* the reply may be lost */
        return;
    uint64_t number = life->robot.oversight.lease;
    assert_in_range(number, 1, NUMBERS - 1);
    assert_int_equal(life->owner[number], -1);
    life->owner[number] = (signed char)sent->who;
    life->known[sent->who] = number;
}

static void command(struct life *life)
{
    struct sent *slot = &life->sent[draw(life, IN_FLIGHT)];
    if (draw(life, 2)) {
        int who = (int)draw(life, OPERATORS);
        *slot = (struct sent){.verb = (enum ctl_verb)(1 + draw(life, CTL_VERB_END - 1)),
                              .who = who,
                              .lease = draw(life, 2) ? life->known[who] : 0};
    }
    if (slot->verb != 0 && draw(life, 3))
        deliver(life, slot);
}

static void restart(struct life *life)
{
    if (life->robot.state == GUARD_OVERRIDE)
        life->wants_reset = true;
    life->robot.state = oversight_restore(life->kept_state);
    life->robot.oversight =
        (struct oversight){.lease = life->kept.lease, .local_word = life->kept.local_word};
    life->robot.now_ns = 1 + draw(life, 1000); /* another boot, another clock */
    event(&life->robot, GUARD_EV_STARTED);
}

static void machine(struct life *life)
{
    static const enum guard_event some[] = {
        GUARD_EV_PRIMARY_READY, GUARD_EV_PRIMARY_READY,    GUARD_EV_PRIMARY_READY,  GUARD_EV_FALLBACK_READY,
        GUARD_EV_PRIMARY_LOST,  GUARD_EV_PRIMARY_DEGRADED, GUARD_EV_FALLBACK_LOST,  GUARD_EV_DEACTIVATED,
        GUARD_EV_FAULT,         GUARD_EV_ESTOP_PRESSED,    GUARD_EV_ESTOP_RELEASED, GUARD_EV_STARTED,
    };
    enum guard_event what = some[draw(life, ARRAY_LEN(some))];
    if ((what == GUARD_EV_FAULT || what == GUARD_EV_ESTOP_PRESSED) && draw(life, 4))
        return;
    event(&life->robot, what);
    if (what == GUARD_EV_FAULT || what == GUARD_EV_ESTOP_PRESSED)
        latched(life);
    keep(life);
}

static void step(struct life *life)
{
    enum guard_state before = life->robot.state;
    switch (draw(life, 8)) {
    case 0:
        passes(&life->robot, (int64_t)draw(life, 700) * MS);
        if (life->robot.state != before) {
            assert_int_equal(before, GUARD_OVERRIDE);
            assert_int_equal(life->robot.state, GUARD_SAFE_STOP);
            latched(life);
        }
        keep(life);
        break;
    case 1:
        machine(life);
        break;
    case 2:
        if (draw(life, 4) == 0)
            restart(life);
        break;
    default:
        command(life);
        break;
    }
    assert_int_equal(life->robot.oversight.held, life->robot.state == GUARD_OVERRIDE);
    assert_in_range(holders(life), 0, life->robot.oversight.held ? 1 : 0);
    if (guard_fsm_answer(life->robot.state) != GUARD_ANSWER_SAFE) {
        assert_false(life->wants_restart);
        assert_false(life->held_back);
        assert_false(life->robot.oversight.held);
    }
    if (guard_fsm_answer(life->robot.state) == GUARD_ANSWER_PRIMARY)
        assert_false(life->locked);
    assert_int_equal(life->locked, life->robot.oversight.local_word);
}

static void nobody_is_ever_overruled(void **state)
{
    unsigned answered = 0, overridden = 0;
    for (unsigned run = 0; run < 100000; run++) {
        struct life life = {.robot = {.state = GUARD_AUTO}, .seed = run * 2654435761u + 1};
        memset(life.owner, -1, sizeof life.owner);
        for (int i = 0; i < 40; i++) {
            step(&life);
            answered += guard_fsm_answer(life.robot.state) == GUARD_ANSWER_PRIMARY;
            overridden += life.robot.state == GUARD_OVERRIDE;
        }
    }
    assert_true(answered > 100000); /* the lives were not idle ones */
    assert_true(overridden > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_override_is_a_lease),
        cmocka_unit_test(a_lease_that_runs_out_stops),
        cmocka_unit_test(a_local_operator_takes_over),
        cmocka_unit_test(a_local_word_is_taken_back_locally),
        cmocka_unit_test(a_remote_operator_may_be_stricter),
        cmocka_unit_test(only_the_state_as_it_is_counts),
        cmocka_unit_test(what_is_malformed),
        cmocka_unit_test(a_restart_comes_back_latched),
        cmocka_unit_test(verbs_have_names),
        cmocka_unit_test(nobody_is_ever_overruled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
