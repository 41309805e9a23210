#include "sim/world/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct shot {
    uint8_t rgb[WORLD_FRAME_BYTES];
    struct world_box boxes[WORLD_MAX_BOXES];
    size_t count;
};

static void take(struct world *world, struct shot *shot)
{
    world_render(world, shot->rgb, shot->boxes, WORLD_MAX_BOXES, &shot->count);
}

static uint64_t fnv(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* These numbers hold on every machine and with every compiler and optimisation. Whoever changes the picture
 * on purpose has to render the training data and train the models anew, too. */
static void pixels_are_the_same_everywhere(void **state)
{
    static const struct {
        uint64_t seed;
        int site;
        int64_t time_ms; /* -1: scene 5 */
        uint64_t hash;
    } golden[] = {
        {1, 0, -1, 0x76ce9297d4ae1b55u},
        {2, 1, -1, 0xf77992b2a3bc038cu},
        {3, 2, 12345, 0xd0712ed4be7225c0u},
        {4, 3, 60000, 0x1a33813fac859b6cu},
    };
    int wrong = 0;

    for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
        cleanup_world struct world *world = world_new(golden[i].seed, golden[i].site);
        struct shot shot;

        if (golden[i].time_ms < 0)
            world_scene(world, 5);
        else
            world_seek(world, golden[i].time_ms);
        take(world, &shot);
        uint64_t hash = fnv(shot.rgb, sizeof(shot.rgb));
        if (hash != golden[i].hash)
            print_message("frame %zu: 0x%016jxu\n", i, (uintmax_t)hash);
        wrong += hash != golden[i].hash;
    }
    assert_int_equal(wrong, 0);
}

static void time_alone_decides(void **state)
{
    cleanup_world struct world *stepped = world_new(9, 1), *jumped = world_new(9, 1);
    struct shot a, b;

    for (int i = 0; i < 50; i++) {
        world_step(stepped, 170);
        if (i % 7 == 0)
            take(stepped, &a);
    }
    world_scene(jumped, 3);
    take(jumped, &b);
    world_seek(jumped, 50 * 170);
    take(stepped, &a);
    take(jumped, &b);
    assert_memory_equal(a.rgb, b.rgb, sizeof(a.rgb));
    assert_int_equal(a.count, b.count);
}

/* Every pixel of a boxed object lies in its box, and the box touches pixels of it on all four sides. */
static void check_box(const uint8_t *mask, const struct world_box *box)
{
    int x0 = WORLD_MASK_WIDTH, y0 = WORLD_MASK_HEIGHT, x1 = 0, y1 = 0;

    for (int y = 0; y < WORLD_MASK_HEIGHT; y++)
        for (int x = 0; x < WORLD_MASK_WIDTH; x++)
            if (mask[y * WORLD_MASK_WIDTH + x] == box->object) {
                x0 = MIN(x0, x);
                x1 = MAX(x1, x + 1);
                y0 = MIN(y0, y);
                y1 = MAX(y1, y + 1);
            }
    assert_true(box->x0 * 2 == (float)x0 && box->x1 * 2 == (float)x1);
    assert_true(box->y0 * 2 == (float)y0 && box->y1 * 2 == (float)y1);
    assert_true(box->x0 >= 0 && box->y0 >= 0 && box->x1 <= WORLD_WIDTH && box->y1 <= WORLD_HEIGHT);
    assert_true(box->x1 - box->x0 >= 6 && box->y1 - box->y0 >= 6);
    assert_in_range(box->label, 0, WORLD_CLASSES - 1);
    assert_true(box->visible >= 0.3f && box->visible <= 1.001f);
}

static void boxes_are_exact(void **state)
{
    size_t boxes = 0;

    for (int site = 0; site < world_site_count(); site++) {
        cleanup_world struct world *world = world_new(77, site);

        for (int i = 0; i < 25; i++) {
            struct shot shot;

            world_scene(world, (uint64_t)i);
            if (i >= 15)
                world_seek(world, i * 1500);
            take(world, &shot);
            for (size_t b = 0; b < shot.count; b++)
                check_box(world_mask(world), &shot.boxes[b]);
            boxes += shot.count;
        }
    }
    assert_in_range(boxes, 200, 1200);
}

static void at_most_as_many_boxes_as_asked_for(void **state)
{
    cleanup_world struct world *world = world_new(5, 0);
    struct shot shot;
    size_t most = 0;

    for (int i = 0; i < 20; i++) {
        world_scene(world, (uint64_t)i);
        world_render(world, shot.rgb, shot.boxes, 2, &shot.count);
        most = MAX(most, shot.count);
        assert_in_range(shot.count, 0, 2);
    }
    assert_int_equal(most, 2);
}

