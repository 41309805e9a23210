#include "forge/quant/grid.h"

#include "base/mem.h"

#include <float.h>
#include <math.h>

/* ---- activations ---- */

enum { LEVELS = 255, CLIP_STEPS = 32, FINE_STEPS = 8, ROUNDS = 2, PATIENCE = 6 /* steps without a gain */ };
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

/* The nearest normal float: dividing by it is sound. */
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

/* Half to even, for |x| < 2^51; unlike rint() in vectors on every processor. */
static inline double nearest(double x)
{
    const double shift = 0x1.8p52;
    return (x + shift) - shift;
}

/* How many elements lie in each bin, as numbers to compute with. */
struct histogram {
    double low, width, count, bins[OBSERVE_BINS];
};

static void read_histogram(const struct observed *seen, struct histogram *out)
{
    out->low = (double)seen->min;
    out->width = ((double)seen->max - out->low) / OBSERVE_BINS;
    out->count = 0;
    for (int i = 0; i < OBSERVE_BINS; i++) {
        out->bins[i] = (double)seen->bins[i];
        out->count += out->bins[i];
    }
}

/* Bins much narrower than a step: all of a bin has the error of its middle. */
static double narrow_error(const struct histogram *histogram, double u, double du)
{
    double sum = 0;
    for (int i = 0; i < OBSERVE_BINS; i++) {
        double at = u + (i + 0.5) * du;
        double inside = at > 0 ? at : 0;
        double r = at - nearest(inside < LEVELS ? inside : LEVELS);
        sum += histogram->bins[i] * (r * r);
    }
    return sum;
}

/* Density is even within a bin. The square error from the grid's first point up to u, in steps: whole cells give 1/12 each, the rest r³/3 with the
 * distance r to the nearest point; beyond the ends the nearest point stays the last one. */
static double wide_error(const struct histogram *histogram, double u, double du)
{
    double up_to[OBSERVE_BINS + 1], sum = 0;
    for (int i = 0; i <= OBSERVE_BINS; i++) {
        double at = u + i * du;
        double inside = at > 0 ? at : 0;
        double k = nearest(inside < LEVELS ? inside : LEVELS), r = at - k;
        up_to[i] = k / 12 + r * r * r / 3;
    }
    for (int i = 0; i < OBSERVE_BINS; i++)
        sum += histogram->bins[i] * (up_to[i + 1] - up_to[i]);
    return sum / du;
}

static double histogram_error(const struct histogram *histogram, const struct quant_grid *grid)
{
    const double step = (double)grid->scale;
    const double first = step * (type_min(grid->dtype) - grid->zero);
    const double u = (histogram->low - first) / step, du = histogram->width / step;
    double sum = du > 1e-3 ? wide_error(histogram, u, du) : narrow_error(histogram, u, du);
    return histogram->count > 0 ? sum / histogram->count * step * step : 0;
}

struct search {
    struct histogram histogram;
    const struct grid_wish *wish;
    struct range whole, range;
    struct quant_grid grid;
    double error;
};

static bool try_range(struct search *search, struct range range)
{
    struct quant_grid grid = grid_over(search->wish, range);
    double error = histogram_error(&search->histogram, &grid);
    if (!(error < search->error))
        return false;
    search->range = range;
    search->grid = grid;
    search->error = error;
    return true;
}

/* Clips of one or both ends, from `from`, the other end as it is. */
static void clip_ends(struct search *search, struct range from, double ratio, int steps, bool low, bool high)
{
    double part = 1;
    for (int i = 0, missed = 0; i < steps && missed < PATIENCE; i++) {
        part *= ratio;
        struct range range = {low ? from.low * part : from.low, high ? from.high * part : from.high};
        missed = try_range(search, range) ? 0 : missed + 1;
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
    struct search search = {.wish = wish, .whole = range, .range = range, .grid = grid_over(wish, range)};
    if (wish->fixed)
        return search.grid;
    read_histogram(seen, &search.histogram);
    search.error = histogram_error(&search.histogram, &search.grid);
    descend(&search);
    return search.grid;
}

float grid_error(const struct observed *seen, const struct quant_grid *grid)
{
    struct histogram histogram;
    read_histogram(seen, &histogram);
    return (float)histogram_error(&histogram, grid);
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

enum { LANES = 8 };

static inline float rounding_error(float q, float top)
{
    const float shift = 0x1.8p23F; /* half to even, for |q| < 2^22 */
    float inside = q > -top ? q : -top;
    inside = inside < top ? inside : top;
    float d = q - ((inside + shift) - shift);
    return d * d;
}

/* Of neighbours; in so many lanes that the compiler takes vectors. */
static float run_error(const float *weights, size_t count, float inverse, float top)
{
    float lanes[LANES] = {0}, sum = 0;
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (size_t i = 0; i < LANES; i++)
            lanes[i] += rounding_error(weights[k + i] * inverse, top);
    for (; k < count; k++)
        sum += rounding_error(weights[k] * inverse, top);
    for (size_t i = 0; i < LANES; i++)
        sum += lanes[i];
    return sum;
}

static double weight_error(const struct channel *channel, float scale, float top)
{
    const float inverse = 1 / scale;
    double sum = 0;
    for (size_t i = 0; i < channel->outer; i++)
        sum += (double)run_error(channel->data + i * channel->stride, channel->inner, inverse, top);
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
