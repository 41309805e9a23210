#include "forge/profile/reference.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

enum { COUNT = 8000 };

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    return sqrt(-2 * log(uniform(state))) * cos(2 * M_PI * uniform(state));
}

struct stage {
    float values[COUNT], sorted[COUNT];
    uint32_t sequence[COUNT];
    struct reference_series series;
};

/* x ← phi·x + noise, of variance 1, shifted by 3, in sequences of 1,000. */
static struct stage *stage_of(double phi)
{
    uint64_t random = 5;
    double x = 0;
    struct stage *stage = mem_zalloc(1, sizeof *stage);
    assert_non_null(stage);
    for (size_t i = 0; i < COUNT; i++) {
        x = phi * x + sqrt(1 - phi * phi) * normal(&random);
        stage->values[i] = (float)(3 + x);
        stage->sequence[i] = (uint32_t)(i / 1000);
    }
    stage->series =
        (struct reference_series){.values = stage->values, .sequence = stage->sequence, .count = COUNT};
    return stage;
}

static void independent_frames_have_no_memory(void **state)
{
    cleanup_free struct stage *stage = stage_of(0);
    struct drift_reference reference;
    reference_of(&stage->series, 0, stage->sorted, &reference);
    assert_true(fabs(reference.mean - 3) < 0.05 && fabs(reference.sd - 1) < 0.05);
    assert_true(reference.memory >= 1 && reference.memory < 1.3);
    assert_true(fabs((double)reference.edges[3] - 3) < 0.06);         /* median */
    assert_true(fabs((double)reference.edges[6] - 3 - 1.150) < 0.08); /* 7/8 of a normal */
    assert_true(reference.tolerance >= 2 / sqrt(COUNT) && reference.tolerance < 0.1);
}

/* Of an AR(1) it is (1 + phi) / (1 - phi). */
static void what_frames_remember_is_measured(void **state)
{
    cleanup_free struct stage *stage = stage_of(0.9);
    struct drift_reference reference;
    reference_of(&stage->series, 0, stage->sorted, &reference);
    assert_true(reference.memory > 13 && reference.memory < 25);
    cleanup_free struct stage *plain = stage_of(0);
    struct drift_reference independent;
    reference_of(&plain->series, 0, plain->sorted, &independent);
    assert_true(reference.tolerance > independent.tolerance);
}

static void sites_that_differ_are_tolerated_but_not_without_end(void **state)
{
    cleanup_free struct stage *stage = stage_of(0);
    struct drift_reference reference;
    for (size_t i = 0; i < COUNT; i++)
        stage->values[i] += 5 * (float)(stage->sequence[i] % 2);
    reference_of(&stage->series, 0, stage->sorted, &reference);
    assert_true(fabs(reference.tolerance - 0.5 * reference.sd) < 1e-9);
    assert_true(reference.memory < 1.5); /* that sites differ is no memory */
}

static void what_is_not_there_is_left_out(void **state)
{
    cleanup_free struct stage *stage = stage_of(0);
    struct drift_reference reference;
    for (size_t i = 0; i < COUNT; i += 2)
        stage->values[i] = NAN;
    reference_of(&stage->series, 0, stage->sorted, &reference);
    assert_true(fabs(reference.mean - 3) < 0.06 && isfinite(reference.tolerance));
    for (size_t i = 40; i < COUNT; i++)
        stage->values[i] = INFINITY;
    reference_of(&stage->series, 0, stage->sorted, &reference); /* 20 values */
    assert_true(reference.sd <= 0);
}

static void what_never_moved_may_move_a_little(void **state)
{
    cleanup_free struct stage *stage = stage_of(0);
    struct drift_reference reference;
    for (size_t i = 0; i < COUNT; i++)
        stage->values[i] = 0.25F;
    reference_of(&stage->series, 0, stage->sorted, &reference);
    assert_true(reference.sd > 0 && reference.sd <= 0.02 && reference.memory >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_frames_have_no_memory),
        cmocka_unit_test(what_frames_remember_is_measured),
        cmocka_unit_test(sites_that_differ_are_tolerated_but_not_without_end),
        cmocka_unit_test(what_is_not_there_is_left_out),
        cmocka_unit_test(what_never_moved_may_move_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
