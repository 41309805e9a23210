/* Acknowledged alarms on their way through the agent: in the file before they count, over restarts, whatever is lost or said twice. */
#include "robot/agent/seen.h"

#include "base/mem.h"
#include "base/testing.h"
#include "robot/watch/seen_file.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/muster-book-XXXXXX";
static struct seen_book book;
static struct seen_list news;

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    news.count = 0;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

static void say(uint64_t number, int64_t time_ms)
{
    news.items[news.count++] = (struct seen_alarm){.number = number, .release = {{1}}, .time_ms = time_ms};
}

static struct seen_list in_file(void)
{
    struct seen_stamp stamp = {0};
    struct seen_list out = {0};
    struct err err = {0};
    assert_int_equal(seen_file_look(dir, &stamp, &out, &err), 1);
    return out;
}

static void what_is_said_is_in_the_file_and_is_known_in_the_next_life(void **state)
{
    (void)state;
    struct err err = {0};
    seen_book_open(&book, dir);
    assert_int_equal(seen_last(&book.list), 0);
    assert_ok(seen_book_take(&book, &news, &err), err); /* an answer with commands alone */
    say(5, 100);
    say(9, 200);
    assert_ok(seen_book_take(&book, &news, &err), err);
    assert_int_equal(seen_last(&book.list), 9);
    assert_int_equal(in_file().count, 2);
    seen_book_open(&book, dir);
    assert_int_equal(seen_last(&book.list), 9);
    news.count = 0;
    say(12, 300);
    assert_ok(seen_book_take(&book, &news, &err), err);
    struct seen_list list = in_file();
    assert_int_equal(list.count, 3); /* those before may not have been obeyed yet */
    assert_int_equal(seen_last(&list), 12);
}

/* Else it would be asked and answered without a pause. */
static void a_server_that_says_the_same_again_is_told_so(void **state)
{
    (void)state;
    struct err err = {0};
    seen_book_open(&book, dir);
    say(5, 100);
    assert_ok(seen_book_take(&book, &news, &err), err);
    assert_fails(seen_book_take(&book, &news, &err), err, ERR_CONFLICT);
    assert_int_equal(seen_last(&book.list), 5);
}

/* A server that was put back says all again, with numbers that are smaller than ours: we go on from there. */
static void numbers_that_go_back_are_followed(void **state)
{
    (void)state;
    struct err err = {0};
    seen_book_open(&book, dir);
    say(5, 100);
    say(9, 200);
    assert_ok(seen_book_take(&book, &news, &err), err);
    news.count = 1;
    assert_ok(seen_book_take(&book, &news, &err), err);
    assert_int_equal(seen_last(&book.list), 5);
    assert_int_equal(book.list.count, 2);
}

/* Commands come the same way: they do not wait for a disk. */
static void what_does_not_get_into_the_file_is_tried_again(void **state)
{
    (void)state;
    struct err err = {0};
    cleanup_free char *later = file_join(dir, "later");
    seen_book_open(&book, later);
    say(5, 100);
    assert_ok(seen_book_take(&book, &news, &err), err);
    assert_int_equal(seen_last(&book.list), 5);
    assert_ok(file_make_dirs(later, 0700, &err), err);
    news.count = 0;
    assert_ok(seen_book_take(&book, &news, &err), err);
    seen_book_open(&book, later);
    assert_int_equal(seen_last(&book.list), 5);
}

static void a_damaged_file_is_asked_for_anew(void **state)
{
    (void)state;
    struct err err = {0};
    cleanup_free char *path = file_join(dir, "watch.seen");
    assert_ok(file_replace(path, "nonsense", 8, 0600, &err), err);
    seen_book_open(&book, dir);
    assert_int_equal(seen_last(&book.list), 0);
    say(5, 100);
    assert_ok(seen_book_take(&book, &news, &err), err);
    assert_int_equal(in_file().count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_said_is_in_the_file_and_is_known_in_the_next_life, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_says_the_same_again_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_that_go_back_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_get_into_the_file_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_asked_for_anew, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
