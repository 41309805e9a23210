#include "wire/api.h"
#include "wire/wire_testing.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PEM "-----BEGIN X-----\nAAAA\n-----END X-----\n"

static int parse_enroll(const void *text, size_t len, struct err *err)
{
    struct api_enroll out;
    return api_enroll_parse(text, len, &out, err);
}

static int parse_enrolled(const void *text, size_t len, struct err *err)
{
    struct api_enrolled out;
    return api_enrolled_parse(text, len, &out, err);
}

static struct api_reports decoded_reports; /* too big for the stack of a fuzzed test */

static int parse_reports(const void *text, size_t len, struct err *err)
{
    return api_reports_parse(text, len, &decoded_reports, err);
}

static int parse_acked(const void *text, size_t len, struct err *err)
{
    uint64_t acked;
    return api_acked_parse(text, len, &acked, err);
}

static int parse_error(const void *text, size_t len, struct err *err)
{
    struct err out = {0};
    if (!api_error_parse(text, len, &out))
        return err_set(err, ERR_INVALID, "no error document: error code message sruplus");
    assert_int_not_equal(out.code, ERR_NONE);
    return 0;
}

/* ---- round trips ---- */

static void random_report(uint64_t *random, uint64_t seq, struct api_report *out)
{
    out->seq = seq;
    out->time_ms = (int64_t)random_below(random, 4102444800000);
    out->kind = (enum report_kind)random_below(random, REPORT_KIND_COUNT);
    if (random_below(random, 2))
        random_bytes(random, out->release.bytes, 32);
    if (random_below(random, 2))
        random_name(random, out->version, sizeof out->version - 1);
    if (random_below(random, 2))
        out->bytes = random_u64(random) >> 1;
    if (random_below(random, 2))
        random_line(random, out->text, sizeof out->text - 1);
    out->guard = (enum api_guard)random_below(random, API_GUARD_COUNT);
    if (out->guard && random_below(random, 2))
        random_line(random, out->who, sizeof out->who - 1);
    if (random_below(random, 2))
        snprintf(out->detail, sizeof out->detail, "{\"a\":%llu,\"b\":[0.5,null]}",
                 (unsigned long long)random_below(random, 1000));
}

