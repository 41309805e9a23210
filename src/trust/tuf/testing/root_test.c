/* TUF 1.0.34, 5.3: the root of trust. Each test is an attack on one rule, or what the rule must let through. */
#include "trust/tuf/testing/world.h"

static void test_root_chain(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5; i++) {
        tuf_mock_rotate(w->mock, "root", "root");
        tuf_mock_publish(w->mock, "root");
    }
    assert_accepted(w);
    assert_holds(w, 6, 1, 1, 1);
    assert_asked(w, "2.root.json 3.root.json 4.root.json 5.root.json 6.root.json 7.root.json timestamp.json "
                    "1.snapshot.json 1.targets.json");
    world_exact(w, "root", 6);
}

static void test_root_without_old_keys(void **state)
{
    struct world *w = *state;
    tuf_mock_rotate(w->mock, "root", "root");
    tuf_mock_unsign(w->mock, "root", TUF_ROOT); /* a thief who has made a key of his own */
    tuf_mock_publish(w->mock, "root");
    assert_refused(w, TRUST_ROOT_SIGNATURES);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_root_without_new_keys(void **state)
{
    struct world *w = *state;
    int key = tuf_mock_rotate(w->mock, "root", "root");
    tuf_mock_unsign(w->mock, "root", key); /* who signs cannot show that he has the key that comes */
    tuf_mock_publish(w->mock, "root");
    assert_refused(w, TRUST_ROOT_SIGNATURES);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_root_threshold_of_old(void **state)
{
    struct world *w = *state;
    int second = tuf_mock_key(w->mock, TUF_ED25519);
    tuf_mock_trust(w->mock, "root", "root", second);
    tuf_mock_threshold(w->mock, "root", "root", 2);
    tuf_mock_sign(w->mock, "root", second);
    tuf_mock_publish(w->mock, "root"); /* 2: two of two */
    tuf_mock_threshold(w->mock, "root", "root", 1);
    tuf_mock_unsign(w->mock, "root", second);
    tuf_mock_publish(w->mock, "root"); /* 3: one stolen key lowers the threshold */
    assert_refused(w, TRUST_ROOT_SIGNATURES);
    assert_int_equal(world_holds(w, "root"), 2);
}

/* The same public key under two names is one key. */
static void test_root_threshold_counts_keys_not_names(void **state)
{
    struct world *w = *state;
    char *key =
        mem_printf("{\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": {\"public\": \"%s\"}}",
                   tuf_signer_public(tuf_mock_signer(w->mock, TUF_TIMESTAMP))->public_text);
    tuf_mock_set(w->mock, "root", "/keys/alias", "%s", key);
    tuf_mock_set(w->mock, "root", "/roles/timestamp/keyids/-", "\"alias\"");
    tuf_mock_threshold(w->mock, "root", "timestamp", 2);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "timestamp");
    free(key);
    struct tuf_signature made = {0};
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    const struct buf *file = tuf_mock_file(w->mock, "timestamp.json");
    assert_ok(tuf_metadata_parse(file->data, file->len, &metadata, &err), err);
    assert_ok(tuf_signer_sign(tuf_mock_signer(w->mock, TUF_TIMESTAMP), metadata.signed_text,
                              metadata.signed_len, &made, &err),
              err);
    char hex[129];
    for (size_t i = 0; i < made.len; i++)
        snprintf(hex + 2 * i, 3, "%02x", made.sig[i]);
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/-", "{\"keyid\": \"alias\", \"sig\": \"%s\"}",
                   hex);
    free(made.sig);
    free(made.keyid);
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
}

static void test_root_version_skipped(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "root", "/version", "3");
    tuf_mock_publish(w->mock, "root");
    const struct buf *three = tuf_mock_past(w->mock, "root", 3);
    tuf_mock_serve(w->mock, "2.root.json", buf_text(three), three->len);
    assert_refused(w, TRUST_ROOT_VERSION);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_root_version_repeated(void **state)
{
    struct world *w = *state;
    const struct buf *one = tuf_mock_past(w->mock, "root", 1);
    tuf_mock_serve(w->mock, "2.root.json", buf_text(one), one->len);
    assert_refused(w, TRUST_ROOT_VERSION);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_root_expired(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_expire(w->mock, "root", WORLD_NOW_S - 1);
    tuf_mock_publish(w->mock, "root");
    assert_refused(w, TRUST_ROOT_EXPIRED);
    assert_holds(w, 2, 1, 1, 1); /* 5.3.8 before 5.3.10: it is kept, so that the chain goes on from it */
    tuf_mock_expire(w->mock, "root", WORLD_NOW_S + DAY_S);
    tuf_mock_publish(w->mock, "root");
    assert_accepted(w);
    assert_holds(w, 3, 1, 1, 1);
}

static void test_root_expired_on_the_way(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "root", WORLD_NOW_S - DAY_S);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_expire(w->mock, "root", WORLD_NOW_S + DAY_S);
    tuf_mock_publish(w->mock, "root");
    assert_accepted(w);
    assert_holds(w, 3, 1, 1, 1);
}

/* A robot that was off for a year: everything that it has is expired, the repository goes on. */
static void test_root_local_expired_never_blocks(void **state)
{
    struct world *w = *state;
    static const char *const roles[] = {"targets", "snapshot", "timestamp"};
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 365 * DAY_S);
    tuf_mock_expire(w->mock, "root", WORLD_NOW_S + 400 * DAY_S);
    tuf_mock_publish(w->mock, "root");
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        tuf_mock_expire(w->mock, roles[i], WORLD_NOW_S + 400 * DAY_S);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    assert_holds(w, 2, 2, 2, 2);
}

static void rotate_root(struct world *w, int count)
{
    for (int i = 0; i < count; i++) {
        tuf_mock_rotate(w->mock, "root", "root");
        tuf_mock_publish(w->mock, "root");
    }
}

static void test_root_1024_rotations(void **state)
{
    struct world *w = *state;
    rotate_root(w, 1024);
    assert_accepted(w);
    assert_holds(w, 1025, 1, 1, 1);
}

/* One more is refused in this update; what was verified stays, so that the next one goes on from there. */
static void test_root_1025_rotations(void **state)
{
    struct world *w = *state;
    rotate_root(w, 1025);
    assert_refused(w, TRUST_ROOT_ROTATIONS);
    assert_holds(w, 1025, 0, 0, 0);
    assert_accepted(w);
    assert_holds(w, 1026, 1, 1, 1);
}

static void test_root_rotations_as_configured(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct tuf_limits limits = {.root_rotations = 2};
    rotate_root(w, 3);
    world_refused("limit 2", tuf_mock_run(w->mock, w->shelf, &limits, NULL, NULL, &err), &err,
                  TRUST_ROOT_ROTATIONS);
    limits.root_rotations = 3;
    assert_ok(tuf_mock_run(w->mock, w->shelf, &limits, NULL, NULL, &err), err);
}

static void test_root_size(void **state)
{
    struct world *w = *state;
    world_pad(w, "root", 512000);
    assert_accepted(w);
    assert_int_equal(world_holds(w, "root"), 3);
    tuf_mock_drop(w->mock, "root", "/x-padding");
    world_pad(w, "root", 512001);
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_int_equal(world_holds(w, "root"), 4);
}

static void test_root_endless(void **state)
{
    struct world *w = *state;
    tuf_mock_flood(w->mock, "2.root.json");
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_root_of_another_type(void **state)
{
    struct world *w = *state;
    int key = TUF_ROOT;
    tuf_mock_sign(w->mock, "timestamp", key); /* signed by root's key, and still no root */
    tuf_mock_publish(w->mock, "timestamp");
    const struct buf *timestamp = tuf_mock_file(w->mock, "timestamp.json");
    tuf_mock_serve(w->mock, "2.root.json", buf_text(timestamp), timestamp->len);
    assert_refused(w, TRUST_METADATA_FORM);
    assert_holds(w, 1, 0, 0, 0);
}

/* 5.3.11: the attacker had the timestamp key and pushed the version up to where no honest one would ever get. */
static void test_root_recovers_from_fast_forward_of_timestamp(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/version", "2147483647");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    assert_int_equal(world_holds(w, "timestamp"), 2147483647);
    tuf_mock_rotate(w->mock, "root", "timestamp");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_set(w->mock, "timestamp", "/version", "2");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    assert_holds(w, 2, 2, 1, 1);
}

static void test_root_recovers_from_fast_forward_of_snapshot(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "snapshot", "/version", "2147483647");
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_rotate(w->mock, "root", "snapshot");
    tuf_mock_rotate(w->mock, "root", "timestamp");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_set(w->mock, "snapshot", "/version", "2");
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    assert_int_equal(world_holds(w, "snapshot"), 2);
}

static void test_root_recovers_from_fast_forward_of_targets(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "targets", "/version", "2147483647");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_rotate(w->mock, "root", "snapshot"); /* its snapshot is what remembers the version */
    tuf_mock_publish(w->mock, "root");
    tuf_mock_set(w->mock, "targets", "/version", "2");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    assert_int_equal(world_holds(w, "targets"), 2);
}

