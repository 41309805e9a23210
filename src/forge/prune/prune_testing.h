/* For the tests of this room: a scratch folder, small networks in it with samples, their answers. */
#ifndef MUSTER_FORGE_PRUNE_PRUNE_TESTING_H
#define MUSTER_FORGE_PRUNE_PRUNE_TESTING_H

#include "base/testing.h"

#include "base/mem.h"
#include "forge/bench.h"
#include "forge/calib/observe.h"
#include "forge/testing/nets.h"
#include "infer/lab.h"
#include "sys/file.h"
#include "sys/scratch_testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEST_SAMPLES = 12 };

/* Pictures of `size` for the model's one input "x". */
static inline struct samples *samples_for(const char *model_path, int size, size_t count)
{
    static struct release release;
    struct samples *samples = NULL;
    struct err err = {0};
    char name[32];
    snprintf(name, sizeof name, "samples-%d-%zu", size, count);
    assert_ok(net_samples(scratch_path(name), size, count, 7, &err), err);
    assert_ok(bench_release_of(model_path, &release, &err), err);
    assert_ok(samples_open(scratch_path(name), &release, &samples, &err), err);
    return samples;
}

/* ‖a - b‖² / ‖a‖² over the first output of two models on samples [first, first + count). */
static inline double relative_error(const char *model, const char *other, struct samples *samples,
                                    size_t first, size_t count)
{
    struct err err = {0};
    cleanup_lab struct lab *a = NULL, *b = NULL;
    const struct lab_how how = {.level = LAB_EXTENDED};
    double error = 0, energy = 0;
    assert_ok(lab_open(model, NULL, 0, &how, &a, &err), err);
    assert_ok(lab_open(other, NULL, 0, &how, &b, &err), err);
    for (size_t i = first; i < first + count; i++) {
        const struct lab_tensor *inputs;
        struct lab_tensor x = {0}, y = {0};
        const size_t wanted[] = {0};
        assert_ok(samples_load(samples, i, &inputs, &err), err);
        assert_ok(lab_run(a, inputs, wanted, 1, &x, &err), err);
        assert_ok(lab_run(b, inputs, wanted, 1, &y, &err), err);
        assert_int_equal(x.bytes, y.bytes);
        const float *from = x.data, *to = y.data;
        for (size_t k = 0; k < x.bytes / sizeof *from; k++) {
            error += ((double)from[k] - (double)to[k]) * ((double)from[k] - (double)to[k]);
            energy += (double)from[k] * (double)from[k];
        }
    }
    return error / energy;
}

/* A prepared graph with its shapes. */
static inline struct graph *open_shaped(const char *path, struct samples *samples)
{
    struct graph *graph = NULL;
    struct err err = {0};
    assert_ok(graph_open(path, &graph, &err), err);
    assert_ok(observe_shapes(path, graph, samples, NULL, &err), err);
    return graph;
}

#endif
