/* Golden frames of floats, as a model builder has them: `.npy` files of NumPy (forge/npy.h; float32, any shape) or `.f32` files of nothing but
 * little-endian float32 numbers. One file may hold several frames, one after the other.
 */
#ifndef MUSTER_FORGE_FLOATS_H
#define MUSTER_FORGE_FLOATS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool floats_is_name(const char *path); /* ends in .npy or .f32 */

/* The numbers in a file's bytes: borrowed, maybe unaligned. Errors: INVALID; UNSUPPORTED for other types of numbers. */
int floats_find(const char *path, const uint8_t *data, size_t len, const uint8_t **out, size_t *out_count,
                struct err *err) must_check;

#endif
