/* The decision against an oracle that is written another way, over random policies; and the text form. */
#include "base/str.h"
#include "base/testing.h"
#include "fleet/rights/rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICIES = 100000, ROBOTS = 6, KEYS = 3, VALUES = 3 };

static unsigned seed = 20260102;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

/* ---- the oracle: sets of robots as bit masks, per role and right written out by hand ---- */

struct world { /* value of each label of each robot; -1: it has no such label */
    int value[ROBOTS][KEYS];
};

static const struct {
    const char *right;
    const char *roles; /* who has it */
} by_hand[] = {
    {"see", "viewer operator releaser safety admin"},
    {"see-recordings", "operator safety admin"},
    {"review", "operator safety admin"},
    {"fetch", "operator releaser safety admin"},
    {"order", "operator safety admin"},
    {"roll-out", "operator admin"},
    {"hold-back", "operator releaser safety admin"},
    {"approve", "operator safety admin"},
    {"release", "releaser admin"},
    {"audit", "safety admin"},
    {"revoke", "safety admin"},
    {"enroll", "admin"},
};

static bool oracle_role_has(const char *role, const char *right)
{
    for (size_t i = 0; i < sizeof by_hand / sizeof *by_hand; i++)
        if (strcmp(by_hand[i].right, right) == 0)
            return strstr(by_hand[i].roles, role) != NULL;
    fail_msg("right %s is not in the oracle", right);
    return false;
}

struct policy {
    size_t count;
    int role[RIGHTS_MAX_GRANTS];
    int wants[RIGHTS_MAX_GRANTS][KEYS]; /* -1: any */
};

static unsigned oracle_selected(const struct world *world, const int wants[KEYS])
{
    unsigned all = (1u << ROBOTS) - 1;
    for (int key = 0; key < KEYS; key++) {
        unsigned matching = 0;
        for (int robot = 0; robot < ROBOTS; robot++)
            if (wants[key] < 0 || world->value[robot][key] == wants[key])
                matching |= 1u << robot;
        all &= matching;
    }
    return all;
}

static unsigned oracle_allowed(const struct policy *policy, const struct world *world, const char *right)
{
    unsigned allowed = 0;
    for (size_t i = 0; i < policy->count; i++)
        if (oracle_role_has(role_name((enum role)policy->role[i]), right))
            allowed |= oracle_selected(world, policy->wants[i]);
    return allowed;
}

static bool oracle_fleet(const struct policy *policy, const char *right)
{
    for (size_t i = 0; i < policy->count; i++) {
        bool everywhere = true;
        for (int key = 0; key < KEYS; key++)
            everywhere = everywhere && policy->wants[i][key] < 0;
        if (everywhere && oracle_role_has(role_name((enum role)policy->role[i]), right))
            return true;
    }
    return false;
}

/* ---- random policies, given to the code as text ---- */

static struct policy random_policy(char text[RIGHTS_TEXT_SIZE])
{
    struct policy policy = {.count = 1 + draw(RIGHTS_MAX_GRANTS)};
    size_t used = 0;
    for (size_t i = 0; i < policy.count; i++) {
        policy.role[i] = (int)draw(ROLE_COUNT);
        used += (size_t)snprintf(text + used, RIGHTS_TEXT_SIZE - used, "%s%s", i ? ";" : "",
                                 role_name((enum role)policy.role[i]));
        char sign = ':';
        for (int key = 0; key < KEYS; key++) {
            policy.wants[i][key] = (int)draw(VALUES + 2) - 2;
            if (policy.wants[i][key] < 0)
                policy.wants[i][key] = -1;
            else
                used += (size_t)snprintf(text + used, RIGHTS_TEXT_SIZE - used, "%ck%d=v%d", sign, key,
                                         policy.wants[i][key]),
                    sign = ',';
        }
    }
    return policy;
}

