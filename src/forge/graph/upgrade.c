/* Opset by opset: for each version, the operators whose old form means something else from there on, and what makes the new form of it. What is not
 * in the table kept its meaning (it only learned types, or optional inputs and attributes whose default is as before). */
#include "base/half.h"
#include "base/str.h"
#include "forge/graph/inside.h"

#include <string.h>

enum { OLDEST = 7, NEWEST = 21 };

struct job {
    struct graph *graph;
    int64_t from;
    struct err *err;
};

typedef int rule(const struct job *job, struct onnx_node *node);

static int no_rule(const struct job *job, struct onnx_node *node)
{
    return err_set(
        job->err, ERR_UNSUPPORTED,
        "node \"%.60s\" (%.40s) of opset %lld cannot be brought to a newer one; export the model anew",
        node->name, node->op, (long long)job->from);
}

/* ---- helpers ---- */

static int add_input(const struct job *job, struct onnx_node *node, size_t input,
                     const struct onnx_weight *weight)
{
    if (!weight)
        return err_no_memory(job->err);
    return graph_set_input(job->graph, node, input, weight->name, job->err);
}

static int ints_input(const struct job *job, struct onnx_node *node, size_t input, const char *base,
                      const int64_t *values, size_t count)
{
    const int64_t dims[] = {(int64_t)count};
    return add_input(job, node, input, graph_add_weight(job->graph, base, DTYPE_INT64, dims, 1, values));
}

/* An attribute of integers becomes an input. Absent: nothing to do. */
static int move_ints(const struct job *job, struct onnx_node *node, const char *name, size_t input)
{
    const struct onnx_attr *attr = onnx_node_attr(node, name);
    if (!attr)
        return 0;
    if (attr->type != ONNX_ATTR_INTS)
        return no_rule(job, node);
    if (ints_input(job, node, input, name, attr->ints, attr->count) < 0)
        return -1;
    onnx_node_drop_attr(node, name);
    return 0;
}

/* Of the tensor that a node works on; float32 if nobody said. */
static enum tensor_dtype dtype_of(const struct job *job, const struct onnx_node *node)
{
    const struct graph_tensor *in = graph_input(job->graph, node, 0),
                              *out = graph_output(job->graph, node, 0);
    return in && in->dtype ? in->dtype : out && out->dtype ? out->dtype : DTYPE_FLOAT32;
}

/* A float attribute becomes a scalar input of the node's own type. Absent: nothing to do. */
static int move_float(const struct job *job, struct onnx_node *node, const char *name, size_t input)
{
    const struct onnx_attr *attr = onnx_node_attr(node, name);
    if (!attr)
        return 0;
    enum tensor_dtype dtype = dtype_of(job, node);
    double wide = (double)attr->f;
    uint16_t half = half_of(attr->f);
    const void *data = dtype == DTYPE_FLOAT64   ? (const void *)&wide
                       : dtype == DTYPE_FLOAT16 ? (const void *)&half
                                                : (const void *)&attr->f;
    if (dtype != DTYPE_FLOAT64 && dtype != DTYPE_FLOAT16)
        dtype = DTYPE_FLOAT32;
    if (add_input(job, node, input, graph_add_weight(job->graph, name, dtype, NULL, 0, data)) < 0)
        return -1;
    onnx_node_drop_attr(node, name);
    return 0;
}

/* Only the first output is left; the others must not be in use. */
static int only_first_output(const struct job *job, struct onnx_node *node)
{
    for (size_t i = 1; i < node->output_count; i++) {
        const struct graph_tensor *tensor = graph_output(job->graph, node, i);
        if (tensor && (tensor->use_count || tensor->is_output || tensor->captured))
            return no_rule(job, node);
    }
    for (size_t i = 1; i < node->output_count; i++) {
        struct slot *slot = graph_find(job->graph, node->outputs[i]);
        if (slot)
            slot->tensor.maker = NULL;
    }
    node->output_count = MIN(node->output_count, (size_t)1);
    return 0;
}

static int rename_op(const struct job *job, struct onnx_node *node, const char *op)
{
    const char *name = onnx_model_name(graph_model(job->graph), op);
    if (!name)
        return err_no_memory(job->err);
    node->op = name;
    return 0;
}

/* ---- 9, 10 ---- */

