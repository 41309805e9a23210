/* The table against what it promises: for every state and every event. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/guard_fsm.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define each_state(s)                                                                                        \
    (enum guard_state s = (enum guard_state)0; s < GUARD_STATE_COUNT; s = (enum guard_state)(s + 1))
#define each_event(e)                                                                                        \
    (enum guard_event e = (enum guard_event)0; e < GUARD_EVENT_COUNT; e = (enum guard_event)(e + 1))

static enum guard_state after(enum guard_state from, enum guard_event event)
{
    return guard_fsm_step(from, event).next;
}

static bool passing(enum guard_state state)
{
    return !guard_fsm_latched(state);
}

/* The states from which this one is reached by the events that are allowed. */
static unsigned reach(enum guard_state from, bool (*allowed)(enum guard_event))
{
    unsigned reached = 1u << from, before = 0;
    while (reached != before) {
        before = reached;
        for each_state (s)
            for each_event (e)
                if ((reached >> s & 1) && allowed(e))
                    reached |= 1u << after(s, e);
    }
    return reached;
}

static void a_lost_primary_never_answers(void **state)
{
    for
        each_state(s)
        {
            assert_int_not_equal(guard_fsm_answer(after(s, GUARD_EV_PRIMARY_LOST)), GUARD_ANSWER_PRIMARY);
            assert_int_not_equal(guard_fsm_answer(after(s, GUARD_EV_DEACTIVATED)), GUARD_ANSWER_PRIMARY);
        }
    assert_int_equal(after(GUARD_FALLBACK, GUARD_EV_FALLBACK_LOST), GUARD_STANDBY);
}

/* Of all that may happen, only what is meant to clear leads to something less severe. */
static void severity_falls_only_when_cleared(void **state)
{
    for each_state (s)
        for each_event (e)
            if (guard_fsm_severity(after(s, e)) < guard_fsm_severity(s))
                assert_true(guard_fsm_clears(e));
    for each_state (s)
        for each_state (t)
            if (passing(s) && guard_fsm_latched(t))
                assert_true(guard_fsm_severity(t) > guard_fsm_severity(s));
}

/* A human is told what became of his word; everything else just happens. */
static void every_event_in_every_state_is_decided(void **state)
{
    for each_state (s)
        for each_event (e)
        {
            struct guard_step step = guard_fsm_step(s, e);
            assert_in_range(step.next, 0, GUARD_STATE_COUNT - 1);
            assert_true(step.accepted || step.next == s);
            if (guard_fsm_source(e) != GUARD_FROM_HUMAN)
                assert_true(step.accepted);
        }
    static const int humans[GUARD_STATE_COUNT] = {
        /* accepted verbs: read off docs/guard.md, "Who may do what" */
        [GUARD_INIT] = 1,      [GUARD_STANDBY] = 6, [GUARD_AUTO] = 5,     [GUARD_DEGRADED] = 5,
        [GUARD_FALLBACK] = 5,  [GUARD_FORCED] = 5,  [GUARD_HOLD] = 5,     [GUARD_OVERRIDE] = 4,
        [GUARD_SAFE_STOP] = 2, [GUARD_ESTOP] = 1,   [GUARD_ACK_WAIT] = 5, [GUARD_SERVICE] = 3,
    };
    for
        each_state(s)
        {
            int accepted = 0;
        for
            each_event(e) accepted +=
                guard_fsm_source(e) == GUARD_FROM_HUMAN && guard_fsm_step(s, e).accepted;
        assert_int_equal(accepted, humans[s]);
        }
}

