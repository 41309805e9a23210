#include "base/testing.h"
#include "fleet/decide/rollout.h"

enum { ROBOTS = 10 };

/* A fleet in simulated time: every robot installs what it is told after a while and then shows evidence. */
struct fleet {
    struct fleet_robot robots[ROBOTS];
    char ids[ROBOTS][8];
    int64_t busy_until[ROBOTS];
    struct rollout rollout;
    int64_t now_ms;
    int ever_ran; /* how many robots ever ran the rollout's release */
    double bad_share, slow_share, wrong_share;
    bool installs_fail;
    uint32_t random;
    const char *withheld;
};

static struct digest release(int number)
{
    struct digest digest;
    memset(digest.bytes, number, sizeof digest.bytes);
    return digest;
}

static bool chance(struct fleet *fleet, double share)
{
    fleet->random = fleet->random * 1664525u + 1013904223u;
    return (fleet->random >> 8) / 16777216.0 < share;
}

static void set_up(struct fleet *fleet)
{
    memset(fleet, 0, sizeof *fleet);
    fleet->now_ms = 1000000;
    fleet->random = 17;
    for (int i = 0; i < ROBOTS; i++) {
        snprintf(fleet->ids[i], sizeof fleet->ids[i], "r%02d", i);
        fleet->robots[i] = (struct fleet_robot){.id = fleet->ids[i],
                                                .live = true,
                                                .wave = -1,
                                                .running = release(1),
                                                .target = release(1),
                                                .committed = true};
    }
    fleet->rollout = (struct rollout){.id = 1,
                                      .release = release(2),
                                      .wave_started_ms = fleet->now_ms,
                                      .spec = {.name = "test",
                                               .wave_count = 3,
                                               .waves = {{.name = "canary", .count = 2, .bake_s = 5},
                                                         {.name = "half", .percent = 50, .bake_s = 5},
                                                         {.name = "all", .percent = 100, .bake_s = 5}},
                                               .gates = {.max_failures = 0,
                                                         .max_over_budget_share = 0.05,
                                                         .max_intervention_share = 0.05,
                                                         .min_accuracy = 0.5,
                                                         .min_recall = -1,
                                                         .min_precision = -1,
                                                         .max_false_alarms_per_hour = -1,
                                                         .max_false_alarm_ratio = -1,
                                                         .max_drift = -1,
                                                         .min_frames = 20,
                                                         .alpha = 0.01},
                                               .wave_timeout_s = 120}};
}

static void drive(struct fleet *fleet, size_t i)
{
    struct fleet_robot *robot = &fleet->robots[i];
    if (robot->failed && digest_equal(&robot->target, &fleet->rollout.release))
        return;
    if (!digest_equal(&robot->running, &robot->target) && fleet->now_ms >= fleet->busy_until[i]) {
        if (fleet->installs_fail) {
            robot->failed = true;
            return;
        }
        robot->running = robot->target;
        robot->committed = false;
        fleet->busy_until[i] = fleet->now_ms + 3000;
        fleet->ever_ran += digest_equal(&robot->target, &fleet->rollout.release);
    } else if (fleet->now_ms >= fleet->busy_until[i]) {
        robot->committed = true;
    }
    if (!digest_equal(&robot->running, &fleet->rollout.release))
        return;
    for (int frame = 0; frame < 5; frame++) {
        struct rollout_evidence *seen = &robot->evidence;
        seen->frames++;
        seen->inferences++;
        seen->interventions += chance(fleet, fleet->bad_share);
        seen->over_budget += chance(fleet, fleet->slow_share);
        bool wrong = chance(fleet, fleet->wrong_share);
        seen->tp += !wrong;
        seen->fn += wrong;
    }
}

