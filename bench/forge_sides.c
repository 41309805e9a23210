#include "bench/forge.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/graph/graph.h"
#include "infer/fidelity.h"
#include "sys/file.h"

#include <stdlib.h>

enum { WARMUP = 10, JUDGED = 24 };

static int ascending(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* What ONNX Runtime computes in integers, by the graph that it makes of the model. */
static int count_kernels(struct side *side, const char *work_dir, struct err *err)
{
    static const char *const integer[] = {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat"};
    static const char *const floating[] = {"Conv",   "FusedConv",   "Gemm",         "FusedGemm",
                                           "MatMul", "FusedMatMul", "ConvTranspose"};
    cleanup_graph struct graph *graph = NULL;
    cleanup_free char *path = file_join(work_dir, "optimized.onnx");
    if (!path)
        return err_no_memory(err);
    const struct lab_how how = {.level = LAB_EXTENDED, .dump_path = path};
    if (lab_dump(side->path, &how, err) < 0 || graph_open(path, &graph, err) < 0)
        return -1;
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(integer); k++)
            side->integer += str_eq(nodes[i]->op, integer[k]);
        for (size_t k = 0; k < ARRAY_LEN(floating); k++)
            side->floating += str_eq(nodes[i]->op, floating[k]);
    }
    return 0;
}

static int open_side(struct side *side, int rounds, const char *work_dir, struct err *err)
{
    const struct lab_how how = {.level = LAB_ALL, .threads = 1};
    side->times_ns = mem_zalloc((size_t)rounds, sizeof *side->times_ns);
    if (!side->times_ns)
        return err_no_memory(err);
    if (file_size(side->path, &side->size_bytes, err) < 0 || count_kernels(side, work_dir, err) < 0)
        return -1;
    return lab_open(side->path, NULL, 0, &how, &side->lab, err);
}

/* Every round begins with another side. */
static int time_sides(struct side *sides, size_t count, struct samples *samples, int rounds, struct err *err)
{
    struct lab_tensor inputs[RELEASE_MAX_TENSORS];
    for (int round = -WARMUP; round < rounds; round++)
        for (size_t i = 0; i < count; i++) {
            struct side *side = &sides[(i + (size_t)MAX(round, 0)) % count];
            int64_t ns = 0;
            if (!side->lab)
                continue;
            if (samples_feed(samples, 0, side->lab, inputs, err) < 0 ||
                lab_time(side->lab, inputs, &ns, err) < 0)
                return -1;
            if (round >= 0)
                side->times_ns[round] = ns;
        }
    return 0;
}

static int copy_outputs(const struct lab_tensor *from, size_t count, struct lab_tensor *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = from[i];
        out[i].data = mem_dup(from[i].data, MAX(from[i].bytes, 1));
        if (!out[i].data)
            return err_no_memory(err);
    }
    return 0;
}

static int judge_sample(struct side *sides, size_t count, struct samples *samples, size_t sample,
                        struct err *err)
{
    struct lab_tensor inputs[RELEASE_MAX_TENSORS], outputs[RELEASE_MAX_TENSORS];
    struct lab_tensor first[RELEASE_MAX_TENSORS] = {0};
    size_t output_count = lab_output_count(sides[0].lab);
    int result = 0;
    struct fidelity fidelity = {0};
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!sides[i].lab)
            continue;
        result = samples_feed(samples, sample, sides[i].lab, inputs, err);
        if (result == 0)
            result = lab_run(sides[i].lab, inputs, NULL, 0, outputs, err);
        if (result == 0 && i == 0) {
            result = copy_outputs(outputs, output_count, first, err);
            fidelity = fidelity_for(NULL, first, output_count);
        }
        if (result == 0)
            sides[i].fidelity += fidelity_of(&fidelity, first, outputs) / JUDGED;
    }
    for (size_t i = 0; i < output_count; i++)
        free((void *)(uintptr_t)first[i].data);
    return result;
}

static void report_times(struct side *side, const struct side *first, int rounds)
{
    qsort(side->times_ns, (size_t)rounds, sizeof *side->times_ns, ascending);
    side->p50_ms = (double)side->times_ns[rounds / 2] / 1e6;
    side->p99_ms = (double)side->times_ns[(rounds * 99) / 100] / 1e6;
    side->speedup = first->p50_ms / side->p50_ms;
    side->measured = true;
}

int sides_measure(struct side *sides, size_t count, struct samples *samples, int rounds, const char *work_dir,
                  struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (sides[i].path[0] && open_side(&sides[i], rounds, work_dir, err) < 0)
            return err_prefix(err, "%s", sides[i].name);
    if (time_sides(sides, count, samples, rounds, err) < 0)
        return -1;
    size_t held_out = samples_calibrate(samples);
    for (size_t i = 0; i < JUDGED; i++)
        if (judge_sample(sides, count, samples, held_out + i % (samples_count(samples) - held_out), err) < 0)
            return -1;
    for (size_t i = 0; i < count; i++)
        if (sides[i].lab)
            report_times(&sides[i], &sides[0], rounds);
    return 0;
}

void sides_close(struct side *sides, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lab_close(sides[i].lab);
        free(sides[i].times_ns);
    }
}