static void any_reports_survive_the_round_trip(void **state)
{
    uint64_t random = 6;
    static struct api_reports before, after;
    for (int i = 0; i < 60; i++) {
        struct err err = {0};
        memset(&before, 0, sizeof before);
        for (int k = 0; k < 32; k++)
            before.stream[k] = "0123456789abcdef"[random_below(&random, 16)];
        before.count = i == 0 ? API_MAX_RECORDS : random_below(&random, 30);
        uint64_t first = 1 + random_below(&random, 1000000);
        for (size_t k = 0; k < before.count; k++)
            random_report(&random, first + k, &before.records[k]);
        cleanup_free char *text = api_reports_format(&before);
        assert_ok(api_reports_parse(text, strlen(text), &after, &err), err);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void enrolment_survives_the_round_trip(void **state)
{
    struct err err = {0};
    struct api_enroll enroll = {.token = HEX64, .csr = PEM}, enroll_back;
    cleanup_free char *request = api_enroll_format(&enroll);
    assert_ok(api_enroll_parse(request, strlen(request), &enroll_back, &err), err);
    assert_memory_equal(&enroll, &enroll_back, sizeof enroll);
    struct api_enrolled enrolled = {.robot = "r-01", .certificate = PEM, .ca = PEM PEM}, enrolled_back;
    cleanup_free char *answer = api_enrolled_format(&enrolled);
    assert_ok(api_enrolled_parse(answer, strlen(answer), &enrolled_back, &err), err);
    assert_memory_equal(&enrolled, &enrolled_back, sizeof enrolled);
    uint64_t acked = 0;
    cleanup_free char *ack = api_acked_format(INT64_MAX);
    assert_ok(api_acked_parse(ack, strlen(ack), &acked, &err), err);
    assert_true(acked == INT64_MAX);
}

/* ---- what the texts are ---- */

static const char reports[] =
    "{\"records\":[{\"bytes\":9,\"kind\":\"rolled_back\",\"release\":\"sha256:" HEX64
    "\",\"seq\":3,\"text\":\"p99 71 ms\",\"time_ms\":5,\"version\":\"2.0.0\"},"
    "{\"kind\":\"started\",\"seq\":4,\"time_ms\":6},"
    "{\"guard\":\"safe_stop\",\"kind\":\"guard\",\"seq\":5,\"time_ms\":7,\"who\":\"alice\"}],"
    "\"stream\":\"00112233445566778899aabbccddeeff\"}";
static const char enroll[] = "{\"csr\":\"-----BEGIN X-----\\n\",\"token\":\"abc\"}";
static const char enrolled[] =
    "{\"ca\":\"-----BEGIN X-----\\n\",\"certificate\":\"-----BEGIN X-----\\n\",\"robot\":\"r1\"}";
static const char acked[] = "{\"acked\":5}";
static const char error[] = "{\"error\":{\"code\":\"not_found\",\"message\":\"no robot r9\"}}";

static void the_texts_are_the_documented_ones(void **state)
{
    struct err err = {0};
    assert_ok(api_reports_parse(reports, strlen(reports), &decoded_reports, &err), err);
    cleanup_free char *r_text = api_reports_format(&decoded_reports);
    assert_string_equal(r_text, reports);
    assert_int_equal(decoded_reports.records[0].kind, REPORT_ROLLED_BACK);
    cleanup_free char *ack_text = api_acked_format(5);
    assert_string_equal(ack_text, acked);
}

static void every_message_is_strict(void **state)
{
    static const char *const report_optional[] = {"bytes",   "guard", "release", "text",
                                                  "version", "who",   NULL};
    static const struct {
        decode_fn *decode;
        const char *text;
        const char *const *optional;
    } messages[] = {{parse_reports, reports, report_optional},
                    {parse_enroll, enroll, NULL},
                    {parse_enrolled, enrolled, NULL},
                    {parse_acked, acked, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        const char *text = messages[i].text;
        every_member_is_needed(messages[i].decode, text, messages[i].optional);
        no_surplus_is_taken(messages[i].decode, text);
        every_truncation_fails(messages[i].decode, text, strlen(text));
        no_flip_crashes(messages[i].decode, text, strlen(text));
    }
    every_member_is_needed(parse_error, error, NULL);
    every_truncation_fails(parse_error, error, strlen(error));
    no_flip_crashes(parse_error, error, strlen(error));
}

static void wrong_values_are_refused(void **state)
{
    static const struct {
        decode_fn *decode;
        const char *text;
    } bad[] = {
        {parse_enroll, "{\"csr\":\"hello\",\"token\":\"abc\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\\u0000\",\"token\":\"abc\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\\u001b\",\"token\":\"abc\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\",\"token\":\"\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\",\"token\":\"a b\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\",\"token\":\"a\\n\"}"},
        {parse_enroll, "{\"csr\":\"-----BEGIN X\",\"token\":\"" HEX64 "0\"}"},
        {parse_enrolled, "{\"ca\":\"-----BEGIN X\",\"certificate\":\"-----BEGIN X\",\"robot\":\"../x\"}"},
        {parse_reports, "{\"records\":[],\"stream\":\"\"}"},
        {parse_reports, "{\"records\":[],\"stream\":\"00112233445566778899AABBCCDDEEFF\"}"},
        {parse_reports, "{\"records\":[],\"stream\":\"00112233445566778899aabbccddeef\"}"},
        {parse_reports, "{\"records\":[{\"seq\":0,\"time_ms\":1,\"kind\":\"started\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports,
         "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"started\"},{\"seq\":3,\"time_ms\":1,"
         "\"kind\":\"started\"}],\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports,
         "{\"records\":[{\"seq\":2,\"time_ms\":1,\"kind\":\"started\"},{\"seq\":1,\"time_ms\":1,"
         "\"kind\":\"started\"}],\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":-1,\"kind\":\"started\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"guard\",\"guard\":\"\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"guard\",\"guard\":\"fine\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"guard\",\"who\":\"alice\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"unknown\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_reports, "{\"records\":[{\"seq\":1,\"time_ms\":1,\"kind\":\"guard\",\"text\":\"a\\nb\"}],"
                        "\"stream\":\"00112233445566778899aabbccddeeff\"}"},
        {parse_acked, "{\"acked\":-1}"},
        {parse_acked, "{\"acked\":\"1\"}"},
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (decode_copy(bad[i].decode, bad[i].text, strlen(bad[i].text), &err) == 0)
            fail_msg("taken: %s", bad[i].text);
}

static void the_number_of_records_is_limited(void **state)
{
    struct err err;
    cleanup_json json_t *list = json_array();
    for (int i = 0; i <= API_MAX_RECORDS; i++)
        json_append(list, json_pack("{s:i, s:i, s:s}", "seq", i + 1, "time_ms", 1, "kind", "guard"));
    cleanup_free char *text = json_write_new(
        json_pack("{s:s, s:O}", "stream", "00112233445566778899aabbccddeeff", "records", list));
    assert_int_equal(decode_copy(parse_reports, text, strlen(text), &err), -1);
    assert_non_null(strstr(err.text, "records: has 257 items"));
}

/* A robot must be able to report whatever its error texts hold. */
static void any_text_can_be_reported(void **state)
{
    static const char *const texts[][2] = {
        {"a\nb\x1b[0m", "a?b?[0m"}, {"cut \xc3", "cut ?"}, {"\xff\xfe", "??"}, {"\xc3\xa4", "\xc3\xa4"}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = {0}, back = {0};
        static struct api_reports out;
        out = (struct api_reports){
            .stream = "00112233445566778899aabbccddeeff", .count = 1, .records = {{.seq = 1}}};
        str_copy(out.records[0].text, sizeof out.records[0].text, texts[i][0]);
        cleanup_free char *text = api_reports_format(&out);
        assert_ok(api_reports_parse(text, strlen(text), &out, &err), err);
        assert_string_equal(out.records[0].text, texts[i][1]);
        err_set(&err, ERR_NO_SPACE, "%s", texts[i][0]);
        cleanup_free char *error_text = api_error_format(&err);
        assert_true(api_error_parse(error_text, strlen(error_text), &back));
        assert_int_equal(back.code, ERR_NO_SPACE);
        assert_string_equal(back.text, texts[i][1]);
    }
}

static void an_error_document_never_says_success(void **state)
{
    static const char none[] = "{\"error\":{\"code\":\"none\",\"message\":\"x\"}}";
    static const char new_code[] = "{\"error\":{\"code\":\"teapot\",\"message\":\"x\"},\"more\":1}";
    struct err err = {0};
    assert_true(api_error_parse(none, strlen(none), &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_true(api_error_parse(new_code, strlen(new_code), &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_false(api_error_parse("<html>", 6, &err));
    assert_false(api_error_parse("{}", 2, &err));
}

static const char an_event[] =
    "{\"time_ms\":1700000000000,\"who\":\"guard\",\"rule\":\"deadline\",\"version\":\"1.0.0\","
    "\"because\":\"61.2 ms\",\"value\":61.2}";

static void an_event_of_the_watcher_becomes_a_report(void **state)
{
    struct err err = {0};
    static struct api_report report;
    assert_ok(api_report_from_event(an_event, strlen(an_event), &report, &err), err);
    assert_int_equal(report.kind, REPORT_DECISION);
    assert_true(report.time_ms == 1700000000000);
    assert_string_equal(report.text, "61.2 ms");
    assert_string_equal(report.version, "1.0.0");
    assert_non_null(strstr(report.detail, "\"rule\":\"deadline\""));
    static const char drift[] = "{\"time_ms\":1,\"who\":\"drift\"}";
    assert_ok(api_report_from_event(drift, strlen(drift), &report, &err), err);
    assert_int_equal(report.kind, REPORT_DRIFT);
    static const char nobody[] = "{\"time_ms\":1}";
    assert_fails(api_report_from_event(nobody, strlen(nobody), &report, &err), err, ERR_INVALID);
    char big[6000];
    int len = snprintf(big, sizeof big, "{\"time_ms\":1,\"who\":\"drift\",\"x\":\"%05000d\"}", 0);
    assert_fails(api_report_from_event(big, (size_t)len, &report, &err), err, ERR_INVALID);
}

static void a_detail_that_is_no_object_is_left_out(void **state)
{
    static struct api_reports told = {.stream = "0123456789abcdef0123456789abcdef", .count = 1};
    told.records[0] = (struct api_report){.seq = 1, .detail = "[1,2"};
    cleanup_free char *text = api_reports_format(&told);
    assert_non_null(text);
    assert_null(strstr(text, "detail"));
}

static void every_kind_has_its_own_name(void **state)
{
    for (int a = 0; a < REPORT_KIND_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(report_kind_name((enum report_kind)a),
                                    report_kind_name((enum report_kind)b));
    assert_string_equal(report_kind_name(REPORT_ROLLED_BACK), "rolled_back");
    assert_string_equal(report_kind_name(REPORT_KIND_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_reports_survive_the_round_trip),
        cmocka_unit_test(enrolment_survives_the_round_trip),
        cmocka_unit_test(the_texts_are_the_documented_ones),
        cmocka_unit_test(every_message_is_strict),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(the_number_of_records_is_limited),
        cmocka_unit_test(any_text_can_be_reported),
        cmocka_unit_test(an_error_document_never_says_success),
        cmocka_unit_test(an_event_of_the_watcher_becomes_a_report),
        cmocka_unit_test(a_detail_that_is_no_object_is_left_out),
        cmocka_unit_test(every_kind_has_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