static void every_class_is_seen(void **state)
{
    cleanup_world struct world *world = world_new(21, 0);
    size_t seen[WORLD_CLASSES] = {0};
    struct shot shot;

    for (int i = 0; i < 60; i++) {
        world_scene(world, (uint64_t)i);
        take(world, &shot);
        for (size_t b = 0; b < shot.count; b++)
            seen[shot.boxes[b].label]++;
    }
    for (int label = 0; label < WORLD_CLASSES; label++) {
        assert_true(seen[label] >= 10);
        assert_non_null(world_class_name(label));
    }
    assert_null(world_class_name(WORLD_CLASSES));
    assert_null(world_class_name(-1));
}

static int64_t distance(const uint8_t *a, const uint8_t *b)
{
    int64_t sum = 0;

    for (int i = 0; i < WORLD_FRAME_BYTES; i++)
        sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    return sum / WORLD_WIDTH / WORLD_HEIGHT;
}

/* Mean colours over a stretch of time. */
static void site_colour(int site, double mean[3])
{
    cleanup_world struct world *world = world_new(3, site);
    struct shot shot;

    for (int i = 0; i < 10; i++) {
        world_step(world, 1000);
        take(world, &shot);
        for (int k = 0; k < WORLD_FRAME_BYTES; k++)
            mean[k % 3] += shot.rgb[k] / (10.0 * WORLD_WIDTH * WORLD_HEIGHT);
    }
}

static void sites_look_different(void **state)
{
    double mean[8][3] = {{0}};

    assert_in_range(world_site_count(), 3, 8);
    for (int a = 0; a < world_site_count(); a++) {
        site_colour(a, mean[a]);
        assert_non_null(world_site_name(a));
        for (int b = 0; b < a; b++) {
            double apart = 0;

            for (int c = 0; c < 3; c++)
                apart += mean[a][c] > mean[b][c] ? mean[a][c] - mean[b][c] : mean[b][c] - mean[a][c];
            assert_true(apart > 15);
        }
    }
    assert_null(world_site_name(world_site_count()));
    assert_null(world_new(1, world_site_count()));
    assert_null(world_new(1, -1));
}

/* Frames 50 ms apart resemble each other far more than frames 20 s apart, and boxes live on. */
static void neighbours_in_time_are_alike(void **state)
{
    cleanup_world struct world *world = world_new(31, 0);
    struct shot before, after, later;
    int64_t near = 0, far = 0;
    size_t kept = 0, all = 0;

    world_set_sensor(world, (struct world_sensor){-1, 0, -1});
    for (int i = 0; i < 40; i++) {
        world_seek(world, i * 777);
        take(world, &before);
        world_step(world, 50);
        take(world, &after);
        world_step(world, 20000);
        take(world, &later);
        near += distance(before.rgb, after.rgb);
        far += distance(before.rgb, later.rgb);
        all += before.count;
        kept += after.count < before.count ? after.count : before.count;
    }
    assert_true(near * 2 < far);
    assert_true(kept * 10 >= all * 8);
}

static void the_dock_comes_once_a_period(void **state)
{
    cleanup_world struct world *world = world_new(8, 2);
    int docked_ms = 0, visits = 0;
    bool before = world_at_dock(world);

    for (int t = 0; t < 150000; t += 100) {
        bool now = world_at_dock(world);

        docked_ms += now ? 100 : 0;
        visits += now && !before;
        before = now;
        world_step(world, 100);
    }
    assert_in_range(docked_ms, 39900, 40100);
    assert_in_range(visits, 9, 10);
    assert_true(world_set_dock(world, 8000, 2000));
    assert_false(world_set_dock(world, 5000, 2000));
    world_scene(world, 1);
    assert_false(world_at_dock(world));
}

/* Whoever stands at the dock sees known things, and enough of them. */
static void the_station_shows_most_classes(void **state)
{
    for (int site = 0; site < world_site_count(); site++) {
        cleanup_world struct world *world = world_new(17, site);
        size_t seen[WORLD_CLASSES] = {0}, frames = 0, boxes = 0;

        for (int t = 0; t < 150000; t += 500) {
            struct shot shot;

            world_seek(world, t);
            if (!world_at_dock(world))
                continue;
            take(world, &shot);
            frames++;
            boxes += shot.count;
            for (size_t b = 0; b < shot.count; b++)
                seen[shot.boxes[b].label]++;
        }
        assert_true(boxes >= 3 * frames);
        for (int label = 0; label < WORLD_CLASSES; label++)
            assert_true(seen[label] > 0);
    }
}

