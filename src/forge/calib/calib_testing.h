/* For the tests of this room: a scratch folder, files of NumPy in it. */
#ifndef MUSTER_FORGE_CALIB_CALIB_TESTING_H
#define MUSTER_FORGE_CALIB_CALIB_TESTING_H

#include "base/testing.h"

#include "base/mem.h"
#include "forge/npy.h"
#include "sys/file.h"
#include "sys/scratch_testing.h"

#include <stdlib.h>
#include <string.h>

/* `shape`: as Python writes it, "(1, 2)". */
static inline void write_npy(const char *name, enum tensor_dtype dtype, const char *shape, const void *data,
                             size_t bytes)
{
    cleanup_buf struct buf file = BUF_INIT(64 << 20);
    char head[119];
    struct err err = {0};
    int len = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                       npy_descr(dtype), shape);
    assert_true(len < 118);
    memset(head + len, ' ', (size_t)(117 - len));
    head[117] = '\n';
    assert_ok(buf_put(&file, "\x93NUMPY\x01\x00\x76\x00", 10, &err), err);
    assert_ok(buf_put(&file, head, 118, &err), err);
    assert_ok(buf_put(&file, data, bytes, &err), err);
    assert_ok(file_replace(scratch_path(name), file.data, file.len, 0644, &err), err);
}

#endif
