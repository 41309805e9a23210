#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "stats/bound.h"
#include "stats/gate.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 200, SAMPLES = 128 };

/* Latencies of parent and candidate, made up, and samples that all agree: the frame that tests change. */
struct play {
    int64_t parent[PAIRS], candidate[PAIRS];
    double fidelity[SAMPLES];
    struct gate_question question;
    struct gate_answer answer;
};

static uint64_t random_state;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

/* Some 10 ms with noise that hits both of a pair, and a little of each one's own. */
static void begin(struct play *play, double speedup)
{
    random_state = 5;
    for (int i = 0; i < PAIRS; i++) {
        double machine = 1 + uniform() * uniform();
        play->parent[i] = (int64_t)(1e7 * machine * (1 + 0.02 * uniform()));
        play->candidate[i] = (int64_t)(1e7 / speedup * machine * (1 + 0.02 * uniform()));
    }
    for (int i = 0; i < SAMPLES; i++)
        play->fidelity[i] = 1;
    play->question = (struct gate_question){
        .pairs = {.count = PAIRS, .parent_ns = play->parent, .candidate_ns = play->candidate},
        .fidelity = play->fidelity,
        .fidelity_count = SAMPLES,
        .max_drop = 0.05,
        .parent_memory = 40000000,
        .candidate_memory = 20000000};
}

static void is_refused(struct play *play, const char *why)
{
    gate_judge(&play->question, &play->answer);
    if (play->answer.promoted || !strstr(play->answer.reason, why))
        fail_msg("%s: %s; wanted: %s", play->answer.promoted ? "promoted" : "refused", play->answer.reason,
                 why);
}

static void is_promoted(struct play *play)
{
    gate_judge(&play->question, &play->answer);
    if (!play->answer.promoted)
        fail_msg("refused: %s", play->answer.reason);
}

static void a_good_one_is_promoted_with_its_figures(void **state)
{
    struct play play;
    begin(&play, 2.5);
    is_promoted(&play);
    assert_true(play.answer.speedup > 2.3 && play.answer.speedup < 2.7);
    assert_true(play.answer.faster_share == 1 && play.answer.faster_share_lower > 0.98);
    assert_true(play.answer.fidelity == 1 && play.answer.fidelity_lower > 0.97);
    assert_non_null(strstr(play.answer.reason, "times as fast"));
    assert_non_null(strstr(play.answer.reason, "128 held-out"));
    begin(&play, 1.1);
    is_promoted(&play);
}

static void quantiles_are_those_of_the_sorted_runs(void **state)
{
    struct play play;
    begin(&play, 1);
    for (int i = 0; i < PAIRS; i++) { /* 1 … 200 ms in some order */
        play.parent[i] = (int64_t)1e6 * (1 + (i * 77) % PAIRS);
        play.candidate[i] = play.parent[i] / 2;
    }
    is_promoted(&play);
    assert_true(play.answer.parent_p50_ms == 100 && play.answer.parent_p99_ms == 198);
    assert_true(play.answer.candidate_p50_ms == 50 && play.answer.candidate_p99_ms == 99);
}

static void slower_ones_and_copies_are_refused(void **state)
{
    struct play play;
    begin(&play, 0.8);
    is_refused(&play, "not faster");
    for (uint64_t seed = 1; seed < 200;
         seed++) { /* copies, measured again and again: hardly ever by chance */
        begin(&play, 1);
        memcpy(play.candidate, play.parent, sizeof play.parent);
        is_refused(&play, "not faster");
    }
    begin(&play, 0.999);
    is_refused(&play, "not faster");
}

static void a_gain_too_small_to_be_worth_it_is_refused(void **state)
{
    struct play play;
    for (int i = 1; i <= 8; i++) {
        double speedup = 1 + (GATE_MIN_SPEEDUP - 1) * i / 10;
        begin(&play, 1);
        for (int k = 0; k < PAIRS; k++)
            play.candidate[k] = (int64_t)((double)play.parent[k] / speedup);
        is_refused(&play, "not faster");
    }
    begin(&play, 1);
    for (int k = 0; k < PAIRS; k++)
        play.candidate[k] = (int64_t)((double)play.parent[k] / (1 + (GATE_MIN_SPEEDUP - 1) * 1.2));
    is_promoted(&play);
}

/* Two copies on a machine that is busy now and then, with noise of a few per cent, and as few pairs as a robot measures. */
static void copies_on_a_busy_machine_are_not_promoted(void **state)
{
    struct play play;
    begin(&play, 1);
    play.question.pairs.count = 64;
    for (int run = 0; run < 2000; run++) {
        for (int i = 0; i < 64; i++) {
            double busy = i / 8 % 2 ? 1.3 : 1;
            play.parent[i] = (int64_t)(1.5e6 * busy * (1 + 0.04 * uniform()));
            play.candidate[i] = (int64_t)(1.5e6 * busy * (1 + 0.04 * uniform()));
        }
        is_refused(&play, "not faster");
    }
}

static void a_copy_is_promoted_by_chance_more_rarely_than_alpha(void **state)
{
    struct play play;
    begin(&play, 1);
    int promoted = 0;
    for (int run = 0; run < 2000; run++) {
        for (int i = 0; i < PAIRS; i++) {
            play.parent[i] = (int64_t)(1e6 * (1 + uniform()));
            play.candidate[i] = (int64_t)(1e6 * (1 + uniform()));
        }
        gate_judge(&play.question, &play.answer);
        promoted += play.answer.promoted;
    }
    assert_true(promoted <= 100);
}