static int batch_norm_9(const struct job *job, struct onnx_node *node)
{
    if (onnx_node_int(node, "spatial", 1) != 1)
        return no_rule(job, node);
    onnx_node_drop_attr(node, "spatial");
    return 0;
}

static int upsample_9(const struct job *job, struct onnx_node *node)
{
    const struct onnx_attr *scales = onnx_node_attr(node, "scales");
    if (!scales || scales->type != ONNX_ATTR_FLOATS)
        return no_rule(job, node);
    const int64_t dims[] = {(int64_t)scales->count};
    if (add_input(job, node, 1,
                  graph_add_weight(job->graph, "scales", DTYPE_FLOAT32, dims, 1, scales->floats)) < 0)
        return -1;
    onnx_node_drop_attr(node, "scales");
    return 0;
}

static int upsample_10(const struct job *job, struct onnx_node *node)
{
    return rename_op(job, node, "Resize");
}

static int slice_10(const struct job *job, struct onnx_node *node)
{
    if (!onnx_node_attr(node, "starts") || !onnx_node_attr(node, "ends"))
        return no_rule(job, node);
    if (move_ints(job, node, "starts", 1) < 0 || move_ints(job, node, "ends", 2) < 0)
        return -1;
    return move_ints(job, node, "axes", 3);
}

static int top_k_10(const struct job *job, struct onnx_node *node)
{
    const int64_t k = onnx_node_int(node, "k", -1);
    if (k < 0)
        return no_rule(job, node);
    onnx_node_drop_attr(node, "k");
    return ints_input(job, node, 1, "k", &k, 1);
}

/* ---- 11, 12 ---- */

static int clip_11(const struct job *job, struct onnx_node *node)
{
    return move_float(job, node, "min", 1) < 0 ? -1 : move_float(job, node, "max", 2);
}

static int pad_11(const struct job *job, struct onnx_node *node)
{
    if (!onnx_node_attr(node, "pads"))
        return no_rule(job, node);
    return move_ints(job, node, "pads", 1) < 0 ? -1 : move_float(job, node, "value", 2);
}

/* Opset 10 had one way to find the source of an element: x / scale, and of the nearest the one below; ONNX Runtime takes the one above where it
 * shrinks. Upsample, of which all of them are if the model is older, never shrinks. */
static int nearest_of(const struct job *job, struct onnx_node *node, const char **out)
{
    size_t count = 0, grow = 0, shrink = 0;
    cleanup_free float *scales =
        graph_floats(job->graph, node->input_count > 1 ? node->inputs[1] : "", &count);
    for (size_t i = 0; i < count; i++) {
        grow += scales[i] > 1;
        shrink += scales[i] < 1;
    }
    if ((!scales && job->from >= 10) || (grow && shrink))
        return no_rule(job, node);
    *out = shrink ? "ceil" : "floor";
    return 0;
}

static int resize_11(const struct job *job, struct onnx_node *node)
{
    struct onnx_model *model = graph_model(job->graph);
    const int64_t none[] = {0};
    const struct onnx_attr *mode = onnx_node_attr(node, "mode");
    bool linear = mode && mode->s.len >= 6 && memcmp(mode->s.data + mode->s.len - 6, "linear", 6) == 0;
    const char *nearest = NULL;
    if (node->input_count != 2)
        return no_rule(job, node);
    if (!linear && nearest_of(job, node, &nearest) < 0)
        return -1;
    if (graph_set_input(job->graph, node, 2, node->inputs[1], job->err) < 0 ||
        add_input(job, node, 1, graph_add_weight(job->graph, "roi", DTYPE_FLOAT32, none, 1, NULL)) < 0 ||
        onnx_node_set_string(model, node, "mode", linear ? "linear" : "nearest", job->err) < 0)
        return -1;
    if (nearest && onnx_node_set_string(model, node, "nearest_mode", nearest, job->err) < 0)
        return -1;
    return onnx_node_set_string(model, node, "coordinate_transformation_mode", "asymmetric", job->err);
}

static int scatter_11(const struct job *job, struct onnx_node *node)
{
    return rename_op(job, node, "ScatterElements");
}

/* Without training_mode the ratio means nothing. */
static int dropout_12(const struct job *job, struct onnx_node *node)
{
    onnx_node_drop_attr(node, "ratio");
    return 0;
}

/* ---- 13 ---- */

