/* 2:4 sparsity: of 4 neighbouring input channels at one kernel position two weights of each output are zero. One operator after the other, inputs from the
 * model as it is by then; which two, and what the others do about it, by the inverse Hessian's Cholesky factor, as SparseGPT has it (arXiv 2301.00774). */
#include "forge/prune/moments.h"
#include "forge/prune/prune.h"

#include "forge/calib/observe.h"
#include "stats/linear.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RIDGE 1e-3 /* of the mean diagonal */
enum { GROUP = 4, ZEROS = 2, LEAST_CHANNELS = 32, MAX_ROWS = 2048 };

/* ---- which ---- */

static bool is_weighted(const struct graph *graph, const struct onnx_node *node)
{
    const struct graph_tensor *weight = node->input_count > 1 ? graph_input(graph, node, 1) : NULL;
    bool kind = graph_is_op(node, "Conv") || graph_is_op(node, "Gemm") || graph_is_op(node, "MatMul");
    return kind && weight && weight->weight && weight->weight->dtype == DTYPE_FLOAT32;
}

static bool can_be_sparse(const struct graph *graph, const struct onnx_node *node, size_t samples,
                          struct consumer *out)
{
    const struct graph_tensor *input = graph_input(graph, node, 0);
    const struct couple_consumer consumer = {.node = (struct onnx_node *)node};
    struct err unused = {0};
    bool plain = graph_is_op(node, "Conv")
                     ? onnx_node_int(node, "group", 1) == 1
                     : onnx_node_float(node, "alpha", 1) == 1.0F && onnx_node_float(node, "beta", 1) == 1.0F;
    return plain && input && input->shaped && !input->is_input && !input->weight &&
           graph_input(graph, node, 1)->weight->dim_count >= 2 &&
           consumer_of(graph, &consumer, samples, out, &unused) == 0 && out->shape.channels % GROUP == 0 &&
           out->shape.channels >= LEAST_CHANNELS;
}

/* ---- one block of rows of one operator, groups of four in a row ---- */

/* Channels [first, first + count): fours at kernel position 0, fours at position 1, … */
static void order_rows(const struct consumer *consumer, size_t first, size_t count, size_t *rows)
{
    for (size_t c = first; c < first + count; c += GROUP)
        for (size_t k = 0; k < consumer->kernel; k++)
            for (size_t i = 0; i < GROUP; i++)
                *rows++ = (c + i) * consumer->kernel + k;
}

/* The two of four weights of output `o` that cost least. */
static void choose_zeros(const double *l, size_t n, const double *w, size_t m, size_t at, size_t o,
                         bool gone[GROUP])
{
    double cost[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        double value = w[(at + i) * m + o] / l[(at + i) * n + at + i];
        cost[i] = value * value;
        gone[i] = false;
    }
    for (int zero = 0; zero < ZEROS; zero++) {
        size_t least = GROUP;
        for (size_t i = 0; i < GROUP; i++)
            if (!gone[i] && (least == GROUP || cost[i] < cost[least]))
                least = i;
        gone[least] = true;
    }
}

/* `l`: Cholesky factor of the inverse Hessian, lower. Rows further down make up for what is taken from those above. */
static int take_two_of_four(const double *l, size_t n, double *w, size_t m, struct err *err)
{
    cleanup_free bool *gone = mem_zalloc(m, GROUP * sizeof *gone);
    cleanup_free double *taken = mem_zalloc(m, sizeof *taken);
    if (!gone || !taken)
        return err_no_memory(err);
    for (size_t at = 0; at < n; at += GROUP) {
        for (size_t o = 0; o < m; o++)
            choose_zeros(l, n, w, m, at, o, gone + o * GROUP);
        for (size_t i = at; i < at + GROUP; i++) {
            for (size_t o = 0; o < m; o++) {
                taken[o] = gone[o * GROUP + i - at] ? w[i * m + o] / l[i * n + i] : 0;
                w[i * m + o] = gone[o * GROUP + i - at] ? 0 : w[i * m + o];
            }
            for (size_t k = i + 1; k < n; k++)
                for (size_t o = 0; o < m; o++)
                    w[k * m + o] -= l[k * n + i] * taken[o];
        }
    }
    return 0;
}

