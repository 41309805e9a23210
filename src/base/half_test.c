#include "base/half.h"

#include "base/testing.h"

#include <math.h>

static void every_half_survives_the_way_to_float_and_back(void **state)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        const float value = half_to_float((uint16_t)bits);
        if ((bits & 0x7fff) > 0x7c00)
            assert_true(isnan(value) && isnan(half_to_float(half_of(value))));
        else
            assert_int_equal(half_of(value), bits);
    }
}

/* Between each two neighbours: the nearer one, from the middle the even one. */
static void rounding_is_to_the_nearest_and_ties_are_even(void **state)
{
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        const float low = half_to_float(bits), high = half_to_float((uint16_t)(bits + 1));
        const float middle = low + (high - low) / 2;
        assert_int_equal(half_of(middle), bits + (bits & 1));
        assert_int_equal(half_of(nextafterf(middle, 0)), bits);
        assert_int_equal(half_of(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(half_of(-middle), (bits + (bits & 1)) | 0x8000);
    }
}

static void what_is_too_large_becomes_infinite(void **state)
{
    assert_int_equal(half_of(65504), 0x7bff);
    assert_int_equal(half_of(65519.99F), 0x7bff);
    assert_int_equal(half_of(65520), 0x7c00);
    assert_int_equal(half_of(-1e30F), 0xfc00);
    assert_int_equal(half_of(0x1p-25F), 0);
    assert_int_equal(half_of(0x1.8p-25F), 1);
    assert_int_equal(half_of(-0.0F), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(rounding_is_to_the_nearest_and_ties_are_even),
        cmocka_unit_test(what_is_too_large_becomes_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
