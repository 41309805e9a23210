#include "stats/linear.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Everything heavy is one of two small kernels, written once in vectors of GCC's and built for each processor:
 *   dots     sums of products of 4 rows with 4 rows, rows contiguous (Gram matrices, Cholesky, inverse)
 *   update   4 rows of a right-hand side minus a sum of other rows (solving, elimination) */

typedef double vector __attribute__((vector_size(64), aligned(8), may_alias));
typedef float narrow __attribute__((vector_size(32), aligned(4), may_alias));

enum { LANES = 8, TILE = 4, BLOCK = 32, DEPTH = 512 };

#define INLINE static inline __attribute__((always_inline))

INLINE double sum_of(const vector *v)
{
    double sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += (*v)[i];
    return sum;
}

/* out[r][s] = Σ_k a[r][k] b[s][k] */
INLINE void dots_loop(const double *const a[TILE], const double *const b[TILE], size_t count,
                      double out[TILE][TILE])
{
    vector acc[TILE][TILE] = {0};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vector y[TILE];
        for (int s = 0; s < TILE; s++)
            y[s] = *(const vector *)(b[s] + k);
        for (int r = 0; r < TILE; r++) {
            vector x = *(const vector *)(a[r] + k);
            for (int s = 0; s < TILE; s++)
                acc[r][s] += x * y[s];
        }
    }
    for (int r = 0; r < TILE; r++)
        for (int s = 0; s < TILE; s++) {
            double sum = sum_of(&acc[r][s]);
            for (size_t i = k; i < count; i++)
                sum += a[r][i] * b[s][i];
            out[r][s] = sum;
        }
}

INLINE void dots_narrow_loop(const float *const a[TILE], const float *const b[TILE], size_t count,
                             double out[TILE][TILE])
{
    vector acc[TILE][TILE] = {0};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vector y[TILE];
        for (int s = 0; s < TILE; s++)
            y[s] = __builtin_convertvector(*(const narrow *)(b[s] + k), vector);
        for (int r = 0; r < TILE; r++) {
            vector x = __builtin_convertvector(*(const narrow *)(a[r] + k), vector);
            for (int s = 0; s < TILE; s++)
                acc[r][s] += x * y[s];
        }
    }
    for (int r = 0; r < TILE; r++)
        for (int s = 0; s < TILE; s++) {
            double sum = sum_of(&acc[r][s]);
            for (size_t i = k; i < count; i++)
                sum += (double)a[r][i] * (double)b[s][i];
            out[r][s] = sum;
        }
}

/* out[r][c] -= Σ_k f[k × step + r × stride] b[k × columns + c], for 4 rows of `columns` each */
struct update {
    double *out[TILE];
    const double *factors, *b;
    size_t step, stride, count, columns;
};

INLINE void update_columns(const struct update *u, size_t c, size_t width)
{
    double acc[TILE][LANES] = {0};
    for (size_t k = 0; k < u->count; k++)
        for (size_t r = 0; r < TILE; r++)
            for (size_t i = 0; i < width; i++)
                acc[r][i] += u->factors[k * u->step + r * u->stride] * u->b[k * u->columns + c + i];
    for (size_t r = 0; r < TILE; r++)
        for (size_t i = 0; i < width; i++)
            u->out[r][c + i] -= acc[r][i];
}

INLINE void update_vectors(const struct update *u, size_t c)
{
    vector acc[TILE][2] = {0};
    for (size_t k = 0; k < u->count; k++) {
        const vector low = *(const vector *)(u->b + k * u->columns + c);
        const vector high = *(const vector *)(u->b + k * u->columns + c + LANES);
        for (size_t r = 0; r < TILE; r++) {
            double factor = u->factors[k * u->step + r * u->stride];
            acc[r][0] += factor * low;
            acc[r][1] += factor * high;
        }
    }
    for (size_t r = 0; r < TILE; r++) {
        *(vector *)(u->out[r] + c) -= acc[r][0];
        *(vector *)(u->out[r] + c + LANES) -= acc[r][1];
    }
}

INLINE void update_loop(const struct update *u)
{
    size_t c = 0;
    for (; c + 2 * LANES <= u->columns; c += 2 * LANES)
        update_vectors(u, c);
    for (; c < u->columns; c += LANES)
        update_columns(u, c, u->columns - c < LANES ? u->columns - c : LANES);
}

