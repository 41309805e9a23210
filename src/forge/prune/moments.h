/* What least squares needs to know of one consumer of channels: second moments of its im2col input in the model as pruned so far, and their products
 * with what its output lacks of what it was in the original model.
 *
 *     original ──run once──▶ targets: outputs of all consumers at some positions, in a file
 *     model so far ──cut behind the consumer──▶ im2col at the same positions ─▶ G = Σ xx', C = Σ x (target - output)'
 *
 * Positions are spread evenly, other ones in each sample; as many as the number of weights asks for.
 */
#ifndef MUSTER_FORGE_PRUNE_MOMENTS_H
#define MUSTER_FORGE_PRUNE_MOMENTS_H

#include "forge/calib/gram.h"
#include "forge/prune/couple.h"

#include <stdint.h>

/* A weighted operator that consumes channels; everything about it but its weights. */
struct consumer {
    char node[256], input[256], output[256];
    struct im2col shape;
    size_t kernel, n, m; /* kernel positions; n = channels × kernel inputs, m outputs */
    bool rows_first;     /* its output is rows × m (Gemm, MatMul), else m × positions */
    bool biased;         /* it has a bias or can get one */
    size_t step, count;  /* every step-th position, `count` per sample */
    uint64_t offset;     /* of its targets in the file */
};

int consumer_of(const struct graph *graph, const struct couple_consumer *from, size_t sample_count,
                struct consumer *out, struct err *err) must_check;
/* The same consumer as if it looked at one position only: n = channels, m = all kernel positions' outputs. What is known of it without looking at
 * neighbours, for those too wide to be looked at as they are. */
struct consumer consumer_pointwise(const struct consumer *consumer, size_t sample_count);
/* n × m, in the order of im2col rows; m biases (zeros where there are none). */
int consumer_read(struct graph *graph, const struct consumer *consumer, double *w, double *bias,
                  struct err *err) must_check;
/* Back into the graph, as weights of this node alone, in place if they are that already. */
int consumer_write(struct graph *graph, const struct consumer *consumer, const double *w, const double *bias,
                   struct err *err) must_check;

struct feed { /* where samples and runs come from */
    struct samples *samples;
    const char *original_path, *work_dir, *runtime_path;
    int targets;           /* descriptor of the file of targets; -1: none */
    size_t samples_wanted; /* only so many; 0: all for fitting */
};

/* Runs the original once (or a few times, where outputs are large) and fills the file. */
int targets_make(const struct feed *feed, struct consumer *consumers, size_t count,
                 struct err *err) must_check;

/* About the means, if the consumer is biased. */
struct moments {
    size_t n, m;                 /* rows that were asked for; outputs */
    double *g;                   /* n × n, whole: inputs */
    double *c;                   /* n × m: inputs with errors, target - output */
    double *mean_x, *mean_error; /* n; m */
    double energy, error;        /* Σ target², Σ error² over all outputs */
    uint64_t columns;
};

enum moments_kind {
    MOMENTS_INPUT, /* g, mean_x; energy if there are targets */
    MOMENTS_ERROR  /* everything */
};

/* `model_path`: as pruned so far. `rows`: which im2col rows, in which order. */
int moments_of(const struct feed *feed, enum moments_kind kind, const char *model_path,
               const struct consumer *consumer, const size_t *rows, size_t row_count, struct moments *out,
               struct err *err) must_check;
void moments_fini(struct moments *moments);
#define cleanup_moments __attribute__((cleanup(moments_fini)))

#endif
