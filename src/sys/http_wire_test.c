#include "base/buf.h"
#include "base/mem.h"
#include "base/testing.h"
#include "sys/http_wire.h"

static int parse(const char *text, struct http_head *head, struct err *err)
{
    return http_head_parse_request(text, strlen(text), head, err);
}

static void a_request_is_taken_apart(void **state)
{
    struct err err = {0};
    struct http_head head;
    assert_ok(parse("POST /a/b?x=1 HTTP/1.1\r\nHost: m\r\nX-Some:  two words \t\r\nContent-Length: 12\r\n"
                    "Connection: keep-alive, Close\r\nExpect: 100-continue\r\n\r\n",
                    &head, &err),
              err);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.target, "/a/b?x=1");
    assert_string_equal(http_head_find(&head, "x-some"), "two words");
    assert_null(http_head_find(&head, "x-other"));
    assert_int_equal(head.framing, HTTP_LENGTH);
    assert_int_equal(head.content_length, 12);
    assert_true(head.close && head.expect_continue);
    http_head_fini(&head);
    assert_ok(parse("GET / HTTP/1.1\r\nhost:\r\nTransfer-Encoding: Chunked\r\n\r\n", &head, &err), err);
    assert_int_equal(head.framing, HTTP_CHUNKED);
    assert_false(head.close);
    http_head_fini(&head);
}

static void what_could_be_read_two_ways_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\r\n",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "GET / HTTP/1.1\nHost: m\n\n",
        "GET / HTTP/1.1\r\nHost: m\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\n\r\nmore",
        "GET / HTTP/1.1\r\n Host: m\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : m\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nX: a\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nHost: m\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: m\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: m\r\n\r\n",
        "GET / HTTP/2\r\nHost: m\r\n\r\n",
        "GET /\r\nHost: m\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET http://m/ HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET /#x HTTP/1.1\r\nHost: m\r\n\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\nHost: m\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 0x1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: identity\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: m\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        struct http_head head = {.status = -5};
        if (parse(bad[i], &head, &err) == 0)
            fail_msg("case %zu was taken: %s", i, bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(head.status, -5);
    }
    struct err err = {0};
    struct http_head head;
    static const char nul[] = "GET / HTTP/1.1\r\nHost: m\r\nX: \0\r\n\r\n";
    assert_fails(http_head_parse_request(nul, sizeof nul - 1, &head, &err), err, ERR_INVALID);
}

static void fields_and_bytes_are_limited(void **state)
{
    for (int fields = HTTP_MAX_FIELDS - 1; fields <= HTTP_MAX_FIELDS; fields++) {
        struct err err = {0};
        struct http_head head;
        cleanup_buf struct buf text = BUF_INIT(20000);
        assert_ok(buf_puts(&text, "GET / HTTP/1.1\r\nHost: m\r\n", &err), err);
        for (int i = 0; i < fields; i++)
            assert_ok(buf_printf(&text, &err, "X-%d: y\r\n", i), err);
        assert_ok(buf_puts(&text, "\r\n", &err), err);
        int rc = parse(buf_text(&text), &head, &err);
        assert_int_equal(rc, fields < HTTP_MAX_FIELDS ? 0 : -1);
        if (rc == 0)
            http_head_fini(&head);
        else
            assert_int_equal(err.code, ERR_TOO_BIG);
    }
    struct err err = {0};
    struct http_head head;
    cleanup_free char *big = mem_printf("GET / HTTP/1.1\r\nHost: m\r\nX: %08192d\r\n\r\n", 1);
    assert_fails(parse(big, &head, &err), err, ERR_TOO_BIG);
}

static void answers_have_a_framing(void **state)
{
    static const struct {
        const char *text;
        int status;
        enum http_framing framing;
        bool close;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, HTTP_LENGTH, false},
        {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", 200, HTTP_CHUNKED, false},
        {"HTTP/1.1 500 Some words\r\n\r\n", 500, HTTP_UNTIL_CLOSE, true},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, HTTP_NO_BODY, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", 100, HTTP_NO_BODY, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 200, HTTP_LENGTH, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct http_head head;
        assert_ok(http_head_parse_answer(cases[i].text, strlen(cases[i].text), &head, &err), err);
        assert_int_equal(head.status, cases[i].status);
        assert_int_equal(head.framing, cases[i].framing);
        assert_int_equal(head.close, cases[i].close);
        http_head_fini(&head);
    }
    static const char *const bad[] = {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
                                      "HTTP/1.1 099 x\r\n\r\n", "HTTP/3 200 OK\r\n\r\n",
                                      "ICY 200 OK\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        struct http_head head;
        assert_fails(http_head_parse_answer(bad[i], strlen(bad[i]), &head, &err), err, ERR_INVALID);
    }
}

/* Feeds `text` in pieces of `step` bytes. Returns what the last call returned; the rest stays in *out_rest.
 */
static int feed(const char *text, size_t step, struct buf *body, size_t *out_eaten)
{
    struct http_chunks chunks = {0};
    struct err err = {0};
    size_t len = strlen(text), at = 0;
    int rc = 0;
    while (rc == 0 && at < len) {
        struct http_span span;
        size_t eaten = 0;
        rc = http_chunks_next(&chunks, (const uint8_t *)text + at, MIN(step, len - at), &eaten, &span, &err);
        assert_true(rc < 0 || eaten > 0);
        assert_ok(buf_put(body, span.data, span.len, &err), err);
        at += eaten;
    }
    *out_eaten = at;
    return rc;
}

