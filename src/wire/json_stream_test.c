#include "wire/json_stream.h"

#include "base/mem.h"
#include "base/testing.h"
#include "wire/json.h"

#include <math.h>
#include <string.h>

static char *one_text(const char *text)
{
    struct err err = {0};
    struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "t", text);
    jsonw_close(&w);
    char *out = jsonw_take(&w, &err);
    assert_non_null(out);
    return out;
}

static void test_shape(void **state)
{
    struct err err = {0};
    struct json_writer w;
    struct digest zero = {0};
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "list");
    jsonw_i64(&w, NULL, -1);
    jsonw_u64(&w, NULL, UINT64_MAX);
    jsonw_object(&w, NULL);
    jsonw_close(&w);
    jsonw_close(&w);
    jsonw_real(&w, "nan", NAN);
    jsonw_real(&w, "half", 0.5);
    jsonw_boolean(&w, "yes", true);
    jsonw_digest(&w, "digest", &zero);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, &err);
    assert_string_equal(
        text,
        "{\"list\":[-1,18446744073709551615,{}],\"nan\":null,\"half\":0.5,\"yes\":true,\"digest\":null}");
}

static void test_indented(void **state)
{
    struct err err = {0};
    struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "text", "a\"b\\c\n\x01");
    jsonw_array(&w, "list");
    jsonw_i64(&w, NULL, -5);
    jsonw_real(&w, NULL, 0.25);
    jsonw_real(&w, NULL, NAN);
    jsonw_close(&w);
    jsonw_array(&w, "empty");
    jsonw_close(&w);
    jsonw_raw(&w, "raw", "{\"x\":1}");
    jsonw_boolean(&w, "yes", true);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, &err);
    assert_string_equal(text, "{\n"
                              "  \"text\": \"a\\\"b\\\\c\\n\\u0001\",\n"
                              "  \"list\": [\n    -5,\n    0.25,\n    null\n  ],\n"
                              "  \"empty\": [],\n"
                              "  \"raw\": {\"x\":1},\n"
                              "  \"yes\": true\n"
                              "}");
}

/* Whatever bytes go in, a strict reader takes what comes out. */
static void test_any_bytes_give_valid_json(void **state)
{
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        char bytes[24] = {0};
        for (size_t i = 0; i < sizeof bytes - 1; i++) {
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (char)(seed >> 16);
            if (round % 3 == 0 && i % 2)
                bytes[i] = (char)(bytes[i] | 0x80); /* more broken and whole sequences */
        }
        cleanup_free char *text = one_text(bytes);
        struct err err = {0};
        struct json_reader reader;
        char back[256];
        assert_ok(json_read(&reader, "t", text, strlen(text), &err), err);
        json_get_string(json_root(&reader), "t", back, sizeof back);
        assert_ok(json_finish(&reader, &err), err);
    }
}

static void test_utf8_is_kept(void **state)
{
    static const char *const cases[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\xa4\x96", "a\"b\\c"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = one_text(cases[i]);
        struct err err = {0};
        struct json_reader reader;
        char back[64] = "";
        assert_ok(json_read(&reader, "t", text, strlen(text), &err), err);
        json_get_string(json_root(&reader), "t", back, sizeof back);
        assert_ok(json_finish(&reader, &err), err);
        assert_string_equal(back, cases[i]);
    }
    cleanup_free char *overlong = one_text("\xc0\xaf");
    assert_string_equal(overlong, "{\"t\":\"\xef\xbf\xbd\xef\xbf\xbd\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_indented),
        cmocka_unit_test(test_any_bytes_give_valid_json),
        cmocka_unit_test(test_utf8_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
