/* TUF 1.0.34, 5.6.7: who else may name targets, in which order they are asked, and where the search ends. */
#include "base/hex.h"
#include "sys/hash.h"
#include "trust/tuf/testing/world.h"

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int give(struct world *w, const char *by, const char *name, const char *const *paths, bool terminating)
{
    return tuf_mock_delegate(
        w->mock, by, &(struct tuf_mock_delegation){.name = name, .paths = paths, .terminating = terminating});
}

/* What was asked for behind the four top-level files. */
static void assert_visited(struct world *w, const char *names)
{
    const char *log = tuf_mock_log(w->mock);
    for (int i = 0; log && i < 4; i++) {
        log = strchr(log, ' ');
        log = log ? log + 1 : NULL;
    }
    assert_string_equal(log ? log : "", names);
}

static void test_delegation_order(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    give(w, "targets", "b", PATHS("*"), false);
    give(w, "a", "c", PATHS("*"), false);
    give(w, "a", "d", PATHS("*"), false);
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_visited(w, "1.a.json 1.c.json 1.d.json 1.b.json");
}

static void test_delegation_first_wins(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct digest got, want = hash_bytes("of a", 4);
    give(w, "targets", "a", PATHS("*"), false);
    give(w, "targets", "b", PATHS("*"), false);
    tuf_mock_target(w->mock, "b", "x", "of b", 4);
    tuf_mock_target(w->mock, "a", "x", "of a", 4);
    tuf_mock_release(w->mock);
    assert_ok(tuf_mock_seek(w->mock, w->shelf, "x", &got, &err), err);
    assert_true(digest_equal(&got, &want));
    assert_visited(w, "1.a.json");
}

static void test_delegation_terminating(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), true);
    give(w, "targets", "b", PATHS("*"), false);
    give(w, "a", "c", PATHS("*"), false);
    world_put(w, "b", "x");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_visited(w, "1.a.json 1.c.json");
}

/* One level down: it ends the search for those above as well, whatever they still had to ask. */
static void test_delegation_terminating_below(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    give(w, "targets", "b", PATHS("*"), false);
    give(w, "a", "c", PATHS("*"), true);
    give(w, "a", "d", PATHS("*"), false);
    give(w, "c", "e", PATHS("*"), false);
    world_put(w, "b", "x");
    world_put(w, "d", "x");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_visited(w, "1.a.json 1.c.json 1.e.json");
}

/* A terminating delegation that does not match terminates nothing. */
static void test_delegation_terminating_elsewhere(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("y/*"), true);
    give(w, "targets", "b", PATHS("*"), false);
    world_put(w, "b", "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    assert_visited(w, "1.b.json");
}

static void test_delegation_cycle(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    give(w, "a", "b", PATHS("*"), false);
    give(w, "b", "a", PATHS("*"), false);
    give(w, "b", "b", PATHS("*"), false);
    give(w, "targets", "z", PATHS("*"), false);
    world_put(w, "z", "y");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_visited(w, "1.a.json 1.b.json 1.z.json");
    assert_found(w, "y"); /* the circle does not use up what may be looked at */
}

/* A role may only name what was delegated to it, all the way down. */
static void test_delegation_beyond_its_paths(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("pick/*"), false);
    give(w, "a", "b", PATHS("*", "drive/*"), false); /* a has no right to drive/ that it could give on */
    world_put(w, "a", "drive/1");
    world_put(w, "b", "drive/1");
    world_put(w, "a", "pick/1");
    tuf_mock_release(w->mock);
    assert_not_found(w, "drive/1", TRUST_TARGETS_UNKNOWN);
    assert_visited(w, "");
    assert_found(w, "pick/1");
}

