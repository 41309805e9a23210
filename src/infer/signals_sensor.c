/* Is the picture as it always was? Brightness, contrast, sharpness, colour, clipping, and how much moved. */
#include "base/mem.h"
#include "infer/signals_inside.h"
#include "infer/signals_loops.h"

#include <math.h>

#define WHITE 255.0
enum { CHANNELS = 3, SATURATION_ONE = 4096, PLACES = 8, STEP = 3, COLOUR_EVERY = 6, FLOAT_RUN = 64 };
#define LEAST_BEND 0.0625f /* (1/255)²: a wall without any noise */
#define LEAST_BEND_FLOAT 1e-12f

/* ---- pictures: runs of pixels, one below the other, each at another of eight places from the left ---- */

struct totals {
    double sum, squared, bend_squared, change, saturation, clipped, colour_points;
};

static void add_run(struct totals *totals, const struct loops_run *run)
{
    struct loops_sums sums;
    loops_run(run, &sums);
    totals->sum += sums.sum;
    totals->squared += sums.squared;
    totals->bend_squared += sums.bend_squared;
    totals->change += sums.change;
}

static void add_colour(struct totals *totals, const uint8_t *rgb, size_t points)
{
    int32_t saturation, clipped;
    loops_colour(rgb, points, &saturation, &clipped);
    totals->saturation += saturation;
    totals->clipped += clipped;
    totals->colour_points += (double)points;
}

static struct loops_run run_at(const struct pipeline_frame *frame, size_t run, size_t runs, size_t points,
                               uint8_t *before)
{
    const size_t row_bytes = (size_t)frame->width * CHANNELS, inner = (size_t)frame->height - 2;
    const size_t spare = (size_t)frame->width - 2 - points;
    const size_t y = 1 + (2 * run + 1) * inner / (2 * runs);
    const size_t x = 1 + spare * (run * STEP % PLACES) / (PLACES - 1);
    const uint8_t *at = (const uint8_t *)frame->data + y * row_bytes + x * CHANNELS;
    return (struct loops_run){at - row_bytes, at, at + row_bytes, points * CHANNELS, before};
}

static void picture_values(const struct totals *totals, double count, bool known, float values[SIGNALS])
{
    double mean = totals->sum / count, variance = totals->squared / count - mean * mean;
    values[SIGNAL_LUMA] = (float)(mean / WHITE);
    values[SIGNAL_CONTRAST] = (float)(sqrt(MAX(variance, 0)) / WHITE);
    values[SIGNAL_SHARPNESS] = signals_log2((float)(totals->bend_squared / count) + LEAST_BEND);
    values[SIGNAL_SATURATION] = (float)(totals->saturation / totals->colour_points / SATURATION_ONE);
    values[SIGNAL_CLIPPED] = (float)(totals->clipped / totals->colour_points);
    if (known)
        values[SIGNAL_CHANGE] = (float)(totals->change / count / WHITE);
}

static void read_picture(struct sensor *sensor, const struct pipeline_frame *frame, float values[SIGNALS])
{
    if (frame->width < 3 || frame->height < 3)
        return;
    const size_t points = MIN((size_t)frame->width - 2, (size_t)SENSOR_POINTS);
    const size_t runs = MIN((size_t)frame->height - 2, (size_t)SENSOR_RUNS);
    struct totals totals = {0};
    for (size_t i = 0; i < runs; i++) {
        struct loops_run run = run_at(frame, i, runs, points, sensor->bytes + i * SENSOR_POINTS * CHANNELS);
        add_run(&totals, &run);
        if (i % COLOUR_EVERY == 0)
            add_colour(&totals, run.at, points);
    }
    picture_values(&totals, (double)(runs * points * CHANNELS), sensor->points != 0, values);
    sensor->points = runs * points;
}

/* ---- floats: all of them, or runs ---- */

static void float_values(const struct loops_floats *sums, double points, bool known, float values[SIGNALS])
{
    double mean = (double)sums->sum / points, variance = (double)sums->squared / points - mean * mean;
    values[SIGNAL_LUMA] = (float)mean;
    values[SIGNAL_CONTRAST] = (float)sqrt(MAX(variance, 0));
    values[SIGNAL_SHARPNESS] = signals_log2((float)((double)sums->bend_squared / points) + LEAST_BEND_FLOAT);
    if (known)
        values[SIGNAL_CHANGE] = (float)((double)sums->change / points);
}

/* Every run has a neighbour on both sides. */
static const float *float_run(const float *data, size_t count, size_t run, size_t runs)
{
    return data + 1 + (count - 2 - FLOAT_RUN) * run / MAX(runs - 1, (size_t)1);
}

static void add_floats(struct loops_floats *total, const struct loops_floats *part, bool first)
{
    total->least = first ? part->least : MIN(total->least, part->least);
    total->most = first ? part->most : MAX(total->most, part->most);
    total->sum += part->sum;
    total->squared += part->squared;
    total->bend_squared += part->bend_squared;
    total->change += part->change;
}

static uint32_t count_extreme(const float *data, size_t count, size_t runs, size_t length,
                              const struct loops_floats *sums)
{
    uint32_t extreme = 0;
    for (size_t run = 0; run < runs; run++) {
        const float *at = runs > 1 ? float_run(data, count, run, runs) : data + 1;
        extreme += loops_count_equal(at, length, sums->least, sums->most);
    }
    return extreme;
}

static void read_floats(struct sensor *sensor, const float *data, size_t count, float values[SIGNALS])
{
    struct loops_floats total = {0}, part;
    const bool all = count <= SENSOR_FLOATS;
    const size_t runs = all ? 1 : SENSOR_FLOATS / FLOAT_RUN;
    const size_t length = all ? (count - 2) / LOOPS_LANES * LOOPS_LANES : FLOAT_RUN;
    for (size_t run = 0; run < runs; run++) {
        const float *at = all ? data + 1 : float_run(data, count, run, runs);
        float *before = sensor->floats + run * FLOAT_RUN;
        loops_floats(at, before, length, &part);
        memcpy(before, at, length * sizeof *before);
        add_floats(&total, &part, run == 0);
    }
    const double points = (double)(runs * length);
    float_values(&total, points, sensor->points != 0, values);
    values[SIGNAL_CLIPPED] = (float)(count_extreme(data, count, runs, length, &total) / points);
    sensor->points = runs * length;
}

void sensor_read(struct sensor *sensor, const struct pipeline_frame *frame, enum frame_format format,
                 float values[SIGNALS])
{
    if (frame->width != sensor->width || frame->height != sensor->height)
        sensor->points = 0;
    sensor->width = frame->width;
    sensor->height = frame->height;
    if (format == FRAME_RGB8)
        read_picture(sensor, frame, values);
    else if (frame->width >= LOOPS_LANES + 2)
        read_floats(sensor, frame->data, (size_t)frame->width, values);
}
