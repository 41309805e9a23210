/* Second-order rounding of all integer operators, one after the other: each one's second moments are taken on what it will really see, behind
 * all that was rounded before it. */
#include "forge/quant/run_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/calib/gram.h"
#include "forge/quant/emit_inside.h"
#include "forge/quant/round.h"

#include <string.h>

enum { SAMPLES_MIN = 4, SAMPLES_MAX_EACH = 32, COLUMNS_MIN = 64 };
#define ROUND_MACS 1e12
#define MAX_BYTES ((size_t)40 << 20) /* of second moments: 2,289 inputs */

/* The float weights of one operator as filters × n, filters of a group together. */
struct filters {
    size_t count, n, axis;
    bool turned; /* stored as [n][filters] */
    float *w, *scales, *stored;
    int64_t dims[ONNX_MAX_DIMS];
    size_t dim_count;
};

static void filters_fini(struct filters *filters)
{
    free(filters->w);
    free(filters->scales);
    free(filters->stored);
}
#define cleanup_filters __attribute__((cleanup(filters_fini)))

static int read_filters(const struct graph *graph, const struct onnx_node *node, int bits,
                        struct filters *out, struct err *err)
{
    const struct onnx_weight *weight = graph_input(graph, node, 1)->weight;
    size_t count = 0;
    out->axis = emit_channel_axis(node);
    out->turned = out->axis == 1;
    out->dim_count = weight->dim_count;
    memcpy(out->dims, weight->dims, sizeof out->dims);
    out->stored = graph_floats(graph, weight->name, &count);
    if (!out->stored)
        return err_no_memory(err);
    out->count = (size_t)out->dims[out->axis];
    out->n = out->count ? count / out->count : 0;
    out->w = mem_zalloc(count + 1, sizeof *out->w);
    out->scales = mem_zalloc(out->count + 1, sizeof *out->scales);
    if (!out->w || !out->scales)
        return err_no_memory(err);
    for (size_t f = 0; f < out->count; f++)
        for (size_t i = 0; i < out->n; i++)
            out->w[f * out->n + i] = out->stored[out->turned ? i * out->count + f : f * out->n + i];
    const struct weight_view view = {
        .data = out->stored, .dim_count = out->dim_count, .dims = out->dims, .axis = out->axis};
    grid_weight_scales(&view, bits, out->scales);
    return 0;
}

static bool round_groups(const struct filters *filters, struct gram *gram, int bits, int8_t *out)
{
    const size_t each = filters->count / gram->groups;
    if (gram->n != filters->n || each * gram->groups != filters->count)
        return false;
    for (size_t g = 0; g < gram->groups; g++) {
        const struct round_job job = {.filters = each,
                                      .n = gram->n,
                                      .w = filters->w + g * each * gram->n,
                                      .scales = filters->scales + g * each,
                                      .bits = bits};
        if (!round_second_order(&job, gram->g + g * gram->n * gram->n, out + g * each * gram->n))
            return false;
    }
    return true;
}

/* Into the initializer's layout, for the emitter. */
static int keep_rounded(struct run *run, const char *node, const struct filters *filters,
                        const int8_t *rounded, struct err *err)
{
    struct fix *fix = run_fix(run, node);
    int8_t *stored = mem_zalloc(filters->count * filters->n + 1, 1);
    if (!fix || !stored) {
        free(stored);
        return err_no_memory(err);
    }
    for (size_t f = 0; f < filters->count; f++)
        for (size_t i = 0; i < filters->n; i++)
            stored[filters->turned ? i * filters->count + f : f * filters->n + i] =
                rounded[f * filters->n + i];
    free(fix->weights);
    fix->weights = stored;
    return 0;
}

/* Where that cannot be done (too large, no columns) the weights stay as they are. */
static int round_one(struct run *run, const char *node, const struct filters *filters,
                     const struct gram_options *options, bool *out_done, struct err *err)
{
    const int bits = run->job->options.weight_bits;
    cleanup_gram struct gram gram = {0};
    struct err skipped = {0};
    *out_done = false;
    if (gram_of_input(run->candidate_path, node, run->job->samples, options, &gram, &skipped) < 0) {
        if (skipped.code == ERR_TOO_BIG || skipped.code == ERR_UNSUPPORTED)
            return 0;
        *err = skipped;
        return -1;
    }
    cleanup_free int8_t *rounded = mem_zalloc(filters->count * filters->n + 1, 1);
    if (!rounded)
        return err_no_memory(err);
    if (!round_groups(filters, &gram, bits, rounded))
        return 0;
    *out_done = true;
    return keep_rounded(run, node, filters, rounded, err);
}

static int round_node(struct run *run, struct graph *graph, const struct onnx_node *node,
                      const struct gram_options *options, bool *out_done, struct err *err)
{
    cleanup_filters struct filters filters = {0};
    if (read_filters(graph, node, run->job->options.weight_bits, &filters, err) < 0)
        return -1;
    struct gram_options sized = *options;
    sized.max_columns = 1 + 16 * filters.n / options->count; /* 16 columns for each unknown are plenty */
    sized.max_columns = MAX(sized.max_columns, (size_t)COLUMNS_MIN);
    return round_one(run, node->name, &filters, &sized, out_done, err);
}

static struct gram_options moments(const struct run *run, size_t layers)
{
    const double each = ROUND_MACS / (run->macs * (double)layers / 2 + 1);
    size_t samples = each < SAMPLES_MIN        ? SAMPLES_MIN
                     : each < SAMPLES_MAX_EACH ? (size_t)each
                                               : (size_t)SAMPLES_MAX_EACH;
    return (struct gram_options){.work_dir = run->job->work_dir,
                                 .how = run_candidate_how(run),
                                 .count = MIN(samples, run->compared),
                                 .max_bytes = MAX_BYTES};
}

static int round_all(struct run *run, struct quant_outcome *out, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(run->job->model_path, &graph, err) < 0)
        return -1;
    size_t count = 0, done = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    const size_t layers = run_layer_count(&out->plan);
    const struct gram_options options = moments(run, layers);
    for (size_t i = 0; i < count; i++) {
        const struct quant_node *planned = quant_plan_node(&out->plan, nodes[i]->name);
        bool rounded = false;
        if (!planned || !planned->integer || !planned->weighted)
            continue;
        if (run_tell(run, "rounding", done++, layers, err) < 0 ||
            round_node(run, graph, nodes[i], &options, &rounded, err) < 0)
            return -1;
        if (!rounded)
            continue;
        out->rounded++;
        if (trial_emit_again(run, &out->plan, err) < 0)
            return -1;
    }
    return 0;
}

static void forget(struct run *run, struct quant_outcome *out)
{
    for (size_t i = 0; i < run->fix_count; i++) {
        free(run->fixes[i].weights);
        run->fixes[i].weights = NULL;
    }
    out->rounded = 0;
}

int round_layers(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err)
{
    struct trial trial;
    if (run_layer_count(&out->plan) == 0 || round_all(run, out, err) < 0)
        return run_layer_count(&out->plan) == 0 ? 0 : -1;
    if (trial_compare(run, run->candidate_path, 0, run->compared, &trial, err) < 0)
        return -1;
    if (trial.fidelity > now->fidelity || (trial.fidelity == now->fidelity && trial.error < now->error)) {
        *now = trial;
        return 0;
    }
    forget(run, out);
    return trial_emit_again(run, &out->plan, err);
}
