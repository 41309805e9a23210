/* TUF 1.0.34, 4: what metadata may look like. Everything here is signed rightly: it is the form that is refused, or must not be. */
#include "trust/tuf/testing/world.h"

static void test_form_unknown_members_are_kept(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "root", "/x-new", "{\"b\": [1, \"\\u00e9\\n\\\"\\\\\", null, true], \"a\": -7}");
    tuf_mock_set(w->mock, "root", "/roles/root/x-new", "\"value\"");
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/x-new", "1");
    tuf_mock_set(w->mock, "snapshot", "/x-new", "{}");
    tuf_mock_set(w->mock, "targets", "/targets",
                 "{\"a\": {\"length\": 1, \"hashes\": {\"sha256\": "
                 "\"46419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0\", \"md5\": \"00\"}, "
                 "\"x-new\": []}}");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "targets");
    tuf_mock_release(w->mock);
    tuf_mock_set(w->mock, "timestamp", "/meta/snapshot.json/x-new", "1");
    tuf_mock_publish(w->mock, "timestamp");
    assert_found(w, "a");
    assert_holds(w, 2, 3, 2, 2);
    world_exact(w, "root", 2); /* byte for byte, as they came */
    world_exact(w, "timestamp", 3);
    world_exact(w, "snapshot", 2);
    world_exact(w, "targets", 2);
}

/* An unknown member is signed too: whoever adds or changes one breaks the signature. */
static void test_form_unknown_members_are_signed(void **state)
{
    struct world *w = *state;
    tuf_mock_patch(w->mock, "timestamp.json", "/signed/x-new", "1");
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
}

/* Outside of `signed` nothing is signed, and nothing there matters. */
static void test_form_unsigned_members_do_not_matter(void **state)
{
    struct world *w = *state;
    tuf_mock_patch(w->mock, "timestamp.json", "/x-new", "{\"version\": 9}");
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/0/x-new", "1");
    assert_accepted(w);
}

static void test_form_signatures_that_do_not_hold_do_not_matter(void **state)
{
    struct world *w = *state;
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/-", "{\"keyid\": \"nobody\", \"sig\": \"00\"}");
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/-", "{\"keyid\": \"%s\", \"sig\": \"\"}",
                   tuf_mock_keyid(w->mock, TUF_ROOT));
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/-", "{\"keyid\": \"else\", \"sig\": \"no hex\"}");
    assert_accepted(w);
}

static void test_form_keyids_are_only_names(void **state)
{
    struct world *w = *state;
    int key = tuf_mock_key_named(w->mock, TUF_ED25519, "the key in the safe");
    tuf_mock_distrust(w->mock, "root", "timestamp", TUF_TIMESTAMP);
    tuf_mock_unsign(w->mock, "timestamp", TUF_TIMESTAMP);
    tuf_mock_trust(w->mock, "root", "timestamp", key);
    tuf_mock_sign(w->mock, "timestamp", key);
    tuf_mock_set(w->mock, "root", "/keys/the key in the safe/keyid_hash_algorithms", "[\"md5\"]");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
}

static void test_form_every_scheme(void **state)
{
    struct world *w = *state;
    static const enum tuf_scheme schemes[] = {TUF_ED25519, TUF_ECDSA_P256, TUF_RSA_PSS};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        int key = tuf_mock_key(w->mock, schemes[i]);
        tuf_mock_trust(w->mock, "root", "root", key);
        tuf_mock_sign(w->mock, "root", key);
    }
    tuf_mock_threshold(w->mock, "root", "root", 4);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "root");
    assert_accepted(w);
    assert_int_equal(world_holds(w, "root"), 3);
}

