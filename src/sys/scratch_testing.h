/* A folder below /tmp for the tests of one program: cmocka_run_group_tests(tests, scratch_make, scratch_remove). */
#ifndef MUSTER_SYS_SCRATCH_TESTING_H
#define MUSTER_SYS_SCRATCH_TESTING_H

#include "base/testing.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char scratch_dir[64];

static inline int scratch_make(void **state)
{
    snprintf(scratch_dir, sizeof scratch_dir, "/tmp/muster-test-XXXXXX");
    return mkdtemp(scratch_dir) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
    struct err err = {0};
    return file_remove_tree(scratch_dir, &err);
}

/* One of eight paths below it, in turn; its folders are made. */
static inline const char *scratch_path(const char *name)
{
    static char paths[8][160];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    struct err err = {0};
    snprintf(path, sizeof paths[0], "%s/%s", scratch_dir, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_ok(file_make_dirs(path, 0755, &err), err);
    *slash = '/';
    return path;
}

#endif
