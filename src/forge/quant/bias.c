/* Sequential bias correction: what rounding moved a layer's means by is taken back by its bias, one layer after the other, if that helps.
 *
 *     float model, once, 8 layers at a time:   m_l = mean of layer l's outputs, per channel              samples [0, a)
 *     for each layer l in the graph's order:   candidate with all corrections kept so far, up to layer l ─▶ m'_l      samples [0, a)
 *                                              bias_l += m_l - m'_l; kept if the error of the model's outputs falls
 *                                              and the fidelity does not                                     samples [a, a + b)
 */
#include "forge/quant/run_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/calib/gram.h"
#include "forge/calib/samples.h"

#include <math.h>
#include <string.h>

enum { SAMPLES_MIN = 4, SAMPLES_MAX_EACH = 32, FLOAT_CHUNK = 8 };
#define BIAS_MACS 1e12   /* what all of it may cost, in multiply-adds */
#define SMALL_SHIFT 0.01 /* of the layer's spread: not worth a try */

struct layer {
    char *node;      /* owned */
    size_t channels; /* 0: not seen yet */
    bool last_axis;  /* channels are the last dimension, else the second */
    double *mean;    /* owned; of the float model, per channel */
    double spread;   /* root mean square of its outputs, all channels together */
};

struct layers {
    size_t count;
    struct layer *items; /* owned; in the order of the graph */
};

static void layers_fini(struct layers *layers)
{
    for (size_t i = 0; i < layers->count; i++) {
        free(layers->items[i].node);
        free(layers->items[i].mean);
    }
    free(layers->items);
    *layers = (struct layers){0};
}
#define cleanup_layers __attribute__((cleanup(layers_fini)))

static int list_layers(struct graph *graph, const struct quant_plan *plan, struct layers *out,
                       struct err *err)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    out->items = mem_zalloc(count + 1, sizeof *out->items);
    if (!out->items || (!nodes && count))
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct quant_node *planned = quant_plan_node(plan, nodes[i]->name);
        if (!planned || !planned->integer || !planned->weighted)
            continue;
        struct layer *layer = &out->items[out->count];
        *layer =
            (struct layer){.node = mem_strdup(nodes[i]->name), .last_axis = !graph_is_op(nodes[i], "Conv")};
        if (!layer->node)
            return err_no_memory(err);
        out->count++;
    }
    return 0;
}

/* ---- means per channel ---- */

struct means {
    size_t channels, columns;
    double *sum, square; /* sum: owned, per channel */
};

static void means_fini(struct means *means)
{
    free(means->sum);
}
#define cleanup_means __attribute__((cleanup(means_fini)))

static int add_means(struct means *means, const struct lab_tensor *output, bool last_axis, struct err *err)
{
    const float *data = output->data;
    const size_t axis = last_axis ? output->dim_count - 1 : 1;
    if (output->dtype != DTYPE_FLOAT32 || output->dim_count < 2)
        return err_set(err, ERR_UNSUPPORTED, "an operator's output has no channels");
    const size_t channels = (size_t)output->dims[axis], all = output->bytes / sizeof *data;
    if (!means->sum) {
        means->channels = channels;
        means->sum = mem_zalloc(channels + 1, sizeof *means->sum);
        if (!means->sum)
            return err_no_memory(err);
    }
    if (channels != means->channels || channels == 0)
        return err_set(err, ERR_UNSUPPORTED, "an operator's output changes its shape");
    size_t inner = 1;
    for (size_t i = axis + 1; i < output->dim_count; i++)
        inner *= (size_t)output->dims[i];
    for (size_t i = 0; i < all; i++) {
        means->sum[i / inner % channels] += (double)data[i];
        means->square += (double)data[i] * (double)data[i];
    }
    means->columns += all / channels;
    return 0;
}

/* What these nodes of that model make, over the first `samples`. */
static int node_outputs(const char *model_path, const struct layer *layers, size_t count, const char **out,
                        struct graph **out_graph, struct err *err)
{
    if (graph_open(model_path, out_graph, err) < 0)
        return -1;
    size_t node_count = 0, found = 0;
    struct onnx_node *const *nodes = graph_nodes(*out_graph, &node_count);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; nodes && i < node_count; i++)
            if (str_eq(nodes[i]->name, layers[k].node)) {
                out[k] = nodes[i]->outputs[0];
                found++;
                break;
            }
    return found == count ? 0 : err_set(err, ERR_INTERNAL, "%s: a planned operator is not there", model_path);
}

static int take_means(struct run *run, const char *model_path, const struct lab_how *how,
                      const struct layer *layers, size_t count, size_t samples, struct means *out,
                      struct err *err)
{
    const char *names[FLOAT_CHUNK];
    struct lab_tensor outputs[FLOAT_CHUNK];
    cleanup_graph struct graph *graph = NULL;
    cleanup_lab struct lab *lab = NULL;
    if (node_outputs(model_path, layers, count, names, &graph, err) < 0 ||
        gram_cut(model_path, names, count, run->part_path, err) < 0)
        return -1;
    graph_free(TAKE_PTR(graph));
    if (lab_open(run->part_path, NULL, 0, how, &lab, err) < 0)
        return -1;
    for (size_t i = 0; i < samples; i++) {
        const struct lab_tensor *inputs = NULL;
        if (samples_load(run->job->samples, i, &inputs, err) < 0 ||
            lab_run(lab, inputs, NULL, 0, outputs, err) < 0)
            return -1;
        for (size_t k = 0; k < count; k++)
            if (add_means(&out[k], &outputs[k], layers[k].last_axis, err) < 0)
                return -1;
    }
    return 0;
}