/* A key of a scheme that does not exist yet harms nobody, and helps nobody. */
static void test_form_unknown_scheme(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "root", "/keys/new",
                 "{\"keytype\": \"mldsa\", \"scheme\": \"ml-dsa-65\", \"keyval\": {\"public\": \"x\"}}");
    tuf_mock_set(w->mock, "root", "/roles/timestamp/keyids/-", "\"new\"");
    tuf_mock_publish(w->mock, "root");
    assert_accepted(w);
    tuf_mock_threshold(w->mock, "root", "timestamp", 2);
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "timestamp");
    tuf_mock_patch(w->mock, "timestamp.json", "/signatures/-", "{\"keyid\": \"new\", \"sig\": \"00\"}");
    assert_refused(w, TRUST_TIMESTAMP_SIGNATURES);
}

/* One edit of a root that is otherwise right, and signed by all the right keys. */
struct edit {
    const char *pointer, *json;
};

static void root_edits(struct world *w, const struct edit *edits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = {0};
        cleanup_tuf_mock struct tuf_mock *mock = tuf_mock_new(WORLD_NOW_S);
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
        assert_ok(tuf_mock_anchor(mock, shelf, &err), err);
        tuf_mock_set(mock, "root", "/version", "2");
        tuf_mock_set(mock, "root", edits[i].pointer, "%s", edits[i].json);
        tuf_mock_publish(mock, "root");
        const struct buf *made = tuf_mock_past(mock, "root", tuf_mock_version(mock, "root"));
        tuf_mock_serve(mock, "2.root.json", buf_text(made), made->len);
        int result = tuf_mock_refresh(mock, shelf, &err);
        cleanup_free char *what = mem_printf("%s = %s", edits[i].pointer, edits[i].json);
        world_refused(what, result, &err, TRUST_METADATA_FORM);
    }
    (void)w;
}

static void test_form_thresholds(void **state)
{
    static const struct edit edits[] = {
        {"/roles/root/threshold", "0"},       {"/roles/root/threshold", "-1"},
        {"/roles/timestamp/threshold", "0"},  {"/roles/timestamp/threshold", "-9223372036854775808"},
        {"/roles/snapshot/threshold", "0"},   {"/roles/targets/threshold", "0"},
        {"/roles/targets/threshold", "1.0"},  {"/roles/targets/threshold", "\"1\""},
        {"/roles/targets/threshold", "true"}, {"/roles/targets/threshold", "null"},
        {"/roles/targets/threshold", "[]"},
    };
    root_edits(*state, edits, ARRAY_LEN(edits));
}

/* More than there are keys: nobody can ever sign for the role, so nothing of it is believed. */
static void test_form_threshold_beyond_keys(void **state)
{
    struct world *w = *state;
    tuf_mock_threshold(w->mock, "root", "targets", 2);
    tuf_mock_publish(w->mock, "root");
    struct err err = {0};
    assert_int_equal(tuf_mock_refresh(w->mock, w->shelf, &err), -1);
    enum trust_rule rule = trust_rule_of(err.text);
    assert_true(rule == TRUST_TARGETS_SIGNATURES || rule == TRUST_METADATA_FORM);
    assert_int_equal(world_holds(w, "targets"), 0);
}

static void test_form_delegated_threshold(void **state)
{
    struct world *w = *state;
    static const int thresholds[] = {0, -1};
    tuf_mock_delegate(w->mock, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .paths = (const char *const[]){"*", NULL}});
    world_put(w, "a", "x");
    for (size_t i = 0; i < ARRAY_LEN(thresholds); i++) {
        tuf_mock_threshold(w->mock, "targets", "a", thresholds[i]);
        tuf_mock_release(w->mock);
        assert_not_found(w, "x", TRUST_METADATA_FORM);
    }
}

