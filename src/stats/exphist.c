#include "stats/exphist.h"
#include "base/mem.h"

#include <math.h>

void exphist_init(struct exphist *hist)
{
    memset(hist, 0, sizeof *hist);
    hist->scale = EXPHIST_MAX_SCALE;
}

/* Index of the bucket (base^i, base^(i+1)] that holds value > 0; exact at powers of two. */
static int32_t index_of(double value, int32_t scale)
{
    int exponent;
    double fraction = frexp(value, &exponent); /* value = fraction * 2^exponent, 0.5 <= fraction < 1 */
    if (scale <= 0)
        return (fraction == 0.5 ? exponent - 2 : exponent - 1) >> -scale;
    if (fraction == 0.5)
        return (int32_t)ldexp(exponent - 1, scale) - 1;
    return (int32_t)ceil(ldexp(log2(fraction) + exponent, scale)) - 1;
}

/* Merges 2^by neighbours into one: the scale shrinks, no count is lost. */
static void shrink_scale(struct exphist *hist, int by)
{
    hist->scale -= by;
    if (!hist->used)
        return;
    int32_t first = hist->offset >> by;
    uint32_t used = 0;
    for (uint32_t i = 0; i < hist->used; i++) {
        uint32_t slot = (uint32_t)(((hist->offset + (int32_t)i) >> by) - first);
        uint64_t count = hist->counts[i];
        hist->counts[i] = 0;
        hist->counts[slot] += count; /* slot <= i, so nothing unread is overwritten */
        used = slot + 1;
    }
    hist->offset = first;
    hist->used = used;
}

/* How often [low, high] must be halved to fit into EXPHIST_BUCKETS. */
static int halvings(int64_t low, int64_t high)
{
    int by = 0;
    while ((high >> by) - (low >> by) >= EXPHIST_BUCKETS)
        by++;
    return by;
}

/* Moves and widens the window of buckets to [low, high], which contains the present one and fits. */
static void widen(struct exphist *hist, int32_t low, int32_t high)
{
    if (!hist->used) {
        hist->offset = low;
    } else if (low < hist->offset) {
        uint32_t shift = (uint32_t)(hist->offset - low);
        memmove(hist->counts + shift, hist->counts, hist->used * sizeof hist->counts[0]);
        memset(hist->counts, 0, shift * sizeof hist->counts[0]);
        hist->offset = low;
    }
    hist->used = (uint32_t)(high - low) + 1;
}

static void note_range(struct exphist *hist, double min, double max)
{
    hist->min = hist->count ? fmin(hist->min, min) : min;
    hist->max = hist->count ? fmax(hist->max, max) : max;
}

/* ---- the sum: 2^-24 is 1 ---- */

__extension__ typedef __int128 total_t;
enum { SUM_UNIT_BITS = 24, SUM_MAX_BITS = 100 };

/* Beyond 2^76, which no latency is, a sum stays where it is: also that does not depend on the order. */
static total_t capped(double units)
{
    double most = ldexp(1, SUM_MAX_BITS);
    return (total_t)rint(fmax(fmin(units, most), -most));
}

static total_t units_of(double value)
{
    return capped(ldexp(value, SUM_UNIT_BITS));
}

static total_t total_of(const struct exphist *hist)
{
    return units_of(hist->sum) + units_of(hist->sum_rest);
}

static void set_total(struct exphist *hist, total_t total)
{
    total_t most = (total_t)1 << SUM_MAX_BITS;
    total = total > most ? most : total < -most ? -most : total;
    double rounded = (double)total;
    hist->sum = ldexp(rounded, -SUM_UNIT_BITS);
    hist->sum_rest = ldexp((double)(total - (total_t)rounded), -SUM_UNIT_BITS);
}

/* times × value, of which 128 bits hold less than 2^SUM_MAX_BITS. */
static total_t product_of(double value, uint64_t times)
{
    if (value * (double)times >= ldexp(1, SUM_MAX_BITS - SUM_UNIT_BITS))
        return (total_t)1 << SUM_MAX_BITS;
    return units_of(value) * (total_t)times;
}