static int invert_and_factor(struct moments *moments, const char *node, struct err *err)
{
    double ridge = RIDGE * linear_mean_diagonal(moments->g, moments->n);
    for (size_t i = 0; i < moments->n; i++)
        moments->g[i * moments->n + i] += ridge > 0 ? ridge : 1;
    if (!linear_invert(moments->g, moments->n) || !linear_cholesky(moments->g, moments->n))
        return err_set(err, ERR_INVALID, "%s: its input is not finite", node);
    return 0;
}

static int sparsify_block(const struct feed *feed, const char *model_path, const struct consumer *consumer,
                          const size_t *rows, size_t n, double *w, double *bias, struct err *err)
{
    size_t m = consumer->m;
    cleanup_moments struct moments moments = {0};
    cleanup_free double *block = mem_zalloc(n * m, sizeof *block);
    if (!block)
        return err_no_memory(err);
    if (moments_of(feed, MOMENTS_INPUT, model_path, consumer, rows, n, &moments, err) < 0 ||
        invert_and_factor(&moments, consumer->node, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        memcpy(block + i * m, w + rows[i] * m, m * sizeof *block);
    if (take_two_of_four(moments.g, n, block, m, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < m; o++) {
            bias[o] += consumer->biased ? moments.mean_x[i] * (w[rows[i] * m + o] - block[i * m + o]) : 0;
            w[rows[i] * m + o] = block[i * m + o];
        }
    return 0;
}

/* ---- one operator ---- */

static int sparsify(struct graph *graph, const struct feed *feed, const char *model_path,
                    const struct consumer *consumer, struct err *err)
{
    size_t channels = consumer->shape.channels,
           most = MAX(MAX_ROWS / consumer->kernel / GROUP, (size_t)1) * GROUP;
    cleanup_free size_t *rows = mem_zalloc(consumer->n, sizeof *rows);
    cleanup_free double *w = mem_zalloc(consumer->n * consumer->m, sizeof *w);
    cleanup_free double *bias = mem_zalloc(consumer->m, sizeof *bias);
    if (!rows || !w || !bias)
        return err_no_memory(err);
    if (graph_save(graph, model_path, err) < 0 || consumer_read(graph, consumer, w, bias, err) < 0)
        return -1;
    for (size_t first = 0; first < channels; first += most) {
        size_t count = MIN(most, channels - first);
        order_rows(consumer, first, count, rows);
        if (sparsify_block(feed, model_path, consumer, rows, count * consumer->kernel, w, bias, err) < 0)
            return -1;
    }
    return consumer_write(graph, consumer, w, bias, err);
}

static int sparsify_all(struct graph *graph, const struct feed *feed, const char *work_path,
                        struct sparsity_outcome *out, struct err *err)
{
    size_t count;
    struct onnx_node *const *sorted = graph_nodes(graph, &count);
    cleanup_free struct onnx_node **nodes = mem_dup(sorted, count * sizeof(struct onnx_node *));
    if (count && !nodes)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct consumer consumer;
        if (!is_weighted(graph, nodes[i]))
            continue;
        out->weighted++;
        if (!can_be_sparse(graph, nodes[i], samples_calibrate(feed->samples), &consumer))
            continue;
        if (sparsify(graph, feed, work_path, &consumer, err) < 0)
            return -1;
        out->sparse++;
    }
    return 0;
}

int prune_sparsify(const char *model_path, struct samples *samples, const char *work_dir,
                   const char *out_path, const char *runtime_path, struct sparsity_outcome *out,
                   struct err *err)
{
    *out = (struct sparsity_outcome){0};
    struct feed feed = {.samples = samples,
                        .original_path = model_path,
                        .work_dir = work_dir,
                        .runtime_path = runtime_path,
                        .targets = -1};
    cleanup_graph struct graph *graph = NULL;
    cleanup_free char *work_path = mem_printf("%s/sparse-work.onnx", work_dir);
    if (!work_path)
        return err_no_memory(err);
    if (!samples_calibrate(samples))
        return err_set(err, ERR_INVALID, "no samples to fit to; give some more");
    if (graph_open(model_path, &graph, err) < 0 ||
        observe_shapes(model_path, graph, samples, runtime_path, err) < 0)
        return -1;
    int result = sparsify_all(graph, &feed, work_path, out, err);
    unlink(work_path);
    if (result < 0 || graph_tidy(graph, err) < 0)
        return -1;
    return graph_save(graph, out_path, err);
}