/* ---- the same for each processor ---- */

struct kernels {
    void (*dots)(const double *const a[TILE], const double *const b[TILE], size_t count,
                 double out[TILE][TILE]);
    void (*dots_narrow)(const float *const a[TILE], const float *const b[TILE], size_t count,
                        double out[TILE][TILE]);
    void (*update)(const struct update *u);
};

#define KERNELS(name, attribute)                                                                             \
    attribute static void dots_##name(const double *const a[TILE], const double *const b[TILE],              \
                                      size_t count, double out[TILE][TILE])                                  \
    {                                                                                                        \
        dots_loop(a, b, count, out);                                                                         \
    }                                                                                                        \
    attribute static void dots_narrow_##name(const float *const a[TILE], const float *const b[TILE],         \
                                             size_t count, double out[TILE][TILE])                           \
    {                                                                                                        \
        dots_narrow_loop(a, b, count, out);                                                                  \
    }                                                                                                        \
    attribute static void update_##name(const struct update *u)                                              \
    {                                                                                                        \
        update_loop(u);                                                                                      \
    }                                                                                                        \
    static const struct kernels name##_kernels = {dots_##name, dots_narrow_##name, update_##name};

KERNELS(plain, )
#if defined(__x86_64__)
KERNELS(avx2, __attribute__((target("avx2,fma"))))
KERNELS(avx512, __attribute__((target("avx512f,avx512dq,avx512vl,fma"))))

static const struct kernels *kernels(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return &avx512_kernels;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2_kernels : &plain_kernels;
}
#else
static const struct kernels *kernels(void)
{
    return &plain_kernels;
}
#endif

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- Gram matrices ---- */

/* Rows past the end are the last one again; what they give is not used. */
static void narrow_rows(const float *x, size_t first, size_t n, size_t stride, size_t offset,
                        const float *rows[TILE])
{
    for (size_t r = 0; r < TILE; r++)
        rows[r] = x + least(first + r, n - 1) * stride + offset;
}

void linear_cross_add(double *c, const float *x, size_t n, const float *y, size_t m, size_t count)
{
    const struct kernels *kernel = kernels();
    const float *a[TILE], *b[TILE];
    double sums[TILE][TILE];
    for (size_t from = 0; from < count; from += DEPTH)
        for (size_t i = 0; i < n; i += TILE)
            for (size_t j = 0; j < m; j += TILE) {
                narrow_rows(x, i, n, count, from, a);
                narrow_rows(y, j, m, count, from, b);
                kernel->dots_narrow(a, b, least(DEPTH, count - from), sums);
                for (size_t r = 0; r < TILE && i + r < n; r++)
                    for (size_t s = 0; s < TILE && j + s < m; s++)
                        c[(i + r) * m + j + s] += sums[r][s];
            }
}

void linear_gram_add(double *g, const float *x, size_t n, size_t count)
{
    const struct kernels *kernel = kernels();
    const float *a[TILE], *b[TILE];
    double sums[TILE][TILE];
    for (size_t from = 0; from < count; from += DEPTH)
        for (size_t i = 0; i < n; i += TILE)
            for (size_t j = 0; j <= i; j += TILE) {
                narrow_rows(x, i, n, count, from, a);
                narrow_rows(x, j, n, count, from, b);
                kernel->dots_narrow(a, b, least(DEPTH, count - from), sums);
                for (size_t r = 0; r < TILE && i + r < n; r++)
                    for (size_t s = 0; s < TILE && j + s <= i + r; s++)
                        g[(i + r) * n + j + s] += sums[r][s];
            }
}

void linear_mirror(double *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            g[j * n + i] = g[i * n + j];
}

double linear_mean_diagonal(const double *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i * n + i];
    return n ? sum / (double)n : 0;
}

/* ---- Cholesky ---- */

static void wide_rows(const double *x, size_t first, size_t n, size_t offset, const double *rows[TILE])
{
    for (size_t r = 0; r < TILE; r++)
        rows[r] = x + least(first + r, n - 1) * n + offset;
}

