#include "base/buf.h"
#include "wire/json.h"
#include "wire/wire_testing.h"

#include <math.h>

static int read_any(const void *text, size_t len, struct err *err)
{
    struct json_reader reader;
    return json_read(&reader, "test", text, len, err) < 0 ? -1 : json_finish(&reader, err);
}

static int read_any_yaml(const void *text, size_t len, struct err *err)
{
    struct json_reader reader;
    return yaml_read(&reader, "test", text, len, err) < 0 ? -1 : json_finish(&reader, err);
}

static void hostile_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":18446744073709551615}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{}// no",
        "{} {}",
        "3",
        "\"text\"",
        "{\"a\":Infinity}",
        "{\"a\":\"\x01\"}",
        "\xef\xbb\xbf{}",
        "{\"a\":+1}",
        "{\"a\":.5}",
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (decode_copy(read_any, bad[i], strlen(bad[i]), &err) == 0)
            fail_msg("read: %s", bad[i]);
    assert_int_equal(decode_copy(read_any, "{\"a\":1}\0", 8, &err), -1);
}

static void hostile_yaml_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "# nothing\n",
        "a: 1\na: 2\n",
        "a: &x 1\n",
        "a: &x {b: 1}\nc: *x\n",
        "a: *x\n",
        "*x : 1\n",
        "a: &x [1]\n",
        "a: !!int 1\n",
        "a: ! 1\n",
        "a: !x {}\n",
        "a: !x []\n",
        "a: 1\n---\nb: 2\n",
        "a: .inf\n",
        "a: -.INF\n",
        "a: .nan\n",
        "a: 1e999\n",
        "a: 9223372036854775808\n",
        "a: 0xffffffffffffffffff\n",
        "a: \"x\\0y\"\n",
        "\"x\\0y\": 1\n",
        "? [1]\n: 2\n",
        "? {a: 1}\n: 2\n",
        "a: \"\xff\"\n",
        "a: [1\n",
        "a: {b\n",
        "\ta: 1\n",
        "a: b: c\n",
        "%TAG ! !\n",
        "a: \"unfinished\n",
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (decode_copy(read_any_yaml, bad[i], strlen(bad[i]), &err) == 0)
            fail_msg("read: %s", bad[i]);
}

/* depth times open, then the same number of close. */
static char *nest(const char *open, const char *close, int depth)
{
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    struct err err = {0};
    for (int i = 0; i < depth; i++)
        assert_ok(buf_puts(&out, open, &err), err);
    for (int i = 0; i < depth; i++)
        assert_ok(buf_puts(&out, close, &err), err);
    return buf_take(&out);
}

static void depth_is_limited(void **state)
{
    struct err err;
    for (int depth = 30; depth < 3000; depth = depth < 34 ? depth + 1 : depth * 2) {
        cleanup_free char *lists = nest("[", "]", depth);
        assert_int_equal(decode_copy(read_any, lists, strlen(lists), &err), depth <= 32 ? 0 : -1);
        assert_int_equal(decode_copy(read_any_yaml, lists, strlen(lists), &err), depth <= 32 ? 0 : -1);
        cleanup_free char *maps = nest("{a: ", "}", depth);
        assert_int_equal(decode_copy(read_any_yaml, maps, strlen(maps), &err), depth <= 32 ? 0 : -1);
    }
}

static void size_is_limited(void **state)
{
    struct err err = {0};
    enum { JSON_LIMIT = 4 << 20, YAML_LIMIT = 256 << 10 };
    cleanup_free char *text = mem_zalloc(JSON_LIMIT + 1, 1);
    memset(text, ' ', JSON_LIMIT + 1);
    memcpy(text, "{}", 2);
    assert_ok(read_any(text, JSON_LIMIT, &err), err);
    assert_fails(read_any(text, JSON_LIMIT + 1, &err), err, ERR_TOO_BIG);
    assert_ok(read_any_yaml(text, YAML_LIMIT, &err), err);
    assert_fails(read_any_yaml(text, YAML_LIMIT + 1, &err), err, ERR_TOO_BIG);
}

