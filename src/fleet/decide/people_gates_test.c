/* Gates that need people's verdicts: they may be looked at after every verdict, and still stop a healthy rollout at most alpha of the time. */
#include "fleet/decide/rollout.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

#include <math.h>

enum { ROUNDS = 400, LOOKS = 300 };

struct trial {
    struct rollout rollout;
    struct fleet_robot robot;
    struct fleet_view view;
};

static struct trial *trial_of(void)
{
    struct trial *trial = mem_zalloc(1, sizeof *trial);
    assert_non_null(trial);
    trial->rollout.spec.gates = (struct rollout_gates){.max_failures = -1,
                                                       .max_over_budget_share = -1,
                                                       .max_intervention_share = -1,
                                                       .min_accuracy = -1,
                                                       .min_recall = -1,
                                                       .min_precision = -1,
                                                       .max_false_alarms_per_hour = -1,
                                                       .max_false_alarm_ratio = -1,
                                                       .max_drift = -1,
                                                       .min_frames = 1,
                                                       .alpha = 0.05};
    trial->robot = (struct fleet_robot){.id = "r1", .wave = 0};
    trial->view = (struct fleet_view){.robots = &trial->robot, .count = 1};
    return trial;
}

static struct gate_result gate(const struct trial *trial, const char *name)
{
    struct gate_result all[ROLLOUT_MAX_GATES];
    size_t count = rollout_gates(&trial->rollout, &trial->view, all);
    for (size_t i = 0; i < count; i++)
        if (str_eq(all[i].name, name))
            return all[i];
    fail_msg("no gate %s", name);
    return all[0];
}

static double uniform(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (double)(*random >> 11) / 9007199254740992.0;
}

/* A release that is exactly as good as asked for: looked at after every event, it is stopped in at most 5 % of all rollouts. */
static void a_recall_at_its_limit_is_rarely_stopped(void **state)
{
    uint64_t random = 3;
    int stopped = 0;
    for (int round = 0; round < ROUNDS; round++) {
        cleanup_free struct trial *trial = trial_of();
        trial->rollout.spec.gates.min_recall = 0.9;
        bool fail = false;
        for (int look = 0; look < LOOKS && !fail; look++) {
            if (uniform(&random) < 0.9)
                trial->robot.evidence.tp++;
            else
                trial->robot.evidence.fn++;
            fail = gate(trial, "recall").verdict == GATE_FAIL;
        }
        stopped += fail;
    }
    print_message("%d of %d stopped\n", stopped, ROUNDS);
    assert_true(stopped <= ROUNDS / 20);
}

static void a_release_that_misses_is_stopped(void **state)
{
    uint64_t random = 5;
    for (int round = 0; round < 50; round++) {
        cleanup_free struct trial *trial = trial_of();
        trial->rollout.spec.gates.min_recall = 0.9;
        int look = 0;
        for (; look < 400 && gate(trial, "recall").verdict != GATE_FAIL; look++)
            *(uniform(&random) < 0.7 ? &trial->robot.evidence.tp : &trial->robot.evidence.fn) += 1;
        assert_true(look < 400);
    }
}

/* Drills and ordinary days: what was found, of what was found or missed. */
static void recall_counts_what_is_known(void **state)
{
    cleanup_free struct trial *trial = trial_of();
    trial->rollout.spec.gates.min_recall = 0.5;
    assert_int_equal(gate(trial, "recall").verdict, GATE_WAITING);
    trial->robot.alarms = (struct rollout_alarms){.judged_true = 9, .missed = 1};
    assert_true(fabs(gate(trial, "recall").value - 0.9) < 1e-9);
    trial->robot.evidence = (struct rollout_evidence){.tp = 2, .fn = 1};
    assert_true(fabs(gate(trial, "recall").value - 11.0 / 13) < 1e-9);
}

