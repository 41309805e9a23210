/* Maps, curves and counterfactuals of made-up scenes whose truth is known. */
#include "base/testing.h"

#include "base/mem.h"
#include "forge/explain/faith.h"
#include "forge/explain/flip.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 80, HEIGHT = 64, SPOTS = 3 };

/* Sure while all spots are seen: the product of how much of each is kept. */
struct made_up {
    struct area spots[SPOTS];
    size_t count;
    bool any; /* one of those behind the first is enough */
    int asked;
};

static double seen(const struct area *spot, const float *keep)
{
    double sum = 0;
    for (int y = spot->y0; y < spot->y1; y++)
        for (int x = spot->x0; x < spot->x1; x++)
            sum += (double)keep[y * WIDTH + x];
    return sum / ((double)(spot->x1 - spot->x0) * (double)(spot->y1 - spot->y0));
}

static int ask(void *arg, const float *keep, enum fill fill, struct answer *out, struct err *err)
{
    struct made_up *made_up = arg;
    double score = 0.9 * seen(&made_up->spots[0], keep);
    made_up->asked++;
    if (made_up->any)
        score *= MAX(seen(&made_up->spots[1], keep), seen(&made_up->spots[2], keep));
    for (size_t i = 1; i < made_up->count && !made_up->any; i++)
        score *= seen(&made_up->spots[i], keep);
    *out = (struct answer){score, score >= 0.35};
    return 0;
}

static struct scene scene_of(struct made_up *made_up)
{
    return (struct scene){.width = WIDTH, .height = HEIGHT, .ask = ask, .arg = made_up};
}

static const struct area object = {40, 20, 56, 36}, corner = {0, 54, 10, 64}, other = {70, 0, 80, 10},
                         around = {32, 12, 64, 44};

static const struct area all = {0, 0, WIDTH, HEIGHT};

static double sum_in(const struct saliency *saliency, const struct area *area)
{
    double sum = 0;
    for (int y = area->y0; y < area->y1; y++)
        for (int x = area->x0; x < area->x1; x++)
            sum += (double)saliency->map[y * WIDTH + x];
    return sum;
}

/* ---- masks ---- */

static void test_masks(void **state)
{
    float keep[WIDTH * HEIGHT], other_keep[WIDTH * HEIGHT];
    for (uint64_t seed = 1; seed < 50; seed++) {
        const struct mask_grid grid = {
            .area = around, .cells_x = 1 + (int)(seed % 16), .cells_y = 1 + (int)(seed % 11), .share = 0.5};
        uint64_t random = seed;
        mask_set(&all, WIDTH, 1, keep);
        mask_smooth(&grid, &random, WIDTH, keep);
        memcpy(other_keep, keep, sizeof keep);
        mask_complement(&around, WIDTH, other_keep);
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            assert_true(keep[i] >= 0 && keep[i] <= 1);
            if (area_has(&around, i % WIDTH, i / WIDTH))
                assert_true(fabsf(keep[i] + other_keep[i] - 1) < 1e-6F);
            else
                assert_true(keep[i] == 1 && other_keep[i] == 1);
        }
        random = seed;
        mask_smooth(&grid, &random, WIDTH, other_keep);
        assert_memory_equal(keep, other_keep, sizeof keep);
    }
}

static void test_masks_rows_apart(void **state)
{
    float keep[WIDTH * HEIGHT];
    uint64_t random = 5;
    const struct mask_grid grid = {
        .area = {0, 0, WIDTH, HEIGHT}, .cells_x = 1, .cells_y = HEIGHT, .share = 0.5, .rows_apart = true};
    int changes = 0;
    mask_smooth(&grid, &random, WIDTH, keep);
    for (int y = 1; y < HEIGHT; y++)
        changes += fabsf(keep[y * WIDTH] - keep[(y - 1) * WIDTH]) > 0.3F;
    assert_true(changes > HEIGHT / 8); /* a smooth one changes over cells, not from row to row */
}

/* ---- maps ---- */

