#include "stats/signals.h"

#include "base/testing.h"

#include <ctype.h>
#include <string.h>

/* Names go into telemetry, where a label may hold no more than this. */
static void every_signal_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < SIGNALS; i++) {
        const char *name = signal_infos[i].name;
        assert_non_null(name);
        assert_in_range(strlen(name), 1, 15);
        for (const char *at = name; *at; at++)
            assert_true(islower((unsigned char)*at) || *at == '_');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, signal_infos[j].name);
        assert_non_null(signal_infos[i].unit);
    }
}

static void every_family_has_signals_and_a_name(void **state)
{
    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        int members = 0;
        for (int i = 0; i < SIGNALS; i++)
            members += (int)signal_infos[i].family == family;
        assert_true(members > 0);
        assert_string_not_equal(signal_family_name((enum signal_family)family), "unknown");
        for (int other = 0; other < family; other++)
            assert_string_not_equal(signal_family_name((enum signal_family)family),
                                    signal_family_name((enum signal_family)other));
    }
    assert_string_equal(signal_family_name(FAMILIES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_signal_has_a_name_of_its_own),
        cmocka_unit_test(every_family_has_signals_and_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