static void tick(struct fleet *fleet)
{
    struct rollout_assign assigns[ROBOTS];
    struct rollout_actions actions = {.assigns = assigns};
    struct fleet_view view = {.robots = fleet->robots, .count = ROBOTS, .withheld = fleet->withheld};
    struct err err = {0};
    assert_ok(rollout_decide(&fleet->rollout, &view, fleet->now_ms, &actions, &err), err);
    assert_true(actions.assign_count <= ROBOTS);
    assert_true(!fleet->withheld || fleet->rollout.state == ROLLOUT_ROLLING_BACK || !actions.assign_count);
    for (size_t i = 0; i < actions.assign_count; i++) {
        struct fleet_robot *robot = &fleet->robots[assigns[i].robot];
        if (assigns[i].wave >= 0) {
            assert_int_equal(robot->wave, -1);
            if (!digest_is_zero(&fleet->rollout.plan))
                assert_int_equal(robot->planned, assigns[i].wave);
            robot->wave = assigns[i].wave;
            robot->before = robot->target;
        }
        robot->target = assigns[i].release;
        robot->committed = false;
        fleet->busy_until[assigns[i].robot] = fleet->now_ms + 2000;
    }
    fleet->rollout = actions.next;
    fleet->now_ms += 1000;
    for (size_t i = 0; i < ROBOTS; i++)
        drive(fleet, i);
}

static void run(struct fleet *fleet, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        size_t allowed = rollout_wave_size(&fleet->rollout.spec, fleet->rollout.wave, ROBOTS);
        tick(fleet);
        assert_true((size_t)fleet->ever_ran <= allowed); /* never more robots than the waves so far hold */
    }
}

static void a_good_release_reaches_everybody_wave_by_wave(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    run(&fleet, 120);
    assert_int_equal(fleet.rollout.state, ROLLOUT_DONE);
    assert_int_equal(fleet.ever_ran, ROBOTS);
}

static void expect_stopped_in_the_canary(struct fleet *fleet, const char *gate)
{
    run(fleet, 120);
    assert_int_equal(fleet->rollout.state, ROLLOUT_ROLLED_BACK);
    assert_non_null(strstr(fleet->rollout.reason, gate));
    assert_true(fleet->ever_ran <= 2);
    for (int i = 0; i < ROBOTS; i++)
        assert_int_equal(fleet->robots[i].target.bytes[0], 1);
}

static void every_gate_stops_a_bad_release_in_the_canary_wave(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    fleet.bad_share = 0.5;
    expect_stopped_in_the_canary(&fleet, "intervention_share");
    set_up(&fleet);
    fleet.slow_share = 0.9;
    expect_stopped_in_the_canary(&fleet, "over_budget_share");
    set_up(&fleet);
    fleet.wrong_share = 0.9;
    expect_stopped_in_the_canary(&fleet, "accuracy");
    set_up(&fleet);
    fleet.installs_fail = true;
    expect_stopped_in_the_canary(&fleet, "failures");
}

/* 11 % wrong against 10 %: too little to refute for a long time, but nothing to go on with either. */
static void a_share_just_over_its_limit_holds_the_wave(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    fleet.rollout.spec.gates.max_intervention_share = 0.1;
    fleet.rollout.spec.wave_timeout_s = 60;
    for (int i = 0; i < 200 && fleet.rollout.state == ROLLOUT_RUNNING; i++) {
        for (size_t r = 0; r < ROBOTS; r++)
            fleet.robots[r].evidence.interventions = (fleet.robots[r].evidence.frames * 11 + 99) / 100;
        tick(&fleet);
        assert_int_equal(fleet.rollout.wave, 0);
    }
    assert_int_not_equal(fleet.rollout.state, ROLLOUT_DONE);
    assert_true(fleet.ever_ran <= 2);
    assert_non_null(strstr(fleet.rollout.reason, "intervention_share"));
}

static void a_robot_that_never_answers_ends_the_wave_by_its_time_limit(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    fleet.busy_until[0] = INT64_MAX;
    for (int i = 0; i < 200; i++) {
        tick(&fleet);
        fleet.busy_until[0] = INT64_MAX;
    }
    assert_int_equal(fleet.rollout.state, ROLLOUT_ROLLED_BACK);
    assert_non_null(strstr(fleet.rollout.reason, "did not finish"));
}

