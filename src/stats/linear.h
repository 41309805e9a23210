/* Small dense symmetric linear algebra in double precision, row-major. Pure, no allocation unless said. */
#ifndef MUSTER_STATS_LINEAR_H
#define MUSTER_STATS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

/* G += X Xᵀ for one block of columns: x is n × count, float; only the lower triangle of g (n × n) is kept up to date. */
void linear_gram_add(double *g, const float *x, size_t n, size_t count);
void linear_mirror(double *g, size_t n); /* lower triangle to the upper */
/* In place, lower triangle: A = L Lᵀ. False if it is not positive definite (add a ridge). */
bool linear_cholesky(double *a, size_t n);
void linear_solve(const double *l, size_t n, double *b, size_t columns); /* L Lᵀ x = b, b is n × columns */
bool linear_invert(double *a, size_t n); /* symmetric positive definite, in place, whole matrix */
double linear_mean_diagonal(const double *a, size_t n); /* what ridges are relative to */

#endif