/* Subtracts what the columns before `from` say from rows [first, last) of columns [from, to), lower triangle only. */
static void subtract_left(double *a, size_t n, size_t first, size_t last, size_t from, size_t to)
{
    const double *x[TILE], *y[TILE];
    double sums[TILE][TILE];
    for (size_t i = first; i < last; i += TILE)
        for (size_t j = from; j < to && j < i + TILE; j += TILE) {
            wide_rows(a, i, n, 0, x);
            wide_rows(a, j, n, 0, y);
            kernels()->dots(x, y, from, sums);
            for (size_t r = 0; r < TILE && i + r < last; r++)
                for (size_t s = 0; s < TILE && j + s < to && j + s <= i + r; s++)
                    a[(i + r) * n + j + s] -= sums[r][s];
        }
}

static double dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += a[k] * b[k];
    return sum;
}

/* Rows and columns [from, to), of which everything to the left is subtracted already. */
static bool factor_diagonal(double *a, size_t n, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        double *row = a + i * n;
        for (size_t j = from; j < i; j++)
            row[j] = (row[j] - dot(row + from, a + j * n + from, j - from)) / a[j * n + j];
        double left = row[i] - dot(row + from, row + from, i - from);
        if (!(left > 0) || !isfinite(left))
            return false;
        row[i] = sqrt(left);
    }
    return true;
}

bool linear_cholesky(double *a, size_t n)
{
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t to = least(from + BLOCK, n);
        subtract_left(a, n, from, n, from, to);
        if (!factor_diagonal(a, n, from, to))
            return false;
        for (size_t i = to; i < n; i++)
            for (size_t j = from; j < to; j++)
                a[i * n + j] =
                    (a[i * n + j] - dot(a + i * n + from, a + j * n + from, j - from)) / a[j * n + j];
    }
    return true;
}

/* ---- solving ---- */

static void divide_row(double *row, double by, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        row[c] /= by;
}

static void subtract_row(double *row, double factor, const double *from, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        row[c] -= factor * from[c];
}

static void solve_forward(const double *l, size_t n, double *b, size_t columns)
{
    size_t i = 0;
    for (; i + TILE <= n; i += TILE) {
        struct update u = {
            .factors = l + i * n, .b = b, .step = 1, .stride = n, .count = i, .columns = columns};
        for (size_t r = 0; r < TILE; r++)
            u.out[r] = b + (i + r) * columns;
        kernels()->update(&u);
        for (size_t r = i; r < i + TILE; r++) {
            for (size_t k = i; k < r; k++)
                subtract_row(b + r * columns, l[r * n + k], b + k * columns, columns);
            divide_row(b + r * columns, l[r * n + r], columns);
        }
    }
    for (; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            subtract_row(b + i * columns, l[i * n + k], b + k * columns, columns);
        divide_row(b + i * columns, l[i * n + i], columns);
    }
}

static void solve_backward(const double *l, size_t n, double *b, size_t columns)
{
    size_t end = n;
    for (; end % TILE; end--) { /* the odd ones at the end first */
        size_t i = end - 1;
        for (size_t k = i + 1; k < n; k++)
            subtract_row(b + i * columns, l[k * n + i], b + k * columns, columns);
        divide_row(b + i * columns, l[i * n + i], columns);
    }
    for (; end > 0; end -= TILE) {
        size_t first = end - TILE;
        struct update u = {.factors = l + end * n + first,
                           .b = b + end * columns,
                           .step = n,
                           .stride = 1,
                           .count = n - end,
                           .columns = columns};
        for (size_t r = 0; r < TILE; r++)
            u.out[r] = b + (first + r) * columns;
        kernels()->update(&u);
        for (size_t i = end; i-- > first;) {
            for (size_t k = i + 1; k < end; k++)
                subtract_row(b + i * columns, l[k * n + i], b + k * columns, columns);
            divide_row(b + i * columns, l[i * n + i], columns);
        }
    }
}

void linear_solve(const double *l, size_t n, double *b, size_t columns)
{
    solve_forward(l, n, b, columns);
    solve_backward(l, n, b, columns);
}

/* ---- inverse: L, then U = L⁻ᵀ into the upper triangle (its rows are contiguous too), then A⁻¹ = U Uᵀ ---- */

