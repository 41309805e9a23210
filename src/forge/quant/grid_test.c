#include "forge/quant/grid.h"

#include "base/testing.h"

#include <float.h>
#include <math.h>
#include <string.h>

static uint32_t seed;

static double uniform(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) / 16777216.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform() + 1e-9)) * cos(6.283185307 * uniform());
}

enum { VALUES = 4000 };

/* What observe() makes of these values. */
static void observe_values(const float *values, size_t count, struct observed *out)
{
    *out = (struct observed){.name = "t", .finite = true, .min = FLT_MAX, .max = -FLT_MAX, .count = count};
    for (size_t i = 0; i < count; i++) {
        out->min = fminf(out->min, values[i]);
        out->max = fmaxf(out->max, values[i]);
    }
    double width = ((double)out->max - (double)out->min) / OBSERVE_BINS;
    for (size_t i = 0; i < count; i++) {
        double at = width > 0 ? floor(((double)values[i] - (double)out->min) / width) : 0;
        out->bins[(int)fmin(fmax(at, 0), OBSERVE_BINS - 1)]++;
    }
}

/* ---- families of tensors: what nets make, and what they should not ---- */

static float gaussian(int i)
{
    return (float)normal();
}

static float relu(int i)
{
    return (float)fmax(normal(), 0);
}

static float outlier(int i)
{
    return i == 7 ? 1000 : (float)normal();
}

static float hard_swish(int i)
{
    double x = 2 * normal();
    return (float)(x * fmin(fmax(x / 6 + 0.5, 0), 1));
}

static float all_equal(int i)
{
    return 0.37F;
}

static float all_zero(int i)
{
    return 0;
}

static float denormal(int i)
{
    return (float)(uniform() * 1e-41);
}

static float huge(int i)
{
    return (float)((uniform() - 0.5) * 6e38);
}

static float far_from_zero(int i)
{
    return (float)(1e6 + uniform());
}

static float negative(int i)
{
    return (float)(-3 - uniform());
}

static float (*const families[])(int) = {gaussian, relu,     outlier, hard_swish,    all_equal,
                                         all_zero, denormal, huge,    far_from_zero, negative};

static const struct grid_wish wishes[] = {
    {.dtype = DTYPE_UINT8},
    {.dtype = DTYPE_INT8},
    {.dtype = DTYPE_INT8, .symmetric = true},
    {.dtype = DTYPE_UINT8, .pin_low = true},
    {.dtype = DTYPE_INT8, .pin_low = true},
    {.dtype = DTYPE_UINT8, .pin_low = true, .limit = 6},
    {.dtype = DTYPE_UINT8, .fixed = true, .low = 0, .high = 1},
};

static void make(size_t family, struct observed *out)
{
    static float values[VALUES];
    for (int i = 0; i < VALUES; i++)
        values[i] = families[family](i);
    observe_values(values, VALUES, out);
}

/* The grid over all that was seen, without a clip. */
static struct quant_grid min_max(const struct observed *seen, const struct grid_wish *wish)
{
    struct grid_wish whole = *wish;
    whole.fixed = true;
    whole.low = seen->min;
    whole.high = seen->max;
    return grid_choose(seen, &whole);
}

static void every_grid_is_sound(void **state)
{
    static struct observed seen;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t w = 0; w < ARRAY_LEN(wishes); w++) {
            make(f, &seen);
            struct quant_grid grid = grid_choose(&seen, &wishes[w]);
            assert_true(isnormal(grid.scale) && grid.scale > 0);
            assert_int_equal(grid.dtype, wishes[w].dtype);
            assert_in_range(grid.zero + 128, grid.dtype == DTYPE_INT8 ? 0 : 128,
                            grid.dtype == DTYPE_INT8 ? 255 : 383);
            assert_int_equal(grid_round(&grid, 0), grid.zero);
            assert_true(grid_real(&grid, grid.zero) == 0);
            if (wishes[w].symmetric)
                assert_int_equal(grid.zero, 0);
            if (wishes[w].pin_low)
                assert_int_equal(grid.zero, grid.dtype == DTYPE_INT8 ? -128 : 0);
            if (wishes[w].limit > 0)
                assert_true(grid.scale * 255 <= wishes[w].limit);
        }
}