static void what_is_fast_only_at_first_is_refused(void **state)
{
    struct play play;
    for (int cold = PAIRS / 20; cold <= PAIRS * 7 / 10; cold += PAIRS / 20) {
        begin(&play, 3);
        for (int i = cold; i < PAIRS; i++)
            play.candidate[i] = play.parent[i] * 11 / 10;
        is_refused(&play, cold * 100 <= PAIRS * 55 ? "not faster" : "fast only at first");
    }
}

static void a_worse_tail_is_refused_by_evidence_only(void **state)
{
    struct play play;
    begin(&play, 2);
    for (int i = 0; i < 20; i++) /* one run of ten takes three times as long as the parent's slowest */
        play.candidate[i * 10] = 60000000;
    is_refused(&play, "slower at worst");
    begin(&play, 2);
    play.candidate[17] = play.candidate[99] = play.candidate[150] =
        60000000; /* three hiccups prove nothing */
    is_promoted(&play);
    assert_true(play.answer.candidate_p99_ms > play.answer.parent_p99_ms);
}

/* Two alike in everything but noise, the candidate shifted down so that it is faster in the middle: how often its tail is called worse. */
static void an_equal_tail_is_called_worse_as_rarely_as_promised(void **state)
{
    struct play play;
    begin(&play, 1);
    int worse = 0;
    enum { RUNS = 2000 };
    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < PAIRS; i++) {
            double parent = uniform(), candidate = uniform();
            play.parent[i] = (int64_t)(1e6 * (parent < 0.9 ? 10 : 10 + 10 * uniform()));
            play.candidate[i] = (int64_t)(1e6 * (candidate < 0.9 ? 5 : 10 + 10 * uniform()));
        }
        gate_judge(&play.question, &play.answer);
        worse += strstr(play.answer.reason, "slower at worst") != NULL;
    }
    assert_true(worse <= RUNS * 5 / 100);
    assert_true(worse > RUNS / 200); /* it can be said at all */
}

static void more_memory_is_refused(void **state)
{
    struct play play;
    begin(&play, 2);
    play.question.candidate_memory = 47000000;
    is_refused(&play, "more memory: 47.0 MB at the peak, the parent needs 40.0 MB");
    play.question.candidate_memory = 41000000; /* what measuring cannot tell */
    is_promoted(&play);
    play.question.candidate_memory = 0;
    is_promoted(&play);
}

static void unfaithful_ones_are_refused(void **state)
{
    struct play play;
    begin(&play, 2);
    for (int i = 0; i < SAMPLES; i++)
        play.fidelity[i] = 0.93;
    is_refused(&play, "less faithful");
    begin(&play, 2);
    for (int i = 0; i < 8; i++)
        play.fidelity[i * 9] = 0;
    is_refused(&play, "less faithful");
    begin(&play, 2);
    for (int i = 0; i < SAMPLES; i++)
        play.fidelity[i] = NAN;
    is_refused(&play, "less faithful");
    begin(&play, 2);
    play.fidelity[3] = 0; /* one of 128: the bound still holds */
    is_promoted(&play);
    play.question.fidelity_binary = true;
    is_promoted(&play);
    assert_true(play.answer.fidelity_lower == bound_share_lower(127, 128, GATE_ALPHA));
}

static void too_few_samples_say_how_many_it_takes(void **state)
{
    struct play play;
    begin(&play, 2);
    play.question.fidelity_count = 30;
    is_refused(&play, "30 held out");
    assert_non_null(strstr(play.answer.reason, "59 held-out samples"));
    play.question.fidelity_count = 58;
    is_refused(&play, "too few samples");
    play.question.fidelity_count = 59;
    is_promoted(&play);
    play.question.fidelity_count = 0;
    is_refused(&play, "too few samples");
    begin(&play, 2);
    play.question.max_drop = 0;
    is_refused(&play, "no number of samples");
}

static void too_few_pairs_prove_nothing(void **state)
{
    struct play play;
    begin(&play, 100);
    for (size_t n = 1; n < GATE_MIN_PAIRS; n++) {
        play.question.pairs.count = n;
        is_refused(&play, "too few runs");
    }
    play.question.pairs.count = GATE_MIN_PAIRS;
    is_promoted(&play);
}

static void what_is_not_looked_at_is_not_a_number(void **state)
{
    struct play play;
    begin(&play, 0.5);
    play.question.pairs.count = 0;
    is_promoted(&play);
    assert_true(isnan(play.answer.speedup) && isnan(play.answer.candidate_p50_ms));
    begin(&play, 2);
    play.question.fidelity = NULL;
    is_promoted(&play);
    assert_true(isnan(play.answer.fidelity) && isnan(play.answer.fidelity_lower));
    play.question.pairs.count = 0;
    is_refused(&play, "nothing was measured");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one_is_promoted_with_its_figures),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_runs),
        cmocka_unit_test(slower_ones_and_copies_are_refused),
        cmocka_unit_test(a_gain_too_small_to_be_worth_it_is_refused),
        cmocka_unit_test(copies_on_a_busy_machine_are_not_promoted),
        cmocka_unit_test(a_copy_is_promoted_by_chance_more_rarely_than_alpha),
        cmocka_unit_test(what_is_fast_only_at_first_is_refused),
        cmocka_unit_test(a_worse_tail_is_refused_by_evidence_only),
        cmocka_unit_test(an_equal_tail_is_called_worse_as_rarely_as_promised),
        cmocka_unit_test(more_memory_is_refused),
        cmocka_unit_test(unfaithful_ones_are_refused),
        cmocka_unit_test(too_few_samples_say_how_many_it_takes),
        cmocka_unit_test(too_few_pairs_prove_nothing),
        cmocka_unit_test(what_is_not_looked_at_is_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
