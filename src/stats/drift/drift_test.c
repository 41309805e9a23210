#include "stats/drift/drift.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(state >> 11) + 0.5) / (double)(1ULL << 53);
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* Standard normal signals: the reference is exact. */
static struct drift_reference reference_of(double memory)
{
    struct drift_reference reference = {.sd = 1, .tolerance = 0.15, .memory = memory};
    static const float edges[] = {-1.1503F, -0.6745F, -0.3186F, 0, 0.3186F, 0.6745F, 1.1503F};
    memcpy(reference.edges, edges, sizeof edges);
    return reference;
}

struct fixture {
    struct drift *drift;
    struct drift_reference references[SIGNALS];
    struct drift_options options;
    double shift[SIGNALS], scale[SIGNALS];
};

static void set_up_with(struct fixture *f, const struct drift_options *options,
                        const struct drift_reference *reference)
{
    struct err err = {0};
    *f = (struct fixture){.options = *options};
    for (int i = 0; i < SIGNALS; i++) {
        f->references[i] = *reference;
        f->scale[i] = 1;
    }
    void *memory = malloc(drift_size());
    assert_non_null(memory);
    assert_int_equal(drift_init(memory, f->references, options, &f->drift, &err), 0);
}

static void set_up(struct fixture *f, const struct drift_options *options)
{
    const struct drift_reference reference = reference_of(1);
    set_up_with(f, options, &reference);
}

static void tear_down(struct fixture *f)
{
    free(f->drift);
}

static void make_frame(const struct fixture *f, float values[SIGNALS])
{
    for (int i = 0; i < SIGNALS; i++)
        values[i] = (float)(f->shift[i] + f->scale[i] * normal());
}

/* Frames until an alarm, at most `most`. */
static size_t frames_to_alarm(struct fixture *f, size_t most)
{
    struct drift_report report;
    float values[SIGNALS];
    for (size_t i = 0; i < most; i++) {
        make_frame(f, values);
        if (!drift_frame(f->drift, values, 0))
            continue;
        drift_read(f->drift, &report);
        if (report.alarm)
            return i + 1;
    }
    return most;
}

static const struct drift_options plain = {.block_frames = 50, .arl_blocks = 10000};
static const struct drift_options learning = {.block_frames = 50, .burn_in = 100, .arl_blocks = 10000};

static void quiet_streams_raise_nothing(void **unused)
{
    const struct drift_options *both[] = {&plain, &learning};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        set_up(&f, both[i]);
        assert_int_equal(frames_to_alarm(&f, 100000), 100000);
        tear_down(&f);
    }
}

static void a_shift_of_any_signal_is_found(void **unused)
{
    for (int i = 0; i < SIGNALS; i++) {
        struct fixture f;
        struct drift_report report;
        set_up(&f, &plain);
        assert_int_equal(frames_to_alarm(&f, 5000), 5000);
        f.shift[i] = i % 2 ? 0.8 : -0.8;
        assert_true(frames_to_alarm(&f, 1000) <= 300);
        drift_read(f.drift, &report);
        assert_int_equal(report.worst, i);
        assert_int_equal(report.signals[i].direction, i % 2 ? 1 : -1);
        assert_true(fabs(report.signals[i].shift - f.shift[i]) < 0.3);
        assert_true(report.since_blocks >= 2 && report.since_blocks <= 8);
        tear_down(&f);
    }
}

static void a_shape_is_found_without_a_shift(void **unused)
{
    struct fixture f;
    struct drift_report report;
    set_up(&f, &learning);
    assert_int_equal(frames_to_alarm(&f, 10000), 10000);
    f.scale[SIGNAL_ENTROPY] = 0.3;
    assert_true(frames_to_alarm(&f, 5000) <= 1500);
    drift_read(f.drift, &report);
    assert_int_equal(report.worst, SIGNAL_ENTROPY);
    assert_int_equal(report.signals[SIGNAL_ENTROPY].direction, 0);
    tear_down(&f);
}

/* A day of two contexts that differ by 1.6 sd. */
static bool alternate(struct fixture *f, size_t days, double more)
{
    struct drift_report report;
    float values[SIGNALS];
    for (size_t i = 0; i < days * 2000; i++) {
        uint32_t context = i / 1000 % 2;
        for (int k = 0; k < SIGNALS; k++)
            f->shift[k] = more + (context ? 0.8 : -0.8);
        make_frame(f, values);
        drift_frame(f->drift, values, context);
    }
    drift_read(f->drift, &report);
    return report.alarm;
}

