/* Short reference implementations of what others use, with the parameters that they come with. */
#include "drift.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- two samples: Kolmogorov and Smirnov, population stability index ---- */

enum { BATCH = 200, PSI_BINS = 10 };

struct batch {
    const struct calibration *calibration;
    double values[BATCH];
    size_t count;
};

static void batch_begin(void *state, const struct calibration *calibration, struct stream *unused)
{
    *(struct batch *)state = (struct batch){.calibration = calibration};
}

static void batch_again(void *state)
{
    ((struct batch *)state)->count = 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* How many of `sorted` are at most `value`. */
static size_t rank_of(const double *sorted, size_t count, double value)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Largest distance between two distribution functions; both sorted, values of `b` all different. */
static double ks_distance(const double *a, size_t a_count, const double *b, size_t b_count)
{
    double most = 0;
    for (size_t i = 0; i < b_count; i++) {
        double share = (double)rank_of(a, a_count, b[i]) / (double)a_count;
        most = fmax(most, fmax(fabs(share - (double)i / (double)b_count),
                               fabs(share - (double)(i + 1) / (double)b_count)));
    }
    return most;
}

/* Kolmogorov's Q(x) = 2 Σ (-1)^(k-1) exp(-2 k² x²). */
static double kolmogorov_tail(double x)
{
    double sum = 0;
    for (int k = 1; k <= 100; k++)
        sum += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * x * x);
    return x < 0.2 ? 1 : fmin(fmax(sum, 0), 1);
}

static bool ks_add(void *state, double value, double level)
{
    struct batch *batch = state;
    batch->values[batch->count++] = value;
    if (batch->count < BATCH)
        return false;
    batch->count = 0;
    qsort(batch->values, BATCH, sizeof *batch->values, by_value);
    double distance = ks_distance(batch->calibration->sorted, CALIBRATION, batch->values, BATCH);
    double n = (double)BATCH * CALIBRATION / (BATCH + CALIBRATION);
    return kolmogorov_tail(sqrt(n) * distance) < level;
}

static bool ks_05_add(void *state, double value, uint32_t unused)
{
    return ks_add(state, value, 0.05);
}

static bool ks_0001_add(void *state, double value, uint32_t unused)
{
    return ks_add(state, value, 1e-4);
}

/* Σ (q - p)·ln(q / p); an empty bin counts as one in ten thousand. */
static double psi_of(const double *p, const double *q, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double a = fmax(p[i], 1e-4), b = fmax(q[i], 1e-4);
        sum += (b - a) * log(b / a);
    }
    return sum;
}

static bool psi_add(void *state, double value, double level)
{
    struct batch *batch = state;
    batch->values[batch->count++] = value;
    if (batch->count < BATCH)
        return false;
    batch->count = 0;
    double p[PSI_BINS], q[PSI_BINS] = {0};
    for (size_t i = 0; i < BATCH; i++) {
        size_t rank = rank_of(batch->calibration->sorted, CALIBRATION, batch->values[i]);
        q[MIN(rank * PSI_BINS / CALIBRATION, PSI_BINS - 1)] += 1.0 / BATCH;
    }
    for (size_t i = 0; i < PSI_BINS; i++)
        p[i] = 1.0 / PSI_BINS;
    return psi_of(p, q, PSI_BINS) > level;
}

static bool psi_1_add(void *state, double value, uint32_t unused)
{
    return psi_add(state, value, 0.1);
}

static bool psi_2_add(void *state, double value, uint32_t unused)
{
    return psi_add(state, value, 0.2);
}

/* ---- CUSUM (Page, 1954), two-sided, k = 0.5, h = 5 ---- */

struct cusum {
    double mean, sd, up, down;
};

static void cusum_begin(void *state, const struct calibration *calibration, struct stream *unused)
{
    *(struct cusum *)state = (struct cusum){.mean = calibration->mean, .sd = calibration->sd};
}

static void cusum_again(void *state)
{
    struct cusum *cusum = state;
    cusum->up = cusum->down = 0;
}

static bool cusum_add(void *state, double value, uint32_t unused)
{
    const double k = 0.5, h = 5;
    struct cusum *cusum = state;
    double z = (value - cusum->mean) / cusum->sd;
    cusum->up = fmax(0, cusum->up + z - k);
    cusum->down = fmax(0, cusum->down - z - k);
    return cusum->up > h || cusum->down > h;
}

/* ---- Page-Hinkley with river's defaults, both directions ---- */

struct hinkley {
    double count, mean, up, down, least, most;
};