static int keep_means(struct layer *layer, struct means *means)
{
    layer->channels = means->channels;
    layer->spread = sqrt(means->square / (double)MAX(means->columns * means->channels, (size_t)1));
    for (size_t c = 0; c < means->channels; c++)
        means->sum[c] /= (double)means->columns;
    layer->mean = TAKE_PTR(means->sum);
    return 0;
}

static int float_means(struct run *run, struct layers *layers, size_t samples, struct err *err)
{
    const struct lab_how how = {
        .runtime_path = run->job->runtime_path, .threads = run->threads, .level = LAB_BASIC, .lean = true};
    for (size_t first = 0; first < layers->count; first += FLOAT_CHUNK) {
        const size_t count = MIN(layers->count - first, (size_t)FLOAT_CHUNK);
        struct means means[FLOAT_CHUNK] = {0};
        int result = run_tell(run, "means of the layers", first, layers->count, err);
        if (result == 0)
            result = take_means(run, run->job->model_path, &how, layers->items + first, count, samples, means,
                                err);
        for (size_t k = 0; k < count; k++) {
            if (result == 0)
                keep_means(&layers->items[first + k], &means[k]);
            means_fini(&means[k]);
        }
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- one layer ---- */

/* The shift of each channel's mean; false if all are too small to be worth a try. */
static bool find_shift(const struct layer *layer, const struct means *means, float *out)
{
    double worst = 0;
    for (size_t c = 0; c < layer->channels; c++) {
        double shift = layer->mean[c] - means->sum[c] / (double)means->columns;
        out[c] = isfinite(shift) ? (float)shift : 0;
        worst = fmax(worst, fabs((double)out[c]));
    }
    return worst > SMALL_SHIFT * layer->spread;
}

struct part { /* samples for means: [0, means); for accepting: [means, means + accept) */
    size_t means, accept;
};

/* Adds `shift` to the layer's correction; the old one is handed back, owned. */
static int apply(struct run *run, const struct layer *layer, const float *shift, float **out_old,
                 struct err *err)
{
    struct fix *fix = run_fix(run, layer->node);
    float *now = mem_zalloc(layer->channels, sizeof *now);
    if (!fix || !now) {
        free(now);
        return err_no_memory(err);
    }
    for (size_t c = 0; c < layer->channels; c++)
        now[c] = (fix->bias_add ? fix->bias_add[c] : 0) + shift[c];
    *out_old = fix->bias_add;
    fix->bias_add = now;
    return 0;
}

static int try_layer(struct run *run, const struct layer *layer, const struct part *part, struct trial *best,
                     struct quant_outcome *out, struct err *err)
{
    const struct lab_how how = run_candidate_how(run);
    cleanup_means struct means means = {0};
    cleanup_free float *shift = mem_zalloc(layer->channels + 1, sizeof *shift);
    float *old = NULL;
    struct trial trial;
    if (!shift)
        return err_no_memory(err);
    if (take_means(run, run->candidate_path, &how, layer, 1, part->means, &means, err) < 0)
        return -1;
    if (means.channels != layer->channels || !find_shift(layer, &means, shift))
        return 0;
    if (apply(run, layer, shift, &old, err) < 0)
        return -1;
    out->bias_tried++;
    if (trial_emit_again(run, &out->plan, err) < 0 ||
        trial_compare(run, run->candidate_path, part->means, part->accept, &trial, err) < 0) {
        free(old);
        return -1;
    }
    struct fix *fix = run_fix(run, layer->node);
    if (trial.error < best->error && trial.fidelity >= best->fidelity) {
        *best = trial;
        out->bias_kept++;
        free(old);
        return 0;
    }
    free(fix->bias_add);
    fix->bias_add = old;
    return trial_emit_again(run, &out->plan, err);
}

/* ---- all of them ---- */

/* As many samples as the work allows, half of them for the means. */
static struct part part_samples(const struct run *run, size_t layers)
{
    const double each = BIAS_MACS / fmax(1, run->macs * (double)MAX(layers, (size_t)1) * 1.5);
    size_t wanted = (size_t)fmin(fmax(each, SAMPLES_MIN), SAMPLES_MAX_EACH);
    wanted = MIN(wanted, run->compared / 2);
    return (struct part){.means = wanted, .accept = wanted};
}

static void drop_corrections(struct run *run)
{
    for (size_t i = 0; i < run->fix_count; i++) {
        free(run->fixes[i].bias_add);
        run->fixes[i].bias_add = NULL;
    }
}

/* Over all samples it has to hold as well; else nothing of it is kept. */
static int accept_all(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err)
{
    struct trial trial;
    if (trial_compare(run, run->candidate_path, 0, run->compared, &trial, err) < 0)
        return -1;
    if (trial.fidelity >= now->fidelity) {
        *now = trial;
        return 0;
    }
    drop_corrections(run);
    out->bias_kept = 0;
    return trial_emit_again(run, &out->plan, err);
}

int bias_correct(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_layers struct layers layers = {0};
    struct trial best;
    if (graph_open(run->job->model_path, &graph, err) < 0 || list_layers(graph, &out->plan, &layers, err) < 0)
        return -1;
    graph_free(TAKE_PTR(graph));
    const struct part part = part_samples(run, layers.count);
    if (part.means == 0 || layers.count == 0)
        return 0;
    if (float_means(run, &layers, part.means, err) < 0 ||
        trial_compare(run, run->candidate_path, part.means, part.accept, &best, err) < 0)
        return -1;
    for (size_t i = 0; i < layers.count; i++)
        if (run_tell(run, "bias correction", i, layers.count, err) < 0 ||
            try_layer(run, &layers.items[i], &part, &best, out, err) < 0)
            return -1;
    return out->bias_kept ? accept_all(run, now, out, err) : 0;
}