static void pause_and_resume_and_abort(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    set_up(&fleet);
    run(&fleet, 3);
    assert_ok(rollout_pause(&fleet.rollout, "alice", &err), err);
    int before = fleet.ever_ran;
    run(&fleet, 60);
    assert_true(fleet.ever_ran <= 2 && fleet.ever_ran >= before);
    assert_fails(rollout_pause(&fleet.rollout, "alice", &err), err, ERR_CONFLICT);
    assert_ok(rollout_resume(&fleet.rollout, fleet.now_ms, &err), err);
    run(&fleet, 20);
    assert_ok(rollout_abort(&fleet.rollout, "bob", &err), err);
    run(&fleet, 20);
    assert_int_equal(fleet.rollout.state, ROLLOUT_ROLLED_BACK);
    for (int i = 0; i < ROBOTS; i++)
        assert_int_equal(fleet.robots[i].running.bytes[0], 1);
    assert_fails(rollout_abort(&fleet.rollout, "bob", &err), err, ERR_CONFLICT);
    set_up(&fleet);
    fleet.rollout.spec.pause_on_failure = true;
    fleet.installs_fail = true;
    run(&fleet, 30);
    assert_int_equal(fleet.rollout.state, ROLLOUT_PAUSED);
}

/* Nobody is taken in while something stands against it; then it starts by itself, with its full time. */
static void a_withheld_release_waits_and_starts_by_itself(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    fleet.rollout.state = ROLLOUT_WAITING;
    fleet.withheld = "1 of 2 approvals";
    run(&fleet, 500);
    assert_int_equal(fleet.rollout.state, ROLLOUT_WAITING);
    assert_string_equal(fleet.rollout.reason, "1 of 2 approvals");
    assert_int_equal(fleet.ever_ran, 0);
    fleet.withheld = NULL;
    run(&fleet, 120);
    assert_int_equal(fleet.rollout.state, ROLLOUT_DONE);
    assert_string_equal(fleet.rollout.reason, "");
}

/* Approvals ran out, or the release left the targets, between two waves. */
static void a_release_that_is_withdrawn_goes_no_further(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    set_up(&fleet);
    run(&fleet, 5);
    assert_int_equal(fleet.ever_ran, 2);
    fleet.withheld = "not among the targets";
    run(&fleet, 300);
    assert_int_equal(fleet.rollout.state, ROLLOUT_WAITING);
    assert_int_equal(fleet.ever_ran, 2);
    fleet.bad_share = 1; /* those that have it are still watched */
    run(&fleet, 100);
    assert_int_equal(fleet.rollout.state, ROLLOUT_ROLLED_BACK);
    set_up(&fleet);
    fleet.withheld = "not among the targets";
    run(&fleet, 1);
    assert_ok(rollout_abort(&fleet.rollout, "bob", &err), err);
    run(&fleet, 2);
    assert_int_equal(fleet.rollout.state, ROLLOUT_ROLLED_BACK);
}

static void a_plan_is_followed_to_the_letter(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    for (int i = 0; i < ROBOTS; i++)
        fleet.robots[i].live = i % 3 == 0;
    rollout_plan(&fleet.rollout.spec, fleet.robots, ROBOTS);
    fleet.rollout.plan = release(9);
    fleet.robots[4].planned = -1; /* enrolled after the plan was made */
    for (int i = 0; i < ROBOTS; i++)
        fleet.robots[i].live = true; /* presence counts when a plan is made, not when it is carried out */
    run(&fleet, 120);
    assert_int_equal(fleet.rollout.state, ROLLOUT_DONE);
    assert_int_equal(fleet.ever_ran, ROBOTS - 1);
    assert_int_equal(fleet.robots[4].target.bytes[0], 1);
}

static void a_plan_fills_the_waves_live_robots_first(void **state)
{
    struct fleet fleet;
    size_t in[ROLLOUT_MAX_WAVES] = {0};
    set_up(&fleet);
    for (int i = 0; i < ROBOTS; i++)
        fleet.robots[i].live = i >= 7;
    rollout_plan(&fleet.rollout.spec, fleet.robots, ROBOTS);
    for (int i = 0; i < ROBOTS; i++)
        in[fleet.robots[i].planned]++;
    size_t sum = 0;
    for (size_t wave = 0; wave < fleet.rollout.spec.wave_count; wave++)
        assert_int_equal(sum += in[wave], rollout_wave_size(&fleet.rollout.spec, wave, ROBOTS));
    assert_int_equal(fleet.robots[7].planned, 0);
    assert_int_equal(fleet.robots[8].planned, 0);
    assert_int_equal(fleet.robots[0].planned, 1);
}

