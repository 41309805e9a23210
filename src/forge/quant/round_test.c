#include "forge/quant/round.h"

#include "base/mem.h"
#include "base/testing.h"
#include "stats/linear.h"

#include <math.h>
#include <string.h>

enum { N = 24, FILTERS = 8, COLUMNS = 400 };

static uint32_t seed = 5;

static float noise(void)
{
    float sum = 0;
    for (int i = 0; i < 6; i++) {
        seed = seed * 1664525U + 1013904223U;
        sum += (float)(seed >> 8) / 16777216.0F - 0.5F;
    }
    return sum;
}

struct layer {
    float w[FILTERS * N], scales[FILTERS];
    double g[N * N];
    struct round_job job;
};

/* Columns that hang together, as neighbouring pixels do. */
static void make(struct layer *layer, int bits, float together)
{
    float x[N * COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        float last = noise();
        for (int i = 0; i < N; i++) {
            last = together * last + sqrtf(1 - together * together) * noise();
            x[i * COLUMNS + c] = last * (float)(1 + i % 5);
        }
    }
    memset(layer->g, 0, sizeof layer->g);
    linear_gram_add(layer->g, x, N, COLUMNS);
    linear_mirror(layer->g, N);
    for (int f = 0; f < FILTERS; f++) {
        float most = 0;
        for (int i = 0; i < N; i++) {
            layer->w[f * N + i] = noise();
            most = fmaxf(most, fabsf(layer->w[f * N + i]));
        }
        layer->scales[f] = most / 20; /* coarse: the grid's ends matter less */
    }
    layer->job =
        (struct round_job){.filters = FILTERS, .n = N, .w = layer->w, .scales = layer->scales, .bits = bits};
}

static void round_nearest(const struct layer *layer, int8_t *out)
{
    for (int i = 0; i < FILTERS * N; i++)
        out[i] = (int8_t)rintf(layer->w[i] / layer->scales[i / N]);
}

static void it_loses_less_than_the_nearest(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct layer layer;
        int8_t nearest[FILTERS * N], second[FILTERS * N];
        double g[N * N];
        make(&layer, 8, 0.9F);
        memcpy(g, layer.g, sizeof g);
        round_nearest(&layer, nearest);
        assert_true(round_second_order(&layer.job, g, second));
        assert_true(round_loss(&layer.job, layer.g, second) < 0.7 * round_loss(&layer.job, layer.g, nearest));
    }
}

/* Columns that know nothing of each other cannot make up for each other. */
static void without_correlation_it_is_the_nearest(void **state)
{
    struct layer layer;
    int8_t nearest[FILTERS * N], second[FILTERS * N];
    make(&layer, 8, 0);
    memset(layer.g, 0, sizeof layer.g);
    for (int i = 0; i < N; i++)
        layer.g[i * N + i] = 1 + i;
    round_nearest(&layer, nearest);
    assert_true(round_second_order(&layer.job, layer.g, second));
    assert_memory_equal(nearest, second, sizeof nearest);
}

static void it_stays_on_the_grid(void **state)
{
    for (int bits = 7; bits <= 8; bits++) {
        struct layer layer;
        int8_t out[FILTERS * N];
        const int top = bits == 7 ? 63 : 127;
        make(&layer, bits, 0.99F);
        for (int f = 0; f < FILTERS; f++)
            layer.scales[f] /= bits == 7 ? 4 : 8; /* too fine: some are clipped */
        assert_true(round_second_order(&layer.job, layer.g, out));
        for (int i = 0; i < FILTERS * N; i++)
            assert_in_range(out[i] + top, 0, 2 * top);
    }
}

static void the_loss_is_that_of_the_outputs(void **state)
{
    struct layer layer;
    int8_t q[FILTERS * N];
    make(&layer, 8, 0.5F);
    round_nearest(&layer, q);
    double sum = 0;
    for (int f = 0; f < FILTERS; f++)
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                double a = (double)(layer.w[f * N + i] - (float)q[f * N + i] * layer.scales[f]);
                double b = (double)(layer.w[f * N + k] - (float)q[f * N + k] * layer.scales[f]);
                sum += a * b * layer.g[i * N + k];
            }
    assert_true(fabs(round_loss(&layer.job, layer.g, q) / sum - 1) < 1e-9);
}

static void nothing_to_go_by_is_told(void **state)
{
    struct layer layer;
    int8_t out[FILTERS * N];
    make(&layer, 8, 0.5F);
    double g[N * N] = {0};
    assert_false(round_second_order(&layer.job, g, out));
    g[0] = (double)NAN;
    assert_false(round_second_order(&layer.job, g, out));
    /* inputs that are always 0 are not needed to be known */
    memcpy(g, layer.g, sizeof g);
    for (int i = 0; i < N; i++)
        g[3 * N + i] = g[i * N + 3] = 0;
    assert_true(round_second_order(&layer.job, g, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_loses_less_than_the_nearest),
        cmocka_unit_test(without_correlation_it_is_the_nearest),
        cmocka_unit_test(it_stays_on_the_grid),
        cmocka_unit_test(the_loss_is_that_of_the_outputs),
        cmocka_unit_test(nothing_to_go_by_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
