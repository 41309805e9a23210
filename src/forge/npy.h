/* Arrays in files of NumPy: numbers of any fixed type, C order, little-endian.
 *
 *   "\x93NUMPY" · u8 major 1..3 · u8 minor · u16 (major 1) or u32 length of the head, little-endian ·
 *   head: "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 6), }" padded with blanks · the numbers, row-major
 *
 *   descr   <f4 <f8 <f2 · |i1 <i2 <i4 <i8 · |u1 <u2 <u4 <u8 · |b1
 */
#ifndef MUSTER_FORGE_NPY_H
#define MUSTER_FORGE_NPY_H

#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

struct npy {
    enum tensor_dtype dtype;
    size_t dim_count; /* 0: one number */
    int64_t dims[RELEASE_MAX_DIMS];
    const uint8_t *data; /* borrowed from the file's bytes, maybe unaligned */
    size_t bytes;        /* all of the shape, nothing behind it */
};

/* Errors: INVALID if it is no such file, or shorter or longer than its head says; UNSUPPORTED for other types, Fortran's order, more
 * dimensions. */
int npy_find(const uint8_t *data, size_t len, struct npy *out, struct err *err) must_check;

const char *npy_descr(enum tensor_dtype dtype); /* "<f4"; NULL: there is none */

#endif
