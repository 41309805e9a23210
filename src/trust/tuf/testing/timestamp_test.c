/* TUF 1.0.34, 5.4: the timestamp, which says what is newest. Its key is online: an attacker may well have it. */
#include "trust/tuf/testing/world.h"

static void test_timestamp_of_another_key(void **state)
{
    struct world *w = *state;
    tuf_mock_unsign(w->mock, "timestamp", TUF_TIMESTAMP);
    tuf_mock_sign(w->mock, "timestamp", TUF_SNAPSHOT); /* a key of this very root, for something else */
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_timestamp_changed_after_signing(void **state)
{
    struct world *w = *state;
    tuf_mock_patch(w->mock, "timestamp.json", "/signed/version", "2");
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_timestamp_below_threshold(void **state)
{
    struct world *w = *state;
    int keys[2] = {tuf_mock_key(w->mock, TUF_ED25519), tuf_mock_key(w->mock, TUF_ECDSA_P256)};
    for (size_t i = 0; i < 2; i++)
        tuf_mock_trust(w->mock, "root", "timestamp", keys[i]);
    tuf_mock_threshold(w->mock, "root", "timestamp", 3);
    tuf_mock_sign(w->mock, "timestamp", keys[0]);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
    tuf_mock_sign(w->mock, "timestamp", keys[1]);
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
}

/* 1.0.34: one key may not sign twice, even if there are enough others. */
static void test_timestamp_with_a_signature_twice(void **state)
{
    struct world *w = *state;
    tuf_mock_sign(w->mock, "timestamp", TUF_TIMESTAMP);
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_METADATA_FORM);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_timestamp_rollback(void **state)
{
    struct world *w = *state;
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 1);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    assert_refused(w, TRUST_TIMESTAMP_ROLLBACK);
    world_exact(w, "timestamp", 2);
}

static void test_timestamp_names_an_older_snapshot(void **state)
{
    struct world *w = *state;
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/version", "1");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_TIMESTAMP_ROLLBACK);
    world_exact(w, "timestamp", 2);
    world_exact(w, "snapshot", 2);
}

/* The same, with the rollback check's baseline expired: it is still the baseline. */
static void test_timestamp_rollback_to_before_an_expired_one(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "timestamp", WORLD_NOW_S + DAY_S);
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 2 * DAY_S);
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 1); /* expires later than the newer one */
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    assert_refused(w, TRUST_TIMESTAMP_ROLLBACK);
    world_exact(w, "timestamp", 2);
}

static void test_timestamp_of_the_same_version_changes_nothing(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    cleanup_free char *bytes = mem_strdup(buf_text(tuf_mock_past(w->mock, "timestamp", 1)));
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/version", "100");
    tuf_mock_republish(w->mock, "timestamp");
    tuf_mock_log_clear(w->mock);
    assert_accepted(w);
    assert_asked(w, "2.root.json timestamp.json");
    struct err err = {0};
    cleanup_buf struct buf held = BUF_INIT(1 << 20);
    assert_ok(w->shelf->ops->load(w->shelf, "timestamp", &held, &err), err);
    assert_string_equal(buf_text(&held), bytes);
}

/* Neither is it a rollback: who sends the same version again need not be shut out. */
static void test_timestamp_of_the_same_version_names_an_older_snapshot(void **state)
{
    struct world *w = *state;
    world_put(w, "targets", "x");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/version", "1");
    tuf_mock_republish(w->mock, "timestamp");
    assert_accepted(w);
    assert_holds(w, 1, 2, 2, 2);
    assert_found(w, "x");
}

static void test_timestamp_expired(void **state)
{
    struct world *w = *state;
    assert_accepted(w);
    tuf_mock_expire(w->mock, "timestamp", WORLD_NOW_S - 1);
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_TIMESTAMP_EXPIRED);
    world_exact(w, "timestamp", 1);
}

/* A freeze: the server keeps answering, with what was true last month. */
static void test_timestamp_frozen(void **state)
{
    struct world *w = *state;
    tuf_mock_expire(w->mock, "timestamp", WORLD_NOW_S + DAY_S);
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + DAY_S - 1);
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + DAY_S); /* "expires" is the first second at which it has */
    assert_refused(w, TRUST_TIMESTAMP_EXPIRED);
}

static void test_timestamp_missing(void **state)
{
    struct world *w = *state;
    tuf_mock_hide(w->mock, "timestamp.json");
    assert_refused(w, TRUST_METADATA_MISSING);
    assert_holds(w, 1, 0, 0, 0);
}

static void test_timestamp_size(void **state)
{
    struct world *w = *state;
    world_pad(w, "timestamp", 16384);
    assert_accepted(w);
    tuf_mock_drop(w->mock, "timestamp", "/x-padding");
    world_pad(w, "timestamp", 16385);
    assert_refused(w, TRUST_METADATA_SIZE);
    world_exact(w, "timestamp", 3);
}

static void test_timestamp_endless(void **state)
{
    struct world *w = *state;
    tuf_mock_flood(w->mock, "timestamp.json");
    assert_refused(w, TRUST_METADATA_SIZE);
    assert_holds(w, 1, 0, 0, 0);
}

/* A snapshot that is signed by the timestamp key as well, in the place of a timestamp. */
static void test_timestamp_is_a_snapshot(void **state)
{
    struct world *w = *state;
    tuf_mock_trust(w->mock, "root", "snapshot", TUF_TIMESTAMP);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_sign(w->mock, "snapshot", TUF_TIMESTAMP);
    tuf_mock_set(w->mock, "snapshot", "/meta", "{\"snapshot.json\": {\"version\": 1}}");
    tuf_mock_publish(w->mock, "snapshot");
    const struct buf *snapshot = tuf_mock_past(w->mock, "snapshot", 2);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(snapshot), snapshot->len);
    assert_refused(w, TRUST_METADATA_FORM);
    assert_holds(w, 2, 0, 0, 0);
}

static void test_timestamp_names_no_snapshot(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/meta", "{}");
    tuf_mock_publish(w->mock, "timestamp");
    assert_refused(w, TRUST_METADATA_FORM);
    assert_int_equal(world_holds(w, "snapshot"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_timestamp_of_another_key),
        WORLD_TEST(test_timestamp_changed_after_signing),
        WORLD_TEST(test_timestamp_below_threshold),
        WORLD_TEST(test_timestamp_with_a_signature_twice),
        WORLD_TEST(test_timestamp_rollback),
        WORLD_TEST(test_timestamp_names_an_older_snapshot),
        WORLD_TEST(test_timestamp_rollback_to_before_an_expired_one),
        WORLD_TEST(test_timestamp_of_the_same_version_changes_nothing),
        WORLD_TEST(test_timestamp_of_the_same_version_names_an_older_snapshot),
        WORLD_TEST(test_timestamp_expired),
        WORLD_TEST(test_timestamp_frozen),
        WORLD_TEST(test_timestamp_missing),
        WORLD_TEST(test_timestamp_size),
        WORLD_TEST(test_timestamp_endless),
        WORLD_TEST(test_timestamp_is_a_snapshot),
        WORLD_TEST(test_timestamp_names_no_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
