#include "sim/camera/camera.h"

#include "picture/picture.h"
#include "sim/world/world.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct camera *open_camera(const char *source, int width, int height)
{
    struct camera_options options = {.source = source, .width = width, .height = height};
    struct camera *camera = NULL;
    struct err err = {0};

    if (camera_open(&options, &camera, &err) < 0)
        fail_msg("%s", err.text);
    return camera;
}

static enum err_code open_fails(const char *source, int width, int height)
{
    struct camera_options options = {.source = source, .width = width, .height = height};
    struct camera *camera = NULL;
    struct err err = {0};

    assert_int_equal(camera_open(&options, &camera, &err), -1);
    assert_null(camera);
    assert_non_null(strstr(err.text, source));
    return err.code;
}

static void labels_exist_only_at_the_dock(void **state)
{
    cleanup_camera struct camera *camera = open_camera("world:site=2,seed=4", WORLD_WIDTH, WORLD_HEIGHT);
    cleanup_world struct world *world = world_new(4, 2);
    uint8_t rgb[WORLD_FRAME_BYTES], same[WORLD_FRAME_BYTES];
    struct world_box boxes[WORLD_MAX_BOXES];
    struct camera_truth truth;
    struct err err = {0};
    int known = 0;

    for (int i = 0; i < 75; i++) {
        size_t count;

        assert_int_equal(camera_next(camera, 200, rgb, &truth, &err), 0);
        world_step(world, 200);
        world_render(world, same, boxes, WORLD_MAX_BOXES, &count);
        assert_memory_equal(rgb, same, sizeof(rgb));
        assert_int_equal(truth.known, world_at_dock(world));
        assert_int_equal(truth.count, truth.known ? count : 0);
        known += truth.known;
    }
    assert_in_range(known, 19, 21);
}

static void frames_and_boxes_scale_together(void **state)
{
    cleanup_camera struct camera *small = open_camera("world:seed=4,period=8000,dock=4000", 160, 128);
    cleanup_camera struct camera *big = open_camera("world:seed=4,period=8000,dock=4000", 320, 384);
    uint8_t *rgb = malloc(320 * 384 * 3);
    struct camera_truth a, b;
    struct err err = {0};
    size_t boxes = 0;

    for (int i = 0; i < 16; i++) {
        assert_int_equal(camera_next(small, 500, rgb, &a, &err), 0);
        assert_int_equal(camera_next(big, 500, rgb, &b, &err), 0);
        assert_int_equal(a.count, b.count);
        for (size_t k = 0; k < a.count; k++) {
            assert_true(b.boxes[k].x0 == a.boxes[k].x0 * 2 && b.boxes[k].y1 == a.boxes[k].y1 * 3);
            assert_int_equal(a.boxes[k].label, b.boxes[k].label);
        }
        boxes += a.count;
    }
    assert_true(boxes > 0);
    free(rgb);
}

static void write_flat(const char *dir, const char *name, uint8_t level)
{
    cleanup_picture struct picture picture = {0};
    cleanup_free char *path = mem_printf("%s/%s", dir, name);
    struct err err = {0};

    assert_int_equal(picture_init(&picture, 31, 17, &err), 0);
    memset(picture.rgb, level, 31 * 17 * 3);
    assert_int_equal(picture_write_png(path, &picture, &err), 0);
}

static void folder_comes_round_in_order(void **state)
{
    char dir[] = "/tmp/muster-camera-XXXXXX";
    cleanup_free char *source = NULL;
    struct err err = {0};
    uint8_t rgb[20 * 10 * 3];

    assert_non_null(mkdtemp(dir));
    source = mem_printf("images:%s", dir);
    assert_int_equal(open_fails(source, 20, 10), ERR_NOT_FOUND);
    write_flat(dir, "b.png", 20);
    write_flat(dir, "a.png", 10);
    write_flat(dir, "c.txt", 99);
    {
        cleanup_camera struct camera *camera = open_camera(source, 20, 10);
        struct camera_truth truth;

        for (int i = 0; i < 5; i++) {
            assert_int_equal(camera_next(camera, 100, rgb, &truth, &err), 0);
            assert_int_equal(rgb[0], i % 2 ? 20 : 10);
            assert_int_equal(rgb[sizeof(rgb) - 1], i % 2 ? 20 : 10);
            assert_false(truth.known);
        }
        assert_int_equal(camera_next(camera, 100, rgb, NULL, &err), 0);
    }
    assert_int_equal(file_remove_tree(dir, &err), 0);
}

