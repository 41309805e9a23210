#include "robot/decide/occasion.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

static bool good(struct occasion_limits limits, struct occasion now)
{
    char why[128];
    bool ok = occasion_good(&limits, &now, why, sizeof why);
    assert_true(ok == (why[0] == 0)); /* who waits is told why */
    return ok;
}

static void nothing_asked_is_always_good(void **state)
{
    for (int minute = 0; minute < 1440; minute += 7)
        assert_true(good((struct occasion_limits){0}, (struct occasion){.battery = NAN, .minute = minute}));
}

static void nobody_busy_is_disturbed(void **state)
{
    assert_false(good((struct occasion_limits){0}, (struct occasion){.busy = true, .battery = 1}));
}

static void battery(void **state)
{
    struct occasion_limits limits = {.min_battery = 0.6};
    assert_false(good(limits, (struct occasion){.battery = NAN}));
    for (int percent = 0; percent <= 100; percent++) {
        double share = percent / 100.0;
        assert_true(good(limits, (struct occasion){.battery = share}) == (share >= 0.6));
        assert_true(good(limits, (struct occasion){.battery = share, .charging = true}) == (share >= 0.6));
    }
}

/* Every window, at every hour: as many good hours as it is long, also over midnight. */
static void hours_over_midnight(void **state)
{
    for (int from = 0; from <= 23; from++)
        for (int until = 0; until <= 23; until++) {
            int hours = 0, wanted = from == until ? 24 : (until - from + 24) % 24;
            for (int hour = 0; hour < 24; hour++)
                hours += good((struct occasion_limits){.from_hour = from, .until_hour = until},
                              (struct occasion){.minute = hour * 60 + 30});
            assert_int_equal(hours, wanted);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_is_always_good),
        cmocka_unit_test(nobody_busy_is_disturbed),
        cmocka_unit_test(battery),
        cmocka_unit_test(hours_over_midnight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
