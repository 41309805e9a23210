#include "stats/review.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

static uint64_t state = 3;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(state >> 11) + 0.5) / (double)(1ULL << 53);
}

static void nothing_is_known_of_nothing(void **unused)
{
    struct review_estimate estimate;
    const double odd[] = {0, -1, 2, NAN};
    const uint8_t good[4] = {1, 1, 1, 1};
    review_share(&(struct review_verdicts){0}, 0.05, &estimate);
    assert_true(isnan(estimate.value) && isnan(estimate.low) && isnan(estimate.high));
    review_share(&(struct review_verdicts){.count = 4, .probability = odd, .good = good}, 0.05, &estimate);
    assert_true(isnan(estimate.value));
    review_rate(3, 0, 0.05, &estimate);
    assert_true(isnan(estimate.value));
    review_rate(3, NAN, 0.05, &estimate);
    assert_true(isnan(estimate.value));
}

static void alike_probabilities_are_a_binomial(void **unused)
{
    enum { COUNT = 100 };
    double probability[COUNT];
    uint8_t good[COUNT];
    struct review_estimate estimate;
    for (int i = 0; i < COUNT; i++) {
        probability[i] = 0.01;
        good[i] = i % 10 != 0;
    }
    struct review_verdicts verdicts = {.count = COUNT, .probability = probability, .good = good};
    review_share(&verdicts, 0.1, &estimate);
    assert_true(fabs(estimate.value - 0.9) < 1e-12 && estimate.evidence >= COUNT);
    assert_true(fabs(estimate.low - 0.773) < 0.02 && fabs(estimate.high - 0.971) < 0.02);
}

/* What the model is unsure of is always taken and mostly wrong; one in fifty of the others, mostly right. */
struct stream {
    double unsure, good_unsure, good_sure, least;
};

static double truth_of(const struct stream *stream)
{
    return stream->unsure * stream->good_unsure + (1 - stream->unsure) * stream->good_sure;
}

static void next_taken(const struct stream *stream, double *probability, uint8_t *good)
{
    for (;;) {
        bool unsure = uniform() < stream->unsure;
        *probability = unsure ? 1 : stream->least;
        *good = uniform() < (unsure ? stream->good_unsure : stream->good_sure);
        if (uniform() < *probability)
            return;
    }
}

enum { MOST = 400 };

/* Misses the truth at any time, looked at after every `step`-th verdict? */
static bool ever_misses(const struct stream *stream, size_t step, struct review_estimate *out)
{
    static double probability[MOST];
    static uint8_t good[MOST];
    struct review_verdicts verdicts = {.probability = probability, .good = good, .least = stream->least};
    double truth = truth_of(stream);
    for (size_t i = 0; i < MOST; i++) {
        next_taken(stream, &probability[i], &good[i]);
        verdicts.count = i + 1;
        if (verdicts.count % step)
            continue;
        review_share(&verdicts, 0.05, out);
        assert_true(out->low <= out->value && out->value <= out->high);
        if (truth < out->low || truth > out->high)
            return true;
    }
    return false;
}

static void peeking_does_no_harm(void **unused)
{
    enum { RUNS = 150 };
    static const struct stream streams[] = {
        {.unsure = 0, .good_sure = 0.9, .least = 0.5}, /* all alike */
        {.unsure = 0.02, .good_unsure = 0.3, .good_sure = 0.95, .least = 0.02},
        {.unsure = 0.5, .good_unsure = 0.5, .good_sure = 0.9, .least = 0.25},
    };
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        int missed = 0;
        struct review_estimate last = {0};
        for (int run = 0; run < RUNS; run++)
            missed += ever_misses(&streams[i], 5, &last);
        assert_true(missed <= RUNS / 10);        /* expected: below 5 % */
        assert_true(last.high - last.low < 0.5); /* and says something */
    }
}

static void before_the_first_audit_little_is_claimed(void **unused)
{
    enum { COUNT = 100 };
    double probability[COUNT];
    uint8_t good[COUNT] = {0};
    struct review_estimate estimate;
    for (int i = 0; i < COUNT; i++)
        probability[i] = 1;
    struct review_verdicts verdicts = {
        .count = COUNT, .probability = probability, .good = good, .least = 0.001};
    review_share(&verdicts, 0.05, &estimate);
    assert_true(estimate.low <= 0 && estimate.high > 0.9);
}

/* Many different probabilities are gone through one by one: the same answer. */
static void many_probabilities_are_as_few(void **unused)
{
    enum { COUNT = 200 };
    double few[COUNT], many[COUNT];
    uint8_t good[COUNT];
    struct review_estimate a, b;
    for (int i = 0; i < COUNT; i++) {
        few[i] = i % 5 ? 0.5 : 0.1;
        many[i] = few[i] * (1 + 1e-12 * i);
        good[i] = uniform() < 0.8;
    }
    review_share(&(struct review_verdicts){.count = COUNT, .probability = few, .good = good}, 0.05, &a);
    review_share(&(struct review_verdicts){.count = COUNT, .probability = many, .good = good}, 0.05, &b);
    assert_true(fabs(a.low - b.low) < 1e-6 && fabs(a.high - b.high) < 1e-6 && a.low > 0.4);
}

static void a_rate_covers_its_truth(void **unused)
{
    enum { RUNS = 400 };
    static const double rates[] = {0.02, 1, 300};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        int missed = 0;
        struct review_estimate estimate = {0};
        for (int run = 0; run < RUNS; run++) {
            double time = 0;
            bool miss = false;
            for (uint64_t events = 1; events <= 200 && !miss; events++) {
                time -= log(uniform()) / rates[i];
                review_rate(events - 1, time, 0.05, &estimate); /* before and at the event */
                miss = rates[i] < estimate.low || rates[i] > estimate.high;
                review_rate(events, time, 0.05, &estimate);
                miss |= rates[i] < estimate.low || rates[i] > estimate.high;
            }
            missed += miss;
        }
        assert_true(missed <= RUNS * 8 / 100); /* expected: up to 5 % */
        assert_true(estimate.low > 0.5 * rates[i] && estimate.high < 2 * rates[i]);
    }
}

static void no_event_is_a_bound(void **unused)
{
    struct review_estimate short_time, long_time;
    review_rate(0, 10, 0.05, &short_time);
    review_rate(0, 1000, 0.05, &long_time);
    assert_true(short_time.value <= 0 && short_time.low <= 0);
    assert_true(short_time.high < 1 && long_time.high < short_time.high / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_nothing),
        cmocka_unit_test(alike_probabilities_are_a_binomial),
        cmocka_unit_test(peeking_does_no_harm),
        cmocka_unit_test(before_the_first_audit_little_is_claimed),
        cmocka_unit_test(many_probabilities_are_as_few),
        cmocka_unit_test(a_rate_covers_its_truth),
        cmocka_unit_test(no_event_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
