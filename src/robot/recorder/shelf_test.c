#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-shelf-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

static void put(uint32_t number, int severity, size_t bytes, bool sent)
{
    static char zeros[4096];
    struct err err = {0};
    char id[INCIDENT_ID_SIZE], path[512];
    shelf_id(number, 1767323045678, severity, "cause", id);
    assert_ok(shelf_path(dir, id, ".mcap", path, sizeof path, &err), err);
    assert_ok(file_replace(path, zeros, bytes, 0600, &err), err);
    if (sent)
        assert_ok(shelf_mark_sent(dir, id, &err), err);
}

static struct shelf_list *list(void)
{
    struct err err = {0};
    struct shelf_list *out = malloc(sizeof *out);
    assert_ok(shelf_read(dir, out, &err), err);
    return out;
}

static void test_names(void **state)
{
    char id[INCIDENT_ID_SIZE];
    struct shelf_item item;
    shelf_id(42, 1767323045678, 3, "estop", id);
    assert_string_equal(id, "000042-20260102T030405Z-3-estop");
    assert_true(shelf_parse(id, &item));
    assert_int_equal(item.number, 42);
    assert_int_equal(item.severity, 3);
    static const char *const wrong[] = {"",
                                        "x",
                                        "000042-20260102T030405Z-9-estop",
                                        "000042-20260102T030405Z-3-",
                                        "00004x-20260102T030405Z-3-estop",
                                        "../042-20260102T030405Z-3-estop"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(shelf_parse(wrong[i], &item));
}

static void test_who_goes_first(void **state)
{
    struct err err = {0};
    put(1, 3, 10, true);
    put(2, 1, 10, false);
    put(3, 1, 10, false);
    put(4, 1, 10, true);
    put(5, 0, 10, false);
    static const uint32_t order[] = {5, 4, 2, 3, 1};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        cleanup_free struct shelf_list *now = list();
        assert_int_equal(shelf_victim(now)->number, order[i]);
        struct shelf_limits limits = {.events = now->count, .bytes = 1 << 20};
        assert_ok(shelf_make_room(dir, &limits, 3, 10, &err), err);
    }
    cleanup_free struct shelf_list *empty = list();
    assert_int_equal(empty->count, 0);
}

static void test_a_grave_event_stays(void **state)
{
    struct err err = {0};
    struct shelf_limits limits = {.events = 3, .bytes = 1 << 20};
    for (uint32_t i = 1; i <= 3; i++)
        put(i, 3, 10, true);
    assert_fails(shelf_make_room(dir, &limits, 1, 10, &err), err, ERR_NO_SPACE);
    cleanup_free struct shelf_list *all = list();
    assert_int_equal(all->count, 3);
    assert_ok(shelf_make_room(dir, &limits, 3, 10, &err), err); /* for its like the oldest goes */
    cleanup_free struct shelf_list *two = list();
    assert_int_equal(two->count, 2);
    assert_int_equal(two->items[0].number, 2);
    assert_true(two->items[0].sent);
}

static void test_bytes_count_too(void **state)
{
    struct err err = {0};
    struct shelf_limits limits = {.events = 100, .bytes = 10000};
    for (uint32_t i = 1; i <= 4; i++)
        put(i, 1, 2000, false);
    assert_ok(shelf_make_room(dir, &limits, 1, 2000, &err), err);
    assert_ok(shelf_make_room(dir, &limits, 1, 5000, &err), err);
    cleanup_free struct shelf_list *now = list();
    assert_int_equal(now->count, 2);
    assert_int_equal(now->items[0].number, 3);
    assert_int_equal(shelf_next_number(now), 5);
}

static void test_leftovers_go(void **state)
{
    struct err err = {0};
    put(1, 1, 10, true);
    char path[512];
    snprintf(path, sizeof path, "%s/000002-20260102T030405Z-3-estop.mcap" FILE_TEMP_MARK "abcdef", dir);
    assert_ok(file_replace(path, "x", 1, 0600, &err), err);
    char mark[512], foreign[512];
    snprintf(mark, sizeof mark, "%s/000009-20260102T030405Z-3-estop.sent", dir);
    snprintf(foreign, sizeof foreign, "%s/notes.txt", dir);
    assert_ok(file_replace(mark, "", 0, 0600, &err), err);
    assert_ok(file_replace(foreign, "x", 1, 0600, &err), err);
    assert_ok(shelf_sweep(dir, &err), err);
    assert_false(file_exists(path));
    assert_false(file_exists(mark));
    assert_true(file_exists(foreign));
    cleanup_free struct shelf_list *now = list();
    assert_int_equal(now->count, 1);
    assert_true(now->items[0].sent);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), fresh(test_who_goes_first), fresh(test_a_grave_event_stays),
        fresh(test_bytes_count_too),  fresh(test_leftovers_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
