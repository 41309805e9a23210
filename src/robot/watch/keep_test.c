#include "robot/watch/keep.h"

#include "base/mem.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <stdlib.h>
#include <string.h>

static char dir[] = "/tmp/muster-keep-XXXXXX";
static struct kept saved, loaded;
static const struct digest release = {{9, 8, 7}};

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    saved.options =
        (struct drift_options){.block_frames = 1800, .contexts = 8, .burn_in = 60, .arl_blocks = 1e7};
    saved.told_ms = 1700000000000;
    saved.told = DRIFT_SENSOR;
    saved.len = 5000;
    for (size_t i = 0; i < saved.len; i++)
        saved.state[i] = (uint8_t)(i * 7);
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

static char *path_of(const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    return mem_printf("%s/%s.drift", dir, digest_hex(&text));
}

static void what_is_saved_is_loaded(void **state)
{
    struct err err = {0};
    (void)state;
    assert_ok(keep_save(dir, &release, &saved, &err), err);
    assert_ok(keep_load(dir, &release, &loaded, &err), err);
    assert_int_equal(loaded.options.block_frames, 1800);
    assert_int_equal(loaded.options.contexts, 8);
    assert_int_equal(loaded.options.burn_in, 60);
    assert_true(loaded.options.arl_blocks == 1e7);
    assert_int_equal(loaded.told_ms, saved.told_ms);
    assert_int_equal(loaded.told, DRIFT_SENSOR);
    assert_int_equal(loaded.len, saved.len);
    assert_memory_equal(loaded.state, saved.state, saved.len);
    assert_fails(keep_load(dir, &(struct digest){{1}}, &loaded, &err), err, ERR_NOT_FOUND);
}

/* Cut at any byte, changed in any byte: it is said, never used. */
static void damage_is_noticed(void **state)
{
    struct err err = {0};
    (void)state;
    cleanup_free char *path = path_of(&release);
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    saved.len = 40;
    assert_ok(keep_save(dir, &release, &saved, &err), err);
    assert_ok(file_read(path, &bytes, &err), err);
    for (size_t i = 0; i < bytes.len; i++) {
        assert_ok(file_replace(path, bytes.data, i, 0600, &err), err);
        assert_fails(keep_load(dir, &release, &loaded, &err), err, ERR_CORRUPT);
        bytes.data[i] ^= 0x10;
        assert_ok(file_replace(path, bytes.data, bytes.len, 0600, &err), err);
        assert_fails(keep_load(dir, &release, &loaded, &err), err, ERR_CORRUPT);
        bytes.data[i] ^= 0x10;
    }
    keep_set_aside(dir, &release);
    assert_fails(keep_load(dir, &release, &loaded, &err), err, ERR_NOT_FOUND);
}

/* What was learned before alarms had a time goes on. */
static void an_older_file_is_taken(void **state)
{
    enum { OLD_HEAD = 32, NEW = 16, SUM = 8 };
    struct err err = {0};
    (void)state;
    cleanup_free char *path = path_of(&release);
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    assert_ok(keep_save(dir, &release, &saved, &err), err);
    assert_ok(file_read(path, &bytes, &err), err);
    size_t len = bytes.len - NEW;
    bytes.data[6] = '1';
    memmove(bytes.data + OLD_HEAD, bytes.data + OLD_HEAD + NEW, saved.len);
    struct digest sum = hash_bytes(bytes.data, len - SUM);
    memcpy(bytes.data + len - SUM, sum.bytes, SUM);
    assert_ok(file_replace(path, bytes.data, len, 0600, &err), err);
    loaded.told_ms = 5;
    assert_ok(keep_load(dir, &release, &loaded, &err), err);
    assert_int_equal(loaded.told_ms, 0);
    assert_int_equal(loaded.told, DRIFT_NONE);
    assert_int_equal(loaded.len, saved.len);
    assert_memory_equal(loaded.state, saved.state, saved.len);
}

static void only_so_many_are_kept(void **state)
{
    struct err err = {0};
    int there = 0;
    (void)state;
    for (uint8_t i = 0; i < 3 * KEEP_FILES; i++)
        assert_ok(keep_save(dir, &(struct digest){{i}}, &saved, &err), err);
    assert_ok(keep_open(dir, &err), err);
    for (uint8_t i = 0; i < 3 * KEEP_FILES; i++)
        there += keep_load(dir, &(struct digest){{i}}, &loaded, &err) == 0;
    assert_int_equal(there, KEEP_FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_file_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_so_many_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