static void test_delegation_patterns(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"*", "a", true},
        {"*", "a/b", false}, /* a star stays within its component */
        {"*", ".hidden", true},
        {"a/*", "a/b", true},
        {"a/*", "a/b/c", false},
        {"a/*", "a", false},
        {"*/b", "a/b", true},
        {"a/?.zip", "a/b.zip", true},
        {"a/?.zip", "a/bb.zip", false},
        {"a/[bc]", "a/c", true},
        {"a/[!bc]", "a/c", false},
        {"A", "a", false},
        {"a\\*", "a*", false}, /* a backslash is a character */
        {"a\\*", "a\\b", true},
        {"a", "a", true},
        {"", "a", false},
    };
    struct tuf_delegation delegation = {.path_count = 1};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char hex[65];
        struct digest digest = hash_bytes(cases[i].path, strlen(cases[i].path));
        hex_encode(digest.bytes, sizeof digest.bytes, hex);
        char *pattern = mem_strdup(cases[i].pattern);
        delegation.paths = &pattern;
        bool matches = tuf_delegation_matches(&delegation, cases[i].path, hex);
        free(pattern);
        if (matches != cases[i].matches)
            fail_msg("%s and %s: %d", cases[i].pattern, cases[i].path, matches);
    }
    (void)w;
}

static void test_delegation_by_hash_prefix(void **state)
{
    struct world *w = *state;
    struct digest digest = hash_bytes("pick/1", 6);
    char hex[65];
    hex_encode(digest.bytes, sizeof digest.bytes, hex);
    hex[3] = '\0';
    tuf_mock_delegate(w->mock, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .prefixes = PATHS("00000000", hex)});
    world_put(w, "a", "pick/1");
    world_put(w, "a", "pick/2");
    tuf_mock_release(w->mock);
    assert_found(w, "pick/1");
    tuf_mock_log_clear(w->mock);
    assert_not_found(w, "pick/2", TRUST_TARGETS_UNKNOWN);
    assert_asked(w, "2.root.json timestamp.json");
}

static void test_delegation_of_another_key(void **state)
{
    struct world *w = *state;
    int key = give(w, "targets", "a", PATHS("*"), false);
    tuf_mock_unsign(w->mock, "a", key);
    tuf_mock_sign(w->mock, "a", TUF_TARGETS); /* even the delegator's own key is not the delegated one */
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_SIGNATURES);
    assert_int_equal(world_holds(w, "a"), 0);
}

static void test_delegation_below_threshold(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    tuf_mock_threshold(w->mock, "targets", "a", 2);
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_SIGNATURES);
}

static void test_delegation_version_mixed(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    tuf_mock_publish(w->mock, "a");
    tuf_mock_release(w->mock);
    const struct buf *one = tuf_mock_past(w->mock, "a", 1);
    tuf_mock_serve(w->mock, "2.a.json", buf_text(one), one->len);
    assert_not_found(w, "x", TRUST_TARGETS_VERSION);
}

static void test_delegation_hash(void **state)
{
    struct world *w = *state;
    tuf_mock_with_hashes(w->mock, true);
    give(w, "targets", "a", PATHS("*"), false);
    tuf_mock_release(w->mock);
    world_reshape(w, "a", "1.a.json");
    assert_not_found(w, "x", TRUST_TARGETS_HASH);
    assert_int_equal(world_holds(w, "a"), 0);
}

static void test_delegation_expired(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_expire(w->mock, "a", WORLD_NOW_S - 1);
    tuf_mock_release(w->mock);
    assert_accepted(w); /* the top level is fine */
    assert_not_found(w, "x", TRUST_TARGETS_EXPIRED);
    assert_int_equal(world_holds(w, "a"), 0);
}

static void test_delegation_expires_on_the_shelf(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_expire(w->mock, "a", WORLD_NOW_S + DAY_S);
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    tuf_mock_at(w->mock, WORLD_NOW_S + 2 * DAY_S);
    assert_not_found(w, "x", TRUST_TARGETS_EXPIRED);
    tuf_mock_expire(w->mock, "a", WORLD_NOW_S + 4 * DAY_S);
    tuf_mock_release(w->mock);
    assert_found(w, "x");
}

static void test_delegation_missing(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    tuf_mock_release(w->mock);
    tuf_mock_hide(w->mock, "1.a.json");
    assert_not_found(w, "x", TRUST_METADATA_MISSING);
}

