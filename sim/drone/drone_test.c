/* The drone's world: what makes its truth a truth. */
#include "sim/drone/drone.h"

#include "base/testing.h"

static uint8_t rgb[WORLD_FRAME_BYTES], again[WORLD_FRAME_BYTES];
static struct world_box boxes[DRONE_MAX_BOXES];
static size_t count;

static void same_pixels_in_any_order(void **state)
{
    cleanup_drone struct drone *a = drone_new(7), *b = drone_new(7);
    drone_seek(a, 21000);
    drone_render(a, rgb, boxes, DRONE_MAX_BOXES, &count);
    drone_scene(b, 5);
    drone_render(b, again, boxes, DRONE_MAX_BOXES, &count);
    drone_seek(b, 21000);
    drone_render(b, again, boxes, DRONE_MAX_BOXES, &count);
    assert_memory_equal(rgb, again, sizeof rgb);
}

static void boxes_are_in_the_frame_and_large_enough(void **state)
{
    cleanup_drone struct drone *drone = drone_new(3);
    size_t seen[DRONE_CLASSES] = {0};
    for (uint64_t i = 0; i < 300; i++) {
        drone_scene(drone, i);
        drone_render(drone, rgb, boxes, DRONE_MAX_BOXES, &count);
        for (size_t k = 0; k < count; k++) {
            assert_true(boxes[k].x0 >= 0 && boxes[k].x1 <= WORLD_WIDTH && boxes[k].y0 >= 0 &&
                        boxes[k].y1 <= WORLD_HEIGHT);
            assert_true(boxes[k].x1 - boxes[k].x0 >= 6 && boxes[k].y1 - boxes[k].y0 >= 6);
            seen[boxes[k].label]++;
        }
    }
    for (int label = 0; label < DRONE_CLASSES; label++)
        assert_true(seen[label] > 60);
}

/* On the pad it is charged and sees the pad; in the air the battery falls; it is never empty. */
static void a_round_begins_and_ends_on_the_pad(void **state)
{
    cleanup_drone struct drone *drone = drone_new(11);
    struct drone_state before, now;
    drone_seek(drone, 0);
    drone_state(drone, &before);
    for (int64_t ms = 200; ms < 3 * DRONE_ROUND_MS; ms += 200, before = now) {
        drone_seek(drone, ms);
        drone_state(drone, &now);
        assert_true(now.battery >= 0.25 && now.battery <= 1);
        if (now.flying && before.flying)
            assert_true(now.battery <= before.battery);
        if (!now.flying && !before.flying)
            assert_true(now.battery >= before.battery);
        if (now.flying)
            continue;
        drone_render(drone, rgb, boxes, DRONE_MAX_BOXES, &count);
        bool pad = false;
        for (size_t i = 0; i < count; i++)
            pad |= boxes[i].label == 0;
        assert_true(pad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pixels_in_any_order),
        cmocka_unit_test(boxes_are_in_the_frame_and_large_enough),
        cmocka_unit_test(a_round_begins_and_ends_on_the_pad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
