#include "forge/calib/gram.h"

#include "base/mem.h"
#include "base/str.h"
#include "stats/linear.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_COLUMNS = 512 };

/* ---- a part of a model ---- */

static int cut_outputs(struct graph *graph, const char *const *names, size_t count, struct err *err)
{
    struct onnx_model *model = graph_model(graph);
    struct onnx_graph *tree = onnx_model_graph(model);
    tree->output_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct graph_tensor *tensor = graph_tensor(graph, names[i]);
        if (!tensor)
            return err_set(err, ERR_NOT_FOUND, "no tensor \"%.100s\" in the model", names[i]);
        enum tensor_dtype dtype = tensor->dtype ? tensor->dtype : DTYPE_FLOAT32;
        if (!onnx_model_add_value(model, &tree->outputs, &tree->output_count, names[i], dtype, NULL, 0))
            return err_no_memory(err);
    }
    return graph_tidy(graph, err);
}

int gram_cut(const char *model_path, const char *const *names, size_t count, const char *out_path,
             struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(model_path, &graph, err) < 0 || cut_outputs(graph, names, count, err) < 0)
        return -1;
    return graph_save(graph, out_path, err);
}

/* ---- one operator's input, sample by sample ---- */

static struct onnx_node *find_node(struct graph *graph, const char *name)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; nodes && i < count; i++)
        if (str_eq(nodes[i]->name, name))
            return nodes[i];
    return NULL;
}

/* Which of the model's inputs that is; SIZE_MAX: none. Those that are weights too do not count: samples have none of them. */
static size_t input_index(struct graph *graph, const char *name)
{
    const struct onnx_graph *tree = onnx_model_graph(graph_model(graph));
    size_t index = 0;
    for (size_t i = 0; i < tree->input_count; i++) {
        const struct graph_tensor *tensor = graph_tensor(graph, tree->inputs[i]->name);
        if (str_eq(tree->inputs[i]->name, name))
            return index;
        index += !(tensor && tensor->weight);
    }
    return SIZE_MAX;
}

struct source {
    struct graph *graph; /* owned; the model */
    struct onnx_node *node;
    size_t given;    /* the model's input itself; SIZE_MAX: computed */
    struct lab *lab; /* owned; the part before the node */
    char *part_path; /* owned; removed in the end */
};

static void source_fini(struct source *source)
{
    lab_close(source->lab);
    graph_free(source->graph);
    if (source->part_path)
        unlink(source->part_path);
    free(source->part_path);
}
#define cleanup_source __attribute__((cleanup(source_fini)))

static int open_source(const char *model_path, const char *node, const struct gram_options *options,
                       struct source *out, struct err *err)
{
    if (graph_open(model_path, &out->graph, err) < 0)
        return -1;
    out->node = find_node(out->graph, node);
    if (!out->node || out->node->input_count < 1)
        return err_set(err, ERR_NOT_FOUND, "no node \"%.100s\" in the model", node);
    const char *tensor = out->node->inputs[0];
    out->given = input_index(out->graph, tensor);
    if (out->given != SIZE_MAX)
        return 0;
    out->part_path = mem_printf("%s/gram-part.onnx", options->work_dir);
    if (!out->part_path)
        return err_no_memory(err);
    if (gram_cut(model_path, &tensor, 1, out->part_path, err) < 0)
        return -1;
    return lab_open(out->part_path, NULL, 0, &options->how, &out->lab, err);
}

static int next_input(struct source *source, struct samples *samples, size_t i, struct lab_tensor *out,
                      struct err *err)
{
    const struct lab_tensor *inputs = NULL;
    if (samples_load(samples, i, &inputs, err) < 0)
        return -1;
    if (source->given == SIZE_MAX)
        return lab_run(source->lab, inputs, NULL, 0, out, err);
    *out = inputs[source->given];
    return 0;
}

/* ---- sums ---- */

