#include "forge/spread.h"

#include "base/mem.h"

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

double spread_quantile_ms(struct spread *spread, double share)
{
    if (spread->count == 0)
        return 0;
    qsort(spread->values_ns, spread->count, sizeof *spread->values_ns, ascending);
    size_t rank = (size_t)fmax(1, ceil(share * (double)spread->count));
    return (double)spread->values_ns[MIN(rank, spread->count) - 1] / 1e6;
}
