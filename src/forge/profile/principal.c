#include "forge/profile/principal.h"

#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { ROUNDS = 60 };

static void mean_of(const float *vectors, size_t rows, size_t size, double *mean)
{
    memset(mean, 0, size * sizeof *mean);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < size; i++)
            mean[i] += (double)vectors[r * size + i];
    for (size_t i = 0; i < size; i++)
        mean[i] /= (double)rows;
}

static void covariance_of(const float *vectors, size_t rows, size_t size, const double *mean, double *centred,
                          double *out)
{
    memset(out, 0, size * size * sizeof *out);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < size; i++)
            centred[i] = (double)vectors[r * size + i] - mean[i];
        for (size_t i = 0; i < size; i++)
            for (size_t k = 0; k < size; k++)
                out[i * size + k] += centred[i] * centred[k];
    }
    for (size_t i = 0; i < size * size; i++)
        out[i] /= (double)rows;
}

static double dot(const double *a, const double *b, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Gram and Schmidt, twice, so that it is orthogonal also where vectors were nearly the same. */
static void orthonormalize(double *basis, size_t dims, size_t size)
{
    for (size_t d = 0; d < dims; d++) {
        double *own = basis + d * size;
        const double before = sqrt(dot(own, own, size));
        for (size_t k = 0; k < 2 * d; k++) {
            const double *other = basis + k % d * size;
            const double along = dot(own, other, size);
            for (size_t i = 0; i < size; i++)
                own[i] -= along * other[i];
        }
        const double length = sqrt(dot(own, own, size));
        const double scale = length > 1e-9 * before && length > 0 ? 1 / length : 0;
        for (size_t i = 0; i < size; i++)
            own[i] *= scale;
    }
}

static void multiply(const double *matrix, const double *basis, size_t dims, size_t size, double *out)
{
    for (size_t d = 0; d < dims; d++)
        for (size_t i = 0; i < size; i++)
            out[d * size + i] = dot(matrix + i * size, basis + d * size, size);
}

/* Anything that is no special direction. */
static void begin(double *basis, size_t count)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        basis[i] = (double)(state >> 11) / 9007199254740992.0 - 0.5;
    }
}

bool principal_of(const float *vectors, size_t rows, size_t size, size_t dims, double *out, double *out_mean)
{
    cleanup_free double *matrix = mem_zalloc(size * size, sizeof *matrix),
                        *next = mem_zalloc(MAX(dims, (size_t)1) * size, sizeof *next);
    const size_t found = MIN(dims, size);
    if (!matrix || !next || rows == 0)
        return false;
    mean_of(vectors, rows, size, out_mean);
    covariance_of(vectors, rows, size, out_mean, next, matrix);
    memset(out, 0, dims * size * sizeof *out);
    begin(out, found * size);
    orthonormalize(out, found, size);
    for (int round = 0; round < ROUNDS; round++) {
        multiply(matrix, out, found, size, next);
        memcpy(out, next, found * size * sizeof *out);
        orthonormalize(out, found, size);
    }
    return true;
}
