/* What callers of the machine rely on. The rules themselves, attack by attack, are tested in trust/tuf/testing. */
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/rule.h"
#include "trust/tuf/content.h"
#include "trust/tuf/name.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/testing/mock.h"
#include "trust/tuf/update.h"

#include <sys/stat.h>

enum { NOW_S = 1800000000 };

static char dir[64];

static int make_test_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/muster-tuf-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_test_dir(void **state)
{
    struct err err = {0};
    (void)state;
    return file_remove_tree(dir, &err);
}

struct world {
    struct tuf_mock *mock;
    struct tuf_shelf *shelf;
};

static struct world make_world(void)
{
    struct err err = {0};
    struct world world = {.mock = tuf_mock_new(NOW_S), .shelf = tuf_shelf_memory()};
    assert_true(world.mock && world.shelf);
    assert_ok(tuf_mock_anchor(world.mock, world.shelf, &err), err);
    tuf_mock_target(world.mock, "targets", "a/1", "one", 3);
    tuf_mock_target(world.mock, "targets", "a/2", "two", 3);
    tuf_mock_release(world.mock);
    return world;
}

static void drop_world(struct world *world)
{
    tuf_mock_free(world->mock);
    tuf_shelf_free(world->shelf);
}

static struct tuf_update *begin(const struct world *world, int64_t now_s)
{
    struct err err = {0};
    struct tuf_update *update = NULL;
    const struct tuf_update_options options = {.shelf = world->shelf, .now_s = now_s};
    assert_ok(tuf_update_new(&options, &update, &err), err);
    return update;
}

/* ---- the machine ---- */

static void one_machine_seeks_many_targets_and_asks_once(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    cleanup_tuf_update struct tuf_update *update = begin(&world, NOW_S);
    (void)state;
    tuf_update_seek(update, "a/1");
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    const struct tuf_target *one = tuf_update_target(update);
    tuf_mock_log_clear(world.mock);
    tuf_update_seek(update, "a/3");
    assert_fails(tuf_mock_pump(world.mock, update, &err), err, ERR_UNTRUSTED);
    assert_int_equal(trust_rule_of(err.text), TRUST_TARGETS_UNKNOWN);
    assert_null(tuf_update_target(update));
    tuf_update_seek(update, "a/2");
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    assert_string_equal(tuf_update_target(update)->path, "a/2");
    assert_string_equal(one->path, "a/1"); /* lives on */
    assert_string_equal(tuf_mock_log(world.mock), "");
    drop_world(&world);
}

static void a_refresh_on_the_same_machine_sees_what_is_new(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    cleanup_tuf_update struct tuf_update *update = begin(&world, NOW_S);
    (void)state;
    tuf_update_refresh(update);
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    tuf_mock_target(world.mock, "targets", "a/3", "three", 5);
    tuf_mock_release(world.mock);
    tuf_mock_rotate(world.mock, "root", "snapshot");
    tuf_mock_publish(world.mock, "root");
    tuf_mock_release(world.mock);
    tuf_mock_publish(world.mock, "snapshot");
    tuf_mock_sync(world.mock, "timestamp");
    tuf_mock_publish(world.mock, "timestamp");
    tuf_update_refresh(update);
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    tuf_update_seek(update, "a/3");
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    assert_int_equal(tuf_update_target(update)->length, 5);
    assert_int_equal(tuf_update_role(update, "root")->version, 2);
    drop_world(&world);
}

static void before_a_refresh_it_knows_what_the_shelf_holds(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    (void)state;
    cleanup_tuf_update struct tuf_update *fresh = begin(&world, NOW_S);
    assert_non_null(tuf_update_role(fresh, "root"));
    assert_null(tuf_update_role(fresh, "timestamp"));
    assert_null(tuf_update_role(fresh, "snapshot"));
    assert_null(tuf_update_role(fresh, "targets"));
    assert_ok(tuf_mock_refresh(world.mock, world.shelf, &err), err);
    cleanup_tuf_update struct tuf_update *later = begin(&world, NOW_S + 2 * TUF_MOCK_VALID_S);
    assert_non_null(tuf_update_role(later, "timestamp"));
    assert_non_null(tuf_metadata_target(tuf_update_role(later, "targets"), "a/1"));
    drop_world(&world);
}

