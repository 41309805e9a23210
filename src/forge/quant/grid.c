#include "forge/quant/grid.h"

#include "base/mem.h"

#include <float.h>
#include <math.h>

/* ---- activations ---- */

enum { LEVELS = 255, CLIP_STEPS = 32, FINE_STEPS = 8, ROUNDS = 2 };
#define CLIP_RATIO 0.875 /* one step of the search; 32 of them reach 1/72 of the range */
#define FINE_RATIO 0.984 /* 8 of them are about one coarse step */

struct range {
    double low, high; /* low ≤ 0 ≤ high */
};

static int type_min(enum tensor_dtype dtype)
{
    return dtype == DTYPE_INT8 ? -128 : 0;
}

static int type_max(enum tensor_dtype dtype)
{
    return dtype == DTYPE_INT8 ? 127 : 255;
}

/* A normal float that is nowhere too small for `scale * levels ≥ span`. */
static float sound_scale(double scale)
{
    if (!(scale > (double)FLT_MIN))
        return FLT_MIN;
    return scale < (double)FLT_MAX ? (float)scale : FLT_MAX;
}

static struct quant_grid symmetric_grid(double reach)
{
    return (struct quant_grid){.dtype = DTYPE_INT8, .scale = sound_scale(reach / 127)};
}

static struct quant_grid grid_over(const struct grid_wish *wish, struct range range)
{
    if (wish->symmetric)
        return symmetric_grid(fmax(-range.low, range.high));
    if (wish->pin_low)
        range.low = 0;
    struct quant_grid grid = {.dtype = wish->dtype,
                              .scale = sound_scale((range.high - range.low) / LEVELS),
                              .zero = type_min(wish->dtype)};
    if (range.low < 0) {
        double steps = rint(-range.low / (double)grid.scale);
        grid.zero += (int)fmin(fmax(steps, 0), LEVELS);
    }
    if (wish->pin_low && wish->limit > 0)
        while (grid.scale > FLT_MIN && grid.scale * LEVELS > wish->limit)
            grid.scale = nextafterf(fminf(grid.scale, wish->limit / LEVELS), 0);
    return grid;
}

/* Square error of one bin of unit density whose ends are u0 < u1 in steps from the grid's first point, times step³: the error is t - k at
 * the nearest point k, so its square integrates to r³/3, over a whole cell to 1/12; beyond the ends k stays. */
static double bin_error(double u0, double u1)
{
    double k0 = fmin(fmax(rint(u0), 0), LEVELS), k1 = fmin(fmax(rint(u1), 0), LEVELS);
    double r0 = u0 - k0, r1 = u1 - k1;
    if (k0 == k1) /* no cancellation for bins that are narrow beside a step */
        return (r0 * r0 + r0 * r1 + r1 * r1) / 3;
    return ((k1 - k0) / 12 + (r1 * r1 * r1 - r0 * r0 * r0) / 3) / (u1 - u0);
}

static double histogram_error(const struct observed *seen, const struct quant_grid *grid)
{
    const double step = (double)grid->scale;
    const double first = step * (type_min(grid->dtype) - grid->zero);
    const double low = (double)seen->min, width = ((double)seen->max - low) / OBSERVE_BINS;
    double sum = 0, count = 0;
    for (int i = 0; i < OBSERVE_BINS; i++) {
        if (!seen->bins[i])
            continue;
        double weight = (double)seen->bins[i];
        sum += weight * bin_error((low + i * width - first) / step, (low + (i + 1) * width - first) / step);
        count += weight;
    }
    return count > 0 ? sum / count * step * step : 0;
}

struct search {
    const struct observed *seen;
    const struct grid_wish *wish;
    struct range whole, range;
    struct quant_grid grid;
    double error;
};

static void try_range(struct search *search, struct range range)
{
    struct quant_grid grid = grid_over(search->wish, range);
    double error = histogram_error(search->seen, &grid);
    if (!(error < search->error))
        return;
    search->range = range;
    search->grid = grid;
    search->error = error;
}

/* Clips of one or both ends, from `from`, the other end as it is. */
static void clip_ends(struct search *search, struct range from, double ratio, int steps, bool low, bool high)
{
    double part = 1;
    for (int i = 0; i < steps; i++) {
        part *= ratio;
        try_range(search,
                  (struct range){low ? from.low * part : from.low, high ? from.high * part : from.high});
    }
}

/* One end at a time, from the whole range, while the other end stays where it was found last. */
static void clip_in_turn(struct search *search)
{
    for (int round = 0; round < ROUNDS; round++) {
        clip_ends(search, (struct range){search->range.low, search->whole.high}, CLIP_RATIO, CLIP_STEPS,
                  false, true);
        clip_ends(search, (struct range){search->whole.low, search->range.high}, CLIP_RATIO, CLIP_STEPS, true,
                  false);
    }
}

static void refine(struct search *search, bool low, bool high)
{
    clip_ends(search, search->range, 1 / FINE_RATIO, FINE_STEPS, low, high);
    clip_ends(search, search->range, FINE_RATIO, FINE_STEPS, low, high);
}

static void descend(struct search *search)
{
    if (search->wish->symmetric || !(search->whole.low < 0 && search->whole.high > 0)) {
        clip_ends(search, search->whole, CLIP_RATIO, CLIP_STEPS, true, true);
        refine(search, true, true);
        return;
    }
    clip_in_turn(search);
    clip_ends(search, search->whole, CLIP_RATIO, CLIP_STEPS, true, true);
    clip_in_turn(search);
    refine(search, false, true);
    refine(search, true, false);
}

