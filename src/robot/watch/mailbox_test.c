#include "robot/watch/mailbox.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char run_dir[] = "/tmp/muster-mailbox-XXXXXX";
static struct mailbox writer, reader;

static int set_up(void **state)
{
    struct err err = {0};
    (void)state;
    memcpy(run_dir + sizeof run_dir - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(run_dir));
    assert_ok(mailbox_open(run_dir, &writer, &err), err);
    assert_ok(mailbox_open(run_dir, &reader, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(run_dir, &err);
}

static int put(enum mailbox_kind kind, const char *text)
{
    struct err err = {0};
    int done = mailbox_put(&writer, kind, text, strlen(text), &err);
    if (done < 0)
        fail_msg("%s", err.text);
    return done;
}

/* Takes and drops the oldest; its number, 0 for none. */
static uint64_t take(enum mailbox_kind want, const char *text)
{
    struct err err = {0};
    uint64_t number = 0;
    enum mailbox_kind kind;
    cleanup_buf struct buf bytes = BUF_INIT(1 << 10);
    int found = mailbox_take(&reader, &number, &kind, &bytes, &err);
    if (found < 0)
        fail_msg("%s", err.text);
    if (found == 0)
        return 0;
    assert_int_equal(kind, want);
    assert_string_equal(buf_text(&bytes), text);
    assert_ok(mailbox_drop(&reader, number, kind, &err), err);
    return number;
}

static void first_in_is_first_out(void **state)
{
    (void)state;
    assert_int_equal(put(MAILBOX_SAMPLE, "a"), 1);
    assert_int_equal(put(MAILBOX_EVENT, "b"), 1);
    assert_int_equal(put(MAILBOX_METRIC, "c"), 1);
    uint64_t a = take(MAILBOX_SAMPLE, "a"), b = take(MAILBOX_EVENT, "b"), c = take(MAILBOX_METRIC, "c");
    assert_true(a > 0 && a < b && b < c);
    assert_int_equal(take(MAILBOX_METRIC, ""), 0);
}

static void numbers_grow_over_restarts(void **state)
{
    struct err err = {0};
    (void)state;
    writer.next += 1000000; /* as if the clock had been ahead */
    put(MAILBOX_EVENT, "a");
    assert_ok(mailbox_open(run_dir, &writer, &err), err);
    put(MAILBOX_EVENT, "b");
    uint64_t a = take(MAILBOX_EVENT, "a"), b = take(MAILBOX_EVENT, "b");
    assert_int_equal(b, a + 1);
}

/* A reader that does not come: nothing is lost that was put, and events have room when samples have none. */
static void a_full_box_keeps_room_for_events(void **state)
{
    int count[MAILBOX_KINDS] = {0};
    (void)state;
    while (put(MAILBOX_SAMPLE, "s"))
        count[MAILBOX_SAMPLE]++;
    while (put(MAILBOX_METRIC, "m"))
        count[MAILBOX_METRIC]++;
    while (put(MAILBOX_EVENT, "e"))
        count[MAILBOX_EVENT]++;
    assert_int_equal(count[MAILBOX_SAMPLE], MAILBOX_MAX_SAMPLES);
    assert_int_equal(count[MAILBOX_METRIC], MAILBOX_MAX_METRICS - MAILBOX_MAX_SAMPLES);
    assert_int_equal(count[MAILBOX_EVENT], MAILBOX_MAX - MAILBOX_MAX_METRICS);
    for (int i = 0; i < MAILBOX_MAX_SAMPLES; i++)
        assert_true(take(MAILBOX_SAMPLE, "s") > 0);
    assert_int_equal(put(MAILBOX_SAMPLE, "s"), 0);
    assert_true(take(MAILBOX_METRIC, "m") > 0);
    assert_int_equal(put(MAILBOX_SAMPLE, "s"), 1);
}

static void litter(const char *name, size_t size)
{
    struct err err = {0};
    cleanup_free char *path = file_join(writer.dir, name);
    cleanup_free char *bytes = mem_zalloc(1, size + 1);
    assert_non_null(bytes);
    assert_ok(file_replace(path, bytes, size, 0600, &err), err);
}

static bool is_there(const char *name)
{
    cleanup_free char *path = file_join(writer.dir, name);
    return file_exists(path);
}

static void nonsense_is_removed_and_work_is_left_alone(void **state)
{
    (void)state;
    litter("00000000000000000001.event.tmp-abcdef", 3);
    litter("README", 3);
    litter("00000000000000000000.event", 3);
    litter("99999999999999999999.event", 3);
    litter("00000000000000000002.metric", 4096);
    cleanup_free char *folder = file_join(writer.dir, "00000000000000000003.event");
    assert_int_equal(mkdir(folder, 0700), 0);
    cleanup_free char *link = file_join(writer.dir, "00000000000000000004.event");
    assert_int_equal(symlink("/etc/hostname", link), 0);
    put(MAILBOX_EVENT, "real");
    assert_true(take(MAILBOX_EVENT, "real") > 4);
    assert_int_equal(take(MAILBOX_EVENT, ""), 0);
    static const char *const gone[] = {"README", "00000000000000000000.event", "99999999999999999999.event",
                                       "00000000000000000002.metric", "00000000000000000003.event"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_false(is_there(gone[i]));
    assert_true(is_there("00000000000000000001.event.tmp-abcdef"));
}

static void a_run_directory_that_is_gone_is_not_made_again(void **state)
{
    struct err err = {0};
    struct mailbox other;
    (void)state;
    assert_fails(mailbox_open("/tmp/muster-no-such-dir", &other, &err), err, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_in_is_first_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_grow_over_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_box_keeps_room_for_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_removed_and_work_is_left_alone, set_up, tear_down),
        cmocka_unit_test(a_run_directory_that_is_gone_is_not_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