static void test_map(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object}, .count = 1};
    const struct scene scene = scene_of(&made_up);
    for (int passes = 20; passes <= 320; passes += 9) {
        cleanup_saliency struct saliency saliency = {0};
        const struct saliency_plan plan = {.passes = passes, .seed = 3, .focus = around};
        made_up.asked = 0;
        assert_ok(saliency_make(&scene, &plan, &saliency, &err), err);
        assert_true(saliency.passes <= passes && saliency.passes == made_up.asked);
        assert_true(fabs(saliency.full - 0.9) < 1e-9 && saliency.without_focus < 1e-9);
        assert_null(saliency_context(&saliency));
        assert_true(sum_in(&saliency, &object) > 0.5 * sum_in(&saliency, &around));
        /* What has no effect gets none. */
        for (int i = 0; i < WIDTH * HEIGHT; i++)
            if (!area_has(&around, i % WIDTH, i / WIDTH))
                assert_true(fabsf(saliency.map[i]) < 1e-9F);
    }
}

/* The same sum; nothing for what looks like what covers it. */
static void test_contrast(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object}, .count = 1};
    struct scene scene = scene_of(&made_up);
    cleanup_saliency struct saliency plain = {0};
    cleanup_saliency struct saliency contrasted = {0};
    const struct saliency_plan plan = {.passes = 60, .seed = 3, .focus = around};
    float contrast[WIDTH * HEIGHT];
    double before = 0, after = 0;
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        contrast[i] = (float)(i % 3);
    assert_ok(saliency_make(&scene, &plan, &plain, &err), err);
    scene.contrast = contrast;
    assert_ok(saliency_make(&scene, &plan, &contrasted, &err), err);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        before += MAX((double)plain.map[i], 0);
        after += MAX((double)contrasted.map[i], 0);
        assert_true(contrast[i] > 0 || contrasted.map[i] <= 0);
        assert_true(plain.map[i] > 0 || contrasted.map[i] == plain.map[i]);
    }
    assert_true(fabs(before - after) < 1e-4 * before);
}

static void test_same_seed(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object, corner}, .count = 2};
    const struct scene scene = scene_of(&made_up);
    cleanup_saliency struct saliency a = {0};
    cleanup_saliency struct saliency b = {0};
    cleanup_saliency struct saliency c = {0};
    struct saliency_plan plan = {.passes = 60, .seed = 7, .focus = around};
    assert_ok(saliency_make(&scene, &plan, &a, &err), err);
    assert_ok(saliency_make(&scene, &plan, &b, &err), err);
    plan.seed = 8;
    assert_ok(saliency_make(&scene, &plan, &c, &err), err);
    assert_memory_equal(a.map, b.map, sizeof(float) * WIDTH * HEIGHT);
    assert_memory_not_equal(a.map, c.map, sizeof(float) * WIDTH * HEIGHT);
}

/* Wherever it is, however large, a place that the result hangs on is found. */
static void test_context(void **state)
{
    struct err err = {0};
    uint64_t random = 11;
    for (int i = 0; i < 60; i++) {
        cleanup_saliency struct saliency saliency = {0};
        const int side = 4 + (int)(mask_uniform(&random) * 8);
        const int x = (int)(mask_uniform(&random) * (WIDTH - side)), y = i % 2 ? 0 : HEIGHT - side;
        struct made_up made_up = {.spots = {object, {x, y, x + side, y + side}}, .count = 2};
        const struct area *spot = &made_up.spots[1];
        if (spot->x1 > around.x0 && spot->x0 < around.x1 && spot->y1 > around.y0 && spot->y0 < around.y1)
            continue;
        const struct scene scene = scene_of(&made_up);
        const struct saliency_plan plan = {.passes = 100, .seed = 3, .focus = around};
        assert_ok(saliency_make(&scene, &plan, &saliency, &err), err);
        const struct saliency_tile *tile = saliency_context(&saliency);
        assert_non_null(tile);
        assert_true(tile->area.x0 < spot->x1 && spot->x0 < tile->area.x1 && tile->area.y0 < spot->y1 &&
                    spot->y0 < tile->area.y1);
    }
}

/* Either of two places would do, so neither is missed alone. */
static void test_context_of_either(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object, corner, other}, .count = 3, .any = true};
    const struct scene scene = scene_of(&made_up);
    cleanup_saliency struct saliency saliency = {0};
    const struct saliency_plan plan = {.passes = 200, .seed = 3, .focus = around};
    assert_ok(saliency_make(&scene, &plan, &saliency, &err), err);
    assert_true(sum_in(&saliency, &corner) > 0.05);
    assert_true(sum_in(&saliency, &other) > 0.05);
    assert_non_null(saliency_context(&saliency));
}

