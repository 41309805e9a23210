#include "robot/store/store.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"

static char dir[] = "/tmp/muster-store-XXXXXX";

static int make_dir(void **state)
{
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int clear(void **state)
{
    struct err err = {0};
    assert_ok(file_remove_tree(dir, &err), err);
    return 0;
}

static struct store *open_store(bool *recovered)
{
    struct store *store = NULL;
    struct err err = {0};
    assert_ok(store_open(dir, &store, recovered, &err), err);
    return store;
}

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static void a_blob_arrives_in_pieces_and_across_restarts(void **state)
{
    struct err err = {0};
    uint8_t data[5000];
    fill(data, sizeof data, 1);
    struct digest digest = hash_bytes(data, sizeof data);
    bool recovered;
    uint64_t have = 0;
    for (size_t at = 0; at < sizeof data; at += 1000) {
        cleanup_store struct store *store = open_store(&recovered);
        cleanup_partial struct partial *partial = NULL;
        assert_ok(partial_open(store, &digest, sizeof data, &partial, &have, &err), err);
        assert_int_equal(have, at);
        assert_false(store_has_blob(store, &digest, sizeof data));
        assert_ok(partial_write(partial, data + at, 1000, &err), err);
        if (at + 1000 < sizeof data)
            assert_fails(partial_finish(partial, &err), err, ERR_UNREACHABLE);
        else
            assert_ok(partial_finish(partial, &err), err);
    }
    cleanup_store struct store *store = open_store(&recovered);
    assert_true(store_has_blob(store, &digest, sizeof data));
    assert_false(store_has_blob(store, &digest, sizeof data - 1));
}

static void a_flipped_byte_anywhere_never_enters(void **state)
{
    struct err err = {0};
    bool recovered;
    cleanup_store struct store *store = open_store(&recovered);
    uint8_t data[300];
    fill(data, sizeof data, 2);
    struct digest digest = hash_bytes(data, sizeof data);
    for (size_t at = 0; at < sizeof data; at++) {
        uint64_t have = 1;
        cleanup_partial struct partial *partial = NULL;
        assert_ok(partial_open(store, &digest, sizeof data, &partial, &have, &err), err);
        assert_int_equal(have, 0); /* the damaged one before was thrown away */
        data[at] ^= 1;
        assert_ok(partial_write(partial, data, sizeof data, &err), err);
        data[at] ^= 1;
        assert_fails(partial_finish(partial, &err), err, ERR_CORRUPT);
        assert_false(store_has_blob(store, &digest, sizeof data));
    }
}

static void an_endless_body_is_cut_at_its_size(void **state)
{
    struct err err = {0};
    bool recovered;
    cleanup_store struct store *store = open_store(&recovered);
    uint8_t data[100];
    fill(data, sizeof data, 3);
    struct digest digest = hash_bytes(data, 60);
    uint64_t have = 0;
    cleanup_partial struct partial *partial = NULL;
    assert_ok(partial_open(store, &digest, 60, &partial, &have, &err), err);
    assert_fails(partial_write(partial, data, 61, &err), err, ERR_TOO_BIG);
    assert_ok(partial_write(partial, data, 60, &err), err);
    assert_fails(partial_write(partial, data, 1, &err), err, ERR_TOO_BIG);
    assert_ok(partial_finish(partial, &err), err);
}

static void a_partial_longer_than_its_blob_starts_over(void **state)
{
    struct err err = {0};
    bool recovered;
    cleanup_store struct store *store = open_store(&recovered);
    uint8_t data[100];
    fill(data, sizeof data, 4);
    struct digest digest = hash_bytes(data, 50);
    uint64_t have = 0;
    struct partial *longer = NULL;
    assert_ok(partial_open(store, &digest, 100, &longer, &have, &err), err);
    assert_ok(partial_write(longer, data, 100, &err), err);
    partial_free(longer);
    cleanup_partial struct partial *partial = NULL;
    assert_ok(partial_open(store, &digest, 50, &partial, &have, &err), err);
    assert_int_equal(have, 0);
    assert_ok(partial_write(partial, data, 50, &err), err);
    assert_ok(partial_finish(partial, &err), err);
}

static void a_second_agent_is_kept_out(void **state)
{
    struct err err = {0};
    bool recovered;
    cleanup_store struct store *store = open_store(&recovered);
    struct store *second = NULL;
    assert_fails(store_open(dir, &second, &recovered, &err), err, ERR_BUSY);
}

static void the_state_is_kept_and_a_damaged_one_set_aside(void **state)
{
    struct err err = {0};
    bool recovered = true;
    struct store *store = open_store(&recovered);
    assert_false(recovered);
    struct robot_state robot = *store_state(store);
    robot.install.assignment_counter = 42;
    assert_ok(store_save(store, &robot, &err), err);
    store_free(store);
    store = open_store(&recovered);
    assert_int_equal(store_state(store)->install.assignment_counter, 42);
    cleanup_free char *path = store_path(store, "state.json");
    store_free(store);

    assert_ok(file_replace(path, "{\"schema\":1", 11, 0600, &err), err);
    store = open_store(&recovered);
    assert_true(recovered);
    assert_int_equal(store_state(store)->install.assignment_counter, 0);
    assert_true(store_state(store)->install.next_generation > 1000000);
    cleanup_free char *aside = store_path(store, "state.json.damaged");
    assert_true(file_exists(aside));
    store_free(store);
}

static void too_little_space_is_said_before_a_byte_is_fetched(void **state)
{
    struct err err = {0};
    bool recovered;
    cleanup_store struct store *store = open_store(&recovered);
    assert_ok(store_check_space(store, 1, &err), err);
    assert_fails(store_check_space(store, (uint64_t)1 << 60, &err), err, ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "disk full"));
    assert_fails(store_check_space(store, UINT64_MAX, &err), err, ERR_NO_SPACE);
}

static void temporary_files_of_an_earlier_life_are_swept(void **state)
{
    struct err err = {0};
    bool recovered;
    store_free(open_store(&recovered));
    cleanup_free char *left = mem_printf("%s/state.json%sabcdef", dir, FILE_TEMP_MARK);
    cleanup_free char *blob = mem_printf("%s/store/blobs/sha256/x%sabcdef", dir, FILE_TEMP_MARK);
    assert_ok(file_replace(left, "x", 1, 0600, &err), err);
    assert_ok(file_replace(blob, "x", 1, 0600, &err), err);
    store_free(open_store(&recovered));
    assert_false(file_exists(left));
    assert_false(file_exists(blob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_blob_arrives_in_pieces_and_across_restarts, clear),
        cmocka_unit_test_setup(a_flipped_byte_anywhere_never_enters, clear),
        cmocka_unit_test_setup(an_endless_body_is_cut_at_its_size, clear),
        cmocka_unit_test_setup(a_partial_longer_than_its_blob_starts_over, clear),
        cmocka_unit_test_setup(a_second_agent_is_kept_out, clear),
        cmocka_unit_test_setup(the_state_is_kept_and_a_damaged_one_set_aside, clear),
        cmocka_unit_test_setup(too_little_space_is_said_before_a_byte_is_fetched, clear),
        cmocka_unit_test_setup(temporary_files_of_an_earlier_life_are_swept, clear),
    };
    return cmocka_run_group_tests(tests, make_dir, clear);
}
