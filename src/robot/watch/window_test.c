#include "robot/watch/machine.h"
#include "robot/watch/window.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

#include <math.h>
#include <string.h>

static struct otlp_points points;
static struct ring_verdict verdict;

static const struct otlp_point *find(const char *name, const char *word)
{
    for (size_t i = 0; i < points.count; i++)
        if (str_eq(points.points[i].name, name) && str_eq(points.points[i].word, word))
            return &points.points[i];
    return NULL;
}

static void frame(struct watch_window *window, int i)
{
    verdict =
        (struct ring_verdict){.kind = RING_DETECTIONS, .count = 2, .label_count = 2, .signals = {.valid = 1}};
    for (int s = 0; s < SIGNALS; s++)
        verdict.signals.values[s] = s % 5 == 4 ? NAN : (float)(i % 7) + (float)s;
    verdict.detections[0] = (struct detection){.score = 0.5f, .label = 1};
    verdict.detections[1] = (struct detection){.score = (float)(i % 10) / 10, .label = (uint32_t)(i % 3)};
    window_add(window, &verdict);
}

static const char labels[2][32] = {"person", "pallet"};
static const struct window_about about = {.release = "sha256:aa", .label_count = 2, .labels = labels};

static void what_was_said_is_counted(void **state)
{
    struct watch_window window;
    (void)state;
    window_begin(&window, 1000);
    for (int i = 0; i < 70; i++)
        frame(&window, i);
    points.count = 0;
    window_points(&window, &about, 61000, false, &points);
    const struct otlp_point *luma = find("muster.signal", "luma");
    assert_non_null(luma);
    assert_true(fabs(luma->value - 3) < 1e-9 && luma->start_ms == 1000 && luma->end_ms == 61000);
    assert_string_equal(luma->release, "sha256:aa");
    assert_true(fabs(find("muster.signal.sd", "luma")->value - 2) < 1e-9);
    assert_null(find("muster.signal", signal_infos[4].name)); /* never a number */
    const struct otlp_point *pallets = find("muster.labels", "pallet");
    assert_int_equal(pallets->kind, OTLP_DELTA_SUM);
    assert_true(pallets->value == 70 + 23);
    assert_true(find("muster.labels", "unknown")->value == 23); /* a label that the release does not have */
    assert_true(find("muster.confidence.bin", "32")->value == 70 + 7);
}

/* Any parts, joined, say what the whole says. */
static void parts_add_up(void **state)
{
    (void)state;
    for (int cut = 0; cut <= 50; cut += 5) {
        struct watch_window whole, a, b;
        window_begin(&whole, 0);
        window_begin(&a, 0);
        window_begin(&b, 500);
        for (int i = 0; i < 50; i++) {
            frame(&whole, i);
            frame(i < cut ? &a : &b, i);
        }
        window_merge(&a, &b);
        assert_int_equal(a.frames, whole.frames);
        assert_memory_equal(a.labels, whole.labels, sizeof a.labels);
        assert_memory_equal(a.bins, whole.bins, sizeof a.bins);
        for (int s = 0; s < SIGNALS; s++) {
            assert_int_equal(a.count[s], whole.count[s]);
            assert_true(fabs(a.mean[s] - whole.mean[s]) < 1e-9 && fabs(a.m2[s] - whole.m2[s]) < 1e-6);
        }
    }
}

static void wild_numbers_stay_outside(void **state)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY, -1, 2, 1e30f};
    struct watch_window window;
    (void)state;
    window_begin(&window, 0);
    for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
        verdict = (struct ring_verdict){.kind = RING_DETECTIONS, .count = 1, .signals = {.valid = 1}};
        verdict.detections[0] = (struct detection){.score = wild[i], .label = UINT32_MAX};
        for (int s = 0; s < SIGNALS; s++)
            verdict.signals.values[s] = wild[i];
        window_add(&window, &verdict);
    }
    assert_true(window.bad_numbers > 0);
    points.count = 0;
    window_points(&window, &about, 1, false, &points);
    for (size_t i = 0; i < points.count; i++)
        assert_true(isfinite(points.points[i].value));
}

static void there_is_never_more_than_fits(void **state)
{
    struct watch_window window;
    (void)state;
    window_begin(&window, 0);
    for (int i = 0; i < 10; i++)
        frame(&window, i);
    points.count = OTLP_MAX_POINTS - 3;
    window_points(&window, &about, 1, false, &points);
    assert_int_equal(points.count, OTLP_MAX_POINTS);
}

static void a_machine_says_what_it_has(void **state)
{
    static struct machine machine;
    struct board_sample sample;
    (void)state;
    memset(&sample, 0, sizeof sample);
    double *const all[] = {&sample.gpu_share, &sample.battery_share, &sample.link_signal_dbm,
                           &sample.power_w};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i] = NAN;
    sample.zone_count = 2;
    str_copy(sample.zones[0].name, sizeof sample.zones[0].name, "cpu");
    str_copy(sample.zones[1].name, sizeof sample.zones[1].name, "gpu");
    machine_begin(&machine);
    for (int i = 0; i < 3; i++) {
        sample.cpu_share = 0.1 * i;
        sample.zones[0].value = 40 + i;
        sample.zones[1].value = i ? 60 : NAN;
        machine_add(&machine, &sample);
    }
    points.count = 0;
    machine_points(&machine, 0, 60000, &points);
    assert_true(fabs(find("muster.system.cpu.utilization", "")->value - 0.1) < 1e-12);
    assert_true(find("muster.system.temperature", "cpu")->value == 41);
    assert_true(find("muster.system.temperature", "gpu")->value == 60);
    assert_non_null(find("muster.system.temperature.max", ""));
    assert_null(find("muster.battery.charge", ""));
    assert_null(find("muster.gpu.utilization", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_is_counted),   cmocka_unit_test(parts_add_up),
        cmocka_unit_test(wild_numbers_stay_outside),  cmocka_unit_test(there_is_never_more_than_fits),
        cmocka_unit_test(a_machine_says_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