/* Asked again before it got an answer, it says the same; answers that nobody asked for change nothing. */
static void steps_may_be_repeated(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    struct tuf_want want = {0}, again = {0};
    cleanup_tuf_update struct tuf_update *update = begin(&world, NOW_S);
    (void)state;
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_DONE); /* nothing was ordered */
    tuf_update_give(update, "x", 1);
    tuf_update_lack(update);
    tuf_update_refresh(update);
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_WANT);
    assert_int_equal(tuf_update_step(update, &again, &err), TUF_WANT);
    assert_string_equal(want.name, "2.root.json");
    assert_string_equal(again.name, "2.root.json");
    assert_int_equal(want.max_bytes, 512000);
    tuf_update_give(update, "{", 1);
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_FAILED);
    assert_int_equal(trust_rule_of(err.text), TRUST_METADATA_FORM);
    err = (struct err){0};
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_FAILED); /* and it stays so */
    assert_int_equal(trust_rule_of(err.text), TRUST_METADATA_FORM);
    tuf_update_refresh(update);
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    drop_world(&world);
}

static void more_bytes_than_wanted_are_an_overflow(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    struct tuf_want want = {0};
    cleanup_tuf_update struct tuf_update *update = begin(&world, NOW_S);
    cleanup_free char *bytes = mem_zalloc(512001, 1);
    (void)state;
    tuf_update_refresh(update);
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_WANT);
    tuf_update_give(update, bytes, 512001);
    assert_int_equal(tuf_update_step(update, &want, &err), TUF_FAILED);
    assert_int_equal(trust_rule_of(err.text), TRUST_METADATA_SIZE);
    drop_world(&world);
}

/* The time that a timestamp says it was issued at holds only as far as the offline keys let it. */
static void the_time_floor_is_bound_by_expiry(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    (void)state;
    tuf_mock_set(world.mock, "timestamp", "/x-muster/issued", "\"2027-01-15T07:00:00Z\"");
    tuf_mock_publish(world.mock, "timestamp");
    cleanup_tuf_update struct tuf_update *update = begin(&world, NOW_S);
    assert_int_equal(tuf_update_time_floor(update), 0);
    tuf_update_refresh(update);
    assert_ok(tuf_mock_pump(world.mock, update, &err), err);
    assert_int_equal(tuf_update_time_floor(update), 1799996400);
    tuf_mock_set(world.mock, "timestamp", "/x-muster/issued", "\"2040-01-01T00:00:00Z\"");
    tuf_mock_expire(world.mock, "timestamp", 2145916800);
    tuf_mock_publish(world.mock, "timestamp");
    assert_ok(tuf_mock_refresh(world.mock, world.shelf, &err), err);
    cleanup_tuf_update struct tuf_update *reopened = begin(&world, NOW_S);
    assert_int_equal(tuf_update_time_floor(reopened), tuf_update_role(reopened, "root")->expires_s);
    drop_world(&world);
}

