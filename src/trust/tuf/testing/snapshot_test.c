/* TUF 1.0.34, 5.5: the snapshot, which says what belongs together. */
#include "trust/tuf/testing/world.h"

static void republish_timestamp(struct world *w)
{
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
}

static void test_snapshot_hash(void **state)
{
    struct world *w = *state;
    tuf_mock_with_hashes(w->mock, true);
    tuf_mock_release(w->mock);
    world_reshape(w, "snapshot", "2.snapshot.json");
    assert_refused(w, TRUST_SNAPSHOT_HASH);
    assert_holds(w, 1, 2, 0, 0);
}

static void test_snapshot_hash_alone(void **state)
{
    struct world *w = *state;
    tuf_mock_with_hashes(w->mock, true);
    tuf_mock_release(w->mock);
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/hashes/sha256",
                 "\"46419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0\"");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_SNAPSHOT_HASH);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

static void test_snapshot_length_alone(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/length", "%d",
                 (int)tuf_mock_past(w->mock, "snapshot", 1)->len + 1);
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_SNAPSHOT_HASH);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

/* The length that the timestamp names is the cap of what is fetched. */
static void test_snapshot_longer_than_its_length(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/length", "%d",
                 (int)tuf_mock_past(w->mock, "snapshot", 1)->len - 1);
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

static void test_snapshot_of_another_key(void **state)
{
    struct world *w = *state;
    tuf_mock_unsign(w->mock, "snapshot", TUF_SNAPSHOT);
    tuf_mock_sign(w->mock, "snapshot",
                  TUF_TIMESTAMP); /* whoever has the timestamp key alone cannot make a snapshot */
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_SNAPSHOT_SIGNATURES);
    assert_holds(w, 1, 2, 0, 0);
}

static void test_snapshot_version_mixed(void **state)
{
    struct world *w = *state;
    tuf_mock_release(w->mock);
    const struct buf *one = tuf_mock_past(w->mock, "snapshot", 1);
    tuf_mock_serve(w->mock, "2.snapshot.json", buf_text(one), one->len);
    assert_refused(w, TRUST_SNAPSHOT_VERSION);
    assert_holds(w, 1, 2, 0, 0);
}

static void test_snapshot_takes_targets_back(void **state)
{
    struct world *w = *state;
    tuf_mock_publish(w->mock, "targets");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    assert_int_equal(world_holds(w, "targets"), 2);
    tuf_mock_set(w->mock, "snapshot", "/meta/targets.json/version", "1");
    tuf_mock_publish(w->mock, "snapshot");
    republish_timestamp(w);
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
    world_exact(w, "snapshot", 2);
    world_exact(w, "targets", 2);
}

/* The local snapshot is the baseline also where the timestamp names hashes that it no longer has. */
static void test_snapshot_takes_targets_back_with_hashes(void **state)
{
    struct world *w = *state;
    tuf_mock_with_hashes(w->mock, true);
    test_snapshot_takes_targets_back(state);
}

static void test_snapshot_takes_targets_back_after_it_expired(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "snapshot", WORLD_NOW_S + DAY_S);
    tuf_mock_publish(w->mock, "targets");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 2 * DAY_S);
    tuf_mock_expire(w->mock, "snapshot", WORLD_NOW_S + 4 * DAY_S);
    tuf_mock_set(w->mock, "snapshot", "/meta/targets.json/version", "1");
    tuf_mock_publish(w->mock, "snapshot");
    republish_timestamp(w);
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
}

static void test_snapshot_role_vanishes(void **state)
{
    struct world *w = *state;
    tuf_mock_delegate(w->mock, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .paths = (const char *const[]){"*", NULL}});
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_drop(w->mock, "snapshot", "/meta/a.json");
    tuf_mock_publish(w->mock, "snapshot");
    republish_timestamp(w);
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
    world_exact(w, "snapshot", 2);
}

static void test_snapshot_takes_a_delegated_role_back(void **state)
{
    struct world *w = *state;
    tuf_mock_delegate(w->mock, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .paths = (const char *const[]){"*", NULL}});
    tuf_mock_release(w->mock);
    tuf_mock_publish(w->mock, "a");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_set(w->mock, "snapshot", "/meta/a.json/version", "1");
    tuf_mock_publish(w->mock, "snapshot");
    republish_timestamp(w);
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
}

static void test_snapshot_expired(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_expire(w->mock, "snapshot", WORLD_NOW_S - 1);
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_SNAPSHOT_EXPIRED);
    assert_holds(w, 1, 2, 1, 1);
}

