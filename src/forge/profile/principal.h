/* The directions in which vectors differ most: principal components by subspace iteration on their covariance. Pure. Private to this room. */
#ifndef MUSTER_FORGE_PROFILE_PRINCIPAL_H
#define MUSTER_FORGE_PROFILE_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>

/* `rows` × `size` floats. out: `dims` × size, orthonormal rows by falling variance (zeros beyond what there is); out_mean: size. False: out of memory.
 * Deterministic. Takes size² doubles. */
bool principal_of(const float *vectors, size_t rows, size_t size, size_t dims, double *out, double *out_mean);

#endif
