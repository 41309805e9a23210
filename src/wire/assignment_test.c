#include "base/hex.h"
#include "wire/assignment.h"
#include "wire/wire_testing.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SIGNED                                                                                               \
    "{\"_type\":\"assignment\",\"expires\":\"2026-01-09T03:04:05Z\",\"fleet\":\"warehouse-5f0c\","           \
    "\"issued\":\"2026-01-02T03:04:05Z\",\"plan\":\"sha256:" HASH "\",\"robot\":\"r1\",\"rollback\":false,"  \
    "\"spec_version\":\"1.0\",\"target\":{\"length\":1234,\"path\":\"detector/2.0.0\",\"sha256\":\"" HASH    \
    "\"},"                                                                                                   \
    "\"version\":7}"

static const char good[] = "{\"signatures\":[{\"keyid\":\"k1\",\"sig\":\"0a0b\"}],\"signed\":" SIGNED "}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    return assignment_parse(data, len, &envelope, err);
}

static void an_assignment_says_what_it_says(void **state)
{
    struct err err = {0};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    (void)state;
    assert_ok(assignment_parse(good, strlen(good), &envelope, &err), err);
    const struct assignment *a = &envelope.assignment;
    assert_string_equal(a->fleet, "warehouse-5f0c");
    assert_string_equal(a->robot, "r1");
    assert_string_equal(a->path, "detector/2.0.0");
    assert_true(a->version == 7 && a->length == 1234 && !a->rollback);
    assert_true(a->issued_s == 1767323045 && a->expires_s == 1767323045 + 7 * 86400);
    assert_true(digest_equal(&a->release, &a->plan) && a->release.bytes[1] == 0x11);
    assert_int_equal(envelope.signature_count, 1);
    assert_string_equal(envelope.signatures[0].keyid, "k1");
    assert_int_equal(envelope.signatures[0].len, 2);
    assert_memory_equal(envelope.signatures[0].sig, "\x0a\x0b", 2);
    assert_string_equal(envelope.signed_text, SIGNED);
    assert_int_equal(envelope.signed_len, strlen(SIGNED));
}

static void order_and_white_space_do_not_matter(void **state)
{
    struct err err = {0};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    cleanup_json json_t *root = json_loads(good, 0, NULL);
    cleanup_free char *loose = json_dumps(root, JSON_INDENT(3));
    (void)state;
    assert_ok(assignment_parse(loose, strlen(loose), &envelope, &err), err);
    assert_string_equal(envelope.signed_text, SIGNED);
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    every_truncation_fails(parse_any, good, strlen(good));
    no_flip_crashes(parse_any, good, strlen(good));
    every_member_is_needed(parse_any, good, (const char *const[]){"plan", "target", NULL});
    no_surplus_is_taken(parse_any, good);
}

