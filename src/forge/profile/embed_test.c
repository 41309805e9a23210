/* A world of three kinds of things in 48 dimensions, each around a point of its own, and a fourth one that was not there. */
#include "forge/profile/embed.h"

#include "base/mem.h"
#include "base/testing.h"
#include "forge/profile/principal.h"
#include "infer/novelty.h"

#include <math.h>
#include <string.h>

enum { SIZE = 48, KINDS = 3 };

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    return sqrt(-2 * log(uniform(state))) * cos(2 * M_PI * uniform(state));
}

static void thing(uint64_t *random, int kind, float out[SIZE])
{
    uint64_t place = (uint64_t)kind + 100;
    for (int i = 0; i < 50; i++)
        (void)uniform(&place);
    for (int i = 0; i < SIZE; i++)
        out[i] = (float)(2 * normal(&place) + 0.5 * normal(random) + 5);
}

static void fill(struct embed *embed, size_t count)
{
    struct err err = {0};
    uint64_t random = 1;
    float features[SIZE];
    embed_init(embed, SIZE);
    for (size_t i = 0; i < count; i++) {
        thing(&random, (int)(i % KINDS), features);
        assert_ok(embed_add(embed, features, 1, (uint32_t)(i % KINDS), i % 3 == i / 3 % 3, &err), err);
    }
}

static void fit(size_t count, struct profile *out)
{
    struct err err = {0};
    cleanup_embed struct embed embed = {0};
    fill(&embed, count);
    assert_ok(embed_fit(&embed, "features", out, &err), err);
}

static double newness(const struct profile *profile, uint64_t *random, int kind)
{
    float features[SIZE];
    int8_t point[PROFILE_DIMS];
    thing(random, kind, features);
    novelty_embed(profile, features, 1, point);
    return novelty_p(profile, novelty_distance(profile, point, NULL));
}

static void ordinary_things_are_called_new_as_often_as_it_says(void **state)
{
    cleanup_profile struct profile profile = {0};
    uint64_t random = 99;
    int called = 0;
    fit(4000, &profile);
    for (int i = 0; i < 2000; i++)
        called += newness(&profile, &random, i % KINDS) <= 0.05;
    assert_in_range(called, 50, 150); /* 100 ± 5 standard errors */
}

static void a_kind_that_was_not_there_is_new(void **state)
{
    cleanup_profile struct profile profile = {0};
    uint64_t random = 98;
    int called = 0;
    fit(4000, &profile);
    for (int i = 0; i < 300; i++)
        called += newness(&profile, &random, KINDS) <= 0.01;
    assert_in_range(called, 297, 300);
}

static void prototypes_are_of_all_kinds_and_bounded(void **state)
{
    cleanup_profile struct profile profile = {0};
    size_t of_kind[KINDS] = {0};
    fit(6000, &profile);
    assert_int_equal(profile.prototype_count, PROFILE_MAX_PROTOTYPES);
    assert_int_equal(profile.quantile_count, PROFILE_MAX_QUANTILES);
    for (size_t i = 0; i < profile.prototype_count; i++)
        of_kind[profile.prototype_labels[i]]++;
    for (int i = 0; i < KINDS; i++)
        assert_true(of_kind[i] > PROFILE_MAX_PROTOTYPES / 6);
}

static void the_same_things_give_the_same_bytes(void **state)
{
    struct err err = {0};
    cleanup_profile struct profile a = {.accuracy.accuracy = NAN}, b = {.accuracy.accuracy = NAN};
    cleanup_buf struct buf first = BUF_INIT(PROFILE_MAX_BYTES), second = BUF_INIT(PROFILE_MAX_BYTES);
    fit(900, &a);
    fit(900, &b);
    assert_ok(profile_format(&a, &first, &err), err);
    assert_ok(profile_format(&b, &second, &err), err);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
}

static void too_few_and_broken_ones_are_no_reference(void **state)
{
    struct err err = {0};
    cleanup_embed struct embed embed = {0};
    cleanup_profile struct profile profile = {0};
    float broken[SIZE] = {0};
    fill(&embed, EMBED_MIN_VECTORS);
    assert_fails(embed_fit(&embed, "features", &profile, &err), err, ERR_INVALID);
    const size_t before = embed.count;
    broken[17] = NAN;
    err = (struct err){0};
    assert_ok(embed_add(&embed, broken, 1, 0, false, &err), err);
    assert_int_equal(embed.count, before);
}

/* Along the axes: variances 9, 4, 1, and nothing else. */
static void principal_components_are_the_axes_of_a_stretched_cloud(void **state)
{
    enum { ROWS = 3000, DIMS = 4 };
    cleanup_free float *cloud = mem_zalloc(ROWS * 5, sizeof *cloud);
    double basis[DIMS * 5], mean[5];
    uint64_t random = 3;
    for (int i = 0; i < ROWS; i++) {
        cloud[5 * i + 2] = (float)(3 * normal(&random) + 7);
        cloud[5 * i] = (float)(2 * normal(&random));
        cloud[5 * i + 4] = (float)normal(&random);
    }
    assert_true(principal_of(cloud, ROWS, 5, DIMS, basis, mean));
    assert_true(fabs(mean[2] - 7) < 0.3);
    assert_true(fabs(fabs(basis[0 * 5 + 2]) - 1) < 0.02);
    assert_true(fabs(fabs(basis[1 * 5 + 0]) - 1) < 0.02);
    assert_true(fabs(fabs(basis[2 * 5 + 4]) - 1) < 0.02);
    for (int i = 0; i < DIMS * 5; i++)
        assert_true(isfinite(basis[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_things_are_called_new_as_often_as_it_says),
        cmocka_unit_test(a_kind_that_was_not_there_is_new),
        cmocka_unit_test(prototypes_are_of_all_kinds_and_bounded),
        cmocka_unit_test(the_same_things_give_the_same_bytes),
        cmocka_unit_test(too_few_and_broken_ones_are_no_reference),
        cmocka_unit_test(principal_components_are_the_axes_of_a_stretched_cloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
