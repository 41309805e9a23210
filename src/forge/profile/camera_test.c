#include "forge/profile/camera.h"

#include "base/testing.h"

#include <math.h>
#include <string.h>

enum { WIDE = 160, HIGH = 120, BYTES = WIDE * HIGH * 3 };

static void paint(uint8_t rgb[BYTES], double grain)
{
    struct err err = {0};
    for (int y = 0; y < HIGH; y++)
        for (int x = 0; x < WIDE; x++)
            for (int c = 0; c < 3; c++)
                rgb[3 * (y * WIDE + x) + c] = (uint8_t)(x / 40 % 2 ? 90 : 160);
    const struct camera camera = {0, 1, grain};
    assert_ok(camera_take(rgb, WIDE, HIGH, &camera, 1, 7, &err), err);
}

static double mean_of(const uint8_t rgb[BYTES])
{
    double sum = 0;
    for (int i = 0; i < BYTES; i++)
        sum += rgb[i];
    return sum / BYTES;
}

static void noise_is_measured_in_a_picture_with_edges(void **state)
{
    static uint8_t rgb[BYTES];
    for (double grain = 4; grain <= 24; grain *= 2) {
        paint(rgb, grain);
        assert_true(fabs(camera_noise(rgb, WIDE, HIGH) - grain) < 0.15 * grain);
    }
}

/* A lens out of focus and a dark hall do not make the sensor quieter. */
static void the_sensor_is_as_noisy_after_as_before(void **state)
{
    static uint8_t rgb[BYTES];
    const struct camera worse[] = {{2, 1, 0}, {0, 0.4, 0}};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {0};
        paint(rgb, 10);
        assert_ok(camera_take(rgb, WIDE, HIGH, &worse[i], 1, 3, &err), err);
        assert_true(fabs(camera_noise(rgb, WIDE, HIGH) - 10) < 2);
    }
}

static void darkness_takes_light_and_grain_takes_none(void **state)
{
    static uint8_t before[BYTES], after[BYTES];
    struct err err = {0};
    paint(before, 0);
    memcpy(after, before, sizeof after);
    assert_ok(camera_take(after, WIDE, HIGH, &(struct camera){0, 0.5, 0}, 1, 1, &err), err);
    assert_true(fabs(mean_of(after) - mean_of(before) / 2) < 1);
    memcpy(after, before, sizeof after);
    assert_ok(camera_take(after, WIDE, HIGH, &(struct camera){0, 1, 20}, 1, 1, &err), err);
    assert_true(fabs(mean_of(after) - mean_of(before)) < 1);
}

static void blur_flattens_edges(void **state)
{
    static uint8_t rgb[BYTES];
    struct err err = {0};
    paint(rgb, 0);
    assert_ok(camera_take(rgb, WIDE, HIGH, &(struct camera){3, 1, 0}, 1, 1, &err), err);
    const uint8_t *row = rgb + 3 * 60 * WIDE;
    for (int x = 1; x < WIDE; x++)
        assert_true(abs(row[3 * x] - row[3 * x - 3]) < 20); /* 70 before */
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    static uint8_t a[BYTES], b[BYTES];
    for (size_t i = 0; i < CAMERA_COPIES; i++) {
        struct err err = {0};
        paint(a, 5);
        paint(b, 5);
        assert_ok(camera_take(a, WIDE, HIGH, &camera_copies[i], 1.5, 42, &err), err);
        assert_ok(camera_take(b, WIDE, HIGH, &camera_copies[i], 1.5, 42, &err), err);
        assert_memory_equal(a, b, BYTES);
    }
}

static void the_smallest_pictures_do_not_hurt(void **state)
{
    for (int wide = 1; wide < 4; wide++)
        for (int high = 1; high < 4; high++)
            for (size_t i = 0; i < CAMERA_COPIES; i++) {
                uint8_t rgb[27] = {200, 10, 90};
                struct err err = {0};
                assert_ok(camera_take(rgb, wide, high, &camera_copies[i], 30, 1, &err), err);
            }
}

static void floats_get_grain_alone(void **state)
{
    float values[100], old[100];
    for (int i = 0; i < 100; i++)
        values[i] = old[i] = (float)(i % 10);
    assert_int_equal(camera_shake(values, 100, &(struct camera){2, 1, 0}, 1), 0);
    assert_memory_equal(values, old, sizeof old);
    assert_int_equal(camera_shake(values, 100, &(struct camera){0, 1, 30}, 1), 1);
    double squares = 0;
    for (int i = 0; i < 100; i++)
        squares += pow((double)(values[i] - old[i]), 2);
    assert_true(sqrt(squares / 100) > 1 && sqrt(squares / 100) < 2); /* half of 2.9 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_measured_in_a_picture_with_edges),
        cmocka_unit_test(the_sensor_is_as_noisy_after_as_before),
        cmocka_unit_test(darkness_takes_light_and_grain_takes_none),
        cmocka_unit_test(blur_flattens_edges),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(the_smallest_pictures_do_not_hurt),
        cmocka_unit_test(floats_get_grain_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
