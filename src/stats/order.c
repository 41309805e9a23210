#include "stats/order.h"

#include "stats/bound.h"

#include <math.h>

enum { BISECTIONS = 200 };

double order_binomial(size_t k, size_t n, double p)
{
    return k >= n ? 1 : bound_incomplete_beta((double)(n - k), (double)k + 1, 1 - p);
}

/* The smallest k with P(X ≤ k) ≥ share. */
static size_t binomial_quantile(double share, size_t n, double p)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order_binomial(middle, n, p) >= share)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void order_bounds(size_t count, double q, double alpha, ptrdiff_t *out_low, ptrdiff_t *out_high)
{
    /* X observations lie below the quantile. sorted[r] is above it only if X ≤ r: so `low` is the largest r with P(X ≤ r) ≤ alpha / 2, and
     * `high` the smallest with P(X ≤ r) ≥ 1 - alpha / 2. */
    size_t low = binomial_quantile(alpha / 2, count, q);
    while (low > 0 && order_binomial(low, count, q) > alpha / 2)
        low--;
    bool bounded = count > 0 && order_binomial(low, count, q) <= alpha / 2;
    *out_low = bounded ? (ptrdiff_t)low : -1;
    *out_high = (ptrdiff_t)binomial_quantile(1 - alpha / 2, count, q);
}

/* P(X ≤ k) for X ~ Poisson(mean): terms by their ratio, from the mode of the part that is summed. */
static double poisson(uint64_t k, double mean)
{
    if (mean <= 0)
        return 1;
    int sign;
    double top = floor(fmin((double)k, mean)), sum = 1, term = 1;
    for (double i = top; i > 0 && term > sum * 1e-17; i--)
        sum += term *= i / mean;
    term = 1;
    for (double i = top; i < (double)k && term > sum * 1e-17; i++)
        sum += term *= mean / (i + 1);
    return fmin(exp(top * log(mean) - mean - lgamma_r(top + 1, &sign)) * sum, 1);
}

/* The mean at which P(X ≤ k) falls to `share`: it falls as the mean grows. */
static double mean_at(uint64_t k, double share)
{
    double low = 0, high = 2 * (double)k + 100;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = (low + high) / 2;
        if (poisson(k, middle) > share)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

void order_rate_bounds(uint64_t events, double time, double alpha, double *out_low, double *out_high)
{
    *out_low = events ? mean_at(events - 1, 1 - alpha / 2) / time : 0;
    *out_high = mean_at(events, alpha / 2) / time;
}
