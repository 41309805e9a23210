#include "base/mem.h"
#include "base/testing.h"
#include "forge/npy.h"

#include <stdio.h>
#include <string.h>

/* A file with `bytes` zeros behind its head, of version 1, 2 or 3. */
static size_t make(uint8_t *out, int major, const char *dict, size_t bytes)
{
    size_t start = major == 1 ? 10 : 12, head = 128 - start;
    memset(out, ' ', 128);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)major;
    out[7] = out[9] = out[10] = out[11] = 0;
    out[8] = (uint8_t)head;
    memcpy(out + start, dict, strlen(dict));
    memset(out + 128, 0, bytes);
    return 128 + bytes;
}

static void each_type_is_known_by_its_name(void **state)
{
    static const enum tensor_dtype types[] = {DTYPE_FLOAT32, DTYPE_FLOAT64, DTYPE_FLOAT16, DTYPE_UINT8,
                                              DTYPE_UINT16,  DTYPE_UINT32,  DTYPE_UINT64,  DTYPE_INT8,
                                              DTYPE_INT16,   DTYPE_INT32,   DTYPE_INT64,   DTYPE_BOOL};
    uint8_t file[512];
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        for (int major = 1; major <= 3; major++) {
            char dict[96];
            struct npy npy;
            struct err err = {0};
            snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3), }",
                     npy_descr(types[i]));
            size_t bytes = 6 * tensor_element_bytes(types[i]);
            assert_ok(npy_find(file, make(file, major, dict, bytes), &npy, &err), err);
            assert_int_equal(npy.dtype, types[i]);
            assert_int_equal(npy.dim_count, 2);
            assert_int_equal(npy.dims[0], 2);
            assert_int_equal(npy.dims[1], 3);
            assert_int_equal(npy.bytes, bytes);
            assert_ptr_equal(npy.data, file + 128);
        }
    assert_null(npy_descr(DTYPE_BFLOAT16));
}

static void shapes(void **state)
{
    static const struct {
        const char *shape;
        size_t bytes;
        int dims; /* -1: refused */
        enum err_code code;
    } cases[] = {
        {"()", 4, 0, 0},
        {"(3,)", 12, 1, 0},
        {"(0, 7)", 0, 2, 0},
        {"(1, 1, 1, 1, 1, 1, 1, 1)", 4, 8, 0},
        {"(1, 1, 1, 1, 1, 1, 1, 1, 1)", 4, -1, ERR_UNSUPPORTED},
        {"(3,)", 8, -1, ERR_INVALID},
        {"(3,)", 16, -1, ERR_INVALID},
        {"(-1,)", 4, -1, ERR_INVALID},
        {"(4294967296, 4294967296)", 4, -1, ERR_INVALID},
        {"(99999999999999999999,)", 4, -1, ERR_INVALID},
        {"(1", 4, -1, ERR_INVALID},
        {"1", 4, -1, ERR_INVALID},
        {"", 4, -1, ERR_INVALID},
    };
    uint8_t file[512];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char dict[118];
        struct npy npy;
        struct err err = {0};
        snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': %s", cases[i].shape);
        size_t len = make(file, 1, dict, cases[i].bytes);
        if (cases[i].dims < 0) {
            assert_fails(npy_find(file, len, &npy, &err), err, cases[i].code);
            continue;
        }
        assert_ok(npy_find(file, len, &npy, &err), err);
        assert_int_equal(npy.dim_count, cases[i].dims);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_known_by_its_name),
        cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