static void waves_grow_and_end_with_everybody(void **state)
{
    struct rollout_spec spec = {.wave_count = 4,
                                .waves = {{.count = 1}, {.percent = 1}, {.percent = 30}, {.percent = 100}}};
    for (size_t robots = 1; robots < 500; robots++) {
        size_t last = 0;
        for (size_t wave = 0; wave < spec.wave_count; wave++) {
            size_t size = rollout_wave_size(&spec, wave, robots);
            assert_true(size <= robots && (size > last || size == robots));
            last = size;
        }
        assert_int_equal(last, robots);
    }
}

static void the_decision_is_a_function_of_its_inputs(void **state)
{
    struct fleet fleet;
    set_up(&fleet);
    for (int second = 0; second < 80; second++) {
        struct rollout_assign first[ROBOTS], second_time[ROBOTS];
        struct rollout_actions a = {.assigns = first}, b = {.assigns = second_time};
        struct fleet_view view = {fleet.robots, ROBOTS};
        struct err err = {0};
        assert_ok(rollout_decide(&fleet.rollout, &view, fleet.now_ms, &a, &err), err);
        assert_ok(rollout_decide(&fleet.rollout, &view, fleet.now_ms, &b, &err), err);
        assert_int_equal(a.assign_count, b.assign_count);
        assert_memory_equal(&a.next, &b.next, sizeof a.next);
        tick(&fleet);
    }
}

static void selectors_match_all_labels(void **state)
{
    struct api_label labels[] = {{"site", "north"}, {"model", "m1"}};
    struct rollout_spec spec = {0};
    assert_true(rollout_selects(&spec, labels, 0));
    spec.select_count = 1;
    spec.select[0] = labels[0];
    assert_true(rollout_selects(&spec, labels, 2));
    assert_false(rollout_selects(&spec, labels + 1, 1));
    spec.select_count = 2;
    spec.select[1] = (struct api_label){"model", "m2"};
    assert_false(rollout_selects(&spec, labels, 2));
}

/* Robots that claim absurd numbers: nearly all frames are bad, also where the plain sums come round to 0 bad
 * of a million. */
static void sums_do_not_overflow(void **state)
{
    struct fleet fleet;
    struct gate_result gates[ROLLOUT_MAX_GATES];
    set_up(&fleet);
    for (int i = 0; i < 3; i++) {
        uint64_t bad = i < 2 ? INT64_MAX : 2, frames = i < 2 ? INT64_MAX : 1000002;
        fleet.robots[i].wave = 0;
        fleet.robots[i].evidence = (struct rollout_evidence){.frames = frames,
                                                             .interventions = bad,
                                                             .inferences = frames,
                                                             .over_budget = bad,
                                                             .tp = 1,
                                                             .fp = bad};
    }
    struct fleet_view view = {fleet.robots, ROBOTS};
    size_t count = rollout_gates(&fleet.rollout, &view, gates);
    int failed = 0;
    for (size_t i = 0; i < count; i++)
        failed += gates[i].verdict == GATE_FAIL;
    assert_int_equal(failed, 3); /* over budget, interventions, accuracy */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_release_reaches_everybody_wave_by_wave),
        cmocka_unit_test(every_gate_stops_a_bad_release_in_the_canary_wave),
        cmocka_unit_test(a_share_just_over_its_limit_holds_the_wave),
        cmocka_unit_test(a_robot_that_never_answers_ends_the_wave_by_its_time_limit),
        cmocka_unit_test(pause_and_resume_and_abort),
        cmocka_unit_test(a_withheld_release_waits_and_starts_by_itself),
        cmocka_unit_test(a_release_that_is_withdrawn_goes_no_further),
        cmocka_unit_test(a_plan_is_followed_to_the_letter),
        cmocka_unit_test(a_plan_fills_the_waves_live_robots_first),
        cmocka_unit_test(waves_grow_and_end_with_everybody),
        cmocka_unit_test(the_decision_is_a_function_of_its_inputs),
        cmocka_unit_test(selectors_match_all_labels),
        cmocka_unit_test(sums_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