static void test_form_root(void **state)
{
    struct world *w = *state;
    const char *id =
        tuf_mock_keyid(w->mock, TUF_ROOT); /* any key id will do: a role may not name one twice */
    cleanup_free char *twice = mem_printf("[\"%s\", \"%s\"]", id, id);
    const struct edit edits[] = {
        {"/_type", "\"Root\""},
        {"/_type", "1"},
        {"/spec_version", "\"2.0.0\""},
        {"/spec_version", "\"\""},
        {"/spec_version", "\"one\""},
        {"/spec_version", "1"},
        {"/version", "0"},
        {"/version", "-1"},
        {"/version", "2.0"},
        {"/version", "\"2\""},
        {"/version", "null"},
        {"/expires", "\"2027-02-30T00:00:00Z\""},
        {"/expires", "\"2027-13-01T00:00:00Z\""},
        {"/expires", "\"2027-06-01T24:00:00Z\""},
        {"/expires", "\"2027-06-01T00:00:00\""},
        {"/expires", "\"2027-06-01T00:00:00.Z\""},
        {"/expires", "\"2027-06-01T00:00.5Z\""},
        {"/expires", "\"2027-06-01T00:00:00+01:00\""},
        {"/expires", "\"27-06-01T00:00:00Z\""},
        {"/expires", "\" 2027-06-01T00:00:00Z\""},
        {"/expires", "\"\""},
        {"/expires", "1900000000"},
        {"/keys", "[]"},
        {"/keys", "null"},
        {"/roles", "{}"},
        {"/roles/root", "[]"},
        {"/roles/root/keyids", "{}"},
        {"/roles/root/keyids", twice},
        {"/roles/root/keyids", "[1]"},
        {"/roles/mirrors", "{\"keyids\": [], \"threshold\": 1}"},
        {"/consistent_snapshot", "\"yes\""},
        {"/x-number", "1.5"}, /* has no canonical form */
    };
    root_edits(w, edits, ARRAY_LEN(edits));
}

static void test_form_spec_version_of_two_parts(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "root", "/spec_version", "\"1.0\""); /* a real root of a real fleet says so */
    tuf_mock_publish(w->mock, "root");
    assert_accepted(w);
    assert_int_equal(world_holds(w, "root"), 2);
}

/* As JavaScript writes times: taken, the fraction cut off. */
static void test_form_expiry_with_milliseconds(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "timestamp", "/expires", "\"2027-01-15T08:00:01.999Z\""); /* WORLD_NOW_S + 1 */
    tuf_mock_publish(w->mock, "timestamp");
    assert_accepted(w);
    tuf_mock_at(w->mock, WORLD_NOW_S + 1);
    assert_refused(w, TRUST_TIMESTAMP_EXPIRED);
}

static void test_form_no_json(void **state)
{
    struct world *w = *state;
    static const char *const files[] = {
        "",
        " ",
        "{",
        "null",
        "[]",
        "{}",
        "\"root\"",
        "{\"signed\": {}, \"signatures\": []}",
        "{\"signed\": [], \"signatures\": {}}",
        "{\"signed\": {\"_type\": \"timestamp\", \"_type\": \"timestamp\"}, \"signatures\": []}",
        "<html>404</html>",
        "{\"signed\": {\"_type\": \"timestamp\"}} x",
        "\xff\xfe{\0}\0",
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        tuf_mock_serve(w->mock, "timestamp.json", files[i], strlen(files[i]));
        assert_refused(w, TRUST_METADATA_FORM);
    }
    assert_holds(w, 1, 0, 0, 0);
}

/* `{"signed":…` once more at the end, where a parser that takes the last would read another document than the one that was signed. */
static void test_form_members_twice(void **state)
{
    struct world *w = *state;
    const struct buf *good = tuf_mock_file(w->mock, "timestamp.json");
    char *text = mem_strdup(buf_text(good));
    char *end = strrchr(text, '}');
    assert_non_null(end);
    *end = '\0';
    char *twice = mem_printf("%s, \"signed\": {\"_type\": \"timestamp\", \"version\": 9}}", text);
    tuf_mock_serve(w->mock, "timestamp.json", twice, strlen(twice));
    free(text);
    free(twice);
    assert_refused(w, TRUST_METADATA_FORM);
}

