/* TAP 15: succinct roles. Which bin a path belongs to is computed, so only that one may name it. */
#include "base/hex.h"
#include "sys/hash.h"
#include "trust/tuf/testing/world.h"

/* The first `bits` bits of the path's SHA-256, by itself and differently from wire/tuf. */
static int bin_of(const char *path, int bits)
{
    struct digest digest = hash_bytes(path, strlen(path));
    int bin = 0;
    for (int i = 0; i < bits; i++)
        bin = bin * 2 + ((digest.bytes[i / 8] >> (7 - i % 8)) & 1);
    return bin;
}

static void bin_name(const char *path, int bits, char out[40])
{
    snprintf(out, 40, "bin-%0*x", (bits + 3) / 4, (unsigned)bin_of(path, bits));
}

static void test_succinct_every_length(void **state)
{
    struct world *w = *state;
    struct tuf_succinct succinct = {.prefix = (char[]){"bin"}};
    for (succinct.bit_length = 1; succinct.bit_length <= 30; succinct.bit_length++) {
        for (int i = 0; i < 50; i++) {
            char path[32], want[40];
            snprintf(path, sizeof path, "release/%d", i);
            bin_name(path, succinct.bit_length, want);
            struct digest digest = hash_bytes(path, strlen(path));
            cleanup_free char *got = tuf_succinct_bin(&succinct, digest.bytes);
            assert_string_equal(got, want);
        }
    }
    succinct.bit_length = 32;
    cleanup_free char *last = tuf_succinct_bin(&succinct, (const uint8_t[32]){0xff, 0xff, 0xff, 0xff});
    assert_string_equal(last, "bin-ffffffff");
    (void)w;
}

static void test_succinct_found(void **state)
{
    struct world *w = *state;
    char name[40];
    tuf_mock_succinct(w->mock, "targets", 3, "bin");
    for (int i = 0; i < 20; i++) {
        char path[32];
        snprintf(path, sizeof path, "release/%d", i);
        bin_name(path, 3, name);
        world_put(w, name, path);
    }
    tuf_mock_release(w->mock);
    for (int i = 0; i < 20; i++) {
        char path[32];
        snprintf(path, sizeof path, "release/%d", i);
        assert_found(w, path);
    }
}

/* A bin that names what belongs to another bin is not even asked. */
static void test_succinct_wrong_bin(void **state)
{
    struct world *w = *state;
    char right[40];
    tuf_mock_succinct(w->mock, "targets", 1, "bin");
    bin_name("x", 1, right);
    world_put(w, str_eq(right, "bin-0") ? "bin-1" : "bin-0", "x");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    cleanup_free char *asked =
        mem_printf("2.root.json timestamp.json 2.snapshot.json 2.targets.json 1.%s.json", right);
    assert_asked(w, asked);
}

static void test_succinct_of_another_key(void **state)
{
    struct world *w = *state;
    char name[40];
    int key = tuf_mock_succinct(w->mock, "targets", 2, "bin");
    bin_name("x", 2, name);
    world_put(w, name, "x");
    tuf_mock_unsign(w->mock, name, key);
    tuf_mock_sign(w->mock, name, TUF_SNAPSHOT);
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_SIGNATURES);
}

static void test_succinct_rollback(void **state)
{
    struct world *w = *state;
    char name[40];
    tuf_mock_succinct(w->mock, "targets", 2, "bin");
    bin_name("x", 2, name);
    tuf_mock_release(w->mock);
    world_put(w, name, "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    cleanup_free char *pointer = mem_printf("/meta/%s.json/version", name);
    tuf_mock_set(w->mock, "snapshot", pointer, "1");
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
}

/* The bin of another fleet's namespace, replayed under this bin's name: same key, but it is not this version's file. */
static void test_succinct_bins_exchanged(void **state)
{
    struct world *w = *state;
    char right[40];
    tuf_mock_with_hashes(w->mock, true);
    tuf_mock_succinct(w->mock, "targets", 1, "bin");
    bin_name("x", 1, right);
    const char *other = str_eq(right, "bin-0") ? "bin-1" : "bin-0";
    world_put(w, other, "x");
    world_put(w, right, "y"); /* so that both are as long */
    tuf_mock_release(w->mock);
    const struct buf *file = tuf_mock_past(w->mock, other, 1);
    cleanup_free char *name = mem_printf("1.%s.json", right);
    tuf_mock_serve(w->mock, name, buf_text(file), file->len);
    assert_not_found(w, "x", TRUST_TARGETS_HASH);
}

/* As PEP 458 has it: a robot that wants one of many targets fetches one bin of 16,384. */
static void test_succinct_16384_bins(void **state)
{
    struct world *w = *state;
    char name[40];
    tuf_mock_succinct(w->mock, "targets", 14, "bin");
    bin_name("x", 14, name);
    assert_int_equal(strlen(name), strlen("bin-0000"));
    world_put(w, name, "x");
    tuf_mock_release(w->mock);
    assert_non_null(tuf_mock_past(w->mock, "bin-3fff", 1));
    assert_found(w, "x");
    cleanup_free char *asked =
        mem_printf("2.root.json timestamp.json 2.snapshot.json 2.targets.json 1.%s.json", name);
    assert_asked(w, asked);
    assert_not_found(w, "y", TRUST_TARGETS_UNKNOWN);
}

static void test_succinct_out_of_range(void **state)
{
    struct world *w = *state;
    static const int lengths[] = {0, -1, 33};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        tuf_mock_set(w->mock, "targets", "/delegations",
                     "{\"keys\": {}, \"succinct_roles\": {\"keyids\": [], \"threshold\": 1, \"bit_length\": "
                     "%d, \"name_prefix\": \"bin\"}}",
                     lengths[i]);
        tuf_mock_release(w->mock);
        assert_refused(w, TRUST_METADATA_FORM);
    }
}

static void test_succinct_beside_roles(void **state)
{
    struct world *w = *state;
    tuf_mock_succinct(w->mock, "targets", 1, "bin");
    tuf_mock_set(w->mock, "targets", "/delegations/roles", "[]");
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_METADATA_FORM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_succinct_every_length), WORLD_TEST(test_succinct_found),
        WORLD_TEST(test_succinct_wrong_bin),    WORLD_TEST(test_succinct_of_another_key),
        WORLD_TEST(test_succinct_rollback),     WORLD_TEST(test_succinct_bins_exchanged),
        WORLD_TEST(test_succinct_16384_bins),   WORLD_TEST(test_succinct_out_of_range),
        WORLD_TEST(test_succinct_beside_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
