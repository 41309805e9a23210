/* How much time the channels of a group are worth on this machine: the part of the model that makes, carries and consumes them, cut out and timed at a few
 * sizes. What lies between is interpolated; fewer channels are never taken for slower. */
#include "forge/prune/prune_inside.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZES = 6, WARM_UP = 2, RUNS = 9, INPUTS_MAX = 16 };

/* ---- the part ---- */

static bool carries(const struct couple *couple, const struct channel_group *group, const char *tensor)
{
    const struct channels *channels = couple_channels(couple, tensor);
    for (size_t i = 0; channels && i < channels->count; i++)
        for (size_t k = 0; k < group->count; k++)
            if (couple_number(couple, channels, i) == group->numbers[k])
                return true;
    return false;
}

static bool touches(const struct couple *couple, const struct channel_group *group,
                    const struct onnx_node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (carries(couple, group, node->inputs[i]))
            return true;
    for (size_t i = 0; i < node->output_count; i++)
        if (carries(couple, group, node->outputs[i]))
            return true;
    return false;
}

struct slice {
    struct graph *graph; /* opened anew, with the indices of `all` */
    const struct pruner *pruner;
    bool *inside; /* by node->index */
};

/* What the part reads and others make. */
static int add_input(struct slice *slice, const char *name, struct err *err)
{
    const struct graph_tensor *tensor = graph_tensor(slice->graph, name),
                              *shaped = graph_tensor(slice->pruner->graph, name);
    struct onnx_graph *tree = onnx_model_graph(graph_model(slice->graph));
    if (!tensor || tensor->weight || (tensor->maker && slice->inside[tensor->maker->index]))
        return 0;
    for (size_t i = 0; i < tree->input_count; i++)
        if (str_eq(tree->inputs[i]->name, name))
            return 0;
    if (!shaped || !shaped->shaped || tree->input_count == INPUTS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "too much goes in");
    return onnx_model_add_value(graph_model(slice->graph), &tree->inputs, &tree->input_count, name,
                                shaped->dtype, shaped->dims, shaped->dim_count)
               ? 0
               : err_no_memory(err);
}

/* What the part makes and others read. */
static int add_output(struct slice *slice, const char *name, struct err *err)
{
    const struct graph_tensor *tensor = graph_tensor(slice->graph, name),
                              *shaped = graph_tensor(slice->pruner->graph, name);
    struct onnx_graph *tree = onnx_model_graph(graph_model(slice->graph));
    bool read = tensor->is_output || !tensor->use_count;
    for (size_t i = 0; i < tensor->use_count; i++)
        read = read || !slice->inside[tensor->uses[i].node->index];
    if (!read)
        return 0;
    return onnx_model_add_value(graph_model(slice->graph), &tree->outputs, &tree->output_count, name,
                                shaped && shaped->dtype ? shaped->dtype : DTYPE_FLOAT32, NULL, 0)
               ? 0
               : err_no_memory(err);
}

static int cut_part(struct slice *slice, struct onnx_node *const *nodes, size_t count, struct err *err)
{
    struct onnx_graph *tree = onnx_model_graph(graph_model(slice->graph));
    tree->input_count = tree->output_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct onnx_node *node = nodes[i];
        for (size_t k = 0; slice->inside[node->index] && k < node->input_count; k++)
            if (node->inputs[k][0] && add_input(slice, node->inputs[k], err) < 0)
                return -1;
        for (size_t k = 0; slice->inside[node->index] && k < node->output_count; k++)
            if (node->outputs[k][0] && !graph_output(slice->graph, node, k)->weight &&
                add_output(slice, node->outputs[k], err) < 0)
                return -1;
    }
    for (size_t i = 0; i < count; i++)
        if (!slice->inside[nodes[i]->index])
            graph_remove(slice->graph, nodes[i]);
    return 0;
}

static int write_part(const struct pruner *pruner, const struct channel_group *group, const char *path,
                      struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(pruner->job->model_path, &graph, err) < 0)
        return -1;
    size_t count;
    struct onnx_node *const *sorted = graph_nodes(graph, &count);
    cleanup_free struct onnx_node **nodes = mem_dup(sorted, count * sizeof(struct onnx_node *));
    struct slice slice = {.graph = graph, .pruner = pruner};
    cleanup_free bool *inside = slice.inside =
        mem_zalloc(onnx_model_graph(graph_model(graph))->node_count + 1, sizeof *inside);
    if (!nodes || !inside)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct graph_tensor *made = graph_output(graph, nodes[i], 0);
        const struct graph_tensor *same = graph_tensor(pruner->graph, nodes[i]->outputs[0]);
        inside[nodes[i]->index] =
            (made && made->weight) || (same && same->maker && touches(pruner->couple, group, same->maker));
    }
    if (cut_part(&slice, nodes, count, err) < 0)
        return -1;
    return graph_save(graph, path, err);
}

/* ---- at one size ---- */

static int copy_shapes(const struct pruner *pruner, struct graph *graph, struct err *err)
{
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i]->input_count + nodes[i]->output_count; k++) {
            const char *name = k < nodes[i]->input_count ? nodes[i]->inputs[k]
                                                         : nodes[i]->outputs[k - nodes[i]->input_count];
            const struct graph_tensor *from = graph_tensor(pruner->graph, name);
            if (from && from->shaped && !from->weight)
                graph_set_shape(graph, name, from->dtype, from->dims, from->dim_count);
        }
    return 0;
}

