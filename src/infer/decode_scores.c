#include "infer/decode_scores.h"

#include <math.h>
#include <string.h>

/* exp(x - max): the largest term is 1, so that neither the terms nor their sum overflow. */
static void softmax(const float *in, size_t count, float *out)
{
    float max = -INFINITY;
    for (size_t i = 0; i < count; i++)
        max = in[i] > max ? in[i] : max;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)in[i] - (double)max);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(exp((double)in[i] - (double)max) / sum);
}

/* Only ever exp of something negative. */
static double sigmoid(double x)
{
    double small = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

void decode_scores(const float *in, size_t count, enum activation activation, float *out)
{
    switch (activation) {
    case ACTIVATION_NONE:
        memmove(out, in, count * sizeof *out);
        return;
    case ACTIVATION_SOFTMAX:
        softmax(in, count, out);
        return;
    case ACTIVATION_SIGMOID:
        for (size_t i = 0; i < count; i++)
            out[i] = (float)sigmoid((double)in[i]);
        return;
    }
}
