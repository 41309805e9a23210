#include "base/testing.h"
#include "robot/agent/refusals.h"
#include <string.h>

static const struct digest none;

static struct digest key_of(unsigned number)
{
    struct digest key = {{1}};
    memcpy(key.bytes + 4, &number, sizeof number);
    return key;
}

static bool is_new(struct refusals *refusals, unsigned number, int64_t now_ms)
{
    unsigned untold = 0;
    struct digest key = key_of(number);
    return refusals_is_new(refusals, &key, now_ms, &untold);
}

static void the_same_is_said_once(void **state)
{
    struct refusals refusals;
    struct digest last = key_of(5);
    (void)state;
    refusals_init(&refusals, &last, 1000);
    assert_false(is_new(&refusals, 5, 1000)); /* by the agent before */
    assert_true(is_new(&refusals, 1, 1000));
    assert_true(is_new(&refusals, 2, 1000));
    for (int64_t now = 1000; now < 100000000; now += 1000)
        assert_false(is_new(&refusals, 1 + (unsigned)(now / 1000 % 2), now));
    struct digest again = key_of(1);
    refusals_forget(&refusals, &again);
    assert_true(is_new(&refusals, 1, 100000000));
    assert_false(is_new(&refusals, 2, 100000000));
}

/* However much comes, no more is said than a day can bear, and what is left out is counted. */
static void ever_new_ones_are_paced(void **state)
{
    struct refusals refusals;
    unsigned said = 0, told = 0, all = 0;
    (void)state;
    refusals_init(&refusals, &none, 0);
    for (int64_t now = 0; now < 86400000; now += 1000, all++) {
        unsigned untold = 0;
        struct digest key = key_of(all + 100);
        if (refusals_is_new(&refusals, &key, now, &untold)) {
            said++;
            told += 1 + untold;
        }
    }
    assert_in_range(said, 86400000 / REFUSALS_PACE_MS, 86400000 / REFUSALS_PACE_MS + REFUSALS_BURST);
    assert_int_equal(told + refusals.untold, all);
    assert_true(is_new(&refusals, 7, 86400000 + 10 * REFUSALS_PACE_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_said_once),
        cmocka_unit_test(ever_new_ones_are_paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
