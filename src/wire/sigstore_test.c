#include "base/mem.h"
#include "wire/sigstore.h"
#include "wire/wire_testing.h"

#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* ---- the trusted root ---- */

#define TYPE "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
#define SPAN(end) "\"validFor\":{\"start\":\"2026-01-01T00:00:00Z\"" end "}"
#define LOG(id, key, span)                                                                                   \
    "{\"logId\":{\"keyId\":\"" id "\"},\"publicKey\":{\"rawBytes\":\"" key "\"," span "}}"
#define AUTHORITY(certificates, span) "{\"certChain\":{\"certificates\":[" certificates "]}," span "}"
#define CERT "{\"rawBytes\":\"AQID\"}"
#define CERT4 CERT "," CERT "," CERT "," CERT
#define ROOT(type, logs, authorities)                                                                        \
    "{\"mediaType\":\"" type "\",\"tlogs\":[" logs                                                           \
    "],\"ctlogs\":[],\"certificateAuthorities\":[" authorities "]}"

static void a_root_is_read(void **state)
{
    static const char text[] = ROOT(TYPE, LOG(ZERO, "AQ==", SPAN(",\"end\":\"2026-12-31T23:59:59.999Z\"")),
                                    AUTHORITY(CERT "," CERT, SPAN("")));
    struct err err = {0};
    cleanup_sigstore_root struct sigstore_root root = {0};
    struct digest zero = {{0}}, other = {{1}};
    assert_ok(sigstore_root_parse(text, strlen(text), &root, &err), err);
    assert_int_equal(root.logs.count, 1);
    assert_int_equal(root.ct_logs.count, 0);
    assert_int_equal(root.authority_count, 1);
    assert_int_equal(root.authorities[0].count, 2);
    assert_int_equal(root.authorities[0].certificates[1].len, 3);
    assert_int_equal(root.authorities[0].valid.until_s, INT64_MAX);
    static const int64_t begin_s = 1767225600, end_s = 1798761599;
    assert_non_null(sigstore_find_log(&root.logs, &zero, begin_s));
    assert_non_null(sigstore_find_log(&root.logs, &zero, end_s));
    assert_null(sigstore_find_log(&root.logs, &zero, begin_s - 1));
    assert_null(sigstore_find_log(&root.logs, &zero, end_s + 1));
    assert_null(sigstore_find_log(&root.logs, &other, begin_s));
    assert_null(sigstore_find_log(&root.ct_logs, &zero, begin_s));
}

static void what_is_no_root_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        ROOT("application/json", "", ""),
        ROOT(TYPE, "{}", ""),
        ROOT(TYPE, LOG("AAAA", "AQ==", SPAN("")), ""),
        ROOT(TYPE, LOG(ZERO, "", SPAN("")), ""),
        ROOT(TYPE, LOG(ZERO, "AQ", SPAN("")), ""),
        ROOT(TYPE, LOG(ZERO, "AQ==", "\"validFor\":{}"), ""),
        ROOT(TYPE, LOG(ZERO, "AQ==", SPAN(",\"end\":\"soon\"")), ""),
        ROOT(TYPE, LOG(ZERO, "AQ==", SPAN(",\"end\":\"2026-12-31T23:59:59.Z\"")), ""),
        ROOT(TYPE, LOG(ZERO, "AQ==", SPAN(",\"end\":\"2026-12-31T23:59:59+01:00\"")), ""),
        ROOT(TYPE, "", AUTHORITY("", SPAN(""))),
        ROOT(TYPE, "", AUTHORITY("{}", SPAN(""))),
        ROOT(TYPE, "", AUTHORITY(CERT4 "," CERT4 "," CERT, SPAN(""))),
        ROOT(TYPE, "", AUTHORITY(CERT, "\"validFor\":null")),
        "{\"mediaType\":\"" TYPE "\",\"tlogs\":[],\"certificateAuthorities\":[]}",
        "{\"mediaType\":\"" TYPE "\",\"ctlogs\":[],\"certificateAuthorities\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct sigstore_root root;
        if (sigstore_root_parse(cases[i], strlen(cases[i]), &root, &err) == 0 || err.code != ERR_INVALID)
            fail_msg("%s: %s", cases[i], err.text);
        check_message(&err);
    }
}

/* ---- entries ---- */

#define HEX "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc"
#define BODY(kind, algorithm, hash, signatures)                                                              \
    "{\"apiVersion\":\"0.0.1\",\"kind\":\"" kind "\",\"spec\":{\"payloadHash\":{\"algorithm\":\"" algorithm  \
    "\",\"value\":\"" hash "\"},\"signatures\":[" signatures "]}}"
#define SIGNATURE "{\"signature\":\"AQID\",\"verifier\":\"UEVN\"}"