static void hinkley_again(void *state)
{
    *(struct hinkley *)state = (struct hinkley){.least = INFINITY, .most = -1};
}

static void hinkley_begin(void *state, const struct calibration *calibration, struct stream *unused)
{
    hinkley_again(state);
}

static bool hinkley_add(void *state, double value, uint32_t unused)
{
    const double least_count = 30, delta = 0.005, threshold = 50, alpha = 1 - 0.0001;
    struct hinkley *hinkley = state;
    hinkley->count++;
    hinkley->mean += (value - hinkley->mean) / hinkley->count;
    double deviation = value - hinkley->mean;
    hinkley->up = alpha * hinkley->up + deviation - delta;
    hinkley->down = alpha * hinkley->down + deviation + delta;
    hinkley->least = fmin(hinkley->least, hinkley->up);
    hinkley->most = fmax(hinkley->most, hinkley->down);
    return hinkley->count >= least_count &&
           (hinkley->up - hinkley->least > threshold || hinkley->most - hinkley->down > threshold);
}

/* ---- ADWIN (Bifet and Gavaldà, 2007), delta 0.002, checked every 32 samples as MOA and river do ---- */

enum { ADWIN_ROWS = 40, ADWIN_BUCKETS = 5, ADWIN_CLOCK = 32, ADWIN_LEAST = 5, ADWIN_GRACE = 10 };

struct adwin {
    double total[ADWIN_ROWS][ADWIN_BUCKETS + 1], spread[ADWIN_ROWS][ADWIN_BUCKETS + 1]; /* oldest first */
    int used[ADWIN_ROWS];
    double width, sum, variance; /* variance: sum of squares about the mean */
    uint64_t ticks;
};

static void adwin_again(void *state)
{
    memset(state, 0, sizeof(struct adwin));
}

static void adwin_begin(void *state, const struct calibration *calibration, struct stream *unused)
{
    adwin_again(state);
}

static void adwin_drop_first(struct adwin *adwin, int row, int count)
{
    size_t rest = (size_t)(adwin->used[row] - count) * sizeof(double);
    memmove(adwin->total[row], adwin->total[row] + count, rest);
    memmove(adwin->spread[row], adwin->spread[row] + count, rest);
    adwin->used[row] -= count;
}

static void adwin_append(struct adwin *adwin, int row, double total, double spread)
{
    adwin->total[row][adwin->used[row]] = total;
    adwin->spread[row][adwin->used[row]++] = spread;
}

static void adwin_insert(struct adwin *adwin, double value)
{
    if (adwin->width > 0) {
        double more = value - adwin->sum / adwin->width;
        adwin->variance += adwin->width * more * more / (adwin->width + 1);
    }
    adwin->width++;
    adwin->sum += value;
    adwin_append(adwin, 0, value, 0);
    for (int row = 0; adwin->used[row] > ADWIN_BUCKETS && row < ADWIN_ROWS - 1; row++) {
        double n = ldexp(1, row), *total = adwin->total[row], *spread = adwin->spread[row];
        double apart = (total[0] - total[1]) / n;
        adwin_append(adwin, row + 1, total[0] + total[1], spread[0] + spread[1] + n * apart * apart / 2);
        adwin_drop_first(adwin, row, 2);
    }
}

static void adwin_delete_oldest(struct adwin *adwin)
{
    int row = ADWIN_ROWS - 1;
    while (row > 0 && !adwin->used[row])
        row--;
    double n = ldexp(1, row), total = adwin->total[row][0];
    adwin->width -= n;
    adwin->sum -= total;
    double apart = total / n - adwin->sum / adwin->width;
    adwin->variance -= adwin->spread[row][0] + n * adwin->width * apart * apart / (n + adwin->width);
    adwin_drop_first(adwin, row, 1);
}

static double adwin_epsilon(double n0, double n1, double variance)
{
    double delta = log(2 * log(n0 + n1) / 0.002);
    double m = 1 / (n0 - ADWIN_LEAST + 1) + 1 / (n1 - ADWIN_LEAST + 1);
    return sqrt(2 * m * variance * delta) + 2.0 / 3 * delta * m;
}