static void contexts_are_learned(void **unused)
{
    struct drift_options options = learning;
    struct fixture f;
    options.contexts = 2;
    set_up(&f, &options);
    assert_false(alternate(&f, 40, 0));
    assert_true(alternate(&f, 1, 0.6));
    tear_down(&f);
    set_up(&f, &plain); /* without contexts: it cannot be told from drift */
    assert_true(alternate(&f, 2, 0));
    tear_down(&f);
}

static void a_drift_of_the_first_day_is_not_learned_away(void **unused)
{
    struct fixture f;
    set_up(&f, &learning);
    f.shift[SIGNAL_SCORE_MAX] = 0.9;
    assert_true(frames_to_alarm(&f, 100 * 50 + 3000) < 100 * 50 + 3000);
    tear_down(&f);
    set_up(&f, &learning);
    f.shift[SIGNAL_SCORE_MAX] = 0.3; /* a site that is a little different */
    assert_int_equal(frames_to_alarm(&f, 50000), 50000);
    tear_down(&f);
}

static void one_block_alone_raises_nothing(void **unused)
{
    struct fixture f;
    set_up(&f, &plain);
    assert_int_equal(frames_to_alarm(&f, 5000), 5000);
    for (int i = 0; i < SIGNALS; i++)
        f.shift[i] = 1e30;
    assert_int_equal(frames_to_alarm(&f, 50), 50);
    memset(f.shift, 0, sizeof f.shift);
    struct drift_report report;
    frames_to_alarm(&f, 50);
    drift_read(f.drift, &report);
    assert_false(report.alarm);
    tear_down(&f);
}

static void no_number_does_harm(void **unused)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38F, -3e38F, 1e-45F, 0, -0.0F};
    struct fixture f;
    struct drift_report report;
    set_up(&f, &plain);
    for (size_t i = 0; i < 100000; i++) {
        float values[SIGNALS];
        for (int k = 0; k < SIGNALS; k++)
            values[k] = odd[(size_t)(uniform() * ARRAY_LEN(odd))];
        drift_frame(f.drift, values, i % 7 ? 0 : UINT32_MAX);
    }
    drift_read(f.drift, &report);
    assert_true(report.alarm && isfinite(report.log10_e));
    assert_true(drift_ignored(f.drift) > 100000);
    for (int i = 0; i < SIGNALS; i++)
        assert_true(isfinite(report.signals[i].log10_e) && isfinite(report.signals[i].shift));
    drift_acknowledge(f.drift);
    drift_read(f.drift, &report);
    assert_false(report.alarm);
    tear_down(&f);
}

static void a_stream_without_numbers_is_not_judged(void **unused)
{
    struct fixture f;
    struct drift_report report;
    float values[SIGNALS];
    set_up(&f, &plain);
    for (int i = 0; i < SIGNALS; i++)
        values[i] = NAN;
    for (int i = 0; i < 10000; i++)
        drift_frame(f.drift, values, 0);
    drift_read(f.drift, &report);
    assert_int_equal(report.blocks, 200);
    assert_false(report.alarm);
    assert_true(report.log10_e <= -99);
    tear_down(&f);
}

/* What happens now and then on an ordinary day, and then by a lot: 4 % of all blocks 4.9 sd above the mean. e-values of normal blocks would raise an alarm every
 * few hundred blocks. */
static void rare_events_of_ordinary_days_are_learned(void **unused)
{
    struct drift_options options = {.block_frames = 1, .burn_in = 400, .arl_blocks = 10000};
    struct fixture f;
    struct drift_report report;
    float values[SIGNALS];
    size_t alarms = 0;
    set_up(&f, &options);
    for (size_t i = 0; i < 40000; i++) {
        for (int k = 0; k < SIGNALS; k++)
            values[k] = (float)(((uniform() < 0.04) - 0.04) / sqrt(0.0384));
        drift_frame(f.drift, values, 0);
        drift_read(f.drift, &report);
        alarms += report.alarm;
        if (report.alarm)
            drift_acknowledge(f.drift);
    }
    assert_true(alarms <= 4);
    tear_down(&f);
}

