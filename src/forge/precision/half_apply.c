#include "forge/precision/half_inside.h"

#include "base/half.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SCALE 0x1p-15F /* its inverse is a float16 */
#define LARGEST_SCALE 65504.0F

/* ---- weights: each is converted once, whoever reads it ---- */

enum form { FORM_HALF, FORM_HALF_SCALE, FORM_FLOAT_SCALE };

struct wanted { /* an input that has to read another form of a weight */
    const struct onnx_weight *weight;
    enum form form;
    struct onnx_node *node;
    size_t input, number;
};

struct wanted_list {
    struct wanted *items;
    size_t count;
};

static uint16_t scale_of(float value)
{
    return half_of(fminf(fmaxf(value, LEAST_SCALE), LARGEST_SCALE));
}

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    int order = strcmp(x->weight->name, y->weight->name);
    if (order == 0)
        order = (x->form > y->form) - (x->form < y->form);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static bool wants(const struct half_work *work, const struct onnx_node *node, size_t input, enum form *out)
{
    const struct graph_tensor *tensor = graph_input(work->graph, node, input);
    const bool half = work->half[node->index];
    if (!tensor || !tensor->weight || !half_is_port(work, node, input))
        return false;
    if (half_is_pair(node) && input == 1) {
        *out = half ? FORM_HALF_SCALE : FORM_FLOAT_SCALE;
        return work->half_pairs;
    }
    *out = FORM_HALF;
    return half;
}

static int list_wanted(const struct half_work *work, struct wanted_list *out, struct err *err)
{
    size_t room = 1;
    for (size_t i = 0; i < work->node_count; i++)
        room += work->nodes[i]->input_count;
    out->items = mem_zalloc(room, sizeof *out->items);
    if (!out->items)
        return err_no_memory(err);
    for (size_t i = 0; i < work->node_count; i++)
        for (size_t k = 0; k < work->nodes[i]->input_count; k++) {
            struct wanted item = {.node = work->nodes[i], .input = k, .number = out->count};
            if (!wants(work, work->nodes[i], k, &item.form))
                continue;
            item.weight = graph_input(work->graph, work->nodes[i], k)->weight;
            out->items[out->count++] = item;
        }
    qsort(out->items, out->count, sizeof *out->items, compare_wanted);
    return 0;
}

static struct onnx_weight *convert_weight(struct half_work *work, const struct onnx_weight *weight,
                                          enum form form)
{
    size_t count = 0;
    cleanup_free float *values = graph_floats(work->graph, weight->name, &count);
    cleanup_free uint16_t *halves = mem_zalloc(count + 1, sizeof *halves);
    if (!values || !halves)
        return NULL;
    for (size_t i = 0; i < count; i++)
        halves[i] = form == FORM_HALF ? half_of(values[i]) : scale_of(values[i]);
    for (size_t i = 0; form == FORM_FLOAT_SCALE && i < count; i++)
        values[i] = half_to_float(halves[i]);
    return form == FORM_FLOAT_SCALE ? graph_add_weight(work->graph, weight->name, DTYPE_FLOAT32, weight->dims,
                                                       weight->dim_count, values)
                                    : graph_add_weight(work->graph, weight->name, DTYPE_FLOAT16, weight->dims,
                                                       weight->dim_count, halves);
}

static int convert_weights(struct half_work *work, struct err *err)
{
    struct wanted_list list = {0};
    const struct onnx_weight *made = NULL;
    int result = list_wanted(work, &list, err);
    for (size_t i = 0; result == 0 && i < list.count; i++) {
        const struct wanted *item = &list.items[i];
        if (i == 0 || item->weight != item[-1].weight || item->form != item[-1].form)
            made = convert_weight(work, item->weight, item->form);
        result = made ? graph_set_input(work->graph, item->node, item->input, made->name, err)
                      : err_no_memory(err);
    }
    free(list.items);
    return result;
}

/* ---- Casts ---- */

static struct onnx_node *add_cast(struct half_work *work, const char *from, enum tensor_dtype to,
                                  struct err *err)
{
    const char *output = graph_fresh(work->graph, from);
    struct onnx_node *node = output ? graph_add(work->graph, "Cast", &from, 1, &output, 1) : NULL;
    if (!node)
        err_no_memory(err);
    return node && onnx_node_set_int(graph_model(work->graph), node, "to", to, err) == 0 ? node : NULL;
}

struct crossing { /* a tensor that is read in the other type too */
    const char *name;
    bool half, seen_outside; /* its maker's type; an output of the graph, or captured */
    struct graph_use *others;
    size_t count;
};