static void test_delegation_is_a_snapshot(void **state)
{
    struct world *w = *state;
    int key = give(w, "targets", "a", PATHS("*"), false);
    tuf_mock_release(w->mock);
    tuf_mock_sign(w->mock, "snapshot", key);
    tuf_mock_publish(w->mock, "snapshot");
    const struct buf *snapshot = tuf_mock_past(w->mock, "snapshot", tuf_mock_version(w->mock, "snapshot"));
    tuf_mock_serve(w->mock, "1.a.json", buf_text(snapshot), snapshot->len);
    assert_not_found(w, "x", TRUST_METADATA_FORM);
}

/* The cached role was good when it was fetched; its delegator has taken the key away since. Two well-known clients accept this. */
static void test_delegation_cached_under_a_key_that_was_taken_away(void **state)
{
    struct world *w = *state;
    int key = give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    tuf_mock_distrust(w->mock, "targets", "a", key);
    tuf_mock_trust(w->mock, "targets", "a", tuf_mock_key(w->mock, TUF_ED25519));
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_SIGNATURES);
}

/* New keys of the snapshot forget what the old one named. What is on the shelf is not asked whether it may stay. */
static void test_delegation_that_the_snapshot_no_longer_names(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    tuf_mock_rotate(w->mock, "root", "snapshot");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_drop(w->mock, "snapshot", "/meta/a.json");
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    assert_not_found(w, "x", TRUST_METADATA_MISSING);
}

static void test_delegation_taken_back(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("*"), false);
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    tuf_mock_drop(w->mock, "targets", "/delegations");
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
}

/* One role, two delegators with different keys: what one edge vouches for is not trusted over the other. */
static void test_delegation_each_edge_has_its_keys(void **state)
{
    struct world *w = *state;
    give(w, "targets", "a", PATHS("a/*"), false);
    give(w, "targets", "b", PATHS("b/*"), false);
    int of_a = give(w, "a", "c", PATHS("a/*"), false);
    int of_b = give(w, "b", "c", PATHS("b/*"), false);
    world_put(w, "c", "a/x");
    world_put(w, "c", "b/x");
    tuf_mock_unsign(w->mock, "c", of_b);
    tuf_mock_release(w->mock);
    assert_found(w, "a/x");
    assert_not_found(w, "b/x", TRUST_TARGETS_SIGNATURES);
    tuf_mock_sign(w->mock, "c", of_b);
    tuf_mock_release(w->mock);
    assert_found(w, "b/x");
    assert_found(w, "a/x");
    (void)of_a;
}

/* The same within one update, where the role is in memory already, verified over the other edge. */
static void test_delegation_each_edge_has_its_keys_in_memory(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    give(w, "targets", "a", PATHS("a/*"), false);
    give(w, "targets", "b", PATHS("b/*"), false);
    give(w, "a", "c", PATHS("a/*"), false);
    tuf_mock_unsign(w->mock, "c", give(w, "b", "c", PATHS("b/*"), false));
    world_put(w, "c", "a/x");
    world_put(w, "c", "b/x");
    tuf_mock_release(w->mock);
    const struct tuf_update_options options = {.shelf = w->shelf, .now_s = WORLD_NOW_S};
    cleanup_tuf_update struct tuf_update *update = NULL;
    assert_ok(tuf_update_new(&options, &update, &err), err);
    tuf_update_seek(update, "a/x");
    assert_ok(tuf_mock_pump(w->mock, update, &err), err);
    assert_non_null(tuf_update_target(update));
    tuf_update_seek(update, "b/x");
    world_refused("b/x", tuf_mock_pump(w->mock, update, &err), &err, TRUST_TARGETS_SIGNATURES);
    assert_null(tuf_update_target(update));
}

static void chain_of(struct world *w, int count)
{
    char by[16] = "targets", name[16];
    for (int i = 1; i <= count; i++) {
        snprintf(name, sizeof name, "r%d", i);
        give(w, by, name, PATHS("*"), false);
        str_copy(by, sizeof by, name);
    }
    world_put(w, by, "x");
    tuf_mock_release(w->mock);
}