/* U[j][i] for i in [i0, i1), j in [j0, j1), j1 <= i0: -(Σ_{j<=k<i} L[i][k] U[j][k]) / L[i][i]; 1 / L[i][i] stands on the diagonal already. */
static void invert_block(double *a, size_t n, size_t j0, size_t j1, size_t i0, size_t i1)
{
    const double *x[TILE], *y[TILE];
    double sums[TILE][TILE];
    for (size_t i = i0; i < i1; i += TILE)
        for (size_t j = j0; j < j1; j += TILE) {
            wide_rows(a, i, n, j1, x);
            wide_rows(a, j, n, j1, y);
            kernels()->dots(x, y, i0 - j1, sums);
            for (size_t r = 0; r < TILE && i + r < i1; r++)
                for (size_t s = 0; s < TILE && j + s < j1; s++)
                    a[(j + s) * n + i + r] = sums[r][s];
        }
    for (size_t j = j0; j < j1; j++)
        for (size_t i = i0; i < i1; i++) {
            double sum = a[j * n + i] + dot(a + i * n + j, a + j * n + j, j1 - j);
            sum += dot(a + i * n + i0, a + j * n + i0, i - i0);
            a[j * n + i] = -sum * a[i * n + i];
        }
}

static void invert_diagonal(double *a, size_t n, size_t from, size_t to)
{
    for (size_t j = from; j < to; j++)
        for (size_t i = j + 1; i < to; i++)
            a[j * n + i] = -dot(a + i * n + j, a + j * n + j, i - j) * a[i * n + i];
}

static void multiply_out(double *a, size_t n)
{
    const double *x[TILE], *y[TILE];
    double sums[TILE][TILE];
    for (size_t i = 0; i < n; i += TILE)
        for (size_t j = 0; j <= i; j += TILE) {
            size_t from = least(i + TILE, n);
            wide_rows(a, i, n, from, x);
            wide_rows(a, j, n, from, y);
            kernels()->dots(x, y, n - from, sums);
            for (size_t r = 0; r < TILE && i + r < n; r++)
                for (size_t s = 0; s < TILE && j + s < i + r; s++)
                    a[(i + r) * n + j + s] =
                        sums[r][s] + dot(a + (i + r) * n + i + r, a + (j + s) * n + i + r, from - i - r);
        }
    for (size_t i = 0; i < n; i++)
        a[i * n + i] = dot(a + i * n + i, a + i * n + i, n - i);
}

bool linear_invert(double *a, size_t n)
{
    if (!linear_cholesky(a, n))
        return false;
    for (size_t i = 0; i < n; i++)
        a[i * n + i] = 1 / a[i * n + i];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t to = least(i + BLOCK, n);
        invert_diagonal(a, n, i, to);
        for (size_t j = 0; j < i; j += BLOCK)
            invert_block(a, n, j, j + BLOCK, i, to);
    }
    multiply_out(a, n);
    linear_mirror(a, n);
    return true;
}

/* ---- elimination ---- */

bool linear_eliminate(double *h, size_t n, size_t first, size_t size, double *scratch)
{
    double *right = scratch, *block = right + n * size, *factors = block + size * size;
    for (size_t r = 0; r < size; r++) {
        memcpy(block + r * size, h + (first + r) * n + first, size * sizeof *block);
        memcpy(right + r * n, h + (first + r) * n, n * sizeof *right);
    }
    if (!linear_cholesky(block, size))
        return false;
    linear_solve(block, size, right, n); /* h[b,b]⁻¹ h[b,:] */
    struct update u = {
        .factors = factors, .b = right, .step = 1, .stride = size, .count = size, .columns = n};
    size_t i = 0;
    for (; i + TILE <= n; i += TILE) {
        for (size_t r = 0; r < TILE; r++) { /* what is read must not be what is written */
            memcpy(factors + r * size, h + (i + r) * n + first, size * sizeof *factors);
            u.out[r] = h + (i + r) * n;
        }
        kernels()->update(&u);
    }
    for (; i < n; i++) {
        memcpy(factors, h + i * n + first, size * sizeof *factors);
        for (size_t k = 0; k < size; k++)
            subtract_row(h + i * n, factors[k], right + k * n, n);
    }
    memset(h + first * n, 0, size * n * sizeof *h);
    for (size_t r = 0; r < n; r++)
        memset(h + r * n + first, 0, size * sizeof *h);
    return true;
}