/* After an alarm, of whatever, it begins anew. */
static bool is_called_another_shape(struct fixture *f)
{
    struct drift_report report;
    drift_read(f->drift, &report);
    if (report.alarm)
        drift_acknowledge(f->drift);
    return report.alarm && report.signals[report.worst].direction == 0;
}

/* Nothing but 0 until something happens: that begins in one block of ten, takes one to four, and each of its frames is 1 with probability 0.3. */
static size_t shapes_of_a_life_in_bursts(size_t blocks)
{
    const struct drift_options options = {.block_frames = 50, .burn_in = 60, .arl_blocks = 10000};
    struct fixture f;
    float values[SIGNALS];
    int left = 0;
    size_t alarms = 0;
    set_up_with(&f, &options,
                &(struct drift_reference){.mean = 0.06, .sd = 0.24, .tolerance = 0.02, .memory = 10});
    for (size_t block = 0; block < blocks; block++) {
        left = left ? left - 1 : uniform() < 0.1 ? 1 + (int)(uniform() * 4) : 0;
        for (int frame = 0; frame < 50; frame++) {
            for (int k = 0; k < SIGNALS; k++)
                values[k] = left && uniform() < 0.3;
            drift_frame(f.drift, values, 0);
        }
        alarms += is_called_another_shape(&f);
    }
    tear_down(&f);
    return alarms;
}

static void bursts_are_no_change_of_shape(void **unused)
{
    enum { LIVES = 40, BLOCKS = 500 };
    size_t alarms = 0;
    for (int i = 0; i < LIVES; i++)
        alarms += shapes_of_a_life_in_bursts(BLOCKS);
    assert_true(alarms <= 2);
}

/* A signal of 0 and, with probability `often`, 1, in long blocks: the shapes that were called another in so many blocks of it. */
static size_t shapes_of_two_values(double often, size_t blocks)
{
    const struct drift_options options = {.block_frames = 300, .burn_in = 18, .arl_blocks = 10000};
    struct fixture f;
    float values[SIGNALS];
    size_t alarms = 0;
    set_up_with(&f, &options, &(struct drift_reference){.mean = often, .sd = 0.02, .tolerance = 0.0005});
    for (size_t frame = 0; frame < blocks * 300; frame++) {
        for (int k = 0; k < SIGNALS; k++)
            values[k] = uniform() < often;
        if (drift_frame(f.drift, values, 0))
            alarms += is_called_another_shape(&f);
    }
    tear_down(&f);
    return alarms;
}

/* What the least share of a bin takes from the others is no drift, however long a block is. */
static void one_value_and_two_are_ordinary_shapes(void **unused)
{
    assert_int_equal(shapes_of_two_values(0, 1000), 0);
    assert_int_equal(shapes_of_two_values(0.001, 1000), 0);
    assert_int_equal(shapes_of_two_values(0.05, 1000), 0);
}

/* ---- causes ---- */

static enum drift_cause cause_of(const double shift[SIGNALS], bool *out_results_moved)
{
    struct fixture f;
    struct drift_report report;
    set_up(&f, &learning);
    assert_int_equal(frames_to_alarm(&f, 7000), 7000);
    memcpy(f.shift, shift, sizeof f.shift);
    assert_true(frames_to_alarm(&f, 1000) < 1000);
    drift_read(f.drift, &report);
    *out_results_moved = report.results_moved;
    tear_down(&f);
    return report.cause;
}

