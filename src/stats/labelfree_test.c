/* Worlds in which the accuracy is known: an answer of confidence c is right with a probability that a world has for it. */
#include "stats/labelfree.h"

#include "base/testing.h"

#include <math.h>
#include <string.h>

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Confidences between `low` and 1; overconfident by a third of what it lacks. */
static double right_at(double confidence)
{
    return fmax(0, 1 - 1.33 * (1 - confidence));
}

static struct labelfree_copy copy_of(uint64_t *random, double low, size_t count, double (*right)(double))
{
    struct labelfree_copy copy = {0};
    for (size_t i = 0; i < count; i++) {
        const double confidence = low + (1 - low) * uniform(random);
        labelfree_add(&copy, confidence, uniform(random) < right(confidence));
    }
    return copy;
}

static double accuracy_of(const struct labelfree_copy *copy)
{
    uint64_t all = 0, right = 0;
    for (int i = 0; i < LABELFREE_BINS; i++) {
        all += copy->all[i];
        right += copy->right[i];
    }
    return (double)right / (double)all;
}

enum { COPIES = 7, SIZE = 4000 };

static struct labelfree_reference fitted(uint64_t *random)
{
    struct labelfree_copy copies[COPIES];
    struct labelfree_reference reference;
    for (int i = 0; i < COPIES; i++)
        copies[i] = copy_of(random, 0.8 - 0.08 * i, SIZE, right_at);
    labelfree_fit(copies, COPIES, &reference);
    return reference;
}

static void shifts_like_those_seen_are_estimated(void **state)
{
    uint64_t random = 1;
    struct labelfree_reference reference = fitted(&random);
    for (double low = 0.85; low > 0.35; low -= 0.07) {
        struct labelfree_copy here = copy_of(&random, low, SIZE, right_at);
        struct labelfree_estimate estimate;
        labelfree_estimate(&reference, here.all, false, &estimate);
        assert_true(estimate.valid);
        assert_null(estimate.because);
        assert_true(fabs(estimate.accuracy - accuracy_of(&here)) < 0.03);
        assert_true(fabs(estimate.cbpe - accuracy_of(&here)) < 0.03);
    }
}

static void what_lies_beyond_all_copies_is_not_known(void **state)
{
    uint64_t random = 2;
    struct labelfree_reference reference = fitted(&random);
    struct labelfree_copy here = copy_of(&random, 0, SIZE, right_at);
    struct labelfree_estimate estimate;
    labelfree_estimate(&reference, here.all, false, &estimate);
    assert_false(estimate.valid);
    assert_non_null(estimate.because);
}

/* Copies that are wrong although they are sure end the reach before them. */
static double sure_but_wrong(double confidence)
{
    return 0.5 * confidence;
}

static void copies_that_contradict_the_others_end_the_reach(void **state)
{
    uint64_t random = 3;
    struct labelfree_copy copies[4];
    struct labelfree_reference all, honest;
    for (int i = 0; i < 3; i++)
        copies[i] = copy_of(&random, 0.8 - 0.05 * i, SIZE, right_at);
    copies[3] = copy_of(&random, 0.5, SIZE, sure_but_wrong);
    labelfree_fit(copies, 4, &all);
    labelfree_fit(copies, 3, &honest);
    assert_true(all.error <= LABELFREE_FIT_ERROR);
    assert_true(fabs(all.reach - honest.reach) < 1e-12);
    struct labelfree_estimate estimate;
    labelfree_estimate(&all, copies[3].all, false, &estimate);
    assert_false(estimate.valid);
}

static void novelty_and_few_answers_turn_the_light_off(void **state)
{
    uint64_t random = 4;
    struct labelfree_reference reference = fitted(&random);
    struct labelfree_copy here = copy_of(&random, 0.8, SIZE, right_at), few = {0};
    struct labelfree_estimate estimate;
    labelfree_estimate(&reference, here.all, true, &estimate);
    assert_false(estimate.valid);
    assert_false(isnan(estimate.accuracy)); /* shown, in grey */
    for (int i = 0; i < LABELFREE_MIN - 1; i++)
        labelfree_add(&few, 0.9, true);
    labelfree_estimate(&reference, few.all, false, &estimate);
    assert_false(estimate.valid);
    assert_true(isnan(estimate.accuracy));
    assert_int_equal(estimate.answers, LABELFREE_MIN - 1);
}

static void without_labels_nothing_is_said(void **state)
{
    struct labelfree_copy copy = {0};
    struct labelfree_reference reference;
    struct labelfree_estimate estimate;
    for (int i = 0; i < LABELFREE_MIN - 1; i++)
        labelfree_add(&copy, 0.9, true);
    labelfree_fit(&copy, 1, &reference);
    assert_true(isnan(reference.accuracy));
    labelfree_fit(NULL, 0, &reference);
    assert_true(isnan(reference.accuracy));
    copy.all[3] = 1000;
    labelfree_estimate(&reference, copy.all, false, &estimate);
    assert_false(estimate.valid);
    assert_true(isnan(estimate.accuracy) && isnan(estimate.doc) && isnan(estimate.atc));
}

static void at_home_it_says_what_was_measured(void **state)
{
    uint64_t random = 5;
    struct labelfree_copy home = copy_of(&random, 0.7, SIZE, right_at);
    struct labelfree_reference reference;
    struct labelfree_estimate estimate;
    labelfree_fit(&home, 1, &reference);
    labelfree_estimate(&reference, home.all, false, &estimate);
    assert_true(estimate.valid);
    assert_true(fabs(estimate.doc - accuracy_of(&home)) < 1e-9);
    assert_true(fabs(estimate.atc - accuracy_of(&home)) < 1e-6);
    assert_true(fabs(estimate.cbpe - accuracy_of(&home)) < 1e-9);
}

static void accuracy_rises_with_confidence(void **state)
{
    uint64_t random = 6;
    struct labelfree_reference reference = fitted(&random);
    for (int i = 0; i < LABELFREE_BINS; i++) {
        assert_true(reference.bins_accuracy[i] >= 0 && reference.bins_accuracy[i] <= 1);
        assert_true(i == 0 || reference.bins_accuracy[i] >= reference.bins_accuracy[i - 1]);
    }
}

static void any_confidence_has_a_bin(void **state)
{
    static const struct {
        double confidence;
        size_t bin;
    } rows[] = {{0, 0}, {-1, 0}, {NAN, 0}, {1, 63}, {7, 63}, {INFINITY, 63}, {0.5, 32}, {0.999, 63}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(labelfree_bin(rows[i].confidence), rows[i].bin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifts_like_those_seen_are_estimated),
        cmocka_unit_test(what_lies_beyond_all_copies_is_not_known),
        cmocka_unit_test(copies_that_contradict_the_others_end_the_reach),
        cmocka_unit_test(novelty_and_few_answers_turn_the_light_off),
        cmocka_unit_test(without_labels_nothing_is_said),
        cmocka_unit_test(at_home_it_says_what_was_measured),
        cmocka_unit_test(accuracy_rises_with_confidence),
        cmocka_unit_test(any_confidence_has_a_bin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