/* 0: not known. */
static size_t rank_of(const struct job *job, const struct onnx_node *node)
{
    const struct graph_tensor *in = graph_input(job->graph, node, 0),
                              *out = graph_output(job->graph, node, 0);
    if (in && in->shaped)
        return in->dim_count;
    if (out && out->shaped)
        return out->dim_count;
    bool flat = in && in->maker && (graph_is_op(in->maker, "Gemm") || graph_is_op(in->maker, "Flatten"));
    return flat ? 2 : 0;
}

/* Everything from `axis` on is one row for the old Softmax: flattened, then shaped again. */
static int flatten_around(const struct job *job, struct onnx_node *node, int64_t axis)
{
    struct graph *graph = job->graph;
    const char *x = node->inputs[0], *y = node->outputs[0];
    const char *flat = graph_fresh(graph, "flat"), *shape = graph_fresh(graph, "shape");
    const char *soft = graph_fresh(graph, "soft");
    if (!flat || !shape || !soft)
        return err_no_memory(job->err);
    struct onnx_node *flatten = graph_add(graph, "Flatten", &x, 1, &flat, 1);
    if (!flatten || !graph_add(graph, "Shape", &x, 1, &shape, 1) ||
        onnx_node_set_int(graph_model(graph), flatten, "axis", axis, job->err) < 0 ||
        graph_set_input(graph, node, 0, flat, job->err) < 0)
        return err_no_memory(job->err);
    graph_unlink(graph, node);
    node->outputs[0] = soft;
    if (graph_link(graph, node, job->err) < 0)
        return -1;
    const char *const inputs[] = {soft, shape};
    return graph_add(graph, "Reshape", inputs, 2, &y, 1) ? 0 : err_no_memory(job->err);
}

static int softmax_13(const struct job *job, struct onnx_node *node)
{
    struct onnx_model *model = graph_model(job->graph);
    const struct graph_tensor *in = graph_input(job->graph, node, 0);
    int64_t axis = onnx_node_int(node, "axis", 1), rank = (int64_t)rank_of(job, node);
    if (node->input_count != 1 || node->output_count != 1)
        return no_rule(job, node);
    bool one = axis == -1 || (rank && (axis == rank - 1)); /* one axis is in the row */
    if (!one && in && in->shaped && axis >= 0 && axis < rank) {
        one = true;
        for (size_t i = (size_t)axis + 1; i < in->dim_count; i++)
            one &= in->dims[i] == 1;
    }
    if (!one && flatten_around(job, node, axis) < 0)
        return -1;
    return onnx_node_set_int(model, node, "axis", one ? axis : -1, job->err);
}

static int axes_to_input(const struct job *job, struct onnx_node *node)
{
    return move_ints(job, node, "axes", 1);
}

static int split_13(const struct job *job, struct onnx_node *node)
{
    return move_ints(job, node, "split", 1);
}

/* ---- 16, 18, 20 ---- */

static int roi_align_16(const struct job *job, struct onnx_node *node)
{
    if (onnx_node_attr(node, "coordinate_transformation_mode"))
        return 0;
    return onnx_node_set_string(graph_model(job->graph), node, "coordinate_transformation_mode",
                                "output_half_pixel", job->err);
}

static int split_18(const struct job *job, struct onnx_node *node)
{
    if ((node->input_count > 1 && *node->inputs[1]) || onnx_node_attr(node, "num_outputs"))
        return 0;
    return onnx_node_set_int(graph_model(job->graph), node, "num_outputs", (int64_t)node->output_count,
                             job->err);
}

static int grid_sample_20(const struct job *job, struct onnx_node *node)
{
    const struct onnx_attr *mode = onnx_node_attr(node, "mode");
    const char *now = "linear";
    if (mode && mode->s.len == 7 && memcmp(mode->s.data, "bicubic", 7) == 0)
        now = "cubic";
    if (mode && mode->s.len == 7 && memcmp(mode->s.data, "nearest", 7) == 0)
        now = "nearest";
    return onnx_node_set_string(graph_model(job->graph), node, "mode", now, job->err);
}

static int dft_20(const struct job *job, struct onnx_node *node)
{
    const int64_t axis = onnx_node_int(node, "axis", 1);
    onnx_node_drop_attr(node, "axis");
    return add_input(job, node, 2, graph_add_weight(job->graph, "axis", DTYPE_INT64, NULL, 0, &axis));
}

/* ---- all of it ---- */