static void test_delegation_limit(void **state)
{
    struct world *w = *state;
    struct tuf_limits limits = {.delegations = 3};
    struct err err = {0};
    chain_of(w, 4);
    assert_int_equal(tuf_mock_run(w->mock, w->shelf, &limits, "x", NULL, &err), -1);
    assert_int_equal(trust_rule_of(err.text), TRUST_TARGETS_UNKNOWN);
    limits.delegations = 4; /* besides targets itself */
    assert_ok(tuf_mock_run(w->mock, w->shelf, &limits, "x", NULL, &err), err);
}

/* Breadth that no search should follow: an attacker with a delegated key cannot keep a robot busy. */
static void test_delegation_default_limit(void **state)
{
    struct world *w = *state;
    chain_of(w, 40);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_int_equal(world_holds(w, "r32"), 1);
    assert_int_equal(world_holds(w, "r33"), 0);
}

static void test_delegation_names_leave_no_directory(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"../a", "/a", "a?b", "a#b", "a%2Fb", ".", "..", "\xc3\xa9", "a b"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        give(w, "targets", names[i], PATHS("*"), false);
    tuf_mock_release(w->mock);
    assert_not_found(w, "x", TRUST_TARGETS_UNKNOWN);
    assert_visited(
        w,
        "1...%2Fa.json 1.%2Fa.json 1.a%3Fb.json 1.a%23b.json 1.a%252Fb.json 1...json 1....json 1.%C3%A9.json "
        "1.a%20b.json");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        world_exact(w, names[i], 1);
}

/* A delegated role that calls itself root: its metadata must never stand where the root stands. */
static void test_delegation_named_like_a_top_level_role(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"root", "timestamp", "snapshot", "targets"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        tuf_mock_set(w->mock, "targets", "/delegations",
                     "{\"keys\": {}, \"roles\": [{\"name\": \"%s\", \"keyids\": [], \"threshold\": 1, "
                     "\"terminating\": false, "
                     "\"paths\": [\"*\"]}]}",
                     names[i]);
        tuf_mock_trust(w->mock, "targets", names[i], TUF_TARGETS);
        tuf_mock_release(w->mock);
        assert_not_found(w, "x", TRUST_METADATA_FORM);
        world_exact(w, "root", 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_delegation_order),
        WORLD_TEST(test_delegation_first_wins),
        WORLD_TEST(test_delegation_terminating),
        WORLD_TEST(test_delegation_terminating_below),
        WORLD_TEST(test_delegation_terminating_elsewhere),
        WORLD_TEST(test_delegation_cycle),
        WORLD_TEST(test_delegation_beyond_its_paths),
        WORLD_TEST(test_delegation_patterns),
        WORLD_TEST(test_delegation_by_hash_prefix),
        WORLD_TEST(test_delegation_of_another_key),
        WORLD_TEST(test_delegation_below_threshold),
        WORLD_TEST(test_delegation_version_mixed),
        WORLD_TEST(test_delegation_hash),
        WORLD_TEST(test_delegation_expired),
        WORLD_TEST(test_delegation_expires_on_the_shelf),
        WORLD_TEST(test_delegation_missing),
        WORLD_TEST(test_delegation_is_a_snapshot),
        WORLD_TEST(test_delegation_cached_under_a_key_that_was_taken_away),
        WORLD_TEST(test_delegation_that_the_snapshot_no_longer_names),
        WORLD_TEST(test_delegation_taken_back),
        WORLD_TEST(test_delegation_each_edge_has_its_keys),
        WORLD_TEST(test_delegation_each_edge_has_its_keys_in_memory),
        WORLD_TEST(test_delegation_limit),
        WORLD_TEST(test_delegation_default_limit),
        WORLD_TEST(test_delegation_names_leave_no_directory),
        WORLD_TEST(test_delegation_named_like_a_top_level_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
