#include "drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const stream_names[STREAM_KINDS] = {
    [STREAM_IID] = "iid", [STREAM_AR] = "ar1_0.95", [STREAM_SEASONAL] = "seasonal"};

static const double MEAN = 0.80, SD = 0.12, PHI = 0.95, SEASON = 0.05, TURN = 6.283185307179586;

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Seeds are mixed too: streams of neighbours must not be the same one, a step apart. */
void stream_init(struct stream *stream, enum stream_kind kind, uint64_t seed)
{
    *stream = (struct stream){.kind = kind, .random = mix(mix(seed + 1) + seed)};
    stream->last = stream_normal(stream);
}

double stream_uniform(struct stream *stream)
{
    return ((double)(mix(stream->random += 0x9e3779b97f4a7c15U) >> 11) + 0.5) / (double)(1ULL << 53);
}

double stream_normal(struct stream *stream)
{
    if (stream->has_spare) {
        stream->has_spare = false;
        return stream->spare;
    }
    double radius = sqrt(-2 * log(stream_uniform(stream))), angle = TURN * stream_uniform(stream);
    stream->spare = radius * sin(angle);
    stream->has_spare = true;
    return radius * cos(angle);
}

double stream_next(struct stream *stream, double shift, uint32_t *out_context)
{
    double value = stream_normal(stream), phase = (double)(stream->time % SEASON_SAMPLES) / SEASON_SAMPLES;
    *out_context = 0;
    if (stream->kind == STREAM_AR)
        value = stream->last = PHI * stream->last + sqrt(1 - PHI * PHI) * value;
    value = MEAN + SD * (value - shift);
    if (stream->kind == STREAM_SEASONAL) {
        value += SEASON * sin(TURN * phase);
        *out_context = (uint32_t)(phase * SEASON_CONTEXTS);
    }
    stream->time++;
    return value;
}

/* ---- calibration ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* From means of batches, after each context's mean is taken away. */
static double memory_of(const double *values, const uint32_t *contexts)
{
    enum { BATCH = 200 };
    double sum[SEASON_CONTEXTS] = {0}, count[SEASON_CONTEXTS] = {0}, single = 0, batch = 0, batches = 0;
    for (size_t i = 0; i < CALIBRATION; i++) {
        sum[contexts[i]] += values[i];
        count[contexts[i]]++;
    }
    for (size_t i = 0; i < CALIBRATION; i += BATCH, batches++) {
        double total = 0;
        for (size_t k = i; k < i + BATCH; k++) {
            double residual = values[k] - sum[contexts[k]] / count[contexts[k]];
            single += residual * residual;
            total += residual;
        }
        batch += total * total;
    }
    return fmax(batch / batches / BATCH / (single / CALIBRATION), 1);
}

void calibrate(struct stream *stream, struct calibration *out)
{
    static uint32_t contexts[CALIBRATION];
    double sum = 0, squares = 0;
    for (size_t i = 0; i < CALIBRATION; i++) {
        out->sorted[i] = stream_next(stream, 0, &contexts[i]);
        sum += out->sorted[i];
    }
    out->memory = memory_of(out->sorted, contexts);
    out->mean = sum / CALIBRATION;
    for (size_t i = 0; i < CALIBRATION; i++)
        squares += (out->sorted[i] - out->mean) * (out->sorted[i] - out->mean);
    out->sd = sqrt(squares / (CALIBRATION - 1));
    out->tolerance = fmax(0.02, 2 * out->sd * sqrt(out->memory / CALIBRATION));
    qsort(out->sorted, CALIBRATION, sizeof *out->sorted, by_value);
}