static void causes_are_told_apart(void **unused)
{
    static const struct {
        enum drift_cause cause;
        bool results_moved;
        double shift[SIGNALS];
    } cases[] = {
        {DRIFT_SENSOR, true, {[SIGNAL_SHARPNESS] = -4, [SIGNAL_LUMA] = 0.6, [SIGNAL_SCORE_MEAN] = -1}},
        {DRIFT_SENSOR, false, {[SIGNAL_SHARPNESS] = -2, [SIGNAL_NOVELTY] = 2}},
        {DRIFT_ENVIRONMENT, false, {[SIGNAL_LUMA] = -3, [SIGNAL_SHARPNESS] = -5, [SIGNAL_NOVELTY] = 4}},
        {DRIFT_ENVIRONMENT, true, {[SIGNAL_LUMA] = -3, [SIGNAL_SCORE_MAX] = -2}},
        {DRIFT_NOVELTY, false, {[SIGNAL_NOVELTY] = 1.5, [SIGNAL_UNKNOWN] = 1, [SIGNAL_LUMA] = 0.1}},
        {DRIFT_NOVELTY, true, {[SIGNAL_NOVELTY] = 1.5, [SIGNAL_COUNT] = 1}},
        {DRIFT_MODEL, true, {[SIGNAL_SCORE_MAX] = -1, [SIGNAL_RUN_MS] = 1}},
        {DRIFT_MACHINE, false, {[SIGNAL_RUN_MS] = 2}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool results_moved;
        assert_string_equal(drift_cause_name(cause_of(cases[i].shift, &results_moved)),
                            drift_cause_name(cases[i].cause));
        assert_int_equal(results_moved, cases[i].results_moved);
    }
}

/* A place that varies less than all places together (a third), may be what another one is (tolerance), and has blocks of a dozen frames that are much alike. */
static void few_frames(struct fixture *f, const double shift[SIGNALS], uint32_t blocks)
{
    float values[SIGNALS], common[SIGNALS];
    for (uint32_t i = 0; i < blocks; i++)
        for (uint32_t frame = 0; frame < f->options.block_frames; frame++)
            for (int k = 0; k < SIGNALS; k++) {
                common[k] = frame == 0 ? (float)(0.2 * normal()) : common[k];
                values[k] = common[k] + (float)(shift[k] + 0.3 * normal());
                if (k + 1 == SIGNALS)
                    drift_frame(f->drift, values, 0);
            }
}

struct told {
    int first, later; /* how often right: with the alarm, 10 blocks after it */
};

static void tell_with_few_frames(const double shift[SIGNALS], enum drift_cause cause, struct told *out)
{
    static const double none[SIGNALS];
    const struct drift_options options = {.block_frames = 12, .burn_in = 48, .arl_blocks = 10000};
    struct drift_report report;
    struct fixture f;
    struct drift_reference reference = reference_of(1);
    reference.tolerance = 0.5;
    set_up_with(&f, &options, &reference);
    few_frames(&f, none, 192);
    drift_read(f.drift, &report);
    assert_false(report.alarm);
    for (int i = 0; i < 200 && !report.alarm; i++) {
        few_frames(&f, shift, 1);
        drift_read(f.drift, &report);
    }
    assert_true(report.alarm);
    out->first += report.cause == cause;
    few_frames(&f, shift, 10);
    drift_read(f.drift, &report);
    out->later += report.cause == cause;
    tear_down(&f);
}

/* A lens whose dirt costs the results more sd than the picture; and a model that is worse in the same picture. */
static void few_frames_do_not_blame_the_model(void **unused)
{
    enum { TIMES = 100 };
    static const double dirt[SIGNALS] = {
        [SIGNAL_SHARPNESS] = -0.57, [SIGNAL_SCORE_MAX] = -1.03, [SIGNAL_ENERGY] = 0.93};
    static const double worse[SIGNALS] = {[SIGNAL_SCORE_MAX] = -1.03, [SIGNAL_ENERGY] = 0.93};
    struct told lens = {0}, model = {0};
    for (int i = 0; i < TIMES; i++) {
        tell_with_few_frames(dirt, DRIFT_SENSOR, &lens);
        tell_with_few_frames(worse, DRIFT_MODEL, &model);
    }
    print_message("lens %d later %d model %d later %d of %d\n", lens.first, lens.later, model.first,
                  model.later, TIMES);
    assert_in_range(lens.first, 75, TIMES);
    assert_in_range(lens.later, 95, TIMES);
    assert_in_range(model.first, 95, TIMES);
    assert_in_range(model.later, 95, TIMES);
}

/* ---- saving ---- */

static uint8_t saved[DRIFT_STATE_MAX], again[DRIFT_STATE_MAX];

static void a_restored_one_goes_on_alike(void **unused)
{
    struct fixture a, b;
    struct err err = {0};
    struct drift_report report_a, report_b;
    set_up(&a, &learning);
    set_up(&b, &learning);
    for (size_t frames = 0; frames < 12000; frames += 3000) { /* in burn-in and behind it */
        frames_to_alarm(&a, 3000);
        size_t len = drift_save(a.drift, saved, sizeof saved);
        assert_true(len > 0 && len <= DRIFT_STATE_MAX);
        assert_int_equal(drift_restore(b.drift, saved, len, &err), 0);
        assert_int_equal(drift_save(b.drift, again, sizeof again), len);
        assert_memory_equal(saved, again, len);
    }
    float values[SIGNALS];
    for (size_t i = 0; i < 5000; i++) {
        make_frame(&a, values);
        assert_int_equal(drift_frame(a.drift, values, 0), drift_frame(b.drift, values, 0));
    }
    drift_read(a.drift, &report_a);
    drift_read(b.drift, &report_b);
    assert_memory_equal(&report_a, &report_b, sizeof report_a);
    tear_down(&a);
    tear_down(&b);
}

static void what_is_damaged_or_foreign_is_refused(void **unused)
{
    struct fixture f, other;
    struct drift_options options = learning;
    options.arl_blocks = 20000;
    set_up(&f, &learning);
    set_up(&other, &options);
    frames_to_alarm(&f, 3000);
    size_t len = drift_save(f.drift, saved, sizeof saved), len_before;
    struct err err = {0};
    assert_int_equal(drift_restore(other.drift, saved, len, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    len_before = drift_save(f.drift, again, sizeof again);
    for (size_t i = 0; i < len; i += 97) {
        saved[i] ^= 1;
        err = (struct err){0};
        assert_int_equal(drift_restore(f.drift, saved, len, &err), -1);
        saved[i] ^= 1;
    }
    for (size_t i = 0; i < len; i += 331)
        assert_int_equal(drift_restore(f.drift, saved, i, &err), -1);
    assert_int_equal(drift_save(f.drift, saved, sizeof saved), len_before); /* nothing of it went in */
    assert_memory_equal(saved, again, len_before);
    assert_int_equal(drift_save(f.drift, saved, len - 1), 0);
    tear_down(&f);
    tear_down(&other);
}

static void refuse(const struct drift_reference *reference, const struct drift_options *options)
{
    static uint8_t memory[DRIFT_STATE_MAX] __attribute__((aligned(16)));
    struct drift_reference references[SIGNALS];
    struct drift *drift;
    struct err err = {0};
    for (int i = 0; i < SIGNALS; i++)
        references[i] = reference_of(1);
    references[SIGNAL_COUNT] = *reference;
    assert_int_equal(drift_init(memory, references, options, &drift, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void odd_references_are_refused(void **unused)
{
    struct drift_reference reference = reference_of(1);
    struct drift_options options = plain;
    reference.mean = NAN;
    refuse(&reference, &options);
    reference = reference_of(1);
    reference.sd = NAN;
    refuse(&reference, &options);
    reference = reference_of(1);
    reference.edges[3] = 9;
    refuse(&reference, &options);
    reference = reference_of(NAN);
    refuse(&reference, &options);
    reference = reference_of(1);
    options.arl_blocks = NAN;
    refuse(&reference, &options);
    options = plain;
    options.contexts = DRIFT_CONTEXTS + 1;
    refuse(&reference, &options);
    assert_true(drift_size() <= DRIFT_STATE_MAX);
}

static void the_budget_is_in_blocks(void **unused)
{
    assert_true(fabs(drift_budget(1, 1, 90, 60) - 129600) < 1e-6);
    assert_true(fabs(drift_budget(4, 1000, 90, 60) - 32400000) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_streams_raise_nothing),
        cmocka_unit_test(a_shift_of_any_signal_is_found),
        cmocka_unit_test(a_shape_is_found_without_a_shift),
        cmocka_unit_test(contexts_are_learned),
        cmocka_unit_test(a_drift_of_the_first_day_is_not_learned_away),
        cmocka_unit_test(one_block_alone_raises_nothing),
        cmocka_unit_test(no_number_does_harm),
        cmocka_unit_test(a_stream_without_numbers_is_not_judged),
        cmocka_unit_test(rare_events_of_ordinary_days_are_learned),
        cmocka_unit_test(bursts_are_no_change_of_shape),
        cmocka_unit_test(one_value_and_two_are_ordinary_shapes),
        cmocka_unit_test(causes_are_told_apart),
        cmocka_unit_test(few_frames_do_not_blame_the_model),
        cmocka_unit_test(a_restored_one_goes_on_alike),
        cmocka_unit_test(what_is_damaged_or_foreign_is_refused),
        cmocka_unit_test(odd_references_are_refused),
        cmocka_unit_test(the_budget_is_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