static void plain_scalars_have_the_types_of_yaml_1_2(void **state)
{
    static const char *const cases[][2] = {
        {"~", "null"},
        {"null", "null"},
        {"", "null"},
        {"true", "true"},
        {"TRUE", "true"},
        {"False", "false"},
        {"yes", "\"yes\""},
        {"off", "\"off\""},
        {"12", "12"},
        {"-7", "-7"},
        {"+7", "7"},
        {"010", "10"},
        {"0o17", "15"},
        {"0x1F", "31"},
        {"0b1", "\"0b1\""},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"1.", "1"},
        {"1e3", "1000"},
        {"-2.5E-3", "-0.0025"},
        {"1.2.3", "\"1.2.3\""},
        {"a:b", "\"a:b\""},
        {"'12'", "\"12\""},
        {"\"true\"", "\"true\""},
        {"-", "[null]"},
        {".", "\".\""},
        {"e5", "\"e5\""},
        {"0x", "\"0x\""},
        {"1e", "\"1e\""},
        {"- 1\n - x", "[1,\"x\"]"},
        {"|\n  x\n", "\"x\\n\""},
        {"2026-01-02", "\"2026-01-02\""},
        {"12:30", "\"12:30\""},
        {"[1, {b: c}]", "[1,{\"b\":\"c\"}]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct json_reader reader;
        cleanup_free char *yaml = mem_printf("a:\n %s\n", cases[i][0]);
        cleanup_free char *want = mem_printf("{\"a\":%s}", cases[i][1]);
        assert_ok(yaml_read(&reader, "test", yaml, strlen(yaml), &err), err);
        cleanup_free char *found = json_canonical(json_root(&reader));
        assert_string_equal(found, want);
        assert_ok(json_finish(&reader, &err), err);
    }
}

static const char sample[] = "{\"text\": \"häl\\\"lo\", \"n\": 5, \"x\": 0.5, \"on\": true, \"no\": null,"
                             " \"list\": [1, \"two\", {\"three\": 3}], \"map\": {\"b\": 1, \"a\": 2}}";

static void a_reader_reads_straight_through(void **state)
{
    struct err err = {0};
    struct json_reader reader;
    assert_ok(json_read(&reader, "sample", sample, strlen(sample), &err), err);
    struct json_at root = json_root(&reader);
    char text[16];
    int64_t n = 0, first = 0, three = 0;
    double x = 0, from_int = 0;
    bool on = false;
    size_t count;
    json_get_string(root, "text", text, sizeof text);
    json_get_int(root, "n", 5, 5, &n);
    json_get_double(root, "x", 0, 1, &x);
    json_get_double(root, "n", 0, 9, &from_int);
    json_get_bool(root, "on", &on);
    struct json_at list = json_list(root, "list", 3, &count);
    json_as_int(json_item(list, 0), 0, 9, &first);
    json_get_int(json_as_object(json_item(list, 2)), "three", 0, 9, &three);
    assert_false(json_has(root, "no"));
    assert_false(json_has(root, "absent"));
    assert_true(json_has(root, "map"));
    assert_ok(json_finish(&reader, &err), err);
    assert_string_equal(text, "häl\"lo");
    assert_true(n == 5 && x == 0.5 && from_int == 5 && on && count == 3 && first == 1 && three == 3);
}

/* One wrong read each; the message must be exactly this. */
static void the_first_error_is_kept_and_says_where(void **state)
{
    char text[4] = "old";
    int64_t n = -1;
    double x = -1;
    bool on = true;
    size_t count = 9;
    int choice = -1;
    uint64_t u = 7;
    struct digest digest = {{1}};
    static const char *const words[] = {"red", NULL, "blue"};
#define FAILS(call, message)                                                                                 \
    do {                                                                                                     \
        struct err err = {0};                                                                                \
        struct json_reader reader;                                                                           \
        assert_ok(json_read(&reader, "sample", sample, strlen(sample), &err), err);                          \
        struct json_at root = json_root(&reader);                                                            \
        call;                                                                                                \
        json_get_int(root, "absent", 0, 1, &n);                                                              \
        json_fail(root, "later");                                                                            \
        assert_fails(json_finish(&reader, &err), err, ERR_INVALID);                                          \
        assert_string_equal(err.text, message);                                                              \
    } while (0)
    FAILS(json_get_int(root, "missing", 0, 1, &n), "sample: missing: is missing");
    FAILS(json_get_int(root, "n", 6, 9, &n), "sample: n: is 5, must be from 6 to 9");
    FAILS(json_get_int(root, "x", 0, 9, &n), "sample: x: must be an integer, not a number");
    FAILS(json_get_double(root, "x", 1, 2, &x), "sample: x: is 0.5, must be from 1 to 2");
    FAILS(json_get_string(root, "text", text, sizeof text), "sample: text: has 7 bytes, the limit is 3");
    FAILS(json_get_string(root, "n", text, sizeof text),
          "sample: n: must be text, not an integer; put it in quotes");
    FAILS(json_get_bool(root, "n", &on), "sample: n: must be true or false, not an integer");
    FAILS((void)json_list(root, "list", 2, &count), "sample: list: has 3 items, the limit is 2");
    FAILS((void)json_list(root, "map", 2, &count), "sample: map: must be a list, not an object");
    FAILS((void)json_item(json_list(root, "list", 3, &count), 3), "sample: list[3]: is missing");
    FAILS(json_as_int(json_item(json_list(root, "list", 3, &count), 1), 0, 1, &n),
          "sample: list[1]: must be an integer, not text");
    FAILS(json_get_int(json_child(root, "map"), "a", 3, 4, &n), "sample: map.a: is 2, must be from 3 to 4");
    FAILS((void)json_child(root, "list"), "sample: list: must be an object, not a list");
    FAILS(JSON_ONLY(root, "text", "n", "x", "on", "no", "list"),
          "sample: map: is unknown here; check the spelling");
    FAILS(json_get_choice(root, "text", words, 3, &choice),
          "sample: text: \"häl\"lo\" is unknown; use one of red, blue");
    FAILS(json_get_digest(root, "text", &digest),
          "sample: text: must be \"sha256:\" and 64 lower-case hexadecimal digits");
    FAILS(json_get_u64(root, "n", 4, &u), "sample: n: is 5, must be from 0 to 4");
    assert_string_equal(text, "old");
    assert_true(n == -1 && x == -1 && on && choice == -1 && u == 7 && digest.bytes[0] == 1);
}

