/* bench-forge: one side of the table, and how it is measured. */
#ifndef MUSTER_BENCH_FORGE_H
#define MUSTER_BENCH_FORGE_H

#include "base/buf.h"
#include "base/err.h"
#include "forge/calib/samples.h"
#include "infer/lab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIDES_MAX = 4, PATH_SIZE = 512 };

struct side {
    const char *name;               /* "fp32", "muster", "onnxruntime default" … */
    char path[PATH_SIZE];           /* "": not there */
    const char *note;               /* NULL, or why it is not there, or what was decided about it */
    double made_in_s, peak_rss_mib; /* of whoever made it; 0: nobody did */
    /* measured: */
    bool measured;
    double p50_ms, p99_ms, speedup, fidelity;
    uint64_t size_bytes;
    size_t integer, floating; /* weighted operators of the optimized graph */
    struct lab *lab;
    int64_t *times_ns; /* owned, one per round */
};

/* Opens all sides that are there, runs them in turns, fills in the figures; the first side is what the others are held against. */
int sides_measure(struct side *sides, size_t count, struct samples *samples, int rounds, const char *work_dir,
                  struct err *err) must_check;
void sides_close(struct side *sides, size_t count);

#endif