static void an_anchor_is_set_once_and_must_be_signed(void **state)
{
    struct err err = {0};
    struct world world = make_world();
    cleanup_tuf_shelf struct tuf_shelf *empty = tuf_shelf_memory();
    const struct buf *root = tuf_mock_file(world.mock, "1.root.json");
    const struct buf *timestamp = tuf_mock_file(world.mock, "timestamp.json");
    struct tuf_update *none = NULL;
    const struct tuf_update_options options = {.shelf = empty, .now_s = NOW_S};
    (void)state;
    assert_fails(tuf_update_new(&options, &none, &err), err, ERR_NOT_FOUND);
    assert_fails(tuf_trust(empty, timestamp->data, timestamp->len, &err), err, ERR_UNTRUSTED);
    assert_fails(tuf_trust(empty, "", 0, &err), err, ERR_UNTRUSTED);
    assert_fails(tuf_trust(world.shelf, root->data, root->len, &err), err, ERR_EXISTS);
    cleanup_free char *forged = mem_strdup(buf_text(root));
    char *version = strstr(forged, "2027-02");
    assert_non_null(version);
    version[3] = '9';
    assert_fails(tuf_trust(empty, forged, root->len, &err), err, ERR_UNTRUSTED);
    assert_int_equal(trust_rule_of(err.text), TRUST_ROOT_SIGNATURES);
    assert_ok(empty->ops->store(empty, "root", forged, root->len, &err), err);
    assert_fails(tuf_update_new(&options, &none, &err), err, ERR_UNTRUSTED);
    assert_ok(empty->ops->store(empty, "root", "{}", 2, &err), err);
    assert_fails(tuf_update_new(&options, &none, &err), err, ERR_CORRUPT);
    assert_ok(empty->ops->remove(empty, "root", &err), err);
    assert_ok(tuf_trust(empty, root->data, root->len, &err), err);
    drop_world(&world);
}

/* ---- shelves ---- */

static void check_shelf(struct tuf_shelf *shelf)
{
    static const char *const roles[] = {"root", "../root", "/root", "a b",        "..",
                                        ".",    "%2e",     "\n",    "\xc3\xa4?#", ""};
    struct err err = {0};
    cleanup_free char *long_a = mem_zalloc(3002, 1);
    cleanup_free char *long_b = mem_zalloc(3002, 1);
    memset(long_a, '/', 3000);
    memset(long_b, '/', 3001);
    for (size_t i = 0; i < ARRAY_LEN(roles) + 2; i++) {
        const char *role = i < ARRAY_LEN(roles) ? roles[i] : i == ARRAY_LEN(roles) ? long_a : long_b;
        cleanup_buf struct buf bytes = BUF_INIT(100), small = BUF_INIT(2);
        assert_fails(shelf->ops->load(shelf, role, &bytes, &err), err, ERR_NOT_FOUND);
        assert_ok(shelf->ops->store(shelf, role, "old", 3, &err), err);
        assert_ok(shelf->ops->store(shelf, role, "n\0w", 3, &err), err);
        assert_ok(shelf->ops->load(shelf, role, &bytes, &err), err);
        assert_int_equal(bytes.len, 3);
        assert_memory_equal(bytes.data, "n\0w", 3);
        assert_fails(shelf->ops->load(shelf, role, &small, &err), err, ERR_TOO_BIG);
    }
    assert_ok(shelf->ops->remove(shelf, "..", &err), err);
    assert_ok(shelf->ops->remove(shelf, "..", &err), err);
    cleanup_buf struct buf gone = BUF_INIT(100), kept = BUF_INIT(100);
    assert_fails(shelf->ops->load(shelf, "..", &gone, &err), err, ERR_NOT_FOUND);
    assert_ok(shelf->ops->load(shelf, "../root", &kept, &err), err);
}

static void a_shelf_in_memory_keeps_what_it_got(void **state)
{
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
    (void)state;
    check_shelf(shelf);
}

static int count_entry(const char *name, void *arg)
{
    (void)name;
    ++*(int *)arg;
    return 0;
}

static void a_shelf_in_a_directory_stays_in_it(void **state)
{
    struct err err = {0};
    int inside = 0, beside = 0;
    cleanup_free char *path = file_join(dir, "deep/shelf");
    cleanup_free char *above = file_join(dir, "deep");
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_dir(path, &err);
    (void)state;
    assert_non_null(shelf);
    check_shelf(shelf);
    assert_ok(file_list(path, count_entry, &inside, &err), err);
    assert_ok(file_list(above, count_entry, &beside, &err), err);
    assert_int_equal(inside, 11);
    assert_int_equal(beside, 1);
}