static void a_clip_is_never_worse_than_none(void **state)
{
    static struct observed seen;
    for (int round = 0; round < 20; round++)
        for (size_t f = 0; f < ARRAY_LEN(families); f++)
            for (size_t w = 0; w < ARRAY_LEN(wishes); w++) {
                make(f, &seen);
                if (wishes[w].fixed)
                    continue;
                struct quant_grid best = grid_choose(&seen, &wishes[w]), whole = min_max(&seen, &wishes[w]);
                assert_true(grid_error(&seen, &best) <= grid_error(&seen, &whole));
            }
}

/* Against a search that leaves nothing out; the quick one may be a little worse, not much. */
static void the_search_finds_nearly_the_best_clip(void **state)
{
    static struct observed seen;
    static const size_t real[] = {0, 1, 2, 3};
    for (size_t f = 0; f < ARRAY_LEN(real); f++) {
        make(real[f], &seen);
        const struct grid_wish wish = {.dtype = DTYPE_UINT8};
        struct quant_grid found = grid_choose(&seen, &wish);
        float least = FLT_MAX;
        for (int low = 1; low <= 150; low++)
            for (int high = 1; high <= 150; high++) {
                struct grid_wish fixed = {.dtype = DTYPE_UINT8, .fixed = true};
                fixed.low = seen.min * powf(0.97F, (float)(low - 1));
                fixed.high = seen.max * powf(0.97F, (float)(high - 1));
                struct quant_grid grid = grid_choose(&seen, &fixed);
                least = fminf(least, grid_error(&seen, &grid));
            }
        assert_true(grid_error(&seen, &found) <= 1.05F * least);
    }
}

/* The histogram's error is that of the values themselves, as far as 2,048 bins can tell. */
static void the_error_is_that_of_rounding(void **state)
{
    static struct observed seen;
    static float values[VALUES];
    for (int i = 0; i < VALUES; i++)
        values[i] = gaussian(i);
    observe_values(values, VALUES, &seen);
    for (float reach = 0.5F; reach < 8; reach *= 1.5F) {
        struct grid_wish wish = {.dtype = DTYPE_INT8, .fixed = true, .low = -reach, .high = reach};
        struct quant_grid grid = grid_choose(&seen, &wish);
        double sum = 0;
        for (int i = 0; i < VALUES; i++) {
            double d = (double)(values[i] - grid_real(&grid, grid_round(&grid, values[i])));
            sum += d * d;
        }
        assert_true(fabs((double)grid_error(&seen, &grid) / (sum / VALUES) - 1) < 0.1);
    }
}

static void one_outlier_does_not_eat_the_grid(void **state)
{
    static struct observed seen;
    make(2, &seen); /* one of 4,000 at 1000: dear to clip */
    struct quant_grid grid = grid_choose(&seen, &(struct grid_wish){.dtype = DTYPE_UINT8});
    assert_true(grid.scale * 255 > 500);
    for (int i = 0; i < OBSERVE_BINS - 1; i++)
        seen.bins[i] *= 1000000; /* one of billions: cheap */
    grid = grid_choose(&seen, &(struct grid_wish){.dtype = DTYPE_UINT8});
    assert_true(grid.scale * 255 < 200);
}

static void rounding_is_monotone_and_saturates(void **state)
{
    static struct observed seen;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t w = 0; w < ARRAY_LEN(wishes); w++) {
            make(f, &seen);
            struct quant_grid grid = grid_choose(&seen, &wishes[w]);
            int last = grid_round(&grid, -FLT_MAX);
            for (double x = -300; x <= 300; x += 0.25) {
                float real = (float)(x * (double)grid.scale);
                int q = grid_round(&grid, real);
                assert_true(q >= last);
                last = q;
            }
            assert_int_equal(grid_round(&grid, -INFINITY), grid.dtype == DTYPE_INT8 ? -128 : 0);
            assert_int_equal(grid_round(&grid, INFINITY), grid.dtype == DTYPE_INT8 ? 127 : 255);
            for (int q = grid.dtype == DTYPE_INT8 ? -128 : 0; q <= (grid.dtype == DTYPE_INT8 ? 127 : 255);
                 q++)
                assert_int_equal(grid_round(&grid, grid_real(&grid, q)), q);
        }
}