/* Equal rates: "not more than before" is proven, or refuted, in at most 5 % each; a rate that fell to a tenth is proven soon. */
static void a_ratio_has_to_be_proven(void **state)
{
    uint64_t random = 11;
    int wrongly_stopped = 0, wrongly_passed = 0, passed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        cleanup_free struct trial *equal = trial_of(), *better = trial_of();
        bool failed = false, proven = false;
        equal->rollout.spec.gates.max_false_alarm_ratio = better->rollout.spec.gates.max_false_alarm_ratio =
            1;
        for (int look = 0; look < LOOKS; look++) {
            struct rollout_alarms *sides[] = {&equal->robot.alarms, &equal->robot.alarms_before,
                                              &better->robot.alarms, &better->robot.alarms_before};
            const double rates[] = {0.3, 0.3, 0.03, 0.3};
            for (int i = 0; i < 4; i++) {
                sides[i]->operating_ms += 60000;
                sides[i]->judged_false += uniform(&random) < rates[i];
            }
            enum gate_verdict verdict = gate(equal, "false_alarm_ratio").verdict;
            failed |= verdict == GATE_FAIL;
            proven |= verdict == GATE_PASS;
        }
        wrongly_stopped += failed;
        wrongly_passed += proven;
        passed += gate(better, "false_alarm_ratio").verdict == GATE_PASS;
    }
    print_message("%d wrongly stopped, %d wrongly passed, %d passed\n", wrongly_stopped, wrongly_passed,
                  passed);
    assert_true(wrongly_stopped <= ROUNDS / 20 && wrongly_passed <= ROUNDS / 20);
    assert_int_equal(passed, ROUNDS);
}

static void a_rate_over_its_limit_is_refuted(void **state)
{
    cleanup_free struct trial *trial = trial_of();
    trial->rollout.spec.gates.max_false_alarms_per_hour = 0.5;
    assert_int_equal(gate(trial, "false_alarms_per_hour").verdict, GATE_WAITING); /* nothing was seen yet */
    trial->robot.alarms.operating_ms = 3600000;
    assert_int_equal(gate(trial, "false_alarms_per_hour").verdict, GATE_PASS);
    trial->robot.alarms.judged_false = 1;
    assert_int_equal(gate(trial, "false_alarms_per_hour").verdict, GATE_WAITING); /* one is no proof */
    trial->robot.alarms.judged_false = 12;
    struct gate_result gate_now = gate(trial, "false_alarms_per_hour");
    assert_int_equal(gate_now.verdict, GATE_FAIL);
    assert_true(gate_now.low > 0.5 && gate_now.low < gate_now.value && gate_now.value < gate_now.high);
}

static void nobody_asked_nobody_judged(void **state)
{
    cleanup_free struct trial *trial = trial_of();
    struct gate_result all[ROLLOUT_MAX_GATES];
    trial->robot.alarms = (struct rollout_alarms){.judged_false = 1000, .missed = 1000};
    assert_int_equal(rollout_gates(&trial->rollout, &trial->view, all), 1); /* evidence alone */
}

/* A finding holds the next wave back, and takes nothing back. */
static void drift_waits_for_people(void **state)
{
    cleanup_free struct trial *trial = trial_of();
    trial->rollout.spec.gates.max_drift = 0;
    trial->robot.evidence.frames = 10;
    assert_int_equal(gate(trial, "drift").verdict, GATE_PASS);
    trial->view.drift = 1;
    assert_int_equal(gate(trial, "drift").verdict, GATE_WAITING);
    trial->rollout.spec.gates.max_drift = 1;
    assert_int_equal(gate(trial, "drift").verdict, GATE_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift_waits_for_people),
        cmocka_unit_test(a_recall_at_its_limit_is_rarely_stopped),
        cmocka_unit_test(a_release_that_misses_is_stopped),
        cmocka_unit_test(recall_counts_what_is_known),
        cmocka_unit_test(a_ratio_has_to_be_proven),
        cmocka_unit_test(a_rate_over_its_limit_is_refuted),
        cmocka_unit_test(nobody_asked_nobody_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