/* The stolen key is taken away; the other one, which signed along with it, stays, and would still vouch for the high version. */
static void forget_beside_another_key(struct world *w, const char *role, int stolen)
{
    int stays = tuf_mock_key(w->mock, TUF_ED25519);
    tuf_mock_trust(w->mock, "root", role, stays);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_sign(w->mock, role, stays);
    tuf_mock_set(w->mock, role, "/version", "2147483647");
    tuf_mock_publish(w->mock, role);
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_republish(w->mock, "timestamp");
    assert_accepted(w);
    assert_int_equal(world_holds(w, role), 2147483647);
    tuf_mock_distrust(w->mock, "root", role, stolen);
    tuf_mock_unsign(w->mock, role, stolen);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_set(w->mock, role, "/version", "2");
    tuf_mock_publish(w->mock, role);
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_set(w->mock, "timestamp", "/version", "3");
    tuf_mock_republish(w->mock, "timestamp");
    assert_accepted(w);
    assert_int_equal(world_holds(w, "timestamp"), 3);
}

static void test_root_recovers_beside_another_timestamp_key(void **state)
{
    forget_beside_another_key(*state, "timestamp", TUF_TIMESTAMP);
}

static void test_root_recovers_beside_another_snapshot_key(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/version", "2");
    forget_beside_another_key(w, "snapshot", TUF_SNAPSHOT);
    assert_int_equal(world_holds(w, "snapshot"), 2);
}

