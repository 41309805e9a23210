/* Candidates of all kinds, against a model that multiplies its frame by itself many times. */
#include "infer/contest.h"

#include "infer/tasks_testing.h"

#include <math.h>

enum { SIDE = 64, STEPS = 60, CASES = 2, COUNT = SIDE * SIDE };

static float frames[CASES][COUNT];
static struct golden golden;

/* The unit matrix and minus it, for which every even power is the unit matrix: 61 factors give the frame back. */
static void make_golden(void)
{
    golden = (struct golden){.count = CASES};
    for (int k = 0; k < CASES; k++) {
        for (int i = 0; i < SIDE; i++)
            frames[k][i * SIDE + i] = k ? -1 : 1;
        golden.cases[k] = (struct golden_case){.format = FRAME_FLOAT32,
                                               .width = COUNT,
                                               .height = 1,
                                               .data = (const uint8_t *)frames[k],
                                               .output_count = 1,
                                               .output_len = {COUNT},
                                               .outputs = {(const uint8_t *)frames[k]}};
    }
}

static struct pipeline *open_model(const char *path)
{
    struct err err = {0};
    struct pipeline *pipeline = NULL;
    struct release release = values_release(SIDE, SIDE);
    assert_ok(pipeline_open(path, &release, NULL, &pipeline, &err), err);
    return pipeline;
}

/* One operator. */
static struct pipeline *open_quick(const char *op)
{
    struct model model = values_model(SIDE, SIDE);
    model_node(&model, op, "x", "y");
    const char *path = scratch_path("quick.onnx");
    model_save(&model, path);
    return open_model(path);
}

static struct pipeline *open_slow(void)
{
    return open_model(slow_model(SIDE, STEPS));
}

static struct contest hold(struct pipeline *parent, struct pipeline *variant)
{
    struct contest contest;
    const struct contest_question question = {
        .parent = parent, .variant = variant, .golden = &golden, .promised = 0.95};
    contest_run(&question, &contest);
    assert_true(contest.reason[0]);
    pipeline_close(parent);
    pipeline_close(variant);
    return contest;
}

static void a_faster_one_that_answers_the_same_wins(void **state)
{
    struct contest contest = hold(open_slow(), open_quick("Identity"));
    assert_string_equal(contest_verdict_name(contest.verdict), "won");
    assert_true(contest.fidelity > 0.999 && contest.gate.speedup > 1);
    assert_non_null(strstr(contest.reason, "fidelity 1.000"));
}

static void whatever_is_not_better_loses(void **state)
{
    struct contest slower = hold(open_quick("Identity"), open_slow());
    assert_string_equal(contest_verdict_name(slower.verdict), "slower");
    struct contest other = hold(open_slow(), open_quick("Neg"));
    assert_string_equal(contest_verdict_name(other.verdict), "unfaithful");
    assert_non_null(strstr(other.reason, "promises 0.950"));
    struct contest infinite = hold(open_slow(), open_quick("Log"));
    assert_string_equal(contest_verdict_name(infinite.verdict), "broken");
    assert_true(isnan(infinite.fidelity));
    assert_non_null(strstr(infinite.reason, "golden case 0"));
}

static void time_is_limited_and_what_was_not_measured_is_not_believed(void **state)
{
    struct pipeline *parent = open_slow(), *variant = open_quick("Identity");
    struct contest contest;
    struct contest_question question = {.parent = parent,
                                        .variant = variant,
                                        .golden = &golden,
                                        .promised = 0.95,
                                        .max_pairs = GATE_MIN_PAIRS - 1};
    contest_run(&question, &contest);
    assert_string_equal(contest_verdict_name(contest.verdict), "slower");
    assert_non_null(strstr(contest.reason, "too few"));
    pipeline_close(parent);
    pipeline_close(variant);
}

/* A sequence is judged as a sequence, and nothing of it stays behind. */
static void a_model_with_memory_begins_anew(void **state)
{
    struct err err = {0};
    struct release release = sum_release(4);
    const char *path = sum_model(4);
    struct pipeline *pipelines[2];
    static float x[4] = {1, 2, 3, 4}, twice[4] = {2, 4, 6, 8};
    const uint8_t *const sums[] = {(const uint8_t *)x, (const uint8_t *)twice};
    struct golden sequence = {.count = 2};
    for (int i = 0; i < 2; i++) {
        sequence.cases[i] = (struct golden_case){.format = FRAME_FLOAT32,
                                                 .width = 4,
                                                 .height = 1,
                                                 .data = (const uint8_t *)x,
                                                 .output_count = 2,
                                                 .output_len = {4, 4},
                                                 .outputs = {sums[i], sums[i]}};
        assert_ok(pipeline_open(path, &release, NULL, &pipelines[i], &err), err);
    }
    struct contest contest;
    const struct contest_question question = {
        .parent = pipelines[0], .variant = pipelines[1], .golden = &sequence, .promised = 1};
    contest_run(&question, &contest);
    assert_true(contest.fidelity == 1);
    for (int i = 0; i < 2; i++) {
        assert_ok(pipeline_self_test(pipelines[i], &sequence, 0, &err), err);
        pipeline_close(pipelines[i]);
    }
}

static void more_memory_is_no_bargain(void **state)
{
    struct contest contest = {.verdict = CONTEST_WON};
    contest_weigh(100 << 20, 106 << 20, &contest);
    assert_int_equal(contest.verdict, CONTEST_WON);
    contest_weigh(0, 106 << 20, &contest); /* the kernel does not say */
    assert_int_equal(contest.verdict, CONTEST_WON);
    contest_weigh(100 << 20, 120 << 20, &contest);
    assert_string_equal(contest_verdict_name(contest.verdict), "bigger");
    assert_non_null(strstr(contest.reason, "120.0 MiB"));
    assert_true(contest_memory() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faster_one_that_answers_the_same_wins),
        cmocka_unit_test(whatever_is_not_better_loses),
        cmocka_unit_test(time_is_limited_and_what_was_not_measured_is_not_believed),
        cmocka_unit_test(a_model_with_memory_begins_anew),
        cmocka_unit_test(more_memory_is_no_bargain),
    };
    make_golden();
    return cmocka_run_group_tests(tests, scratch_with_runtime, scratch_close);
}