static const struct {
    int64_t version; /* from which on the new form holds */
    const char *op;
    rule *apply;
} rules[] = {
    {9, "BatchNormalization", batch_norm_9},
    {9, "Scan", no_rule}, /* there was none before 8 */
    {9, "Upsample", upsample_9},
    {10, "Dropout", only_first_output},
    {10, "Slice", slice_10},
    {10, "TopK", top_k_10},
    {10, "Upsample", upsample_10},
    {11, "Clip", clip_11},
    {11, "Pad", pad_11},
    {11, "Resize", resize_11},
    {11, "Scatter", scatter_11},
    {12, "Dropout", dropout_12},
    {13, "Hardmax", softmax_13},
    {13, "LogSoftmax", softmax_13},
    {13, "ReduceSum", axes_to_input},
    {13, "Softmax", softmax_13},
    {13, "Split", split_13},
    {13, "Squeeze", axes_to_input},
    {13, "Unsqueeze", axes_to_input},
    {14, "BatchNormalization", only_first_output},
    {16, "RoiAlign", roi_align_16},
    {18, "ReduceL1", axes_to_input},
    {18, "ReduceL2", axes_to_input},
    {18, "ReduceLogSum", axes_to_input},
    {18, "ReduceLogSumExp", axes_to_input},
    {18, "ReduceMax", axes_to_input},
    {18, "ReduceMean", axes_to_input},
    {18, "ReduceMin", axes_to_input},
    {18, "ReduceProd", axes_to_input},
    {18, "ReduceSumSquare", axes_to_input},
    {18, "Split", split_18},
    {20, "DFT", dft_20},
    {20, "GridSample", grid_sample_20},
    {21, "GroupNormalization", no_rule},
};

static rule *rule_for(int64_t version, const char *op)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].version == version && str_eq(rules[i].op, op))
            return rules[i].apply;
    return NULL;
}

/* Subgraphs are kept as they are: nothing in them may have changed. */
static int check_inside(const struct job *job, const struct onnx_node *node, int64_t version)
{
    for (size_t i = 0; i < node->inner_op_count; i++)
        if (rule_for(version, node->inner_ops[i]))
            return err_set(
                job->err, ERR_UNSUPPORTED,
                "node \"%.60s\" (%.20s): its subgraph uses %.40s, which changed with opset %lld; export "
                "the model anew",
                node->name, node->op, node->inner_ops[i], (long long)version);
    return 0;
}

/* Nodes that a rule adds are of the new form already, hence the count from before. */
static int bring_to(const struct job *job, int64_t version)
{
    const struct onnx_graph *model = onnx_model_graph(graph_model(job->graph));
    size_t count = model->node_count;
    for (size_t i = 0; i < count; i++) {
        struct onnx_node *node = model->nodes[i];
        if (node->removed)
            continue;
        rule *apply = *node->domain ? NULL : rule_for(version, node->op);
        if (check_inside(job, node, version) < 0 || (apply && apply(job, node) < 0))
            return -1;
    }
    return 0;
}

int64_t graph_ir_for(int64_t opset)
{
    static const int8_t versions[] = {
        [7] = 3,  [8] = 3,  [9] = 4,  [10] = 5, [11] = 6, [12] = 7, [13] = 7, [14] = 7,
        [15] = 8, [16] = 8, [17] = 8, [18] = 8, [19] = 9, [20] = 9, [21] = 10};
    return opset < OLDEST ? 3 : versions[MIN(opset, (int64_t)NEWEST)];
}

int graph_upgrade(struct graph *graph, int64_t opset, struct err *err)
{
    struct onnx_model *model = graph_model(graph);
    const struct job job = {.graph = graph, .from = graph_opset(graph), .err = err};
    if (job.from >= opset)
        return 0;
    if (job.from < OLDEST || opset > NEWEST)
        return err_set(
            err, ERR_UNSUPPORTED,
            "the model is of opset %lld; from %d to %d can be upgraded: export it with a newer one",
            (long long)job.from, OLDEST, NEWEST);
    for (int64_t version = job.from + 1; version <= opset; version++)
        if (bring_to(&job, version) < 0)
            return -1;
    struct onnx_graph *contents = onnx_model_graph(model);
    contents->ir_version = MAX(contents->ir_version, graph_ir_for(opset));
    return onnx_model_set_opset(model, "", opset, err);
}
