#include "sim/frames/frames.h"

#include "picture/picture.h"
#include "sim/frames/coco.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct frames_plan plain = {
    .seed = 3, .site = FRAMES_ALL_SITES, .count = 9, .every_ms = 100, .sensor = {-1, -1, -1}};

struct tally {
    int frames, boxes, sites[16];
    uint64_t hash;
};

static int count_frame(void *arg, const struct frames_one *frame, struct err *err)
{
    struct tally *tally = arg;

    tally->frames++;
    tally->boxes += (int)frame->count;
    tally->sites[frame->site]++;
    for (int i = 0; i < WORLD_FRAME_BYTES; i++)
        tally->hash = tally->hash * 31 + frame->rgb[i];
    return 0;
}

static void sites_take_turns(void **state)
{
    struct tally tally = {0};
    struct err err = {0};

    assert_int_equal(frames_each(&plain, count_frame, &tally, &err), 0);
    assert_int_equal(tally.frames, 9);
    for (int site = 0; site < world_site_count(); site++)
        assert_in_range(tally.sites[site], 9 / world_site_count(), 9 / world_site_count() + 1);
}

static void the_plan_decides_the_bytes(void **state)
{
    struct frames_plan plan = plain;
    struct tally a = {0}, b = {0}, c = {0};
    struct err err = {0};

    assert_int_equal(frames_each(&plan, count_frame, &a, &err), 0);
    assert_int_equal(frames_each(&plan, count_frame, &b, &err), 0);
    plan.seed++;
    assert_int_equal(frames_each(&plan, count_frame, &c, &err), 0);
    assert_true(a.hash == b.hash);
    assert_true(a.hash != c.hash);
}

static int must_have_boxes(void *arg, const struct frames_one *frame, struct err *err)
{
    *(int *)arg += frame->count >= 2;
    return 0;
}

static void dock_frames_show_the_station(void **state)
{
    struct frames_plan plan = plain;
    struct err err = {0};
    int rich = 0;

    plan.sequence = plan.dock_only = true;
    plan.count = 40;
    plan.every_ms = 500;
    assert_int_equal(frames_each(&plan, must_have_boxes, &rich, &err), 0);
    assert_in_range(rich, 38, 40);
}

static void folder_holds_what_was_rendered(void **state)
{
    char dir[] = "/tmp/muster-frames-XXXXXX";
    struct frames_plan plan = plain;
    struct tally tally = {0};
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 20);
    cleanup_picture struct picture picture = {0};
    cleanup_free char *json = NULL, *last = NULL;
    int boxes = 0;

    assert_non_null(mkdtemp(dir));
    json = mem_printf("%s/annotations.json", dir);
    last = mem_printf("%s/frame-000008.png", dir);
    assert_int_equal(frames_write_dir(&plan, dir, &err), 0);
    assert_int_equal(frames_each(&plan, count_frame, &tally, &err), 0);
    assert_int_equal(file_read(json, &text, &err), 0);
    for (const char *at = buf_text(&text); (at = strstr(at, "\"bbox\"")) != NULL; at++)
        boxes++;
    assert_int_equal(boxes, tally.boxes);
    assert_int_equal(picture_read(last, &picture, &err), 0);
    assert_int_equal(picture.width, WORLD_WIDTH);
    assert_int_equal(picture.height, WORLD_HEIGHT);
    assert_int_equal(file_remove_tree(dir, &err), 0);
}

static void raw_file_has_records_of_one_size(void **state)
{
    char path[] = "/tmp/muster-raw-XXXXXX";
    cleanup_close int fd = mkstemp(path);
    uint64_t size;
    struct err err = {0};

    assert_true(fd >= 0);
    assert_int_equal(frames_write_raw(&plain, path, &err), 0);
    assert_int_equal(file_size(path, &size, &err), 0);
    assert_int_equal(size, 32 + 9 * (WORLD_FRAME_BYTES + 8 + WORLD_MAX_BOXES * 20));
    unlink(path);
}

static void impossible_plans_are_refused(void **state)
{
    struct frames_plan plan = plain;
    struct tally tally = {0};
    struct err err = {0};

    plan.count = 0;
    assert_int_equal(frames_each(&plan, count_frame, &tally, &err), -1);
    plan.count = 1;
    plan.site = world_site_count();
    assert_int_equal(frames_each(&plan, count_frame, &tally, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(frames_write_raw(&plain, "/nonexistent/x", &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(tally.frames, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sites_take_turns),
        cmocka_unit_test(the_plan_decides_the_bytes),
        cmocka_unit_test(dock_frames_show_the_station),
        cmocka_unit_test(folder_holds_what_was_rendered),
        cmocka_unit_test(raw_file_has_records_of_one_size),
        cmocka_unit_test(impossible_plans_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