static void foreign_bytes_in_an_error_stay_one_line(void **state)
{
    static const char evil[] = "{\"a\\n\\u001b[2J\\u009b\": 1}";
    struct err err = {0};
    struct json_reader reader;
    assert_ok(json_read(&reader, "evil", evil, strlen(evil), &err), err);
    JSON_ONLY(json_root(&reader), "b");
    assert_fails(json_finish(&reader, &err), err, ERR_INVALID);
    check_message(&err);
    assert_string_equal(err.text, "evil: a??[2J??: is unknown here; check the spelling");
}

static void control_characters_are_no_line(void **state)
{
    static const char *const bad[] = {"a\\nb", "\\u001b[0m", "\\u007f", "\\u0085", "\\u009b1m", "\\t"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        struct json_reader reader;
        char text[32] = "";
        cleanup_free char *json = mem_printf("{\"a\": \"%s\"}", bad[i]);
        assert_ok(json_read(&reader, "test", json, strlen(json), &err), err);
        json_get_line(json_root(&reader), "a", text, sizeof text);
        assert_fails(json_finish(&reader, &err), err, ERR_INVALID);
        assert_string_equal(text, "");
    }
}

static void doubles_are_short_and_read_back_the_same(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},       {1.0 / 255, "0.00392156862745098"},
                 {40, "40"},         {-0.0, "-0.0"},
                 {1e300, "1e+300"},  {0.30000000000000004, "0.30000000000000004"},
                 {5e-324, "5e-324"}, {-1e14, "-100000000000000"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = json_write_new(json_real(cases[i].value));
        assert_string_equal(text, cases[i].text);
    }
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64(&random);
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        cleanup_free char *text = json_write_new(json_pack("[f]", value));
        cleanup_json json_t *root = json_loads(text, 0, NULL);
        assert_non_null(root);
        back = json_number_value(json_array_get(root, 0));
        assert_memory_equal(&value, &back, sizeof value);
    }
}

static void equal_values_have_equal_bytes(void **state)
{
    static const char *const same[] = {"{\"b\": [1, 2.50, \"\\u00e4\\/\"], \"a\": {\"y\": null, \"x\": -0}}",
                                       " { \"a\":{\"x\":0,\"y\":null}, \"b\":[1,25e-1,\"ä/\"] } "};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        cleanup_json json_t *root = json_loads(same[i], 0, NULL);
        cleanup_free char *text = json_write(root);
        assert_string_equal(text, "{\"a\":{\"x\":0,\"y\":null},\"b\":[1,2.5,\"ä/\"]}");
    }
}

static void cut_and_flipped_documents_never_crash(void **state)
{
    every_truncation_fails(read_any, sample, strlen(sample));
    no_flip_crashes(read_any, sample, strlen(sample));
    no_truncation_crashes(read_any_yaml, sample, strlen(sample));
    no_flip_crashes(read_any_yaml, sample, strlen(sample));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_json_is_refused),
        cmocka_unit_test(hostile_yaml_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(plain_scalars_have_the_types_of_yaml_1_2),
        cmocka_unit_test(a_reader_reads_straight_through),
        cmocka_unit_test(the_first_error_is_kept_and_says_where),
        cmocka_unit_test(foreign_bytes_in_an_error_stay_one_line),
        cmocka_unit_test(control_characters_are_no_line),
        cmocka_unit_test(doubles_are_short_and_read_back_the_same),
        cmocka_unit_test(equal_values_have_equal_bytes),
        cmocka_unit_test(cut_and_flipped_documents_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