/* Is there a place to cut the window at? */
static bool adwin_cut(const struct adwin *adwin)
{
    double n0 = 0, u0 = 0;
    for (int row = ADWIN_ROWS - 1; row >= 0; row--)
        for (int k = 0; k < adwin->used[row]; k++) {
            n0 += ldexp(1, row);
            u0 += adwin->total[row][k];
            double n1 = adwin->width - n0;
            if (n0 < ADWIN_LEAST || n1 < ADWIN_LEAST)
                continue;
            if (fabs(u0 / n0 - (adwin->sum - u0) / n1) >
                adwin_epsilon(n0, n1, adwin->variance / adwin->width))
                return true;
        }
    return false;
}

static bool adwin_add(void *state, double value, uint32_t unused)
{
    struct adwin *adwin = state;
    bool found = false;
    adwin_insert(adwin, value);
    if (++adwin->ticks % ADWIN_CLOCK || adwin->width <= ADWIN_GRACE)
        return false;
    while (adwin_cut(adwin)) {
        adwin_delete_oldest(adwin);
        found = true;
    }
    return found;
}

static void adwin_goes_on(void *state)
{
    /* It has dropped what was before. */
}

const struct detector peers[] = {
    {"adwin_0.002", sizeof(struct adwin), adwin_begin, adwin_add, adwin_goes_on},
    {"ks_p0.05", sizeof(struct batch), batch_begin, ks_05_add, batch_again},
    {"ks_p1e-4", sizeof(struct batch), batch_begin, ks_0001_add, batch_again},
    {"psi_0.1", sizeof(struct batch), batch_begin, psi_1_add, batch_again},
    {"psi_0.2", sizeof(struct batch), batch_begin, psi_2_add, batch_again},
    {"cusum_0.5_5", sizeof(struct cusum), cusum_begin, cusum_add, cusum_again},
    {"page_hinkley", sizeof(struct hinkley), hinkley_begin, hinkley_add, hinkley_again},
    {0},
};

/* ---- checks ---- */

static bool check(bool fits, const char *what)
{
    if (!fits)
        fprintf(stderr, "bench-drift: %s does not fit\n", what);
    return fits;
}

/* The stream of the comparison with river 0.26.1 (Python): a linear congruential generator's uniform numbers, 0.3 more from the 2,000th on. */
static size_t first_alarm(const struct detector *detector, double step, size_t most)
{
    _Alignas(16) static uint8_t state[sizeof(struct adwin)];
    uint64_t random = 12345;
    detector->begin(state, NULL, NULL);
    for (size_t i = 0; i < most; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        double value = (double)(random >> 11) / (double)(1ULL << 53) + (i >= 2000 ? step : 0);
        if (detector->add(state, value, 0))
            return i;
    }
    return most;
}

/* Mean run lengths of the two-sided CUSUM with k = 0.5, h = 5 are 465 at no shift and 10.4 at one sd (Montgomery, "Introduction to statistical
 * quality control", table of ARLs of the tabular CUSUM). */
static double cusum_arl(double shift)
{
    enum { RUNS = 20000 };
    struct stream stream;
    struct cusum cusum = {.sd = 1};
    double total = 0;
    stream_init(&stream, STREAM_IID, 99);
    for (int i = 0; i < RUNS; i++) {
        cusum_again(&cusum);
        do
            total++;
        while (!cusum_add(&cusum, stream_normal(&stream) + shift, 0));
    }
    return total / RUNS;
}

bool peers_check(void)
{
    const double a[] = {1, 2, 3, 4}, b[] = {2.5, 3.5, 4.5, 5.5}, p[] = {0.5, 0.5}, q[] = {0.6, 0.4};
    bool fine = check(fabs(ks_distance(a, 4, b, 4) - 0.5) < 1e-12, "distance of two small samples");
    fine &= check(fabs(kolmogorov_tail(1.3581) - 0.05) < 1e-4 && fabs(kolmogorov_tail(1.6276) - 0.01) < 1e-4,
                  "Kolmogorov's table");
    fine &= check(fabs(psi_of(p, q, 2) - 0.1 * log(1.5)) < 1e-12, "stability index of two bins");
    fine &= check(fabs(cusum_arl(0) / 465 - 1) < 0.03, "CUSUM's mean run without a shift");
    fine &= check(fabs(cusum_arl(1) / 10.4 - 1) < 0.02, "CUSUM's mean run at a shift of one sd");
    fine &= check(first_alarm(&peers[0], 0.05, 10000) == 3647 && first_alarm(&peers[0], 0.1, 10000) == 2239,
                  "ADWIN beside river's");
    fine &= check(first_alarm(&peers[6], 0.05, 10000) == 3539 && first_alarm(&peers[6], 0.1, 10000) == 2590,
                  "Page-Hinkley beside river's");
    return fine;
}