static int allocate(const struct gram_options *options, struct gram *out, struct err *err)
{
    const size_t n = im2col_rows(&out->shape), groups = out->shape.group;
    size_t bytes = 0;
    if (options->first_group >= groups)
        return err_set(err, ERR_INVALID, "there are only %zu groups", groups);
    out->n = n;
    out->groups = options->groups ? MIN(options->groups, groups - options->first_group) : groups;
    if (__builtin_mul_overflow(n, n * sizeof *out->g, &bytes) ||
        __builtin_mul_overflow(bytes, out->groups, &bytes) ||
        (options->max_bytes && bytes > options->max_bytes))
        return err_set(err, ERR_TOO_BIG, "second moments of %zu inputs in %zu groups take too much memory", n,
                       out->groups);
    out->g = mem_zalloc(out->groups * n, n * sizeof *out->g);
    out->sum = mem_zalloc(out->groups * n, sizeof *out->sum);
    return out->g && out->sum ? 0 : err_no_memory(err);
}

static void add_block(struct gram *gram, size_t group, const float *x, size_t count)
{
    double *sum = gram->sum + group * gram->n;
    linear_gram_add(gram->g + group * gram->n * gram->n, x, gram->n, count);
    for (size_t i = 0; i < gram->n; i++)
        for (size_t k = 0; k < count; k++)
            sum[i] += (double)x[i * count + k];
}

/* `x`: room for n × BLOCK_COLUMNS. */
static void add_sample(struct gram *gram, const struct gram_options *options, const float *input, float *x)
{
    const size_t all = im2col_columns(&gram->shape);
    const size_t most = options->max_columns ? options->max_columns : all;
    const size_t step = (all + most - 1) / most, wanted = (all + step - 1) / step;
    for (size_t group = 0; group < gram->groups; group++)
        for (size_t done = 0; done < wanted; done += BLOCK_COLUMNS) {
            const size_t count = MIN(wanted - done, (size_t)BLOCK_COLUMNS);
            im2col_fill(&gram->shape, input, options->first_group + group, done * step, step, count, x);
            add_block(gram, group, x, count);
        }
    gram->columns += wanted;
}

static int sum_samples(struct source *source, struct samples *samples, const struct gram_options *options,
                       struct gram *out, struct err *err)
{
    const size_t first = options->count ? options->first : 0;
    const size_t end = options->count ? first + options->count : samples_calibrate(samples);
    cleanup_free float *x = NULL;
    for (size_t i = first; i < end && i < samples_count(samples); i++) {
        struct lab_tensor input = {0};
        struct im2col shape;
        if (next_input(source, samples, i, &input, err) < 0 ||
            im2col_of(source->graph, source->node, input.dims, input.dim_count, &shape, err) < 0)
            return -1;
        if (input.dtype != DTYPE_FLOAT32)
            return err_set(err, ERR_UNSUPPORTED, "%s: its input is not float32", source->node->name);
        if (!out->g) {
            out->shape = shape;
            if (allocate(options, out, err) < 0)
                return -1;
            x = mem_zalloc(out->n * BLOCK_COLUMNS, sizeof *x);
            if (!x)
                return err_no_memory(err);
        }
        if (im2col_rows(&shape) != out->n || shape.group != out->shape.group)
            return err_set(err, ERR_UNSUPPORTED, "%s: its input changes its shape", source->node->name);
        out->shape = shape;
        add_sample(out, options, input.data, x);
    }
    return 0;
}

int gram_of_input(const char *model_path, const char *node, struct samples *samples,
                  const struct gram_options *options, struct gram *out, struct err *err)
{
    cleanup_source struct source source = {0};
    *out = (struct gram){0};
    if (open_source(model_path, node, options, &source, err) < 0 ||
        sum_samples(&source, samples, options, out, err) < 0) {
        gram_fini(out);
        return -1;
    }
    for (size_t group = 0; group < out->groups; group++)
        linear_mirror(out->g + group * out->n * out->n, out->n);
    return 0;
}

void gram_fini(struct gram *gram)
{
    free(gram->g);
    free(gram->sum);
    *gram = (struct gram){0};
}
