#include "wire/onnx/tensor.h"
#include "wire/wire_testing.h"

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct onnx_tensor tensor;
    int result = onnx_tensor_parse(data, len, &tensor, err);
    if (result == 0)
        onnx_tensor_fini(&tensor);
    return result;
}

#define TENSOR(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The same two numbers in each of the ways in which they can be written. */
static void each_type_is_read_from_its_own_field(void **state)
{
    static const float floats[] = {1, -2};
    static const double doubles[] = {1, -2};
    static const int64_t int64s[] = {1, -2};
    static const int32_t int32s[] = {1, -2};
    static const int8_t int8s[] = {1, -2};
    static const uint64_t uint64s[] = {1, 300};
    static const uint32_t uint32s[] = {1, 300};
    static const uint16_t halves[] = {0x3c00, 0xc000};
#define MINUS_2 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
    const struct {
        const uint8_t *data;
        size_t len;
        enum tensor_dtype dtype;
        const void *want;
    } cases[] = {
        {TENSOR(8, 2, 16, 1, 34, 8, 0, 0, 128, 63, 0, 0, 0, 192), DTYPE_FLOAT32, floats},
        {TENSOR(8, 2, 16, 1, 37, 0, 0, 128, 63, 37, 0, 0, 0, 192), DTYPE_FLOAT32, floats}, /* not packed */
        {TENSOR(10, 1, 2, 16, 1, 74, 8, 0, 0, 128, 63, 0, 0, 0, 192), DTYPE_FLOAT32, floats},
        {TENSOR(8, 1, 8, 2, 16, 11, 82, 16, 0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 192),
         DTYPE_FLOAT64, doubles},
        {TENSOR(8, 2, 16, 7, 58, 11, 1, MINUS_2), DTYPE_INT64, int64s},
        {TENSOR(8, 2, 16, 7, 56, 1, 56, MINUS_2), DTYPE_INT64, int64s},
        {TENSOR(8, 2, 16, 6, 42, 11, 1, MINUS_2), DTYPE_INT32, int32s},
        {TENSOR(8, 2, 16, 3, 42, 11, 1, MINUS_2), DTYPE_INT8, int8s},
        {TENSOR(8, 2, 16, 3, 74, 2, 1, 254), DTYPE_INT8, int8s},
        {TENSOR(8, 2, 16, 13, 90, 3, 1, 172, 2), DTYPE_UINT64, uint64s},
        {TENSOR(8, 2, 16, 12, 90, 3, 1, 172, 2), DTYPE_UINT32, uint32s},
        {TENSOR(8, 2, 16, 10, 42, 5, 128, 120, 128, 128, 3), DTYPE_FLOAT16, halves},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct onnx_tensor tensor;
        if (onnx_tensor_parse(cases[i].data, cases[i].len, &tensor, &err) < 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(tensor.elem_type, cases[i].dtype);
        assert_int_equal(tensor.element_count, 2);
        assert_memory_equal(tensor.data, cases[i].want, tensor.bytes);
        onnx_tensor_fini(&tensor);
        every_truncation_fails(parse_any, cases[i].data, cases[i].len);
        no_flip_crashes(parse_any, cases[i].data, cases[i].len);
    }
}

static void scalars_and_empty_tensors_are_tensors(void **state)
{
    struct err err = {0};
    struct onnx_tensor tensor;
    assert_ok(onnx_tensor_parse(TENSOR(16, 2, 66, 1, 'x', 42, 1, 7), &tensor, &err), err);
    assert_int_equal(tensor.dim_count, 0);
    assert_int_equal(tensor.element_count, 1);
    assert_string_equal(tensor.name, "x");
    assert_int_equal(*(uint8_t *)tensor.data, 7);
    onnx_tensor_fini(&tensor);
    assert_ok(onnx_tensor_parse(TENSOR(8, 0, 8, 3, 16, 1), &tensor, &err), err);
    assert_int_equal(tensor.element_count, 0);
    assert_non_null(tensor.data);
    onnx_tensor_fini(&tensor);
}

static void what_is_no_such_tensor_is_refused(void **state)
{
    struct err err;
    struct onnx_tensor tensor;
#define REFUSED(code, ...) assert_fails(onnx_tensor_parse(TENSOR(__VA_ARGS__), &tensor, &err), err, code)
    REFUSED(ERR_UNSUPPORTED, 8, 1, 16, 8, 50, 1, 'a'); /* strings */
    REFUSED(ERR_UNSUPPORTED, 8, 1);                    /* no type */
    REFUSED(ERR_UNSUPPORTED, 8, 1, 16, 14);
    REFUSED(ERR_TOO_BIG, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1, 16, 2, 42, 1, 7);
    REFUSED(ERR_TOO_BIG, 8, 0x80, 0x80, 0x40, 8, 0x80, 0x80, 0x40, 16, 2);
    REFUSED(ERR_TOO_BIG, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 16, 2);
    REFUSED(ERR_INVALID, 8, 2, 16, 2, 42, 1, 7);    /* too few */
    REFUSED(ERR_INVALID, 8, 1, 16, 2, 42, 2, 7, 7); /* too many */
    REFUSED(ERR_INVALID, 8, 2, 16, 1, 74, 5, 1, 2, 3, 4, 5);
    REFUSED(ERR_INVALID, 8, 1, 16, 1, 32, 1); /* a float that is a varint */
    REFUSED(ERR_INVALID, 7);
    assert_fails(onnx_tensor_parse((const uint8_t *)"", 0, &tensor, &err), err, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_read_from_its_own_field),
        cmocka_unit_test(scalars_and_empty_tensors_are_tensors),
        cmocka_unit_test(what_is_no_such_tensor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