static const struct channel_group *same_group(const struct couple *couple, const struct channel_group *group)
{
    for (size_t i = 0; i < couple_group_count(couple); i++) {
        const struct channel_group *other = couple_group(couple, i);
        if (other->count == group->count && !other->why && str_eq(other->node, group->node))
            return other;
    }
    return NULL;
}

static int write_smaller(const struct pruner *pruner, const struct channel_group *group, size_t take,
                         const char *part_path, const char *path, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_couple struct couple *couple = NULL;
    if (graph_open(part_path, &graph, err) < 0 || copy_shapes(pruner, graph, err) < 0 ||
        couple_find(graph, &couple, err) < 0)
        return -1;
    const struct channel_group *same = same_group(couple, group);
    cleanup_free bool *gone = mem_zalloc(couple_numbers(couple) + 1, sizeof *gone);
    if (!same || !gone)
        return err_set(err, ERR_UNSUPPORTED, "its part alone is another group");
    for (size_t i = 0; i < take; i++)
        gone[same->numbers[i]] = true;
    if (couple_cut(couple, gone, err) < 0)
        return -1;
    return graph_save(graph, path, err);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct made_inputs {
    size_t count;
    struct lab_tensor tensors[INPUTS_MAX];
};

static void free_inputs(struct made_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        free((void *)(uintptr_t)inputs->tensors[i].data);
}

/* Some values between 0 and 1: no denormals, nothing that is faster than real ones. */
static int make_inputs(const struct lab *lab, struct made_inputs *out, struct err *err)
{
    for (size_t i = 0; i < lab_input_count(lab); i++) {
        const struct lab_value *value = lab_input(lab, i);
        size_t elements = 1;
        for (size_t d = 0; d < value->dim_count; d++)
            elements *= (size_t)value->dims[d];
        float *data = mem_zalloc(elements, sizeof *data);
        if (!data)
            return err_no_memory(err);
        struct lab_tensor *tensor = &out->tensors[out->count++];
        *tensor = (struct lab_tensor){.dtype = DTYPE_FLOAT32,
                                      .dim_count = value->dim_count,
                                      .data = data,
                                      .bytes = elements * sizeof *data};
        memcpy(tensor->dims, value->dims, sizeof tensor->dims);
        for (size_t k = 0; k < elements; k++)
            data[k] = (float)(k * 2654435761U % 1000) / 1000;
        if (value->dtype != DTYPE_FLOAT32)
            return err_set(err, ERR_UNSUPPORTED, "its part reads what is no float32");
    }
    return 0;
}

/* The median of some runs. */
static int time_model(const struct pruner *pruner, const char *path, double *out_ns, struct err *err)
{
    cleanup_lab struct lab *lab = NULL;
    __attribute__((cleanup(free_inputs))) struct made_inputs inputs = {0};
    const struct lab_how how = {.runtime_path = pruner->job->runtime_path, .level = LAB_ALL};
    int64_t ns[WARM_UP + RUNS];
    if (lab_open(path, NULL, 0, &how, &lab, err) < 0 || make_inputs(lab, &inputs, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(ns); i++)
        if (lab_time(lab, inputs.tensors, &ns[i], err) < 0)
            return -1;
    qsort(ns + WARM_UP, RUNS, sizeof *ns, by_value);
    *out_ns = (double)ns[WARM_UP + RUNS / 2];
    return 0;
}

/* ---- all sizes ---- */

static int time_sizes(const struct pruner *pruner, const struct part *part, const char *part_path,
                      const char *path, double times[SIZES + 1], struct err *err)
{
    if (write_part(pruner, part->group, part_path, err) < 0)
        return -1;
    for (size_t s = 0; s <= SIZES; s++)
        if (write_smaller(pruner, part->group, part->most * s / SIZES, part_path, path, err) < 0 ||
            time_model(pruner, path, &times[s], err) < 0)
            return -1;
    for (size_t s = SIZES; s-- > 0;) /* noise aside, more channels take longer */
        times[s] = MAX(times[s], times[s + 1]);
    return 0;
}

int table_part(const struct pruner *pruner, struct part *part, struct err *err)
{
    cleanup_free char *part_path = mem_printf("%s/prune-slice.onnx", pruner->job->work_dir);
    cleanup_free char *path = mem_printf("%s/prune-smaller.onnx", pruner->job->work_dir);
    double times[SIZES + 1] = {0};
    struct err reason = {0};
    if (!part_path || !path)
        return err_no_memory(err);
    int result = time_sizes(pruner, part, part_path, path, times, &reason);
    unlink(part_path);
    unlink(path);
    for (size_t i = 0; i < part->most; i++) {
        double at = (double)((i + 1) * SIZES) / (double)part->most;
        size_t below = MIN((size_t)at, (size_t)SIZES - 1);
        double time = times[below] + (times[below + 1] - times[below]) * (at - (double)below);
        part->saved_ns[i] = result == 0 ? times[0] - time : -1;
    }
    return 0; /* of a part that cannot be cut out it is not known */
}
