#include "wire/golden.h"
#include "wire/wire_testing.h"

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct golden golden;
    return golden_parse(data, len, &golden, err);
}

/* What the random cases point into. */
static uint8_t pool[4096];

static void random_golden(uint64_t *random, struct golden *out)
{
    memset(out, 0, sizeof *out);
    random_bytes(random, pool, sizeof pool);
    out->count = 1 + (uint32_t)random_below(random, 6);
    for (uint32_t i = 0; i < out->count; i++) {
        struct golden_case *item = &out->cases[i];
        item->width = 1 + (uint32_t)random_below(random, 20);
        item->height = 1 + (uint32_t)random_below(random, 20);
        item->data = pool + random_below(random, 100);
        if (random_below(random, 4) == 0) {
            item->format = FRAME_FLOAT32;
            item->height = 1;
        }
        item->output_count = 1 + (uint32_t)random_below(random, GOLDEN_MAX_OUTPUTS);
        for (uint32_t k = 0; k < item->output_count; k++) {
            item->output_len[k] = 1 + (uint32_t)random_below(random, 30);
            item->outputs[k] = pool + random_below(random, 100);
        }
    }
}

static void assert_same_case(const struct golden_case *a, const struct golden_case *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->format, b->format);
    assert_memory_equal(a->data, b->data, golden_frame_bytes(a));
    assert_int_equal(a->output_count, b->output_count);
    for (uint32_t k = 0; k < a->output_count; k++) {
        assert_int_equal(a->output_len[k], b->output_len[k]);
        assert_memory_equal(a->outputs[k], b->outputs[k], a->output_len[k] * 4);
    }
}

static void any_cases_survive_the_round_trip(void **state)
{
    uint64_t random = 4;
    for (int i = 0; i < 100; i++) {
        struct err err = {0};
        struct golden before, after;
        cleanup_buf struct buf file = BUF_INIT(1 << 20);
        random_golden(&random, &before);
        assert_ok(golden_write(&before, &file, &err), err);
        assert_ok(golden_parse(file.data, file.len, &after, &err), err);
        assert_int_equal(before.count, after.count);
        for (uint32_t k = 0; k < before.count; k++)
            assert_same_case(&before.cases[k], &after.cases[k]);
    }
}

static const uint8_t tiny[] = {
    'M', 'G', 'O', 'L', 'D', 'E', 'N',  '1',  1, 0, 0, 0, /* one case */
    2,   0,   0,   0,   1,   0,   0,    0,    1, 0, 0, 0, /* 2 x 1 pixels, one output */
    10,  11,  12,  13,  14,  15,                          /* rgb */
    1,   0,   0,   0,   0,   0,   0x80, 0x3f,             /* one element: 1.0 */
};

static void the_layout_is_the_documented_one(void **state)
{
    struct err err = {0};
    struct golden golden;
    assert_ok(golden_parse(tiny, sizeof tiny, &golden, &err), err);
    assert_ptr_equal(golden.cases[0].data, tiny + 24);
    assert_ptr_equal(golden.cases[0].outputs[0], tiny + 34);
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    assert_ok(golden_write(&golden, &file, &err), err);
    assert_int_equal(file.len, sizeof tiny);
    assert_memory_equal(file.data, tiny, sizeof tiny);
    every_truncation_fails(parse_any, tiny, sizeof tiny);
    no_flip_crashes(parse_any, tiny, sizeof tiny);
}

static const uint8_t floats[] = {
    'M', 'G', 'O', 'L', 'D', 'E', 'N',  '2',  1, 0, 0, 0, /* one case */
    1,   0,   0,   0,   2,   0,   0,    0,    1, 0, 0, 0, /* float32, 2 of them */
    1,   0,   0,   0,                                     /* one output */
    0,   0,   0,   0,   0,   0,   0x80, 0x3f,             /* 0, 1 */
    1,   0,   0,   0,   0,   0,   0x80, 0x3f,             /* one element: 1.0 */
};

static void frames_of_floats_say_so(void **state)
{
    struct err err = {0};
    struct golden golden;
    assert_ok(golden_parse(floats, sizeof floats, &golden, &err), err);
    assert_int_equal(golden.cases[0].format, FRAME_FLOAT32);
    assert_int_equal(golden_frame_bytes(&golden.cases[0]), 8);
    assert_ptr_equal(golden.cases[0].data, floats + 28);
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    assert_ok(golden_write(&golden, &file, &err), err);
    assert_int_equal(file.len, sizeof floats);
    assert_memory_equal(file.data, floats, sizeof floats);
    every_truncation_fails(parse_any, floats, sizeof floats);
    no_flip_crashes(parse_any, floats, sizeof floats);
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{12, 2}, {12, 0}, {20, 2}, {20, 0}, {16, 3}, {7, '3'}, {19, 1}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t copy[sizeof floats];
        memcpy(copy, floats, sizeof floats);
        copy[bad[i].at] = bad[i].value;
        assert_int_equal(decode_copy(parse_any, copy, sizeof copy, &err), -1);
    }
    uint8_t pictures[4 + sizeof tiny]; /* the second form has to be needed */
    memcpy(pictures, tiny, 12);
    pictures[7] = '2';
    memset(pictures + 12, 0, 4);
    memcpy(pictures + 16, tiny + 12, sizeof tiny - 12);
    assert_int_equal(decode_copy(parse_any, pictures, sizeof pictures, &err), -1);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } bad[] = {{0, 0x4c4f474e}, {8, 0},           {8, 2},           {8, 65},          {8, UINT32_MAX},
               {12, 0},         {12, 8193},       {12, UINT32_MAX}, {16, 0},          {16, 0x80000000},
               {20, 0},         {20, 2},          {20, 9},          {20, UINT32_MAX}, {30, 0},
               {30, 2},         {30, 0x40000001}, {30, UINT32_MAX}};
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t file[sizeof tiny];
        memcpy(file, tiny, sizeof tiny);
        for (int k = 0; k < 4; k++)
            file[bad[i].at + (size_t)k] = (uint8_t)(bad[i].value >> (8 * k));
        if (decode_copy(parse_any, file, sizeof file, &err) == 0)
            fail_msg("taken: %u at %zu", bad[i].value, bad[i].at);
    }
    uint8_t longer[sizeof tiny + 1] = {0};
    memcpy(longer, tiny, sizeof tiny);
    assert_int_equal(decode_copy(parse_any, longer, sizeof longer, &err), -1);
}

static void what_could_not_be_read_is_not_written(void **state)
{
    struct err err;
    struct golden golden, bad;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    assert_ok(golden_parse(tiny, sizeof tiny, &golden, &err), err);
#define REFUSED(change)                                                                                      \
    do {                                                                                                     \
        bad = golden;                                                                                        \
        change;                                                                                              \
        assert_fails(golden_write(&bad, &file, &err), err, ERR_INVALID);                                     \
        assert_int_equal(file.len, 0);                                                                       \
    } while (0)
    REFUSED(bad.count = 0);
    REFUSED(bad.count = GOLDEN_MAX_CASES + 1);
    REFUSED(bad.cases[0].width = 0);
    REFUSED(bad.cases[0].height = 8193);
    REFUSED(bad.cases[0].output_count = 0);
    REFUSED(bad.cases[0].output_count = GOLDEN_MAX_OUTPUTS + 1);
    REFUSED(bad.cases[0].output_len[0] = 0);
    cleanup_buf struct buf small = BUF_INIT(20);
    assert_fails(golden_write(&golden, &small, &err), err, ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cases_survive_the_round_trip),
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(frames_of_floats_say_so),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
