#include "wire/tuf/format.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

/* Text → structs → canonical bytes → envelope → structs: the signed bytes stay what they were. */
static void assert_round_trip(const char *signed_part)
{
    struct err err = {0};
    cleanup_free char *text =
        mem_printf("{\"signatures\": [{\"keyid\": \"k1\", \"sig\": \"00ff\"}], \"signed\": %s}", signed_part);
    cleanup_tuf_metadata struct tuf_metadata first = {0}, second = {0};
    size_t len = 0;
    assert_ok(tuf_metadata_parse(text, strlen(text), &first, &err), err);
    cleanup_free char *canonical = tuf_signed_format(&first, &len, &err);
    if (!canonical)
        fail_msg("%s", err.text);
    assert_string_equal(canonical, first.signed_text);
    assert_int_equal(len, first.signed_len);
    cleanup_free char *envelope = tuf_envelope_format(&first, &err);
    assert_non_null(envelope);
    assert_ok(tuf_metadata_parse(envelope, strlen(envelope), &second, &err), err);
    assert_string_equal(second.signed_text, first.signed_text);
    assert_int_equal(second.signature_count, 1);
    assert_string_equal(second.signatures[0].keyid, "k1");
    assert_memory_equal(second.signatures[0].sig, "\x00\xff", 2);
}

#define HEAD(type)                                                                                           \
    "\"_type\": \"" type                                                                                     \
    "\", \"spec_version\": \"1.0.34\", \"version\": 3, \"expires\": \"2030-02-28T23:59:59Z\""
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY "{\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": {\"public\": \"" HEX64 "\"}}"
#define ROLES                                                                                                \
    "\"roles\": {\"root\": {\"keyids\": [\"a\"], \"threshold\": 1}, \"targets\": {\"keyids\": [\"a\", "      \
    "\"b\"], \"threshold\": 2}, "                                                                            \
    "\"snapshot\": {\"keyids\": [\"b\"], \"threshold\": 1}, \"timestamp\": {\"keyids\": [\"b\"], "           \
    "\"threshold\": 1}}"
#define PEM                                                                                                  \
    "{\"keytype\": \"rsa\", \"scheme\": \"rsassa-pss-sha256\", \"keyval\": {\"public\": \"-----BEGIN "       \
    "PUBLIC KEY-----\\nx\\n\"}}"

static void every_kind_round_trips(void **state)
{
    assert_round_trip("{" HEAD("root") ", \"consistent_snapshot\": true, \"keys\": {\"a\": " KEY
                                       ", \"b\": " PEM "}, " ROLES "}");
    assert_round_trip("{" HEAD(
        "root") ", \"consistent_snapshot\": false, \"keys\": {\"a\": " KEY ", \"b\": " PEM "}, " ROLES
                ", \"x-muster\": {\"fleet\": \"w\", \"director\": {\"keyids\": [\"a\"], \"threshold\": 1}}}");
    assert_round_trip("{" HEAD("timestamp") ", \"meta\": {\"snapshot.json\": {\"version\": 7, \"length\": 9, "
                                            "\"hashes\": {\"sha256\": \"" HEX64 "\"}}}, "
                                            "\"x-muster\": {\"issued\": \"2026-01-02T03:04:05Z\"}}");
    assert_round_trip("{" HEAD("snapshot") ", \"meta\": {\"targets.json\": {\"version\": 1}, \"a.json\": "
                                           "{\"version\": 2, \"hashes\": {\"sha512\": \"" HEX64 HEX64
                                           "\"}}}}");
    assert_round_trip("{" HEAD("targets") ", \"targets\": {}}");
    assert_round_trip(
        "{" HEAD("targets") ", \"targets\": {\"a/1\": {\"length\": 0, \"hashes\": {\"sha256\": \"" HEX64
                            "\"}, \"custom\": {\"text\": \"line\\nline \\u00e9 \\\\ \\\"\", \"n\": [1, null, "
                            "true, {}]}}}}");
    assert_round_trip("{" HEAD("targets") ", \"targets\": {}, \"delegations\": {\"keys\": {\"a\": " KEY
                                          "}, \"roles\": [{\"name\": \"z\", \"keyids\": [\"a\"], "
                                          "\"threshold\": 1, \"terminating\": true, \"paths\": [\"x/*\", "
                                          "\"y\"]}, {\"name\": \"b\", \"keyids\": [\"a\"], \"threshold\": 1, "
                                          "\"terminating\": false, \"path_hash_prefixes\": [\"0a\"]}]}}");
    assert_round_trip("{" HEAD("targets") ", \"targets\": {}, \"delegations\": {\"keys\": {\"a\": " KEY
                                          "}, \"succinct_roles\": {\"keyids\": [\"a\"], "
                                          "\"threshold\": 1, \"bit_length\": 8, \"name_prefix\": \"bin\"}}}");
}

/* What the parser would not take back is not written. */
static void what_cannot_be_read_is_not_written(void **state)
{
    struct err err = {0};
    size_t len = 0;
    char path[] = "a", custom[] = "{\"x\": 1.5}";
    struct tuf_target no_hash = {.path = path},
                      odd_custom = {.path = path, .custom = custom, .hashes = {.has_sha256 = true}};
    struct tuf_target twice[2] = {{.path = path, .hashes = {.has_sha256 = true}},
                                  {.path = path, .hashes = {.has_sha256 = true}}};
    struct tuf_key unknown = {.id = path, .public_text = path};
    struct tuf_metadata cases[] = {
        {.kind = TUF_TARGETS, .version = 0},
        {.kind = TUF_TARGETS, .version = 1, .expires_s = -1},
        {.kind = TUF_TARGETS, .version = 1, .targets = {.count = 1, .targets = &no_hash}},
        {.kind = TUF_TARGETS, .version = 1, .targets = {.count = 1, .targets = &odd_custom}},
        {.kind = TUF_TARGETS, .version = 1, .targets = {.count = 2, .targets = twice}},
        {.kind = TUF_ROOT, .version = 1},
        {.kind = TUF_ROOT, .version = 1, .root = {.key_count = 1, .keys = &unknown}},
        {.kind = TUF_KIND_COUNT, .version = 1},
        {.kind = TUF_TARGETS, .version = 1, .spec_version = "2.0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err = (struct err){0};
        char *text = tuf_signed_format(&cases[i], &len, &err);
        if (text)
            fail_msg("case %zu was written: %s", i, text);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* Members that this build does not know are kept as they were signed. */
static void unknown_members_survive_a_new_signature(void **state)
{
    struct err err = {0};
    static const char text[] = "{\"signed\": {" HEAD(
        "targets") ", \"targets\": {}, \"x-other\": {\"tab\": \"\\u0009\\u001f\"}}, \"signatures\": []}";
    cleanup_tuf_metadata struct tuf_metadata first = {0}, second = {0};
    assert_ok(tuf_metadata_parse(text, strlen(text), &first, &err), err);
    cleanup_free char *envelope = tuf_envelope_format(&first, &err);
    assert_non_null(envelope);
    assert_ok(tuf_metadata_parse(envelope, strlen(envelope), &second, &err), err);
    assert_int_equal(second.signed_len, first.signed_len);
    assert_memory_equal(second.signed_text, first.signed_text, first.signed_len);
    assert_non_null(strstr(first.signed_text, "x-other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_round_trips),
        cmocka_unit_test(what_cannot_be_read_is_not_written),
        cmocka_unit_test(unknown_members_survive_a_new_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
