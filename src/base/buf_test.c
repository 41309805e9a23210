#include "base/buf.h"
#include "base/mem.h"
#include "base/testing.h"

static void check_invariants(const struct buf *buf)
{
    assert_true(buf->len <= buf->cap && buf->cap <= buf->max);
    assert_int_equal(buf->data == NULL, buf->cap == 0);
    if (buf->data)
        assert_int_equal(buf->data[buf->len], 0);
}

static void any_series_of_puts_keeps_the_bytes_and_the_invariants(void **state)
{
    for (size_t max = 1; max < 300; max += 13) {
        struct buf buf = BUF_INIT(max);
        struct err err = {0};
        size_t total = 0;
        uint32_t random = (uint32_t)max;
        for (int step = 0; step < 60; step++) {
            random = random * 1664525u + 1013904223u;
            size_t len = (random >> 24) % 20;
            uint8_t chunk[20];
            for (size_t i = 0; i < len; i++)
                chunk[i] = (uint8_t)(total + i);
            bool fits = total + len <= max;
            assert_int_equal(buf_put(&buf, chunk, len, &err), fits ? 0 : -1);
            if (fits)
                total += len;
            else
                assert_int_equal(err.code, ERR_TOO_BIG);
            assert_int_equal(buf.len, total);
            check_invariants(&buf);
        }
        for (size_t i = 0; i < total; i++)
            assert_int_equal(buf.data[i], (uint8_t)i);
        buf_fini(&buf);
        check_invariants(&buf);
    }
}

static void text_is_always_terminated(void **state)
{
    cleanup_buf struct buf buf = BUF_INIT(64);
    struct err err = {0};
    assert_string_equal(buf_text(&buf), "");
    assert_ok(buf_puts(&buf, "a=", &err), err);
    assert_ok(buf_printf(&buf, &err, "%d", 42), err);
    assert_string_equal(buf_text(&buf), "a=42");
    buf_reset(&buf);
    assert_string_equal(buf_text(&buf), "");
    assert_fails(buf_printf(&buf, &err, "%0100d", 1), err, ERR_TOO_BIG);
    cleanup_free char *taken = buf_take(&buf);
    assert_string_equal(taken, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_series_of_puts_keeps_the_bytes_and_the_invariants),
        cmocka_unit_test(text_is_always_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