static void stop_and_the_hardware_reach_everywhere(void **state)
{
    for
        each_state(s)
        {
            assert_true(guard_fsm_step(s, GUARD_EV_STOP).accepted);
            assert_int_equal(after(s, GUARD_EV_STOP), s == GUARD_ESTOP ? GUARD_ESTOP : GUARD_SAFE_STOP);
            assert_int_equal(after(s, GUARD_EV_ESTOP_PRESSED), GUARD_ESTOP);
            assert_int_equal(after(s, GUARD_EV_ESTOP_RELEASED), s == GUARD_ESTOP ? GUARD_SAFE_STOP : s);
            assert_int_equal(guard_fsm_answer(after(s, GUARD_EV_FAULT)), GUARD_ANSWER_SAFE);
        for
            each_event(e) if (s == GUARD_ESTOP && e != GUARD_EV_ESTOP_RELEASED)
                assert_int_equal(after(s, e), GUARD_ESTOP);
        }
}

static bool not_human(enum guard_event event)
{
    return guard_fsm_source(event) != GUARD_FROM_HUMAN;
}

static bool not_restart(enum guard_event event)
{
    return event != GUARD_EV_RESTART;
}

static bool not_reset(enum guard_event event)
{
    return event != GUARD_EV_RESET;
}

static bool anything(enum guard_event event)
{
    return true;
}

static unsigned answering(void)
{
    unsigned set = 0;
    for
        each_state(s) if (guard_fsm_answer(s) != GUARD_ANSWER_SAFE) set |= 1u << s;
    return set;
}

static void a_latch_is_left_by_two_human_acts(void **state)
{
    static const enum guard_state stops[] = {GUARD_SAFE_STOP, GUARD_ESTOP, GUARD_SERVICE};
    for each_state (s)
        if (guard_fsm_latched(s)) /* no machine opens one */
            for each_state (t)
                assert_true(guard_fsm_latched(t) || !(reach(s, not_human) >> t & 1));
    for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
        assert_int_equal(reach(stops[i], not_restart) & answering(), 0);
        assert_int_equal(reach(stops[i], not_reset) & answering(), 0);
    }
    assert_int_equal(reach(GUARD_OVERRIDE, not_restart) & answering(), 0);
    assert_int_equal(reach(GUARD_ACK_WAIT, not_restart) & answering(), 0);
}

/* There is always a way back, and every state is there for something. */
static void nobody_is_locked_out(void **state)
{
    for
        each_state(s) assert_true(reach(s, anything) >> GUARD_AUTO & 1);
    assert_int_equal(reach(GUARD_INIT, anything), (1u << GUARD_STATE_COUNT) - 1);
}

static void who_answers(void **state)
{
    for
        each_state(s)
        {
            enum guard_answer want = s == GUARD_AUTO || s == GUARD_DEGRADED     ? GUARD_ANSWER_PRIMARY
                                     : s == GUARD_FALLBACK || s == GUARD_FORCED ? GUARD_ANSWER_FALLBACK
                                                                                : GUARD_ANSWER_SAFE;
            assert_int_equal(guard_fsm_answer(s), want);
        }
}

static void severities_are_an_order(void **state)
{
    assert_int_equal(guard_fsm_severity(GUARD_AUTO), 0);
    static const enum guard_state rising[] = {
        GUARD_AUTO,     GUARD_DEGRADED, GUARD_FALLBACK, GUARD_STANDBY,   GUARD_FORCED, GUARD_HOLD,
        GUARD_OVERRIDE, GUARD_ACK_WAIT, GUARD_SERVICE,  GUARD_SAFE_STOP, GUARD_ESTOP,
    };
    for (size_t i = 1; i < ARRAY_LEN(rising); i++)
        assert_true(guard_fsm_severity(rising[i - 1]) < guard_fsm_severity(rising[i]));
    assert_int_equal(guard_fsm_severity(GUARD_INIT), guard_fsm_severity(GUARD_STANDBY));
    assert_int_equal(guard_fsm_severity(GUARD_ESTOP), 10);
}