static size_t robot_labels(const struct world *world, int robot, struct api_label out[KEYS])
{
    size_t count = 0;
    for (int key = KEYS - 1; key >= 0; key--) /* another order than the policy's */
        if (world->value[robot][key] >= 0) {
            snprintf(out[count].key, sizeof out->key, "k%d", key);
            snprintf(out[count++].value, sizeof out->value, "v%d", world->value[robot][key]);
        }
    return count;
}

static void test_random_policies_match_the_oracle(void **state)
{
    (void)state;
    struct err err = {0};
    for (int i = 0; i < POLICIES; i++) {
        char text[RIGHTS_TEXT_SIZE];
        struct rights rights;
        struct world world;
        struct policy policy = random_policy(text);
        for (int robot = 0; robot < ROBOTS; robot++)
            for (int key = 0; key < KEYS; key++)
                world.value[robot][key] = (int)draw(VALUES + 1) - 1;
        assert_int_equal(rights_parse(text, &rights, &err), 0);
        enum right right = (enum right)draw(RIGHT_COUNT);
        unsigned expected = oracle_allowed(&policy, &world, right_name(right));
        for (int robot = 0; robot < ROBOTS; robot++) {
            struct api_label labels[KEYS];
            size_t count = robot_labels(&world, robot, labels);
            if (rights_on_robot(&rights, right, labels, count) != ((expected >> robot & 1) != 0))
                fail_msg("policy %s, right %s, robot %d", text, right_name(right), robot);
        }
        assert_int_equal(rights_on_fleet(&rights, right), oracle_fleet(&policy, right_name(right)));
        assert_true(rights_somewhere(&rights, right) || expected == 0);
    }
}

static void test_the_table_is_the_oracles(void **state)
{
    (void)state;
    assert_int_equal(RIGHT_COUNT, sizeof by_hand / sizeof *by_hand);
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int right = 0; right < RIGHT_COUNT; right++)
            assert_int_equal(role_has((enum role)role, (enum right)right),
                             oracle_role_has(role_name((enum role)role), right_name((enum right)right)));
}

static void test_roles_and_robots_of_two_grants_are_never_put_together(void **state)
{
    (void)state;
    struct err err = {0};
    struct rights rights;
    const struct api_label north[] = {{"site", "north"}}, south[] = {{"site", "south"}};
    assert_int_equal(rights_parse("operator:site=north;viewer", &rights, &err), 0);
    assert_true(rights_on_robot(&rights, RIGHT_ORDER, north, 1));
    assert_true(rights_on_robot(&rights, RIGHT_SEE, south, 1));
    assert_false(rights_on_robot(&rights, RIGHT_ORDER, south, 1));
    assert_false(
        rights_on_robot(&rights, RIGHT_ORDER, NULL, 0)); /* a robot without labels is nobody's by label */
    assert_false(rights_on_fleet(&rights, RIGHT_ORDER));
}

static void test_text_comes_back(void **state)
{
    (void)state;
    struct err err = {0};
    for (int i = 0; i < 2000; i++) {
        char text[RIGHTS_TEXT_SIZE], again[RIGHTS_TEXT_SIZE];
        struct rights rights;
        random_policy(text);
        assert_int_equal(rights_parse(text, &rights, &err), 0);
        rights_format(&rights, again);
        assert_string_equal(again, text);
    }
}

static void test_what_is_no_policy(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ";",
                                      "root",
                                      "viewer;",
                                      "viewer;;admin",
                                      "viewer:",
                                      "viewer:site",
                                      "viewer:=north",
                                      "viewer:site=",
                                      "viewer:site=north,",
                                      "viewer:site=a,site=b",
                                      "viewer:si te=a",
                                      "viewer:site=a\x01",
                                      "Viewer",
                                      "admin ",
                                      "viewer:site=north;;"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        struct rights rights;
        assert_int_equal(rights_parse(bad[i], &rights, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_policies_match_the_oracle),
        cmocka_unit_test(test_the_table_is_the_oracles),
        cmocka_unit_test(test_roles_and_robots_of_two_grants_are_never_put_together),
        cmocka_unit_test(test_text_comes_back),
        cmocka_unit_test(test_what_is_no_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
