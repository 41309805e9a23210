/* A few of the kills and power cuts of bench-forward. */
#include "robot/forward/campaign.h"

#include "base/mem.h"
#include "base/testing.h"
#include "sys/file.h"

#include <stdlib.h>

static char dir[64];

static void check(const struct campaign_result *result)
{
    if (result->lost || result->doubled || result->unexplained || result->explained_twice ||
        result->wrong_sums || result->restarts)
        fail_msg("%s", result->first_wrong);
}

static void nothing_is_lost_or_doubled_and_every_gap_is_told(void **state)
{
    struct err err = {0};
    struct campaign_result result;
    const struct campaign_options options = {.dir = dir, .kills = 60, .cuts = 300, .seed = 5};
    assert_ok(campaign_run(&options, &result, &err), err);
    check(&result);
    assert_int_equal(result.lives, 360);
    for (size_t i = 0; i < 3; i++)
        assert_true(result.appended[i] > 100 && result.taken[i] > 50);
    assert_true(result.gaps > 0 && result.merged > 0 && result.offered_again[0] > 0);
}

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "%s/muster-forward-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_or_doubled_and_every_gap_is_told)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