static void test_refused(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object}, .count = 1};
    const struct scene scene = scene_of(&made_up);
    struct saliency saliency = {0};
    assert_fails(saliency_make(&scene, &(struct saliency_plan){.passes = 3}, &saliency, &err), err,
                 ERR_INVALID);
    const struct saliency_plan outside = {.passes = 50, .focus = {70, 0, 90, 10}};
    assert_fails(saliency_make(&scene, &outside, &saliency, &err), err, ERR_INVALID);
}

/* ---- how far to trust it ---- */

static void test_faith(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object}, .count = 1};
    const struct scene scene = scene_of(&made_up);
    static float right[WIDTH * HEIGHT], wrong[WIDTH * HEIGHT];
    struct faith good, bad;
    mask_set(&object, WIDTH, 1, right);
    mask_set(&around, WIDTH, 1, wrong);
    mask_set(&object, WIDTH, -1, wrong);
    assert_ok(faith_judge(&scene, right, 0.9, 1, &good, &err), err);
    assert_ok(faith_judge(&scene, wrong, 0.9, 1, &bad, &err), err);
    assert_true(good.worth > 0.8 && good.deletion < 0.1 && good.insertion > 0.9);
    assert_true(bad.worth < FAITH_LOW);
    made_up.asked = 0;
    assert_ok(faith_judge(&scene, right, 0.9, 1, &good, &err), err);
    assert_int_equal(made_up.asked, good.passes);
}

/* ---- counterfactuals ---- */

static void test_flip(void **state)
{
    struct err err = {0};
    struct made_up made_up = {.spots = {object, corner}, .count = 2};
    const struct scene scene = scene_of(&made_up);
    for (uint64_t seed = 0; seed < 20; seed++) {
        cleanup_saliency struct saliency saliency = {0};
        cleanup_free struct flip *flip = mem_zalloc(1, sizeof *flip);
        struct answer answer;
        float keep[WIDTH * HEIGHT];
        const struct saliency_plan plan = {.passes = 40, .seed = seed, .focus = around};
        assert_ok(saliency_make(&scene, &plan, &saliency, &err), err);
        assert_ok(flip_find(&scene, &saliency, &around, false, flip, &err), err);
        assert_true(flip->found && flip->count > 0);
        flip_mask(&scene, flip, keep);
        assert_ok(scene.ask(scene.arg, keep, flip->fill, &answer, &err), err);
        assert_false(answer.stands);
        for (size_t i = 0; i < flip->count; i++) { /* no cell too many */
            struct flip fewer = *flip;
            fewer.cells[i] = fewer.cells[--fewer.count];
            flip_mask(&scene, &fewer, keep);
            assert_ok(scene.ask(scene.arg, keep, flip->fill, &answer, &err), err);
            assert_true(answer.stands);
        }
    }
}

static int ask_stubborn(void *arg, const float *keep, enum fill fill, struct answer *out, struct err *err)
{
    *out = (struct answer){0.9, true};
    return 0;
}

static void test_no_flip(void **state)
{
    struct err err = {0};
    const struct scene scene = {.width = WIDTH, .height = HEIGHT, .ask = ask_stubborn};
    cleanup_saliency struct saliency saliency = {0};
    cleanup_free struct flip *flip = mem_zalloc(1, sizeof *flip);
    const struct saliency_plan plan = {.passes = 40, .focus = around};
    assert_ok(saliency_make(&scene, &plan, &saliency, &err), err);
    assert_null(saliency_context(&saliency));
    assert_ok(flip_find(&scene, &saliency, &around, false, flip, &err), err);
    assert_false(flip->found);
    assert_int_equal(flip->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),    cmocka_unit_test(test_masks_rows_apart),
        cmocka_unit_test(test_map),      cmocka_unit_test(test_same_seed),
        cmocka_unit_test(test_context),  cmocka_unit_test(test_context_of_either),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_faith),
        cmocka_unit_test(test_flip),     cmocka_unit_test(test_no_flip),
        cmocka_unit_test(test_contrast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