static void an_entry_is_read(void **state)
{
    static const char text[] = BODY("dsse", "sha256", HEX, SIGNATURE);
    struct err err = {0};
    cleanup_sigstore_body struct sigstore_body body = {0};
    assert_ok(sigstore_body_parse(text, strlen(text), &body, &err), err);
    assert_int_equal(body.payload.bytes[0], 0xbc);
    assert_int_equal(body.sig_len, 3);
    assert_string_equal((char *)body.verifier.data, "PEM");
}

static void what_is_no_entry_is_refused(void **state)
{
    static const struct {
        enum err_code code;
        const char *text;
    } cases[] = {
        {ERR_INVALID, "{}"},
        {ERR_UNSUPPORTED, BODY("intoto", "sha256", HEX, SIGNATURE)},
        {ERR_INVALID, BODY("dsse", "sha512", HEX, SIGNATURE)},
        {ERR_INVALID, BODY("dsse", "sha256", HEX "00", SIGNATURE)},
        {ERR_INVALID, BODY("dsse", "sha256", "", SIGNATURE)},
        {ERR_INVALID, BODY("dsse", "sha256", HEX, "")},
        {ERR_INVALID, BODY("dsse", "sha256", HEX, SIGNATURE "," SIGNATURE)},
        {ERR_INVALID, BODY("dsse", "sha256", HEX, "{\"signature\":\"AQID\"}")},
        {ERR_INVALID, BODY("dsse", "sha256", HEX, "{\"signature\":\"\",\"verifier\":\"UEVN\"}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct sigstore_body body;
        if (sigstore_body_parse(cases[i].text, strlen(cases[i].text), &body, &err) == 0 ||
            err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].text, err.text);
        check_message(&err);
    }
}

static void a_promise_is_over_these_bytes(void **state)
{
    struct oms_log_entry entry = {.log_index = 7, .time_s = 1760062340, .body = {(uint8_t *)"{}", 2}};
    entry.log_id.bytes[0] = 0xc0;
    cleanup_free char *text = sigstore_promise(&entry);
    assert_string_equal(
        text, "{\"body\":\"e30=\",\"integratedTime\":1760062340,\"logID\":\"c0000000000000000000000000"
              "00000000000000000000000000000000000000\",\"logIndex\":7}");
}

/* ---- checkpoints ---- */

#define LINE "\xe2\x80\x94 rekor.test AQIDBAU=\n" /* 1 2 3 4 and the signature 5 */

static void a_checkpoint_is_read(void **state)
{
    static const char text[] = "rekor.test - 42\n11\n" ZERO "\nmore\n\n" LINE LINE;
    struct err err = {0};
    struct sigstore_note note;
    assert_ok(sigstore_note_parse(text, &note, &err), err);
    assert_int_equal(note.size, 11);
    assert_int_equal(note.text_len, strstr(text, "\n\n") + 1 - text);
    assert_int_equal(note.count, 2);
    assert_memory_equal(note.signatures[1].key_hash, "\1\2\3\4", 4);
    assert_int_equal(note.signatures[1].sig_len, 1);
    assert_int_equal(note.signatures[1].sig[0], 5);
}

static void what_is_no_checkpoint_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "\n\n",
        "a\n1\n" ZERO "\n",
        "a\n1\n\n" LINE,
        "\n1\n" ZERO "\n\n" LINE,
        "a\n01\n" ZERO "\n\n" LINE,
        "a\n-1\n" ZERO "\n\n" LINE,
        "a\n9223372036854775808\n" ZERO "\n\n" LINE,
        "a\n1\nAAAA\n\n" LINE,
        "a\n1\n" ZERO "=\n\n" LINE,
        "a\n1\n" ZERO "\n\nrekor.test AQIDBAU=\n",
        "a\n1\n" ZERO "\n\n\xe2\x80\x94  AQIDBAU=\n",
        "a\n1\n" ZERO "\n\n\xe2\x80\x94 a AQIDBAU\n",
        "a\n1\n" ZERO "\n\n\xe2\x80\x94 a AQIDBA==\n",
        "a\n1\n" ZERO "\n\n\xe2\x80\x94 a AQIDBAU=",
        "a\n1\n" ZERO
        "\n\n" LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE,
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct sigstore_note note;
        if (sigstore_note_parse(cases[i], &note, &err) == 0 || err.code != ERR_INVALID)
            fail_msg("%s: %s", cases[i], err.text);
        check_message(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_is_read),
        cmocka_unit_test(what_is_no_root_is_refused),
        cmocka_unit_test(an_entry_is_read),
        cmocka_unit_test(what_is_no_entry_is_refused),
        cmocka_unit_test(a_promise_is_over_these_bytes),
        cmocka_unit_test(a_checkpoint_is_read),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
