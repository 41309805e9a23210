#include "stats/sequential.h"
#include "base/mem.h"

#include <math.h>

/* Alternatives as multiples of the limit's odds: from "a bit more" to "nearly always". */
static const double odds_ratios[] = {1.3, 1.7, 2.5, 4, 8, 20, 100};

double sequential_log_e(uint64_t bad, uint64_t total, double limit)
{
    if (limit <= 0)
        return bad ? INFINITY : 0;
    if (limit >= 1 || !total)
        return 0;
    double good = (double)(total - bad), peak = -INFINITY, logs[ARRAY_LEN(odds_ratios)];
    for (size_t i = 0; i < ARRAY_LEN(odds_ratios); i++) {
        double odds = odds_ratios[i] * limit / (1 - limit);
        double share = odds / (1 + odds);
        logs[i] = (double)bad * log(share / limit) + good * log((1 - share) / (1 - limit));
        peak = fmax(peak, logs[i]);
    }
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(odds_ratios); i++)
        sum += exp(logs[i] - peak);
    return peak + log(sum / (double)ARRAY_LEN(odds_ratios));
}

bool sequential_exceeds(uint64_t bad, uint64_t total, double limit, double alpha)
{
    return sequential_log_e(bad, total, limit) >= -log(alpha);
}

/* Continued fraction of the incomplete beta function (Lentz; Press et al., Numerical Recipes, section 6.4).
 */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double result = d;
    for (int m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        result *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        result *= d * c;
        if (fabs(d * c - 1) < 1e-14)
            break;
    }
    return result;
}

/* Regularized incomplete beta function I_x(a, b). */
static double incomplete_beta(double a, double b, double x)
{
    int sign;
    if (x <= 0 || x >= 1)
        return x >= 1;
    double front =
        exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

static double beta_quantile(double a, double b, double probability)
{
    double low = 0, high = 1;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (incomplete_beta(a, b, middle) < probability)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

void binomial_interval(uint64_t k, uint64_t n, double confidence, double *out_low, double *out_high)
{
    double tail = (1 - confidence) / 2, hits = (double)k, misses = (double)(n - k);
    *out_low = k ? beta_quantile(hits, misses + 1, tail) : 0;
    *out_high = k < n ? beta_quantile(hits + 1, misses, 1 - tail) : 1;
}