static void sensor_can_be_overridden(void **state)
{
    cleanup_world struct world *world = world_new(6, 0);
    struct shot dark, light;

    world_seek(world, 5000);
    world_set_sensor(world, (struct world_sensor){0, 0, -1});
    take(world, &dark);
    for (int i = 0; i < WORLD_FRAME_BYTES; i++)
        assert_int_equal(dark.rgb[i], 0);
    world_set_sensor(world, (struct world_sensor){1, 0, 0});
    take(world, &light);
    take(world, &dark);
    assert_memory_equal(light.rgb, dark.rgb, sizeof(light.rgb));
    world_set_sensor(world, (struct world_sensor){1, 20, 3});
    take(world, &dark);
    assert_true(distance(light.rgb, dark.rgb) > 20);
}

static double mean_of(const struct shot *shot)
{
    double sum = 0;
    for (int i = 0; i < WORLD_FRAME_BYTES; i++)
        sum += shot->rgb[i];
    return sum / WORLD_FRAME_BYTES;
}

static double edges_of(const struct shot *shot)
{
    double sum = 0;
    for (int i = 3; i < WORLD_FRAME_BYTES; i++)
        sum += abs(shot->rgb[i] - shot->rgb[i - 3]);
    return sum;
}

/* Before its time a change has touched nothing; from then on it has, in its own way. */
static void changes_come_in_their_time(void **state)
{
    static const struct world_change changes[] = {{.night = true, .from_ms = 60000},
                                                  {.dirty_lens = true, .from_ms = 60000},
                                                  {.strange = 3, .from_ms = 60000}};
    struct shot plain, changed;
    int differ[3] = {0}, dark = 0, dull = 0, compared = 0;

    for (int seed = 1; seed <= 4; seed++)
        for (int i = 0; i < 3; i++) {
            cleanup_world struct world *a = world_new((uint64_t)seed, seed % 4);
            cleanup_world struct world *b = world_new((uint64_t)seed, seed % 4);

            world_set_sensor(a, (struct world_sensor){-1, 0, -1});
            world_set_sensor(b, (struct world_sensor){-1, 0, -1});
            world_set_change(b, &changes[i]);
            for (int t = 57300; t < 66000; t += 300) {
                world_seek(a, t);
                world_seek(b, t);
                take(a, &plain);
                take(b, &changed);
                if (t < 60000)
                    assert_memory_equal(plain.rgb, changed.rgb, sizeof(plain.rgb));
                else
                    differ[i] += memcmp(plain.rgb, changed.rgb, sizeof(plain.rgb)) != 0;
                if (t >= 60000 && i == 0)
                    dark += mean_of(&changed) < 0.7 * mean_of(&plain);
                if (t >= 60000 && i == 1)
                    dull += edges_of(&changed) < 0.85 * edges_of(&plain);
                compared += t >= 60000 && i == 0;
            }
        }
    assert_int_equal(differ[0], compared);
    assert_int_equal(differ[1], compared);
    assert_true(differ[2] > compared / 3); /* not in every picture is one */
    assert_int_equal(dark, compared);
    assert_true(dull > compared * 9 / 10);
}

/* Strange things hide others but are never labelled: boxes only go. */
static void strange_things_have_no_label(void **state)
{
    size_t before = 0, after = 0;

    for (int seed = 1; seed <= 10; seed++) {
        cleanup_world struct world *world = world_new((uint64_t)seed, seed % 4);
        struct shot shot;

        world_seek(world, 9000 * seed);
        take(world, &shot);
        before += shot.count;
        world_set_change(world, &(struct world_change){.strange = WORLD_MAX_STRANGE});
        take(world, &shot);
        after += shot.count;
    }
    assert_true(after <= before);
    assert_true(after > before / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_the_same_everywhere),
        cmocka_unit_test(time_alone_decides),
        cmocka_unit_test(boxes_are_exact),
        cmocka_unit_test(at_most_as_many_boxes_as_asked_for),
        cmocka_unit_test(every_class_is_seen),
        cmocka_unit_test(sites_look_different),
        cmocka_unit_test(neighbours_in_time_are_alike),
        cmocka_unit_test(the_dock_comes_once_a_period),
        cmocka_unit_test(the_station_shows_most_classes),
        cmocka_unit_test(sensor_can_be_overridden),
        cmocka_unit_test(changes_come_in_their_time),
        cmocka_unit_test(strange_things_have_no_label),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