static void test_form_depth(void **state)
{
    struct world *w = *state;
    static char deep[8000];
    size_t half = sizeof deep / 2 - 1;
    memset(deep, '[', half);
    memset(deep + half, ']', half);
    tuf_mock_serve(w->mock, "timestamp.json", deep, 2 * half);
    assert_refused(w, TRUST_METADATA_FORM);
    char *wrapped = mem_printf("{\"signed\": %s, \"signatures\": []}", deep);
    tuf_mock_serve(w->mock, "timestamp.json", wrapped, strlen(wrapped));
    free(wrapped);
    assert_refused(w, TRUST_METADATA_FORM);
}

static void test_form_targets(void **state)
{
    struct world *w = *state;
    static const struct edit edits[] = {
        {"/targets/a/length", "-1"},
        {"/targets/a/length", "1.5"},
        {"/targets/a/length", "null"},
        {"/targets/a/hashes", "{}"},
        {"/targets/a/hashes", "{\"md5\": \"00\"}"},
        {"/targets/a/hashes", "{\"sha256\": \"00\"}"},
        {"/targets/a/hashes",
         "{\"sha256\": \"zz419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0\"}"},
        {"/targets/a/hashes", "[]"},
        {"/targets", "[]"},
        {"/delegations", "[]"},
        {"/delegations", "{\"keys\": {}, \"roles\": [{\"name\": \"r\", \"keyids\": [], \"threshold\": 1, "
                         "\"terminating\": false}]}"},
        {"/delegations", "{\"keys\": {}, \"roles\": [{\"name\": \"r\", \"keyids\": [], \"threshold\": 1, "
                         "\"terminating\": false, "
                         "\"paths\": [\"*\"], \"path_hash_prefixes\": [\"0\"]}]}"},
        {"/delegations",
         "{\"keys\": {}, \"roles\": [{\"name\": \"r\", \"keyids\": [], \"threshold\": 1, \"terminating\": "
         "false, "
         "\"paths\": [\"*\"]}, {\"name\": \"r\", \"keyids\": [], \"threshold\": 1, \"terminating\": false, "
         "\"paths\": [\"*\"]}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct err err = {0};
        cleanup_tuf_mock struct tuf_mock *mock = tuf_mock_new(WORLD_NOW_S);
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
        assert_ok(tuf_mock_anchor(mock, shelf, &err), err);
        tuf_mock_target(mock, "targets", "a", "a", 1);
        tuf_mock_set(mock, "targets", edits[i].pointer, "%s", edits[i].json);
        tuf_mock_release(mock);
        int result = tuf_mock_refresh(mock, shelf, &err);
        world_refused(edits[i].json, result, &err, TRUST_METADATA_FORM);
    }
    (void)w;
}

static void test_form_names_without_consistent_snapshots(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "root", "/consistent_snapshot", "false");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_delegate(
        w->mock, "targets",
        &(struct tuf_mock_delegation){.name = "a/b", .paths = (const char *const[]){"*", NULL}});
    world_put(w, "a/b", "x");
    tuf_mock_release(w->mock);
    assert_found(w, "x");
    assert_asked(w, "2.root.json 3.root.json timestamp.json snapshot.json targets.json a%2Fb.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_form_unknown_members_are_kept),
        WORLD_TEST(test_form_unknown_members_are_signed),
        WORLD_TEST(test_form_unsigned_members_do_not_matter),
        WORLD_TEST(test_form_signatures_that_do_not_hold_do_not_matter),
        WORLD_TEST(test_form_keyids_are_only_names),
        WORLD_TEST(test_form_every_scheme),
        WORLD_TEST(test_form_unknown_scheme),
        WORLD_TEST(test_form_thresholds),
        WORLD_TEST(test_form_threshold_beyond_keys),
        WORLD_TEST(test_form_delegated_threshold),
        WORLD_TEST(test_form_root),
        WORLD_TEST(test_form_spec_version_of_two_parts),
        WORLD_TEST(test_form_expiry_with_milliseconds),
        WORLD_TEST(test_form_no_json),
        WORLD_TEST(test_form_members_twice),
        WORLD_TEST(test_form_depth),
        WORLD_TEST(test_form_targets),
        WORLD_TEST(test_form_names_without_consistent_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