/* A keyid need not be the hash of its key: another key under the same name is another key, and the first one is gone. The one beside it still
 * vouches for what both of them signed. */
static void test_root_recovers_by_another_key_of_the_same_name(void **state)
{
    struct world *w = *state;
    int first = tuf_mock_key_named(w->mock, TUF_ED25519, "the key");
    int second = tuf_mock_key_named(w->mock, TUF_ED25519, "the key");
    tuf_mock_trust(w->mock, "root", "timestamp", first);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_sign(w->mock, "timestamp", first);
    tuf_mock_set(w->mock, "timestamp", "/version", "2147483647");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_distrust(w->mock, "root", "timestamp", first);
    tuf_mock_trust(w->mock, "root", "timestamp", second);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_unsign(w->mock, "timestamp", first);
    tuf_mock_set(w->mock, "timestamp", "/version", "3");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    assert_holds(w, 3, 3, 1, 1);
}

/* The old one still speaks, wherever it stands in the list. */
static void test_root_with_one_more_key_forgets_nothing(void **state)
{
    static const char *const roles[] = {"timestamp", "snapshot"};
    struct world *w = *state;
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 1);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    for (int i = 0; i < 4; i++) {
        tuf_mock_trust(w->mock, "root", roles[i % 2], tuf_mock_key(w->mock, TUF_ED25519));
        tuf_mock_publish(w->mock, "root");
        assert_refused(w, TRUST_TIMESTAMP_ROLLBACK);
        assert_holds(w, i + 2, 2, 1, 1);
    }
}

static void test_root_of_the_last_version_there_is(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
    tuf_mock_set(w->mock, "root", "/version", "9223372036854775807");
    tuf_mock_publish(w->mock, "root");
    assert_ok(tuf_mock_anchor(w->mock, shelf, &err), err);
    assert_ok(tuf_mock_refresh(w->mock, shelf, &err), err);
    assert_asked(w, "timestamp.json 1.snapshot.json 1.targets.json");
}

/* Without a new key nothing is forgotten: a new root alone is no way around the rollback rules. */
static void test_root_without_rotation_forgets_nothing(void **state)
{
    struct world *w = *state;
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_publish(w->mock, "root");
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 1);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    assert_refused(w, TRUST_TIMESTAMP_ROLLBACK);
    assert_holds(w, 2, 2, 1, 1);
}

static void test_root_that_nobody_signed_is_no_anchor(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
    tuf_mock_patch(w->mock, "1.root.json", "/signed/version", "7");
    const struct buf *root = tuf_mock_file(w->mock, "1.root.json");
    world_refused("anchor", tuf_trust(shelf, root->data, root->len, &err), &err, TRUST_ROOT_SIGNATURES);
    assert_fails(tuf_mock_refresh(w->mock, shelf, &err), err, ERR_NOT_FOUND);
}

static void test_root_is_anchored_once(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    tuf_mock_publish(w->mock, "root");
    assert_fails(tuf_mock_anchor(w->mock, w->shelf, &err), err, ERR_EXISTS);
    assert_int_equal(world_holds(w, "root"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_root_chain),
        WORLD_TEST(test_root_without_old_keys),
        WORLD_TEST(test_root_without_new_keys),
        WORLD_TEST(test_root_threshold_of_old),
        WORLD_TEST(test_root_threshold_counts_keys_not_names),
        WORLD_TEST(test_root_version_skipped),
        WORLD_TEST(test_root_version_repeated),
        WORLD_TEST(test_root_expired),
        WORLD_TEST(test_root_expired_on_the_way),
        WORLD_TEST(test_root_local_expired_never_blocks),
        WORLD_TEST(test_root_1024_rotations),
        WORLD_TEST(test_root_1025_rotations),
        WORLD_TEST(test_root_rotations_as_configured),
        WORLD_TEST(test_root_size),
        WORLD_TEST(test_root_endless),
        WORLD_TEST(test_root_of_another_type),
        WORLD_TEST(test_root_recovers_from_fast_forward_of_timestamp),
        WORLD_TEST(test_root_recovers_from_fast_forward_of_snapshot),
        WORLD_TEST(test_root_recovers_from_fast_forward_of_targets),
        WORLD_TEST(test_root_recovers_beside_another_timestamp_key),
        WORLD_TEST(test_root_recovers_beside_another_snapshot_key),
        WORLD_TEST(test_root_recovers_by_another_key_of_the_same_name),
        WORLD_TEST(test_root_with_one_more_key_forgets_nothing),
        WORLD_TEST(test_root_of_the_last_version_there_is),
        WORLD_TEST(test_root_without_rotation_forgets_nothing),
        WORLD_TEST(test_root_that_nobody_signed_is_no_anchor),
        WORLD_TEST(test_root_is_anchored_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
