/* Second moments of what a weighted operator sees: G = Σ x xᵀ over the columns x of its im2col input, which is all that least squares,
 * second-order rounding and pruning need to know of the samples.
 *
 *     input [1, C, H, W] of a Conv, per group:   n = C/group × kernel_h × kernel_w rows, in the order of its weights [out][C/group][kh][kw];
 *                                                one column per output position; padding is zeros
 *     input [.., K] of a Gemm or MatMul:         n = K rows, one column per row of the input
 *
 * Streaming: one sample's tensor and one block of columns in memory, besides G itself (8 n² bytes per group; a group is made at a time if asked
 * for one). Convolutions of one and two dimensions. The operator's filter need not be known: the same G serves all filters of a shape.
 */
#ifndef MUSTER_FORGE_CALIB_GRAM_H
#define MUSTER_FORGE_CALIB_GRAM_H

#include "base/err.h"
#include "base/mem.h"
#include "forge/calib/samples.h"
#include "forge/graph/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- geometry, pure ---- */

struct im2col {
    size_t channels, group; /* of the input */
    size_t height, width;   /* 1-dimensional: height 1 */
    size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    size_t pad_top, pad_left;
    size_t out_h, out_w;
    bool columns_first; /* Gemm, MatMul: the input is [out_h columns][channels] */
};

/* From a Conv's attributes and weights, or a Gemm's or MatMul's (weights constant, first input not transposed), and its input's shape.
 * Errors: UNSUPPORTED for other operators, batches above 1 and three dimensions; INVALID if shapes do not fit. */
int im2col_of(const struct graph *graph, const struct onnx_node *node, const int64_t *input_dims,
              size_t dim_count, struct im2col *out, struct err *err) must_check;
size_t im2col_rows(const struct im2col *shape);    /* n, per group */
size_t im2col_columns(const struct im2col *shape); /* out_h × out_w */
/* Columns first, first + step, … (`count` of them) of one group: out[row * count + i]. */
void im2col_fill(const struct im2col *shape, const float *input, size_t group, size_t first, size_t step,
                 size_t count, float *out);

/* ---- streaming over samples ---- */

struct gram {
    struct im2col shape;
    size_t groups, n; /* how many groups are held; rows of each */
    double *g;        /* owned: groups × n × n, symmetric, sums (not means) */
    double *sum;      /* owned: groups × n, Σ x */
    uint64_t columns; /* that went in, per group */
};

struct gram_options {
    const char *work_dir;       /* the model up to the operator's input is written there for a moment */
    struct lab_how how;         /* as which the model is run */
    size_t first, count;        /* which samples; count 0: those for fitting */
    size_t max_columns;         /* at most so many per sample, spread evenly; 0: all */
    size_t first_group, groups; /* groups 0: all */
    size_t max_bytes;           /* of g; beyond it TOO_BIG; 0: no limit */
};

/* `model_path`: prepared or integer model, `node`: a name in it. Errors: NOT_FOUND; as im2col_of; TOO_BIG. */
int gram_of_input(const char *model_path, const char *node, struct samples *samples,
                  const struct gram_options *options, struct gram *out, struct err *err) must_check;
void gram_fini(struct gram *gram);
#define cleanup_gram __attribute__((cleanup(gram_fini)))

/* A part of a model: only what the tensors `names` need, with these as its outputs, in this order. The graph's inputs
 * all stay. Errors: NOT_FOUND. */
int gram_cut(const char *model_path, const char *const *names, size_t count, const char *out_path,
             struct err *err) must_check;

#endif