static void refuse(const char *piece, const char *instead, const char *say)
{
    refuse_piece(parse_any, good, piece, instead, say);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const table[][3] = {
        {"\"assignment\"", "\"targets\"", "_type"},
        {"\"1.0\"", "\"1.1\"", "spec_version"},
        {"\"version\":7", "\"version\":0", "version"},
        {"\"version\":7", "\"version\":-7", "version"},
        {"\"version\":7", "\"version\":7.0", "version"},
        {"\"version\":7", "\"version\":9223372036854775808", "assignment"},
        {"2026-01-09T03:04:05Z", "2026-01-02T03:04:05Z", "expires"},
        {"2026-01-09T03:04:05Z", "2026-01-09T03:04:05+01:00", "expires"},
        {"2026-01-02T03:04:05Z", "2026-01-02 03:04:05Z", "issued"},
        {"\"robot\":\"r1\"", "\"robot\":\"r 1\"", "robot"},
        {"detector/2.0.0", "detector/2.0", "path"},
        {"detector/2.0.0", "../2.0.0", "path"},
        {"detector/2.0.0", "detector", "path"},
        {"detector/2.0.0", "muster/operators.json", "path"},
        {"\"length\":1234", "\"length\":0", "length"},
        {"\"length\":1234", "\"length\":1048577", "length"},
        {"\"sha256\":\"00", "\"sha256\":\"0A", "sha256"},
        {"\"sha256\":\"" HASH,
         "\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000", "sha256"},
        {"{\"length\":1234,\"path\":\"detector/2.0.0\",\"sha256\":\"" HASH "\"}", "null", "target"},
        {"\"sig\":\"0a0b\"", "\"sig\":\"0a0B\"", "sig"},
        {"\"sig\":\"0a0b\"", "\"sig\":\"0a0\"", "sig"},
        {"\"sig\":\"0a0b\"", "\"sig\":\"\"", "sig"},
        {"{\"keyid\":\"k1\"", "{\"keyid\":\"k1\",\"sig\":\"00\"},{\"keyid\":\"k1\"", "twice"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        refuse(table[i][0], table[i][1], table[i][2]);
}

static void a_robot_may_be_assigned_nothing(void **state)
{
    struct err err = {0};
    struct assignment nothing = {.version = 3, .issued_s = 100, .expires_s = 200};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    size_t len = 0;
    (void)state;
    str_copy(nothing.fleet, sizeof nothing.fleet, "f");
    str_copy(nothing.robot, sizeof nothing.robot, "r1");
    cleanup_free char *text = assignment_signed_format(&nothing, &len, &err);
    cleanup_free char *whole = assignment_envelope_format(text, NULL, 0, &err);
    assert_non_null(strstr(text, "\"target\":null"));
    assert_ok(assignment_parse(whole, strlen(whole), &envelope, &err), err);
    assert_memory_equal(&envelope.assignment, &nothing, sizeof nothing);
    assert_int_equal(envelope.signature_count, 0);
    for (int bad = 0; bad < 2; bad++) { /* neither back to nothing, nor nothing by a plan */
        struct assignment other = nothing;
        other.rollback = bad == 0;
        other.plan.bytes[0] = bad == 1;
        cleanup_free char *inner = assignment_signed_format(&other, &len, &err);
        cleanup_free char *outer = assignment_envelope_format(inner, NULL, 0, &err);
        cleanup_assignment_envelope struct assignment_envelope none = {0};
        assert_fails(assignment_parse(outer, strlen(outer), &none, &err), err, ERR_INVALID);
    }
}

static void random_assignment(uint64_t *seed, struct assignment *out)
{
    char name[48];
    *out = (struct assignment){.version = 1 + random_below(seed, INT64_MAX),
                               .issued_s = (int64_t)random_below(seed, 4000000000u)};
    out->expires_s = out->issued_s + 1 + (int64_t)random_below(seed, 1000000);
    random_name(seed, out->fleet, sizeof out->fleet - 1);
    random_name(seed, out->robot, sizeof out->robot - 1);
    if (random_below(seed, 4) == 0)
        return;
    random_name(seed, name, sizeof name - 1);
    snprintf(out->path, sizeof out->path, "%s/%u.%u.%u-rc.%u", name, (unsigned)random_below(seed, 1000),
             (unsigned)random_below(seed, 1000), (unsigned)random_below(seed, 1000),
             (unsigned)random_below(seed, 9));
    out->length = 1 + random_below(seed, 1 << 20);
    out->rollback = random_below(seed, 2);
    random_bytes(seed, out->release.bytes, sizeof out->release.bytes);
    if (random_below(seed, 2))
        random_bytes(seed, out->plan.bytes, sizeof out->plan.bytes);
}

static void what_is_written_is_read(void **state)
{
    uint64_t seed = 17;
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct err err = {0};
        struct assignment in;
        cleanup_assignment_envelope struct assignment_envelope out = {0};
        uint8_t sig[64];
        size_t len = 0;
        random_assignment(&seed, &in);
        random_bytes(&seed, sig, sizeof sig);
        struct tuf_signature signature = {.keyid = (char *)"some key", .sig = sig, .len = sizeof sig};
        cleanup_free char *text = assignment_signed_format(&in, &len, &err);
        cleanup_free char *whole = assignment_envelope_format(text, &signature, 1, &err);
        assert_ok(assignment_parse(whole, strlen(whole), &out, &err), err);
        assert_memory_equal(&out.assignment, &in, sizeof in);
        assert_string_equal(out.signed_text, text);
        assert_int_equal(out.signed_len, len);
        assert_memory_equal(out.signatures[0].sig, sig, sizeof sig);
    }
}

/* ---- plans ---- */

static const struct digest release = {{1, 2, 3}};
static const char *const first_robots[] = {"r1", "r2"}, *const second_robots[] = {"r3"};
static const struct plan_wave waves[] = {{"canary", first_robots, 2}, {"rest", second_robots, 1}};

static char *write_plan(void)
{
    char *text = plan_format(&release, "detector", "2.0.0", "knows-crates", waves, ARRAY_LEN(waves));
    assert_non_null(text);
    return text;
}

static int check_any(const void *data, size_t len, struct err *err)
{
    return plan_check(data, len, &release, "r2", err);
}

static void a_plan_names_its_robots(void **state)
{
    struct err err = {0};
    const struct digest other = {{1, 2, 4}};
    cleanup_free char *text = write_plan();
    (void)state;
    assert_ok(plan_check(text, strlen(text), &release, "r1", &err), err);
    assert_ok(plan_check(text, strlen(text), &release, "r3", &err), err);
    assert_fails(plan_check(text, strlen(text), &release, "r4", &err), err, ERR_REFUSED);
    assert_fails(plan_check(text, strlen(text), &release, "r", &err), err, ERR_REFUSED);
    assert_fails(plan_check(text, strlen(text), &other, "r1", &err), err, ERR_REFUSED);
    every_truncation_fails(check_any, text, strlen(text));
    no_flip_crashes(check_any, text, strlen(text));
    every_member_is_needed(check_any, text, NULL);
    no_surplus_is_taken(check_any, text);
}

static void a_robot_stands_in_one_wave_only(void **state)
{
    struct err err = {0};
    const struct plan_wave twice[] = {{"canary", first_robots, 2}, {"rest", first_robots + 1, 1}};
    cleanup_free char *text = plan_format(&release, "detector", "2.0.0", "x", twice, ARRAY_LEN(twice));
    (void)state;
    assert_fails(plan_check(text, strlen(text), &release, "r1", &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "r2"));
}

static void a_plan_for_fifty_thousand_robots_fits(void **state)
{
    struct err err = {0};
    static char names[PLAN_MAX_ROBOTS + 1][64];
    static const char *ids[PLAN_MAX_ROBOTS + 1];
    (void)state;
    for (size_t i = 0; i <= PLAN_MAX_ROBOTS; i++) {
        snprintf(names[i], sizeof names[i], "robot-%050zu", i);
        ids[i] = names[i];
    }
    const struct plan_wave all = {"all", ids, PLAN_MAX_ROBOTS}, more = {"all", ids, PLAN_MAX_ROBOTS + 1};
    cleanup_free char *text = plan_format(&release, "detector", "2.0.0", "big", &all, 1);
    cleanup_free char *over = plan_format(&release, "detector", "2.0.0", "big", &more, 1);
    assert_ok(plan_check(text, strlen(text), &release, names[49999], &err), err);
    assert_fails(plan_check(text, strlen(text), &release, names[50000], &err), err, ERR_REFUSED);
    assert_fails(plan_check(over, strlen(over), &release, names[1], &err), err, ERR_INVALID);
}

/* NAME and VERSION of 63 bytes each, and of no more: what is cut off would be another release. */
static void a_path_is_split_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t name_len = 0; name_len < 140; name_len++)
        for (size_t tail = 1; tail < 140; tail += name_len == 9 ? 1 : 57) {
            char path[300] = "", name[64], version[64];
            memset(path, 'n', name_len);
            memcpy(path + name_len, "/1.0.0-", 7);
            memset(path + name_len + 7, 'v', tail);
            bool whole = name_len >= 1 && name_len <= 63 && 6 + tail <= 63;
            assert_int_equal(assignment_path_split(path, name, version), whole);
            if (!whole)
                continue;
            assert_int_equal(strlen(name), name_len);
            assert_string_equal(version, path + name_len + 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_split_whole_or_not_at_all),
        cmocka_unit_test(an_assignment_says_what_it_says),
        cmocka_unit_test(order_and_white_space_do_not_matter),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_robot_may_be_assigned_nothing),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_plan_names_its_robots),
        cmocka_unit_test(a_robot_stands_in_one_wave_only),
        cmocka_unit_test(a_plan_for_fifty_thousand_robots_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
