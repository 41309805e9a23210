/* For the tests of this room: a scratch folder, files of NumPy in it. */
#ifndef MUSTER_FORGE_CALIB_CALIB_TESTING_H
#define MUSTER_FORGE_CALIB_CALIB_TESTING_H

#include "base/testing.h"

#include "base/mem.h"
#include "forge/npy.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

static char scratch_dir[64];

static inline int scratch_make(void **state)
{
    snprintf(scratch_dir, sizeof scratch_dir, "/tmp/muster-calib-XXXXXX");
    assert_non_null(mkdtemp(scratch_dir));
    return 0;
}

static inline int scratch_remove(void **state)
{
    struct err err = {0};
    return file_remove_tree(scratch_dir, &err);
}

/* One of four paths below the scratch folder, in turn; its folders are made. */
static inline const char *scratch_path(const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    struct err err = {0};
    snprintf(path, sizeof paths[0], "%s/%s", scratch_dir, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_ok(file_make_dirs(path, 0755, &err), err);
    *slash = '/';
    return path;
}

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
