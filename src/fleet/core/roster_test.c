#include "fleet/core/roster.h"

#include "base/testing.h"

#include <string.h>

static void test_one_entry_per_robot(void **state)
{
    struct roster *roster = roster_new();
    struct roster_entry *first = roster_get(roster, "r1");
    assert_ptr_equal(roster_get(roster, "r1"), first);
    assert_ptr_not_equal(roster_get(roster, "r2"), first);
    assert_int_equal(roster_presence(first, 1000), PRESENCE_NEVER);
    roster_free(roster);
}

static void test_presence_follows_contacts(void **state)
{
    struct roster *roster = roster_new();
    struct roster_entry *entry = roster_get(roster, "r1");
    roster_touch(entry, 1700000000000, 50000);
    assert_true(entry->dirty);
    assert_int_equal(roster_presence(entry, 50000), PRESENCE_LIVE);
    assert_int_equal(roster_presence(entry, 70000), PRESENCE_LATE);
    assert_int_equal(roster_presence(entry, 90000), PRESENCE_OFFLINE);
    roster_free(roster);
}

static void test_downtime_does_not_count(void **state)
{
    struct roster *roster = roster_new();
    struct roster_entry *entry = roster_get(roster, "r1");
    /* Silent for 4 s when the server died; the server comes back an hour later. */
    roster_restore(entry, 1000000, 1004000, 77);
    assert_int_equal(roster_presence(entry, 77), PRESENCE_LIVE);
    assert_int_equal(roster_presence(entry, 77 + 12000), PRESENCE_LATE);
    struct roster_entry *never = roster_get(roster, "r2");
    roster_restore(never, 0, 1004000, 77);
    assert_int_equal(roster_presence(never, 77), PRESENCE_NEVER);
    roster_free(roster);
}

static void check_order(struct roster_entry *entry, void *arg)
{
    const char **last = arg;
    assert_true(!*last || strcmp(*last, entry->id) < 0);
    *last = entry->id;
}

static void test_walk_is_sorted(void **state)
{
    struct roster *roster = roster_new();
    for (int i = 0; i < 500; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i * 7919 % 500);
        assert_non_null(roster_get(roster, id));
    }
    const char *last = NULL;
    roster_each(roster, check_order, &last);
    assert_string_equal(last, "r99");
    roster_free(roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_entry_per_robot),
        cmocka_unit_test(test_presence_follows_contacts),
        cmocka_unit_test(test_downtime_does_not_count),
        cmocka_unit_test(test_walk_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