/* The one on the shelf is still what the timestamp names, but its time is over. */
static void test_snapshot_expires_on_the_shelf(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "snapshot", WORLD_NOW_S + DAY_S);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 2 * DAY_S);
    assert_refused(w, TRUST_SNAPSHOT_EXPIRED);
}

static void test_snapshot_missing(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_release(w->mock);
    tuf_mock_hide(w->mock, "2.snapshot.json");
    assert_refused(w, TRUST_METADATA_MISSING);
    assert_holds(w, 1, 2, 1, 1);
}

static void test_snapshot_size(void **state)
{
    struct world *w = *state;
    world_pad(w, "snapshot", 2000000);
    republish_timestamp(w);
    assert_accepted(w);
    tuf_mock_drop(w->mock, "snapshot", "/x-padding");
    world_pad(w, "snapshot", 2000001);
    republish_timestamp(w);
    assert_refused(w, TRUST_METADATA_SIZE);
    world_exact(w, "snapshot", 3);
}

static void test_snapshot_endless(void **state)
{
    struct world *w = *state;
    tuf_mock_flood(w->mock, "1.snapshot.json");
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

static void test_snapshot_is_targets(void **state)
{
    struct world *w = *state;
    tuf_mock_sign(w->mock, "targets", TUF_SNAPSHOT);
    tuf_mock_publish(w->mock, "targets");
    const struct buf *targets = tuf_mock_past(w->mock, "targets", 2);
    tuf_mock_serve(w->mock, "1.snapshot.json", buf_text(targets), targets->len);
    assert_refused(w, TRUST_METADATA_FORM);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

/* The timestamp means another file than the one on the shelf, though of the same version. */
static void test_snapshot_of_the_same_version_is_another(void **state)
{
    struct world *w = *state;
    tuf_mock_with_hashes(w->mock, true);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_set(w->mock, "snapshot", "/x-new", "1");
    tuf_mock_republish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    tuf_mock_log_clear(w->mock);
    assert_accepted(w);
    assert_asked(w, "2.root.json timestamp.json 2.snapshot.json");
    world_exact(w, "snapshot", 2);
}

/* What is on the shelf and still current is not fetched again. */
static void test_snapshot_is_kept(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_publish(w->mock, "timestamp");
    tuf_mock_log_clear(w->mock);
    assert_accepted(w);
    assert_asked(w, "2.root.json timestamp.json");
}

static void test_snapshot_on_the_shelf_of_a_rotated_key(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_rotate(w->mock, "root", "snapshot");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "timestamp"); /* names the snapshot that the key which was taken away signed */
    assert_refused(w, TRUST_SNAPSHOT_SIGNATURES);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    assert_holds(w, 2, 3, 2, 1);
}

/* Root now wants two keys for snapshots: what one has signed is no longer enough, on the shelf as little as on the way. */
static void test_snapshot_on_the_shelf_below_a_new_threshold(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    int second = tuf_mock_key(w->mock, TUF_ED25519);
    tuf_mock_trust(w->mock, "root", "snapshot", second);
    tuf_mock_threshold(w->mock, "root", "snapshot", 2);
    tuf_mock_publish(w->mock, "root");
    assert_refused(w, TRUST_SNAPSHOT_SIGNATURES);
    tuf_mock_sign(w->mock, "snapshot", second);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    assert_holds(w, 2, 2, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_snapshot_hash),
        WORLD_TEST(test_snapshot_hash_alone),
        WORLD_TEST(test_snapshot_length_alone),
        WORLD_TEST(test_snapshot_longer_than_its_length),
        WORLD_TEST(test_snapshot_of_another_key),
        WORLD_TEST(test_snapshot_version_mixed),
        WORLD_TEST(test_snapshot_takes_targets_back),
        WORLD_TEST(test_snapshot_takes_targets_back_with_hashes),
        WORLD_TEST(test_snapshot_takes_targets_back_after_it_expired),
        WORLD_TEST(test_snapshot_role_vanishes),
        WORLD_TEST(test_snapshot_takes_a_delegated_role_back),
        WORLD_TEST(test_snapshot_expired),
        WORLD_TEST(test_snapshot_expires_on_the_shelf),
        WORLD_TEST(test_snapshot_missing),
        WORLD_TEST(test_snapshot_size),
        WORLD_TEST(test_snapshot_endless),
        WORLD_TEST(test_snapshot_is_targets),
        WORLD_TEST(test_snapshot_of_the_same_version_is_another),
        WORLD_TEST(test_snapshot_is_kept),
        WORLD_TEST(test_snapshot_on_the_shelf_of_a_rotated_key),
        WORLD_TEST(test_snapshot_on_the_shelf_below_a_new_threshold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