static void chunks_are_read_the_same_in_any_pieces(void **state)
{
    static const char text[] = "5\r\nhello\r\n00a\r\n, chunked!\r\nB\r\n1234567890A\r\n0\r\n\r\nGET";
    for (size_t step = 1; step < sizeof text; step++) {
        cleanup_buf struct buf body = BUF_INIT(100);
        size_t eaten;
        assert_int_equal(feed(text, step, &body, &eaten), 1);
        assert_string_equal(buf_text(&body), "hello, chunked!1234567890A");
        assert_int_equal(eaten, sizeof text - 1 - 3);
    }
}

static void malformed_chunks_are_refused(void **state)
{
    static const char *const bad[] = {"\r\n",
                                      "x\r\n",
                                      "5;a=b\r\nhello\r\n0\r\n\r\n",
                                      "5\nhello\r\n0\r\n\r\n",
                                      "5\r\nhello0",
                                      "5\r\nhello!\r\n",
                                      "-1\r\n",
                                      "0\r\nX: y\r\n\r\n",
                                      " 5\r\nhello",
                                      "0x5\r\nhello",
                                      "1000000000000\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_buf struct buf body = BUF_INIT(100);
        size_t eaten;
        if (feed(bad[i], 3, &body, &eaten) != -1)
            fail_msg("case %zu was taken: %s", i, bad[i]);
    }
}

static void targets_are_decoded_once(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {{"/", "/", ""},
                 {"/a%20b/c?x=1&y", "/a b/c", "x=1&y"},
                 {"/a?b?c", "/a", "b?c"},
                 {"/%252e", "/%2e", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        cleanup_free char *path = NULL;
        cleanup_free char *query = NULL;
        assert_ok(http_target_split(cases[i].target, &path, &query, &err), err);
        assert_string_equal(path, cases[i].path);
        assert_string_equal(query, cases[i].query);
    }
    static const char *const bad[] = {"/%",     "/%2",   "/%zz",        "/%00", "/a%2fb",
                                      "/a%2Fb", "/../x", "/a/%2e%2e/b", "/a/.", "/.."};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        char *path, *query;
        assert_fails(http_target_split(bad[i], &path, &query, &err), err, ERR_INVALID);
    }
}

static void queries_are_looked_up(void **state)
{
    static const char query[] = "a=1&b%20c=x+y%26z&empty=&flag&a=2&bad=%zz";
    static const struct {
        const char *name, *value;
    } cases[] = {{"a", "1"}, {"b c", "x y&z"}, {"empty", ""}, {"flag", ""}, {"none", NULL}, {"bad", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *value = http_query_find(query, cases[i].name);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        else
            assert_null(value);
    }
}

static void ranges_stay_inside_the_size(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        enum http_range kind;
        uint64_t first, last;
    } cases[] = {
        {NULL, 10, HTTP_RANGE_NONE, 0, 0},         {"bytes=0-", 10, HTTP_RANGE_PART, 0, 9},
        {"bytes=3-5", 10, HTTP_RANGE_PART, 3, 5},  {"bytes=3-500", 10, HTTP_RANGE_PART, 3, 9},
        {"bytes=9-9", 10, HTTP_RANGE_PART, 9, 9},  {"bytes=10-", 10, HTTP_RANGE_BAD, 0, 0},
        {"bytes=-3", 10, HTTP_RANGE_PART, 7, 9},   {"bytes=-30", 10, HTTP_RANGE_PART, 0, 9},
        {"bytes=-0", 10, HTTP_RANGE_BAD, 0, 0},    {"bytes=0-", 0, HTTP_RANGE_BAD, 0, 0},
        {"bytes=5-3", 10, HTTP_RANGE_NONE, 0, 0},  {"bytes=0-1,3-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=-", 10, HTTP_RANGE_NONE, 0, 0},    {"lines=0-1", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=+1-2", 10, HTTP_RANGE_NONE, 0, 0}, {"bytes=99999999999999999999-", 10, HTTP_RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t first = 0, last = 0;
        enum http_range kind = http_range_parse(cases[i].value, cases[i].size, &first, &last);
        if (kind != cases[i].kind || first != cases[i].first || last != cases[i].last)
            fail_msg("case %zu (%s): %d %llu-%llu", i, cases[i].value, kind, (unsigned long long)first,
                     (unsigned long long)last);
    }
}

static void error_bodies_are_json_whatever_the_text_holds(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {{"plain", "plain"},
                 {"a \"quote\" \\ \n", "a \\\"quote\\\" \\\\ \\u000a"},
                 {"cut … \xe2\x80", "cut … ??"},
                 {"\xff\xc0\x80\xed\xa0\x80", "??????"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        err_set(&err, ERR_NOT_FOUND, "%s", cases[i].text);
        cleanup_free char *json = http_error_json(&err);
        cleanup_free char *want =
            mem_printf("{\"error\":{\"code\":\"not_found\",\"message\":\"%s\"}}", cases[i].json);
        assert_string_equal(json, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(what_could_be_read_two_ways_is_refused),
        cmocka_unit_test(fields_and_bytes_are_limited),
        cmocka_unit_test(answers_have_a_framing),
        cmocka_unit_test(chunks_are_read_the_same_in_any_pieces),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(targets_are_decoded_once),
        cmocka_unit_test(queries_are_looked_up),
        cmocka_unit_test(ranges_stay_inside_the_size),
        cmocka_unit_test(error_bodies_are_json_whatever_the_text_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