static double finite_or_zero(float value)
{
    return isfinite(value) ? (double)value : 0;
}

static struct range whole_range(const struct observed *seen, const struct grid_wish *wish)
{
    struct range range = {.low = finite_or_zero(wish->fixed ? wish->low : seen->min),
                          .high = finite_or_zero(wish->fixed ? wish->high : seen->max)};
    range.low = wish->pin_low && !wish->symmetric ? 0 : fmin(range.low, 0);
    range.high = fmax(range.high, 0);
    return range;
}

struct quant_grid grid_choose(const struct observed *seen, const struct grid_wish *wish)
{
    struct range range = whole_range(seen, wish);
    if (range.high - range.low < (double)FLT_MIN * LEVELS) /* nothing to tell apart: any scale will do */
        range.high = wish->pin_low && wish->limit > 0 ? (double)wish->limit : 1;
    struct search search = {
        .seen = seen, .wish = wish, .whole = range, .range = range, .grid = grid_over(wish, range)};
    if (wish->fixed)
        return search.grid;
    search.error = histogram_error(seen, &search.grid);
    descend(&search);
    return search.grid;
}

float grid_error(const struct observed *seen, const struct quant_grid *grid)
{
    return (float)histogram_error(seen, grid);
}

int grid_round(const struct quant_grid *grid, float real)
{
    float q = rintf(real / grid->scale) + (float)grid->zero;
    if (!(q > (float)type_min(grid->dtype))) /* NaN too */
        return type_min(grid->dtype);
    return q < (float)type_max(grid->dtype) ? (int)q : type_max(grid->dtype);
}

float grid_real(const struct quant_grid *grid, int q)
{
    return grid->scale * (float)(q - grid->zero);
}

/* ---- weights ---- */

/* Where channel c of a weight lies: `outer` runs of `inner` neighbours, `stride` apart. */
struct channel {
    const float *data;
    size_t outer, inner, stride;
};

static struct channel channel_of(const struct weight_view *weights, size_t c)
{
    struct channel channel = {.data = weights->data, .outer = 1, .inner = 1};
    for (size_t i = 0; i < weights->axis; i++)
        channel.outer *= (size_t)weights->dims[i];
    for (size_t i = weights->axis + 1; i < weights->dim_count; i++)
        channel.inner *= (size_t)weights->dims[i];
    channel.stride = channel.inner * (size_t)weights->dims[weights->axis];
    channel.data += c * channel.inner;
    return channel;
}

static float largest(const struct channel *channel)
{
    float most = 0;
    for (size_t i = 0; i < channel->outer; i++)
        for (size_t k = 0; k < channel->inner; k++)
            most = fmaxf(most, fabsf(channel->data[i * channel->stride + k]));
    return most;
}

static double weight_error(const struct channel *channel, float scale, float top)
{
    const float inverse = 1 / scale;
    double sum = 0;
    for (size_t i = 0; i < channel->outer; i++) {
        const float *row = channel->data + i * channel->stride;
        float part = 0; /* of a row: short enough for float */
        for (size_t k = 0; k < channel->inner; k++) {
            float q = fminf(fmaxf(rintf(row[k] * inverse), -top), top);
            float d = row[k] * inverse - q;
            part += d * d;
        }
        sum += (double)part;
    }
    return sum * (double)scale * (double)scale;
}

/* The whole range, then clips down to 0.6 of it, then around the best. */
static float channel_scale(const struct channel *channel, float top)
{
    const float most = largest(channel);
    if (!isfinite(most) || !(most / top * 0.5F > FLT_MIN))
        return 0;
    float best = 1;
    double least = weight_error(channel, most / top, top);
    for (int pass = 0; pass < 2; pass++) {
        const float step = pass ? 0.0125F : 0.05F, centre = pass ? best : 0.8F;
        const int side = pass ? 3 : 4;
        for (int i = -side; i <= side; i++) {
            float part = centre + step * (float)i;
            if (part >= 1 || (pass && i == 0))
                continue;
            double error = weight_error(channel, part * most / top, top);
            if (error < least) {
                least = error;
                best = part;
            }
        }
    }
    return best * most / top;
}

void grid_weight_scales(const struct weight_view *weights, int bits, float *out_scales)
{
    const float top = bits == 7 ? 63 : 127;
    const size_t count = (size_t)weights->dims[weights->axis];
    float most = 0;
    for (size_t c = 0; c < count; c++) {
        struct channel channel = channel_of(weights, c);
        out_scales[c] = channel_scale(&channel, top);
        most = fmaxf(most, out_scales[c]);
    }
    /* A channel of zeros takes the widest step: its bias, on that step times the input's, is as fine as the others'. */
    for (size_t c = 0; c < count; c++)
        if (!(out_scales[c] > 0))
            out_scales[c] = most > 0 ? most : 1;
}

void grid_round_weights(const struct weight_view *weights, const float *scales, int bits, int8_t *out)
{
    const float top = bits == 7 ? 63 : 127;
    for (size_t c = 0; c < (size_t)weights->dims[weights->axis]; c++) {
        struct channel channel = channel_of(weights, c);
        int8_t *to = out + (channel.data - weights->data);
        for (size_t i = 0; i < channel.outer; i++)
            for (size_t k = 0; k < channel.inner; k++) {
                float q = rintf(channel.data[i * channel.stride + k] / scales[c]);
                to[i * channel.stride + k] = (int8_t)(isnan(q) ? 0 : fminf(fmaxf(q, -top), top));
            }
    }
}
