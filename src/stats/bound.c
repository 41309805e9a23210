#include "stats/bound.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>

enum { HALVINGS = 80 };

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* The continued fraction of the incomplete beta function by Lentz; converges within some sqrt(max(a, b)) steps for x below the mean. */
static double beta_fraction(double a, double b, double x)
{
    enum { MAX_STEPS = 100000 };
    const double tiny = 1e-300, enough = 1e-15;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int i = 1; i <= MAX_STEPS; i++) {
        double m = i, even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= d * c;
        if (fabs(d * c - 1) < enough)
            break;
    }
    return value;
}

double bound_incomplete_beta(double a, double b, double x)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(at least k of n) for 1 ≤ k ≤ n and a share of p. */
static double tail(uint64_t k, uint64_t n, double p)
{
    return bound_incomplete_beta((double)k, (double)(n - k) + 1, p);
}

double bound_share_lower(uint64_t k, uint64_t n, double alpha)
{
    if (!k || !n)
        return 0;
    if (k >= n)
        return pow(alpha, 1 / (double)n);
    double low = 0, high = (double)k / (double)n;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (tail(k, n, middle) <= alpha)
            low = middle;
        else
            high = middle;
    }
    return low;
}

double bound_share_upper(uint64_t k, uint64_t n, double alpha)
{
    return k >= n ? 1 : 1 - bound_share_lower(n - k, n, alpha);
}

uint64_t bound_samples_needed(double share, double alpha)
{
    double n = ceil(log(alpha) / log(share) * (1 - 1e-12));
    return n < 1 ? 1 : (uint64_t)n;
}

/* ---- the mean of values in [0, 1] ---- */

/* What the test against a mean of m needs to know of the values. */
struct evidence {
    size_t n;
    double sum, log_product; /* -INFINITY if one is 0 */
};

static struct evidence look(const double *values, size_t n)
{
    struct evidence seen = {.n = n};
    double carry = 0; /* Kahan: n ones add up to n */
    for (size_t i = 0; i < n; i++) {
        double x = values[i] > 0 ? fmin(values[i], 1) : 0; /* NaN is not > 0 */
        double y = x - carry, t = seen.sum + y;
        carry = t - seen.sum - y;
        seen.sum = t;
        seen.log_product += log(x);
    }
    return seen;
}

/* The smallest sum that refutes "the mean is at most m". For coins of mean m, P(k) of k heads, and any h < n:
 *
 *     mean of max(c·(k - h)₊, [k = n]·beta/P(n)) = c·A + max(c·(n - h)·P(n), beta)        A = Σ (k - h)·P(k) over h < k < n
 *
 * is alpha for 1/c = max((A + (n - h)·P(n)) / alpha, A / (alpha - beta)). h + 1/c is convex in h, so the whole numbers are gone through downwards
 * until it rises. */
static double sum_threshold(size_t n, double m, double alpha, double beta)
{
    double total = (double)n, odds = log1p(-m) - log(m);
    double log_p = total * log(m), log_all = log_p; /* log P(k), k = n, n - 1, … */
    double above = 0, mass = 0;                     /* A, and Σ P(k), over h < k < n */
    double best = INFINITY;
    for (double h = total - 1; h >= 0; h--) {
        double atom = (total - h) * exp(log_all);
        double threshold = h + fmax((above + atom) / alpha, above / (alpha - beta));
        if (threshold > best)
            break;
        best = threshold;
        log_p += log((h + 1) / (total - h)) + odds; /* now of k = h */
        mass += exp(log_p);
        above += mass;
    }
    return best;
}

static bool refutes(const struct evidence *seen, double m, double alpha)
{
    double beta = alpha / 2, total = (double)seen->n;
    if (seen->log_product - total * log(m) >= -log(beta))
        return true;
    return seen->sum >= sum_threshold(seen->n, m, alpha, beta);
}

double bound_mean_lower(const double *values, size_t n, double alpha)
{
    struct evidence seen = look(values, n);
    if (seen.sum <= 0)
        return 0;
    if (seen.sum >= (double)n)
        return pow(alpha, 1 / (double)n);
    double low = 0, high = seen.sum / (double)n;
    for (int i = 0; i < HALVINGS && high - low > 1e-12; i++) {
        double middle = (low + high) / 2;
        if (refutes(&seen, middle, alpha))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- at any time ---- */

static double log_beta(double a, double b)
{
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b);
}

static double log_likelihood(double k, double n, double p)
{
    return (k > 0 ? k * log(p) : 0) + (n - k > 0 ? (n - k) * log1p(-p) : 0);
}

/* Between `inside`, which is kept, and `outside` lies the edge: where the likelihood, which falls from the one to the other, is at its least. */
static double edge(double k, double n, double inside, double outside, double least)
{
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (inside + outside) / 2;
        if (log_likelihood(k, n, middle) > least)
            inside = middle;
        else
            outside = middle;
    }
    return outside;
}

void bound_share_anytime(uint64_t k, uint64_t n, double alpha, double *out_lower, double *out_upper)
{
    double heads = (double)k, total = (double)n, share = n ? heads / total : 0.5;
    double mean =
        log_beta(heads + 0.5, total - heads + 0.5) - log_beta(0.5, 0.5); /* of the prior's likelihood */
    *out_lower = k ? edge(heads, total, share, 0, mean + log(alpha)) : 0;
    *out_upper = k < n ? edge(heads, total, share, 1, mean + log(alpha)) : 1;
}
