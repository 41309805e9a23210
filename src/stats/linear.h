/* Small dense symmetric linear algebra in double precision, row-major. Pure, no allocation. Blocked for the caches and in vectors of whatever the
 * processor has: n = 2,000 takes seconds. The last bits depend on the processor. */
#ifndef MUSTER_STATS_LINEAR_H
#define MUSTER_STATS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

/* G += X Xᵀ for one block of columns: x is n × count, float; only the lower triangle of g (n × n) is kept up to date. */
void linear_gram_add(double *g, const float *x, size_t n, size_t count);
/* C += X Yᵀ: x is n × count, y is m × count, c is n × m. */
void linear_cross_add(double *c, const float *x, size_t n, const float *y, size_t m, size_t count);
void linear_mirror(double *g, size_t n); /* lower triangle to the upper */
/* In place, lower triangle: A = L Lᵀ. False if it is not positive definite (add a ridge). */
bool linear_cholesky(double *a, size_t n);
void linear_solve(const double *l, size_t n, double *b, size_t columns); /* L Lᵀ x = b, b is n × columns */
bool linear_invert(double *a, size_t n); /* symmetric positive definite, in place, whole matrix */
double linear_mean_diagonal(const double *a, size_t n); /* what ridges are relative to */
/* Takes `size` variables from `first` on out of a problem whose inverse Hessian is h (n × n, whole): h -= h[:,b] h[b,b]⁻¹ h[b,:], their rows and
 * columns become 0. `scratch`: size × (n + size + 4). False if the block is not positive definite; then nothing is changed. */
bool linear_eliminate(double *h, size_t n, size_t first, size_t size, double *scratch);

#endif