static void what_a_cut_left_is_cleared_away(void **state)
{
    struct err err = {0};
    cleanup_free char *path = file_join(dir, "cut");
    cleanup_free char *left = mem_printf("%s/root.json" FILE_TEMP_MARK "abcdef", path);
    cleanup_free char *kept = mem_printf("%s/root.json", path);
    (void)state;
    assert_ok(file_make_dirs(path, 0755, &err), err);
    assert_ok(file_replace(left, "x", 1, 0644, &err), err);
    assert_ok(file_replace(kept, "x", 1, 0644, &err), err);
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_dir(path, &err);
    assert_non_null(shelf);
    assert_false(file_exists(left));
    assert_true(file_exists(kept));
    cleanup_tuf_shelf struct tuf_shelf *none = tuf_shelf_dir(kept, &err);
    assert_null(none);
}

static void names_are_encoded_like_urls(void **state)
{
    cleanup_free char *name = tuf_name_encode("../a b/\xc3\xa4?#%~_-.Z9");
    (void)state;
    assert_string_equal(name, "..%2Fa%20b%2F%C3%A4%3F%23%25~_-.Z9");
}

/* ---- content ---- */

static struct tuf_target target_of(const char *text)
{
    struct tuf_target target = {.length = strlen(text), .hashes.has_sha256 = true};
    struct digest digest = hash_bytes(text, strlen(text));
    memcpy(target.hashes.sha256, digest.bytes, sizeof digest.bytes);
    return target;
}

static int feed(const struct tuf_target *target, const char *text, struct err *err)
{
    cleanup_tuf_content struct tuf_content *content = NULL;
    assert_ok(tuf_content_new(target, &content, err), *err);
    for (const char *c = text; *c; c++)
        tuf_content_put(content, c, 1);
    return tuf_content_end(content, err);
}

static void a_file_must_have_every_hash_that_is_named(void **state)
{
    static const char sha512_of_abc[] =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"; /* FIPS 180-2, C.1 */
    struct err err = {0};
    struct tuf_target target = target_of("abc");
    (void)state;
    assert_ok(feed(&target, "abc", &err), err);
    assert_fails(feed(&target, "abd", &err), err, ERR_UNTRUSTED);
    assert_int_equal(trust_rule_of(err.text), TRUST_TARGET_HASH);
    assert_fails(feed(&target, "abcd", &err), err, ERR_UNTRUSTED);
    assert_fails(feed(&target, "ab", &err), err, ERR_UNTRUSTED);
    target.hashes.has_sha512 = true;
    assert_fails(feed(&target, "abc", &err), err, ERR_UNTRUSTED);
    assert_true(hex_decode(sha512_of_abc, 128, target.hashes.sha512));
    assert_ok(feed(&target, "abc", &err), err);
    target.hashes.sha256[0] ^= 1;
    assert_fails(feed(&target, "abc", &err), err, ERR_UNTRUSTED);
    target.hashes.has_sha256 = false;
    assert_ok(feed(&target, "abc", &err), err);
    assert_true(tuf_content_fits(&target.hashes, 3, "abc", 3));
    assert_false(tuf_content_fits(&target.hashes, 4, "abc", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_machine_seeks_many_targets_and_asks_once),
        cmocka_unit_test(a_refresh_on_the_same_machine_sees_what_is_new),
        cmocka_unit_test(before_a_refresh_it_knows_what_the_shelf_holds),
        cmocka_unit_test(steps_may_be_repeated),
        cmocka_unit_test(more_bytes_than_wanted_are_an_overflow),
        cmocka_unit_test(the_time_floor_is_bound_by_expiry),
        cmocka_unit_test(an_anchor_is_set_once_and_must_be_signed),
        cmocka_unit_test(a_shelf_in_memory_keeps_what_it_got),
        cmocka_unit_test(a_shelf_in_a_directory_stays_in_it),
        cmocka_unit_test(what_a_cut_left_is_cleared_away),
        cmocka_unit_test(names_are_encoded_like_urls),
        cmocka_unit_test(a_file_must_have_every_hash_that_is_named),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