bool exphist_add(struct exphist *hist, double value, uint64_t times)
{
    if (!isfinite(value))
        return false;
    if (!times)
        return true;
    value = value > 0 ? value : 0;
    note_range(hist, value, value);
    hist->count += times;
    set_total(hist, total_of(hist) + product_of(value, times));
    if (value == 0) {
        hist->zero_count += times;
        return true;
    }
    int32_t at = index_of(value, hist->scale);
    int32_t low = hist->used ? MIN(at, hist->offset) : at;
    int32_t high = hist->used ? MAX(at, hist->offset + (int32_t)hist->used - 1) : at;
    int by = halvings(low, high);
    if (by) {
        shrink_scale(hist, by);
        at >>= by;
        low >>= by;
        high >>= by;
    }
    widen(hist, low, high);
    hist->counts[at - hist->offset] += times;
    return true;
}

void exphist_merge(struct exphist *into, const struct exphist *from)
{
    if (!from->count)
        return;
    note_range(into, from->min, from->max);
    into->count += from->count;
    into->zero_count += from->zero_count;
    set_total(into, total_of(into) + total_of(from));
    if (!from->used)
        return;
    struct exphist other = *from;
    int32_t scale = into->used ? MIN(into->scale, other.scale) : other.scale;
    shrink_scale(into, into->scale - scale);
    shrink_scale(&other, other.scale - scale);
    int32_t low = into->used ? MIN(into->offset, other.offset) : other.offset;
    int32_t high = other.offset + (int32_t)other.used - 1;
    high = into->used ? MAX(high, into->offset + (int32_t)into->used - 1) : high;
    int by = halvings(low, high);
    shrink_scale(into, by);
    shrink_scale(&other, by);
    widen(into, low >> by, high >> by);
    for (uint32_t i = 0; i < other.used; i++)
        into->counts[other.offset + (int32_t)i - into->offset] += other.counts[i];
}

static double lower_edge(const struct exphist *hist, int64_t index)
{
    return exp2(ldexp((double)index, -hist->scale));
}

double exphist_quantile(const struct exphist *hist, double q)
{
    if (!hist->count)
        return 0;
    uint64_t rank = (uint64_t)ceil(fmin(fmax(q, 0), 1) * (double)hist->count);
    uint64_t seen = hist->zero_count;
    if (rank <= seen)
        return hist->min;
    for (uint32_t i = 0; i < hist->used; i++) {
        seen += hist->counts[i];
        if (rank <= seen)
            return fmin(fmax(lower_edge(hist, (int64_t)hist->offset + i + 1), hist->min), hist->max);
    }
    return hist->max;
}

uint64_t exphist_count_above(const struct exphist *hist, double limit)
{
    uint64_t above = 0;
    for (uint32_t i = 0; i < hist->used; i++)
        if (lower_edge(hist, (int64_t)hist->offset + i) >= limit)
            above += hist->counts[i];
    return above;
}

double exphist_share_above(const struct exphist *hist, double limit)
{
    return hist->count ? (double)exphist_count_above(hist, limit) / (double)hist->count : 0;
}

/* Whether all buckets lie in the range of doubles; then no merge can need a scale below EXPHIST_MIN_SCALE. */
static bool in_range(const struct exphist *hist)
{
    double low = ldexp(hist->offset, -hist->scale);
    double high = ldexp((double)hist->offset + hist->used, -hist->scale);
    return low >= -2048 && high <= 2048;
}

bool exphist_valid(const struct exphist *hist)
{
    if (hist->scale < EXPHIST_MIN_SCALE || hist->scale > EXPHIST_MAX_SCALE || hist->used > EXPHIST_BUCKETS)
        return false;
    if (hist->used && !in_range(hist))
        return false;
    uint64_t total = hist->zero_count;
    for (uint32_t i = 0; i < hist->used; i++)
        if (__builtin_add_overflow(total, hist->counts[i], &total))
            return false;
    return total == hist->count && isfinite(hist->sum) && isfinite(hist->sum_rest) && isfinite(hist->min) &&
           isfinite(hist->max) && hist->min <= hist->max;
}
