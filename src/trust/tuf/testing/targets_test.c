/* TUF 1.0.34, 5.6: targets, the offline word on what may be installed. */
#include "base/hex.h"
#include "sys/hash.h"
#include "trust/tuf/testing/world.h"

static void test_targets_name_what_was_released(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct digest got, want = hash_bytes("model", 5);
    tuf_mock_target(w->mock, "targets", "pick/1.0.0", "model", 5);
    tuf_mock_release(w->mock);
    assert_ok(tuf_mock_seek(w->mock, w->shelf, "pick/1.0.0", &got, &err), err);
    assert_true(digest_equal(&got, &want));
    assert_not_found(w, "pick/1.0.1", TRUST_TARGETS_UNKNOWN);
    assert_not_found(w, "pick", TRUST_TARGETS_UNKNOWN);
}

static void test_targets_hash(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_with_hashes(w->mock, true);
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    world_reshape(w, "targets", "2.targets.json");
    assert_refused(w, TRUST_TARGETS_HASH);
    assert_holds(w, 1, 2, 2, 1);
}

static void test_targets_length_alone(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "snapshot", "/meta/targets.json/length", "%d",
                 (int)tuf_mock_past(w->mock, "targets", 1)->len + 1);
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_TARGETS_HASH);
    assert_int_equal(world_holds(w, "targets"), 0);
}

/* The attacker has the server and both online keys: the offline one is what he lacks. */
static void test_targets_of_online_keys(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    world_put(w, "targets", "evil");
    tuf_mock_unsign(w->mock, "targets", TUF_TARGETS);
    tuf_mock_sign(w->mock, "targets", TUF_SNAPSHOT);
    tuf_mock_sign(w->mock, "targets", TUF_TIMESTAMP);
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_TARGETS_SIGNATURES);
    world_exact(w, "targets", 1);
}

static void test_targets_changed_after_signing(void **state)
{
    struct world *w = *state;
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    tuf_mock_patch(w->mock, "2.targets.json", "/signed/targets/a/length", "7");
    assert_refused(w, TRUST_TARGETS_SIGNATURES);
    assert_int_equal(world_holds(w, "targets"), 0);
}

static void test_targets_below_threshold(void **state)
{
    struct world *w = *state;
    int keys[2] = {tuf_mock_key(w->mock, TUF_ED25519), tuf_mock_key(w->mock, TUF_ED25519)};
    for (size_t i = 0; i < 2; i++)
        tuf_mock_trust(w->mock, "root", "targets", keys[i]);
    tuf_mock_threshold(w->mock, "root", "targets", 2);
    tuf_mock_publish(w->mock, "root");
    assert_refused(w, TRUST_TARGETS_SIGNATURES);
    tuf_mock_sign(w->mock, "targets", keys[1]);
    tuf_mock_release(w->mock);
    assert_accepted(w);
}

static void test_targets_version_mixed(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    const struct buf *one = tuf_mock_past(w->mock, "targets", 1);
    tuf_mock_serve(w->mock, "2.targets.json", buf_text(one), one->len);
    assert_refused(w, TRUST_TARGETS_VERSION);
    assert_holds(w, 1, 2, 2, 1);
}

static void test_targets_expired(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_expire(w->mock, "targets", WORLD_NOW_S - 1);
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_TARGETS_EXPIRED);
    assert_holds(w, 1, 2, 2, 1);
}

static void test_targets_expire_on_the_shelf(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "targets", WORLD_NOW_S + DAY_S);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 2 * DAY_S);
    assert_refused(w, TRUST_TARGETS_EXPIRED);
}

static void test_targets_missing(void **state)
{
    struct world *w = *state;
    tuf_mock_hide(w->mock, "1.targets.json");
    assert_refused(w, TRUST_METADATA_MISSING);
    assert_holds(w, 1, 1, 1, 0);
}

static void test_targets_not_in_the_snapshot(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "snapshot", "/meta", "{}");
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    struct err err = {0};
    assert_int_equal(tuf_mock_refresh(w->mock, w->shelf, &err), -1);
    assert_int_not_equal(trust_rule_of(err.text), TRUST_RULE_NONE);
    assert_int_equal(world_holds(w, "targets"), 0);
}

static void test_targets_size(void **state)
{
    struct world *w = *state;
    world_pad(w, "targets", 5000000);
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_drop(w->mock, "targets", "/x-padding");
    world_pad(w, "targets", 5000001);
    tuf_mock_release(w->mock);
    assert_refused(w, TRUST_METADATA_SIZE);
    world_exact(w, "targets", 3);
}

static void test_targets_endless(void **state)
{
    struct world *w = *state;
    tuf_mock_flood(w->mock, "1.targets.json");
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_int_equal(world_holds(w, "targets"), 0);
}

/* A release that was taken back is gone, even for a robot that has the older targets. */
static void test_targets_taken_back(void **state)
{
    struct world *w = *state;
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    assert_found(w, "a");
    tuf_mock_drop(w->mock, "targets", "/targets/a");
    tuf_mock_release(w->mock);
    assert_not_found(w, "a", TRUST_TARGETS_UNKNOWN);
}

static void test_targets_on_the_shelf_of_a_rotated_key(void **state)
{
    struct world *w = *state;
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    assert_found(w, "a");
    tuf_mock_rotate(w->mock, "root", "targets"); /* the release key was stolen */
    tuf_mock_publish(w->mock, "root");
    assert_not_found(w, "a", TRUST_TARGETS_SIGNATURES);
    tuf_mock_release(w->mock);
    assert_found(w, "a");
}

static void test_targets_are_kept(void **state)
{
    struct world *w = *state;
    world_put(w, "targets", "a");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_publish(w->mock, "snapshot");
    tuf_mock_sync(w->mock, "timestamp");
    tuf_mock_publish(w->mock, "timestamp");
    tuf_mock_log_clear(w->mock);
    assert_found(w, "a");
    assert_asked(w, "2.root.json timestamp.json 3.snapshot.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_targets_name_what_was_released),
        WORLD_TEST(test_targets_hash),
        WORLD_TEST(test_targets_length_alone),
        WORLD_TEST(test_targets_of_online_keys),
        WORLD_TEST(test_targets_changed_after_signing),
        WORLD_TEST(test_targets_below_threshold),
        WORLD_TEST(test_targets_version_mixed),
        WORLD_TEST(test_targets_expired),
        WORLD_TEST(test_targets_expire_on_the_shelf),
        WORLD_TEST(test_targets_missing),
        WORLD_TEST(test_targets_not_in_the_snapshot),
        WORLD_TEST(test_targets_size),
        WORLD_TEST(test_targets_endless),
        WORLD_TEST(test_targets_taken_back),
        WORLD_TEST(test_targets_on_the_shelf_of_a_rotated_key),
        WORLD_TEST(test_targets_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