static void damaged_picture_is_passed_over(void **state)
{
    char dir[] = "/tmp/muster-camera-XXXXXX";
    cleanup_free char *source = NULL, *bad = NULL;
    struct err err = {0};
    uint8_t rgb[12];

    assert_non_null(mkdtemp(dir));
    source = mem_printf("images:%s", dir);
    bad = mem_printf("%s/a.jpg", dir);
    assert_int_equal(file_replace(bad, "\xff\xd8\xff\xe0", 4, 0644, &err), 0);
    write_flat(dir, "b.png", 5);
    {
        cleanup_camera struct camera *camera = open_camera(source, 2, 2);

        assert_int_equal(camera_next(camera, 100, rgb, NULL, &err), -1);
        assert_non_null(strstr(err.text, "a.jpg"));
        assert_int_equal(camera_next(camera, 100, rgb, NULL, &err), 0);
        assert_int_equal(rgb[0], 5);
    }
    assert_int_equal(file_remove_tree(dir, &err), 0);
}

static void wrong_sources_say_why(void **state)
{
    assert_int_equal(open_fails("webcam:0", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("world:site=99", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("world:site=x", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("world:colour=1", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("world:seed", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("world:period=5000,dock=4000", 10, 10), ERR_INVALID);
    assert_int_equal(open_fails("images:/nonexistent", 10, 10), ERR_NOT_FOUND);
}

static void sizes_are_limited(void **state)
{
    struct camera_options options = {.source = "world:", .width = 0, .height = 10};
    struct camera *camera = NULL;
    struct err err = {0};

    assert_int_equal(camera_open(&options, &camera, &err), -1);
    options.width = CAMERA_MAX_SIDE + 1;
    assert_int_equal(camera_open(&options, &camera, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

/* Three grey frames as YUV4MPEG: 0, 100, 200 of luma. */
static void write_video(const char *path)
{
    struct buf file = BUF_INIT(1 << 20);
    uint8_t plane[32 * 32 * 3 / 2];
    struct err err = {0};

    assert_int_equal(buf_puts(&file, "YUV4MPEG2 W32 H32 F25:1 Ip A1:1 C420jpeg\n", &err), 0);
    for (int i = 0; i < 3; i++) {
        memset(plane, 128, sizeof(plane));
        memset(plane, i * 100, 32 * 32);
        assert_int_equal(buf_puts(&file, "FRAME\n", &err), 0);
        assert_int_equal(buf_put(&file, plane, sizeof(plane), &err), 0);
    }
    assert_int_equal(file_replace(path, file.data, file.len, 0644, &err), 0);
    buf_fini(&file);
}

static void video_comes_round(void **state)
{
    char dir[] = "/tmp/muster-camera-XXXXXX";
    cleanup_free char *path = NULL, *source = NULL;
    struct camera_options options = {.width = 16, .height = 16};
    cleanup_camera struct camera *camera = NULL;
    uint8_t rgb[16 * 16 * 3];
    struct err err = {0};

    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/v.y4m", dir);
    source = mem_printf("video:%s", path);
    write_video(path);
    options.source = source;
    if (camera_open(&options, &camera, &err) < 0) {
        assert_int_equal(err.code, ERR_UNSUPPORTED);
    } else {
        for (int i = 0; i < 8; i++) {
            assert_int_equal(camera_next(camera, 40, rgb, NULL, &err), 0);
            assert_in_range(rgb[100] + 40, i % 3 * 100 + 20, i % 3 * 120 + 60);
        }
    }
    assert_int_equal(file_remove_tree(dir, &err), 0);
}

static void a_text_is_no_video(void **state)
{
    enum err_code code = open_fails("video:/etc/passwd", 10, 10);

    assert_true(code == ERR_INVALID || code == ERR_UNSUPPORTED);
}

static void a_missing_video_is_an_error(void **state)
{
    enum err_code code = open_fails("video:/nonexistent.avi", 10, 10);

    assert_true(code == ERR_NOT_FOUND || code == ERR_UNSUPPORTED);
}

int main(void)
{
    setenv("MUSTER_SIM_VIDEO", MUSTER_BUILD_BIN "/muster-sim-video.so", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_exist_only_at_the_dock),
        cmocka_unit_test(frames_and_boxes_scale_together),
        cmocka_unit_test(folder_comes_round_in_order),
        cmocka_unit_test(damaged_picture_is_passed_over),
        cmocka_unit_test(wrong_sources_say_why),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(video_comes_round),
        cmocka_unit_test(a_text_is_no_video),
        cmocka_unit_test(a_missing_video_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