static void halves_go_to_the_even_neighbour(void **state)
{
    const struct quant_grid grid = {.dtype = DTYPE_INT8, .scale = 1};
    assert_int_equal(grid_round(&grid, 0.5F), 0);
    assert_int_equal(grid_round(&grid, 1.5F), 2);
    assert_int_equal(grid_round(&grid, -2.5F), -2);
}

/* ---- weights ---- */

enum { OUT = 6, IN = 40 };

static double squared_error(const float *weights, const int8_t *rounded, const float *scales, bool last_axis)
{
    double sum = 0;
    for (int i = 0; i < OUT * IN; i++) {
        double d = (double)(weights[i] - (float)rounded[i] * scales[last_axis ? i % OUT : i / IN]);
        sum += d * d;
    }
    return sum;
}

static void fill(float *weights, bool last_axis)
{
    for (int i = 0; i < OUT * IN; i++)
        weights[i] = (float)(normal() * pow(10, (last_axis ? i % OUT : i / IN) - 3));
}

static void weights_are_clipped_for_less_error(void **state)
{
    for (int round = 0; round < 50; round++)
        for (int last_axis = 0; last_axis < 2; last_axis++)
            for (int bits = 7; bits <= 8; bits++) {
                float weights[OUT * IN], scales[OUT], whole[OUT] = {0};
                int8_t rounded[OUT * IN];
                const int64_t dims[2] = {last_axis ? IN : OUT, last_axis ? OUT : IN};
                fill(weights, last_axis);
                const struct weight_view view = {
                    .data = weights, .dim_count = 2, .dims = dims, .axis = (size_t)last_axis};
                const int top = bits == 7 ? 63 : 127;
                for (int i = 0; i < OUT * IN; i++) {
                    float *w = &whole[last_axis ? i % OUT : i / IN];
                    *w = fmaxf(*w, fabsf(weights[i]) / (float)top);
                }
                grid_weight_scales(&view, bits, scales);
                grid_round_weights(&view, scales, bits, rounded);
                double clipped = squared_error(weights, rounded, scales, last_axis);
                for (int i = 0; i < OUT * IN; i++)
                    assert_in_range(rounded[i] + top, 0, 2 * top);
                grid_round_weights(&view, whole, bits, rounded);
                assert_true(clipped <= squared_error(weights, rounded, whole, last_axis) * (1 + 1e-6));
            }
}

static void channels_of_nothing_get_a_scale(void **state)
{
    float weights[4 * 2] = {0, 0, 1, -2, 1e-44F, 0, NAN, INFINITY}, scales[4];
    int8_t rounded[8];
    const struct weight_view view = {
        .data = weights, .dim_count = 2, .dims = (const int64_t[]){4, 2}, .axis = 0};
    grid_weight_scales(&view, 8, scales);
    for (int i = 0; i < 4; i++)
        assert_true(isnormal(scales[i]) && scales[i] > 0);
    grid_round_weights(&view, scales, 8, rounded);
    assert_int_equal(rounded[0], 0);
    assert_int_equal(rounded[6], 0);
    assert_int_equal(rounded[7], 127);
    memset(weights, 0, sizeof weights);
    grid_weight_scales(&view, 8, scales);
    assert_true(scales[0] == 1 && scales[3] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_is_sound),
        cmocka_unit_test(a_clip_is_never_worse_than_none),
        cmocka_unit_test(the_search_finds_nearly_the_best_clip),
        cmocka_unit_test(the_error_is_that_of_rounding),
        cmocka_unit_test(one_outlier_does_not_eat_the_grid),
        cmocka_unit_test(rounding_is_monotone_and_saturates),
        cmocka_unit_test(halves_go_to_the_even_neighbour),
        cmocka_unit_test(weights_are_clipped_for_less_error),
        cmocka_unit_test(channels_of_nothing_get_a_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