/* Readers that want the other type; `uses` would not outlive the first change. */
static int list_others(const struct half_work *work, const struct graph_tensor *tensor, struct crossing *out,
                       struct err *err)
{
    *out = (struct crossing){.name = tensor->name,
                             .half = tensor->maker && work->half[tensor->maker->index],
                             .seen_outside = tensor->is_output || tensor->captured,
                             .others = mem_zalloc(tensor->use_count + 1, sizeof *out->others)};
    if (!out->others)
        return err_no_memory(err);
    for (size_t i = 0; i < tensor->use_count; i++) {
        const struct graph_use *use = &tensor->uses[i];
        const bool fixed = types_is_fixed_input(use->node, use->input);
        if (!fixed && !half_is_port(work, use->node, use->input))
            continue;
        if ((!fixed && work->half[use->node->index]) != out->half)
            out->others[out->count++] = *use;
    }
    return 0;
}

static int cross(struct half_work *work, const struct crossing *at, struct err *err)
{
    const struct onnx_node *cast = add_cast(work, at->name, at->half ? DTYPE_FLOAT32 : DTYPE_FLOAT16, err);
    if (!cast)
        return -1;
    for (size_t i = 0; i < at->count; i++)
        if (graph_set_input(work->graph, at->others[i].node, at->others[i].input, cast->outputs[0], err) < 0)
            return -1;
    return 0;
}

/* The tensor that others know by name has to be the float32 one: everybody reads that, then the float16 ones go back. */
static int cross_outside(struct half_work *work, const struct graph_tensor *tensor, const struct crossing *at,
                         struct err *err)
{
    const size_t count = tensor->use_count;
    cleanup_free struct graph_use *uses = mem_zalloc(count + 1, sizeof *uses);
    if (!uses)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        uses[i] = tensor->uses[i];
    const struct onnx_node *cast = add_cast(work, at->name, DTYPE_FLOAT32, err);
    if (!cast || graph_replace_uses(work->graph, at->name, cast->outputs[0], err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!types_is_fixed_input(uses[i].node, uses[i].input) && work->half[uses[i].node->index] &&
            graph_set_input(work->graph, uses[i].node, uses[i].input, cast->inputs[0], err) < 0)
            return -1;
    return 0;
}

static int cast_tensor(struct half_work *work, const char *name, struct half_outcome *out, struct err *err)
{
    const struct graph_tensor *tensor = graph_tensor(work->graph, name);
    struct crossing at;
    if (!tensor || tensor->weight || types_of(&work->types, tensor) != DTYPE_FLOAT32)
        return 0;
    int result = list_others(work, tensor, &at, err);
    const bool outside = result == 0 && at.half && at.seen_outside;
    if (outside)
        result = cross_outside(work, tensor, &at, err);
    else if (result == 0 && at.count)
        result = cross(work, &at, err);
    out->casts += outside || at.count;
    free(at.others);
    return result;
}

static int cast_all(struct half_work *work, struct half_outcome *out, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(work->graph));
    for (size_t i = 0; i < model->input_count; i++)
        if (cast_tensor(work, model->inputs[i]->name, out, err) < 0)
            return -1;
    for (size_t i = 0; i < work->node_count; i++)
        for (size_t k = 0; k < work->nodes[i]->output_count; k++)
            if (*work->nodes[i]->outputs[k] && cast_tensor(work, work->nodes[i]->outputs[k], out, err) < 0)
                return -1;
    return 0;
}

/* ---- what nodes say themselves ---- */

/* The graph's own memory of types: what made float32 makes float16 now. Casts of the model change their target. */
static int retype(struct half_work *work, struct err *err)
{
    for (size_t i = 0; i < work->node_count; i++) {
        struct onnx_node *node = work->nodes[i];
        if (!work->half[node->index])
            continue;
        for (size_t k = 0; k < node->output_count; k++) {
            const struct graph_tensor *output = graph_output(work->graph, node, k);
            if (output && types_of(&work->types, output) == DTYPE_FLOAT32)
                graph_set_shape(work->graph, output->name, DTYPE_FLOAT16, output->dims,
                                output->shaped ? output->dim_count : RELEASE_MAX_DIMS + 1);
        }
        if (graph_is_op(node, "Cast") &&
            onnx_node_set_int(graph_model(work->graph), node, "to", DTYPE_FLOAT16, err) < 0)
            return -1;
    }
    return 0;
}

int half_apply(struct half_work *work, struct half_outcome *out, struct err *err)
{
    if (cast_all(work, out, err) < 0 || convert_weights(work, err) < 0 || retype(work, err) < 0)
        return -1;
    graph_forget_shapes(work->graph);
    return graph_tidy(work->graph, err);
}
