#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "wire/tuf/format.h"
#include "wire/tuf/metadata.h"

/* ---- templates: one member is exchanged at a time ---- */

static const char root_text[] =
    "{\"signatures\": [{\"keyid\": \"a\", \"sig\": \"00ff\"}, {\"keyid\": \"b\", \"sig\": \"\"}],\n"
    " \"signed\": {\"_type\": \"root\", \"spec_version\": \"1.0.34\", \"version\": 3, \"expires\": "
    "\"2030-01-02T03:04:05Z\",\n"
    "  \"consistent_snapshot\": true,\n"
    "  \"keys\": {\"b\": {\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": {\"public\": "
    "\"00\"}},\n"
    "             \"a\": {\"keytype\": \"ecdsa-sha2-nistp256\", \"scheme\": \"ecdsa-sha2-nistp256\", "
    "\"keyval\": "
    "{\"public\": \"PEM\"}},\n"
    "             \"c\": {\"keytype\": \"dilithium\", \"scheme\": \"d3\", \"keyval\": {\"x\": 1}, \"more\": "
    "[1]}},\n"
    "  \"roles\": {\"root\": {\"keyids\": [\"a\", \"b\"], \"threshold\": 2},\n"
    "            \"timestamp\": {\"keyids\": [\"c\"], \"threshold\": 1},\n"
    "            \"snapshot\": {\"keyids\": [], \"threshold\": 1, \"unknown\": \"kept\"},\n"
    "            \"targets\": {\"keyids\": [\"b\"], \"threshold\": 9}},\n"
    "  \"x-muster\": {\"fleet\": \"warehouse\", \"director\": {\"keyids\": [\"b\"], \"threshold\": 1}}}}";

static const char timestamp_text[] =
    "{\"signed\": {\"_type\": \"timestamp\", \"spec_version\": \"1.0\", \"version\": 7, \"expires\": "
    "\"2030-01-02T03:04:05Z\",\n"
    "  \"meta\": {\"snapshot.json\": {\"version\": 5, \"length\": 100, \"hashes\": {\"sha512\": "
    "\"LONG\"}}},\n"
    "  \"x-muster\": {\"issued\": \"2026-01-02T03:04:05Z\"}}, \"signatures\": []}";

static const char snapshot_text[] =
    "{\"signed\": {\"_type\": \"snapshot\", \"spec_version\": \"1.0.0\", \"version\": 5, \"expires\": "
    "\"2030-01-02T03:04:05Z\",\n"
    "  \"meta\": {\"targets.json\": {\"version\": 2}, \"a/b.json\": {\"version\": 9}}}, \"signatures\": []}";

static const char targets_text[] =
    "{\"signed\": {\"_type\": \"targets\", \"spec_version\": \"1.0.34\", \"version\": 2, \"expires\": "
    "\"2030-01-02T03:04:05Z\",\n"
    "  \"targets\": {\"m/2\": {\"length\": 5, \"hashes\": {\"sha256\": \"SHORT\", \"md5\": \"00\"}, "
    "\"custom\": {\"b\": 1, \"a\": \"x\\ny\"}},\n"
    "              \"m/1\": {\"length\": 0, \"hashes\": {\"sha256\": \"SHORT\"}}},\n"
    "  \"delegations\": {\"keys\": {\"k\": {\"keytype\": \"rsa\", \"scheme\": \"rsassa-pss-sha256\", "
    "\"keyval\": "
    "{\"public\": \"PEM\"}}},\n"
    "    \"roles\": [{\"name\": \"z\", \"keyids\": [\"k\", \"nobody\"], \"threshold\": 1, \"terminating\": "
    "false, "
    "\"paths\": [\"m/*\"]},\n"
    "              {\"name\": \"../y\", \"keyids\": [], \"threshold\": 1, \"terminating\": true, "
    "\"path_hash_prefixes\": [\"0a\"]}]}},\n"
    " \"signatures\": []}";

static const char succinct_text[] =
    "{\"signed\": {\"_type\": \"targets\", \"spec_version\": \"1.0.34\", \"version\": 2, \"expires\": "
    "\"2030-01-02T03:04:05Z\", \"targets\": {},\n"
    "  \"delegations\": {\"keys\": {}, \"succinct_roles\": {\"keyids\": [], \"threshold\": 1, "
    "\"bit_length\": 8, "
    "\"name_prefix\": \"bin\"}}},\n"
    " \"signatures\": []}";

/* With the first `from` exchanged for `to`, and SHORT and LONG for hashes. free() it. */
static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("%s is not in the template", from);
    return mem_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static char *fill(const char *text)
{
    char digits[129];
    memset(digits, 'A', 128);
    digits[128] = '\0';
    char *filled = mem_strdup(text);
    for (int i = 0; i < 8; i++) {
        const char *mark = strstr(filled, "SHORT") ? "SHORT" : strstr(filled, "LONG") ? "LONG" : NULL;
        if (!mark)
            break;
        char *next = replace(filled, mark, digits + (str_eq(mark, "SHORT") ? 64 : 0));
        free(filled);
        filled = next;
    }
    return filled;
}

static void parse(const char *text, struct tuf_metadata *out)
{
    struct err err = {0};
    cleanup_free char *filled = fill(text);
    assert_ok(tuf_metadata_parse(filled, strlen(filled), out, &err), err);
}

static void refuse(const char *text, const char *from, const char *to)
{
    struct err err = {0};
    struct tuf_metadata out;
    cleanup_free char *changed = replace(text, from, to);
    cleanup_free char *filled = fill(changed);
    if (tuf_metadata_parse(filled, strlen(filled), &out, &err) == 0)
        fail_msg("taken: %s for %s", to, from);
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(out.signed_text);
}

static void accept(const char *text, const char *from, const char *to)
{
    cleanup_tuf_metadata struct tuf_metadata out = {0};
    cleanup_free char *changed = replace(text, from, to);
    parse(changed, &out);
}

/* ---- what is read ---- */

static void root_is_read(void **state)
{
    cleanup_tuf_metadata struct tuf_metadata m = {0};
    (void)state;
    parse(root_text, &m);
    assert_int_equal(m.kind, TUF_ROOT);
    assert_int_equal(m.version, 3);
    assert_int_equal(m.expires_s, 1893553445);
    assert_string_equal(m.spec_version, "1.0.34");
    assert_int_equal(m.signature_count, 2);
    assert_int_equal(m.signatures[0].len, 2);
    assert_memory_equal(m.signatures[0].sig, "\x00\xff", 2);
    assert_int_equal(m.signatures[1].len, 0);
    assert_true(m.root.consistent_snapshot);
    assert_int_equal(m.root.key_count, 3);
    assert_int_equal(m.root.keys[0].scheme, TUF_ECDSA_P256);
    assert_int_equal(m.root.keys[1].scheme, TUF_ED25519);
    assert_int_equal(m.root.keys[2].scheme, TUF_SCHEME_UNKNOWN);
    assert_string_equal(m.root.keys[2].public_text, "");
    assert_int_equal(m.root.roles[TUF_TARGETS].threshold, 9);
    assert_int_equal(m.root.roles[TUF_ROOT].count, 2);
    assert_string_equal(m.root.fleet, "warehouse");
    assert_int_equal(m.root.director.count, 1);
    assert_int_equal(m.root.audit.threshold, 0);
    assert_non_null(strstr(m.signed_text, "\"unknown\":\"kept\"")); /* signed, so kept */
}

static void timestamp_and_snapshot_are_read(void **state)
{
    cleanup_tuf_metadata struct tuf_metadata timestamp = {0}, snapshot = {0};
    (void)state;
    parse(timestamp_text, &timestamp);
    const struct tuf_file *file = tuf_metadata_file(&timestamp, "snapshot.json");
    assert_int_equal(file->version, 5);
    assert_true(file->has_length && file->length == 100);
    assert_true(file->hashes.has_sha512 && !file->hashes.has_sha256);
    assert_int_equal(file->hashes.sha512[63], 0xaa);
    assert_int_equal(timestamp.issued_s, 1767323045);
    parse(snapshot_text, &snapshot);
    assert_int_equal(tuf_metadata_file(&snapshot, "a/b.json")->version, 9);
    assert_false(tuf_metadata_file(&snapshot, "targets.json")->has_length);
    assert_null(tuf_metadata_file(&snapshot, "targets"));
    assert_null(tuf_metadata_target(&snapshot, "targets"));
}

static void targets_are_read(void **state)
{
    cleanup_tuf_metadata struct tuf_metadata m = {0}, bins = {0};
    (void)state;
    parse(targets_text, &m);
    assert_int_equal(m.targets.count, 2);
    assert_int_equal(tuf_metadata_target(&m, "m/2")->length, 5);
    assert_string_equal(tuf_metadata_target(&m, "m/2")->custom, "{\"a\":\"x\ny\",\"b\":1}");
    assert_null(tuf_metadata_target(&m, "m/1")->custom);
    assert_null(tuf_metadata_target(&m, "m/"));
    assert_int_equal(m.targets.delegation_count, 2);
    assert_string_equal(m.targets.delegations[0].name, "z"); /* the order of preference */
    assert_string_equal(m.targets.delegations[0].paths[0], "m/*");
    assert_true(m.targets.delegations[1].terminating);
    assert_int_equal(m.targets.delegations[1].path_count, 0);
    assert_int_equal(m.targets.keys[0].scheme, TUF_RSA_PSS);
    parse(succinct_text, &bins);
    assert_int_equal(bins.targets.succinct.bit_length, 8);
    assert_string_equal(bins.targets.succinct.prefix, "bin");
}

/* ---- what is refused ---- */

struct change {
    const char *from, *to;
};

static void what_all_kinds_share_is_checked(void **state)
{
    static const struct change bad[] = {
        {"\"root\", \"spec", "\"rooot\", \"spec"},
        {"\"_type\"", "\"type\""},
        {"1.0.34", "2.0.0"},
        {"1.0.34", "1"},
        {"1.0.34", "1."},
        {"1.0.34", "1..0"},
        {"1.0.34", "1.0.0.0"},
        {"1.0.34", "1.x"},
        {"1.0.34", "1.x0"},
        {"\"version\": 3", "\"version\": 0"},
        {"\"version\": 3", "\"version\": -1"},
        {"\"version\": 3", "\"version\": \"3\""},
        {"\"version\": 3", "\"version\": 3.0"},
        {"\"version\": 3", "\"version\": 9223372036854775808"},
        {"\"version\": 3", "\"versoin\": 3"},
        {"\"version\": 3", "\"version\": 3, \"version\": 3"},
        {"03:04:05Z", "03:04:05"},
        {"03:04:05Z", "03:04:05+00:00"},
        {"03:04:05Z", "03:04:05.Z"},
        {"03:04:05Z", "03:04:05.5"},
        {"03:04:05Z", "03:04:05.5+00:00"},
        {"03:04:05Z", "03:04:05.1234567890Z"},
        {"03:04:05Z", "24:00:00Z"},
        {"2030-01-02", "2030-02-30"},
        {"\"keyid\": \"b\", \"sig\"", "\"keyid\": \"a\", \"sig\""},
        {"\"keyid\": \"b\", \"sig\"", "\"sig\""},
        {"\"sig\": \"\"", "\"sig\": 5"},
        {"\"signatures\"", "\"signature\""},
        {"\"signed\"", "\"singed\""},
        {"[1]", "[1.5]"},
        {"[1]", "[1e3]"},
        {"[1]", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"},
        {"\"more\"", "\"a\\u0000b\""},
        {"\"more\"", "\"\xff\""},
        {"}}}}", "}}}} x"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuse(root_text, bad[i].from, bad[i].to);
    accept(root_text, "\"sig\": \"\"", "\"sig\": \"no hex\"");
    accept(root_text, "\"sig\": \"\"", "\"sig\": \"abc\"");
    accept(root_text, "03:04:05Z", "03:04:05.123Z");
    accept(root_text, "1.0.34", "1.0");
    accept(root_text, "\"version\": 3", "\"version\": 9223372036854775807");
}

static void what_root_has_is_checked(void **state)
{
    static const struct change bad[] = {
        {"\"threshold\": 2", "\"threshold\": 0"},
        {"\"threshold\": 2", "\"threshold\": -1"},
        {"\"threshold\": 2", "\"threshold\": true"},
        {"[\"a\", \"b\"]", "[\"a\", \"a\"]"},
        {"[\"a\", \"b\"]", "[\"a\", \"nobody\"]"},
        {"[\"a\", \"b\"]", "[\"a\", 5]"},
        {"[\"a\", \"b\"]", "{}"},
        {"\"timestamp\": {", "\"mirrors\": {"},
        {"\"timestamp\": {", "\"mirrors\": {\"keyids\": [], \"threshold\": 1}, \"timestamp\": {"},
        {"\"consistent_snapshot\": true", "\"consistent_snapshot\": 1"},
        {"\"keytype\": \"ed25519\"", "\"keytype\": 1"},
        {"\"keytype\": \"ed25519\", ", ""},
        {"\"keyval\": {\"public\": \"00\"}", "\"keyval\": {\"private\": \"00\"}"},
        {"\"keyval\": {\"public\": \"00\"}", "\"keyval\": \"00\""},
        {"\"b\": {", "\"a\": {"},
        {"\"director\": {\"keyids\": [\"b\"]", "\"director\": {\"keyids\": [\"d\"]"},
        {"\"fleet\": \"warehouse\"", "\"fleet\": 5"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuse(root_text, bad[i].from, bad[i].to);
}

static void what_meta_has_is_checked(void **state)
{
    static const struct change bad[] = {
        {"snapshot.json", "snapshot"},
        {"\"version\": 5", "\"version\": 0"},
        {"\"length\": 100", "\"length\": -1"},
        {"\"length\": 100", "\"length\": \"1\""},
        {"\"sha512\"", "\"md5\""},
        {"{\"sha512\": \"LONG\"}", "{}"},
        {"\"LONG\"", "\"SHORT\""},
        {"\"LONG\"", "7"},
        {"\"hashes\": {", "\"hashes\": [], \"h\": {"},
        {"2026-01-02T", "2026-13-02T"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuse(timestamp_text, bad[i].from, bad[i].to);
    refuse(snapshot_text, "\"version\": 9", "\"version\": 0");
    refuse(snapshot_text, "\"version\": 9", "\"v\": 1");
    accept(snapshot_text, "\"targets.json\"", "\"t.json\"");
}

static void what_targets_have_is_checked(void **state)
{
    static const struct change bad[] = {
        {"\"length\": 5, ", ""},
        {"\"length\": 5", "\"length\": -5"},
        {"\"sha256\": \"SHORT\", \"md5\"", "\"md5\""},
        {"\"m/1\"", "\"m/2\""},
        {"{\"b\": 1", "{\"b\": 1.0"},
        {"\"z\"", "\"../y\""},
        {"\"z\"", "\"root\""},
        {"\"z\"", "\"\""},
        {"\"threshold\": 1", "\"threshold\": 0"},
        {"[\"k\", \"nobody\"]", "[\"k\", \"k\"]"},
        {"\"terminating\": false, ", ""},
        {"\"terminating\": false", "\"terminating\": 0"},
        {"\"paths\": [\"m/*\"]", "\"paths\": [\"m/*\"], \"path_hash_prefixes\": []"},
        {"\"paths\"", "\"path\""},
        {"\"paths\": [\"m/*\"]", "\"paths\": [5]"},
        {"\"roles\": [", "\"succinct_roles\": {}, \"roles\": ["},
        {"\"roles\": [", "\"rolls\": ["},
        {"\"delegations\": {\"keys\"", "\"delegations\": {\"kys\""},
    };
    static const struct change bad_bins[] = {
        {"\"bit_length\": 8", "\"bit_length\": 0"},  {"\"bit_length\": 8", "\"bit_length\": 33"},
        {"\"bit_length\": 8", "\"bit_length\": -1"}, {"\"threshold\": 1", "\"threshold\": 0"},
        {"\"name_prefix\"", "\"prefix\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuse(targets_text, bad[i].from, bad[i].to);
    for (size_t i = 0; i < ARRAY_LEN(bad_bins); i++)
        refuse(succinct_text, bad_bins[i].from, bad_bins[i].to);
    accept(succinct_text, "\"bit_length\": 8", "\"bit_length\": 32");
}

/* Every prefix of every kind, and every byte exchanged: an error or metadata, and never anything else. */
static void damaged_text_is_an_error_and_not_a_crash(void **state)
{
    static const char *const texts[] = {root_text, timestamp_text, snapshot_text, targets_text,
                                        succinct_text};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cleanup_free char *text = fill(texts[i]);
        size_t len = strlen(text);
        for (size_t at = 0; at < len; at++) {
            struct err err = {0};
            struct tuf_metadata m;
            if (tuf_metadata_parse(text, at, &m, &err) == 0)
                fail_msg("taken: %zu of %zu bytes", at, len);
            char kept = text[at];
            for (const char *c = "0\"{]:,\\\x01"; *c; c++) {
                text[at] = *c;
                if (tuf_metadata_parse(text, len, &m, &err) == 0)
                    tuf_metadata_fini(&m);
            }
            text[at] = kept;
        }
    }
}

/* A text of brackets is refused before it becomes a tree of a hundred times its size. */
static void cheap_text_buys_no_dear_tree(void **state)
{
    static const char *const pieces[] = {"[],", "{},", "0,", "\"\","};
    struct err err = {0};
    size_t len = 1 << 20, out_len;
    cleanup_free char *text = mem_zalloc(len + 8, 1);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t used = 1, piece = strlen(pieces[i]);
        text[0] = '[';
        for (; used + piece < len; used += piece)
            memcpy(text + used, pieces[i], piece);
        memcpy(text + used, "0]", 3);
        assert_null(tuf_canonical(text, used + 2, &out_len, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* ---- canonical JSON ---- */

static void canonical_json_has_one_form(void **state)
{
    static const struct change vectors[] = {
        {" { } ", "{}"},
        {"[ 1 , -2,\t0, -0 ]", "[1,-2,0,0]"},
        {"{\"b\": true, \"a\": null, \"B\": false}", "{\"B\":false,\"a\":null,\"b\":true}"},
        {"\"a\\nb\\u0001\\t\"", "\"a\nb\x01\t\""},
        {"\"\\\"\\\\\\/\"", "\"\\\"\\\\/\""},
        {"\"\\u00e4\xc3\xa4\\ud83d\\ude00\"", "\"\xc3\xa4\xc3\xa4\xf0\x9f\x98\x80\""},
        {"{\"\xef\xbf\xbd\": 1, \"\\ud83d\\ude00\": 2, \"a\\\"\": 3}",
         "{\"a\\\"\":3,\"\xef\xbf\xbd\":1,\"\xf0\x9f\x98\x80\":2}"}, /* by code point, not by UTF-16 */
        {"9223372036854775807", "9223372036854775807"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct err err = {0};
        size_t len = 0;
        cleanup_free char *text = tuf_canonical(vectors[i].from, strlen(vectors[i].from), &len, &err);
        if (!text)
            fail_msg("%s: %s", vectors[i].from, err.text);
        assert_string_equal(text, vectors[i].to);
        assert_int_equal(len, strlen(vectors[i].to));
    }
}

static void what_has_no_canonical_form_is_refused(void **state)
{
    static const char *const bad[] = {"",    "1.5",         "1e2", "{\"a\":1,\"a\":1}", "[1,]",
                                      "nul", "\"\\ud800\"", "01",  "{\"a\\u0000\":1}",  "1 2",
                                      "NaN", "'a'"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        size_t len = 0;
        assert_null(tuf_canonical(bad[i], strlen(bad[i]), &len, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* ---- what is delegated ---- */

static bool matches(const char *pattern, const char *path)
{
    char *patterns[] = {(char *)pattern};
    const struct tuf_delegation delegation = {.path_count = 1, .paths = patterns};
    static const char no_hash[65];
    return tuf_delegation_matches(&delegation, path, no_hash);
}

static void patterns_match_component_by_component(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool want;
    } cases[] = {
        {"*", "a", true},
        {"*", "a/b", false},
        {"*/*", "a/b", true},
        {"a/*", "a/b/c", false},
        {"*.py", "x.py", true},
        {"*.py", ".py", true},
        {"*.py", "x.pyc", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "\xc3\xa4", true},
        {"[\xc3\xa4-\xc3\xb6]", "\xc3\xa5", true},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[!a-c]x", "dx", true},
        {"[]]", "]", true},
        {"[!]]", "a", true},
        {"[a", "[a", true},
        {"[-a]", "-", true},
        {"[a-]", "-", true},
        {"[c-a]", "b", false},
        {"[^a]", "^", true},
        {"[^a]", "b", false},
        {"\\*", "\\x", true},
        {"\\*", "*", false},
        {"A", "a", false},
        {"", "", true},
        {"a/", "a", false},
        {"a//b", "a/b", false},
        {"a*b*c", "axbxbc", true},
        {"a*b*c", "axbxb", false},
        {"**", "", true},
        {"[a/b]", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (matches(cases[i].pattern, cases[i].path) != cases[i].want)
            fail_msg("%s on %s", cases[i].pattern, cases[i].path);
}

/* What is exponential in careless matchers. The test's own time limit is the assertion. */
static void no_pattern_is_dear(void **state)
{
    cleanup_free char *path = mem_zalloc(20001, 1);
    (void)state;
    memset(path, 'a', 20000);
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", path));
}

static void prefixes_are_of_the_hash(void **state)
{
    static const struct {
        char hash[65];
        bool want;
    } cases[] = {{"0abc", true}, {"ff01", true}, {"ff1", false}, {"f", false}};
    char *prefixes[] = {(char *)"0a", (char *)"ff0"};
    const struct tuf_delegation delegation = {.prefix_count = 2, .prefixes = prefixes};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(tuf_delegation_matches(&delegation, "0a", cases[i].hash), cases[i].want);
}

static void bins_are_named_by_the_first_bits(void **state)
{
    static const struct {
        int bits;
        const char *name;
    } cases[] = {{1, "bin-1"},     {4, "bin-f"},         {5, "bin-1e"},       {8, "bin-f1"},
                 {14, "bin-3c48"}, {31, "bin-78919a2b"}, {32, "bin-f1233456"}};
    const uint8_t hash[32] = {0xf1, 0x23, 0x34, 0x56, 0x78};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct tuf_succinct succinct = {.bit_length = cases[i].bits, .prefix = (char *)"bin"};
        cleanup_free char *name = tuf_succinct_bin(&succinct, hash);
        assert_string_equal(name, cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_is_read),
        cmocka_unit_test(timestamp_and_snapshot_are_read),
        cmocka_unit_test(targets_are_read),
        cmocka_unit_test(what_all_kinds_share_is_checked),
        cmocka_unit_test(what_root_has_is_checked),
        cmocka_unit_test(what_meta_has_is_checked),
        cmocka_unit_test(what_targets_have_is_checked),
        cmocka_unit_test(damaged_text_is_an_error_and_not_a_crash),
        cmocka_unit_test(cheap_text_buys_no_dear_tree),
        cmocka_unit_test(canonical_json_has_one_form),
        cmocka_unit_test(what_has_no_canonical_form_is_refused),
        cmocka_unit_test(patterns_match_component_by_component),
        cmocka_unit_test(no_pattern_is_dear),
        cmocka_unit_test(prefixes_are_of_the_hash),
        cmocka_unit_test(bins_are_named_by_the_first_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
