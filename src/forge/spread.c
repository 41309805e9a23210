#include "forge/spread.h"

#include "base/mem.h"
#include "stats/order.h"

#include <math.h>

int spread_add(struct spread *spread, int64_t value_ns, struct err *err)
{
    if (spread->count == spread->cap) {
        size_t cap = spread->cap ? 2 * spread->cap : 256;
        int64_t *grown = mem_grow(spread->values_ns, cap, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        spread->values_ns = grown;
        spread->cap = cap;
    }
    spread->values_ns[spread->count++] = value_ns;
    return 0;
}

void spread_fini(struct spread *spread)
{
    free(spread->values_ns);
    *spread = (struct spread){0};
}

static int ascending(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void sort(struct spread *spread)
{
    if (spread->count)
        qsort(spread->values_ns, spread->count, sizeof *spread->values_ns, ascending);
}

void spread_bounds_ms(struct spread *spread, double share, double *out_low, double *out_high)
{
    ptrdiff_t low, high;
    order_bounds(spread->count, share, 0.05, &low, &high);
    sort(spread);
    *out_low = low < 0 ? NAN : (double)spread->values_ns[low] / 1e6;
    *out_high = high >= (ptrdiff_t)spread->count ? NAN : (double)spread->values_ns[high] / 1e6;
}

double spread_quantile_ms(struct spread *spread, double share)
{
    if (spread->count == 0)
        return 0;
    sort(spread);
    size_t rank = (size_t)fmax(1, ceil(share * (double)spread->count));
    return (double)spread->values_ns[MIN(rank, spread->count) - 1] / 1e6;
}