static void nonsense_ends_in_the_safe_stop(void **state)
{
    static const enum guard_state odd[] = {GUARD_STATE_COUNT, (enum guard_state) - 1};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        for
            each_event(e)
            {
                assert_int_equal(after(odd[i], e), GUARD_SAFE_STOP);
                assert_false(guard_fsm_step(odd[i], e).accepted);
            }
        assert_int_equal(guard_fsm_answer(odd[i]), GUARD_ANSWER_SAFE);
        assert_int_equal(guard_fsm_severity(odd[i]), guard_fsm_severity(GUARD_SAFE_STOP));
        assert_true(guard_fsm_latched(odd[i]));
        assert_string_equal(guard_state_name(odd[i]), "unknown");
    }
    static const enum guard_event strange[] = {GUARD_EVENT_COUNT, (enum guard_event) - 1};
    for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
        assert_int_equal(after(GUARD_AUTO, strange[i]), GUARD_SAFE_STOP);
        assert_false(guard_fsm_step(GUARD_AUTO, strange[i]).accepted);
        assert_false(guard_fsm_clears(strange[i]));
        assert_int_equal(guard_fsm_source(strange[i]), GUARD_FROM_GUARD);
        assert_string_equal(guard_event_name(strange[i]), "unknown");
    }
}

static const char *const state_words[] = {
#define STATE(name, answer, severity, latch) [GUARD_##name] = #name,
#include "robot/decide/guard_table.def"
};

static const char *const event_words[] = {
#define EVENT(name, source, clears) [GUARD_EV_##name] = #name,
#include "robot/decide/guard_table.def"
};

static void is_lower_of(const char *name, const char *word)
{
    assert_int_equal(strlen(name), strlen(word));
    for (; *name; name++, word++)
        assert_int_equal(*name, tolower((unsigned char)*word));
}

static void names_are_the_tables(void **state)
{
    for
        each_state(s) is_lower_of(guard_state_name(s), state_words[s]);
    for
        each_event(e) is_lower_of(guard_event_name(e), event_words[e]);
}

static void where_events_come_from(void **state)
{
    for
        each_event(e)
        {
            enum guard_source_of_event want = GUARD_FROM_GUARD;
            if (e >= GUARD_EV_HOLD)
                want = GUARD_FROM_HUMAN;
            else if (e == GUARD_EV_ESTOP_PRESSED || e == GUARD_EV_ESTOP_RELEASED)
                want = GUARD_FROM_HARDWARE;
            else if (e == GUARD_EV_PRIMARY_READY || e == GUARD_EV_PRIMARY_DEGRADED ||
                     e == GUARD_EV_FALLBACK_READY || e == GUARD_EV_DEACTIVATED)
                want = GUARD_FROM_AGENT;
            assert_int_equal(guard_fsm_source(e), want);
        }
}

/* Whatever else is added: it does not clear by oversight. */
static void what_may_clear(void **state)
{
    static const enum guard_event clearing[] = {
        GUARD_EV_PRIMARY_READY, GUARD_EV_PRIMARY_DEGRADED, GUARD_EV_FALLBACK_READY, GUARD_EV_ESTOP_RELEASED,
        GUARD_EV_RELEASE,       GUARD_EV_OVERRIDE,         GUARD_EV_RESET,          GUARD_EV_RESTART,
    };
    for
        each_event(e)
        {
            bool wanted = false;
            for (size_t i = 0; i < ARRAY_LEN(clearing); i++)
                wanted |= clearing[i] == e;
            assert_int_equal(guard_fsm_clears(e), wanted);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_primary_never_answers),
        cmocka_unit_test(severity_falls_only_when_cleared),
        cmocka_unit_test(every_event_in_every_state_is_decided),
        cmocka_unit_test(stop_and_the_hardware_reach_everywhere),
        cmocka_unit_test(a_latch_is_left_by_two_human_acts),
        cmocka_unit_test(nobody_is_locked_out),
        cmocka_unit_test(who_answers),
        cmocka_unit_test(severities_are_an_order),
        cmocka_unit_test(nonsense_ends_in_the_safe_stop),
        cmocka_unit_test(names_are_the_tables),
        cmocka_unit_test(where_events_come_from),
        cmocka_unit_test(what_may_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
