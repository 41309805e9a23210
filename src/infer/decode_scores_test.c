#include "infer/decode_scores.h"

#include "base/testing.h"

#include "base/mem.h"

#include <float.h>
#include <math.h>

/* Computed with 50 digits and rounded to float32. */
static const struct {
    enum activation activation;
    size_t count;
    float in[4], want[4];
} golden[] = {
    {ACTIVATION_NONE, 3, {-1.5F, 0, 7}, {-1.5F, 0, 7}},
    {ACTIVATION_SOFTMAX, 2, {0, 0}, {0.5F, 0.5F}},
    {ACTIVATION_SOFTMAX, 3, {1, 2, 3}, {0.09003057317F, 0.2447284711F, 0.6652409558F}},
    {ACTIVATION_SOFTMAX, 3, {1001, 1002, 1003}, {0.09003057317F, 0.2447284711F, 0.6652409558F}},
    {ACTIVATION_SOFTMAX, 2, {-100, 0}, {3.720076e-44F, 1}},
    {ACTIVATION_SOFTMAX, 2, {FLT_MAX, -FLT_MAX}, {1, 0}},
    {ACTIVATION_SIGMOID, 4, {0, 1, -1, 3}, {0.5F, 0.7310585786F, 0.2689414214F, 0.9525741268F}},
    {ACTIVATION_SIGMOID, 4, {-80, 80, FLT_MAX, -FLT_MAX}, {1.804851387e-35F, 1, 1, 0}},
};

static void golden_numbers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
        float out[4];
        decode_scores(golden[i].in, golden[i].count, golden[i].activation, out);
        for (size_t k = 0; k < golden[i].count; k++)
            if (!(fabsf(out[k] - golden[i].want[k]) <= 1e-6F * fabsf(golden[i].want[k])))
                fail_msg("case %zu, number %zu: %.9g, not %.9g", i, k, (double)out[k],
                         (double)golden[i].want[k]);
    }
}

static float any_float(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    double unit = (double)(*random >> 11) / 9007199254740992.0;
    return (float)((unit - 0.5) * pow(10, (double)(*random % 39)));
}

/* Whatever the finite input: probabilities, in the order of the input, and the same in place. */
static void any_finite_input_gives_probabilities(void **state)
{
    uint64_t random = 7;
    for (int round = 0; round < 2000; round++) {
        enum { MOST = 300 };
        float in[MOST], out[MOST], sum = 0;
        size_t count = 1 + (size_t)round % MOST;
        enum activation activation = round % 2 ? ACTIVATION_SOFTMAX : ACTIVATION_SIGMOID;
        for (size_t i = 0; i < count; i++)
            in[i] = any_float(&random);
        decode_scores(in, count, activation, out);
        for (size_t i = 0; i < count; i++) {
            assert_true(out[i] >= 0 && out[i] <= 1);
            sum += out[i];
            for (size_t k = 0; k < count; k += 17)
                assert_true(in[i] < in[k] ? out[i] <= out[k] : out[i] >= out[k]);
        }
        if (activation == ACTIVATION_SOFTMAX)
            assert_true(fabsf(sum - 1) < 1e-4F);
        decode_scores(in, count, activation, in);
        assert_memory_equal(in, out, count * sizeof *in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_numbers),
        cmocka_unit_test(any_finite_input_gives_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
