#include "robot/watch/seen_file.h"

#include "base/mem.h"
#include "base/testing.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/muster-seen-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

static void what_is_new_is_read_once(void **state)
{
    (void)state;
    struct err err = {0};
    struct seen_stamp stamp = {0};
    static struct seen_list list, back;
    assert_int_equal(seen_file_look(dir, &stamp, &back, &err), 0);
    for (int i = 1; i <= 3; i++) {
        struct seen_alarm one = {.number = (uint64_t)i, .release = {{1}}, .time_ms = 100 + i};
        seen_add(&list, &one);
        assert_ok(seen_file_save(dir, &list, &err), err);
        assert_int_equal(seen_file_look(dir, &stamp, &back, &err), 1);
        assert_int_equal(back.count, i);
        assert_int_equal(seen_last(&back), i);
        assert_int_equal(seen_file_look(dir, &stamp, &back, &err), 0);
    }
    struct seen_stamp next_life = {0};
    assert_int_equal(seen_file_look(dir, &next_life, &back, &err), 1);
    assert_int_equal(back.count, 3);
}

static void a_damaged_one_is_told_once(void **state)
{
    (void)state;
    struct err err = {0};
    struct seen_stamp stamp = {0};
    static struct seen_list list, back;
    cleanup_free char *path = file_join(dir, "watch.seen");
    assert_ok(file_replace(path, "{\"seen\":[", 9, 0600, &err), err);
    assert_fails(seen_file_look(dir, &stamp, &back, &err), err, ERR_INVALID);
    assert_int_equal(seen_file_look(dir, &stamp, &back, &err), 0);
    assert_ok(seen_file_save(dir, &list, &err), err);
    assert_int_equal(seen_file_look(dir, &stamp, &back, &err), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_new_is_read_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_one_is_told_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
