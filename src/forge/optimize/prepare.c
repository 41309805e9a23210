#include "forge/optimize/prepare.h"

#include "base/str.h"
#include "forge/optimize/fold.h"
#include "forge/optimize/optimize.h"
#include "forge/optimize/prepare_inside.h"
#include "infer/lab.h"
#include "sys/file.h"

#include <stdlib.h>

enum { OPSET = 17, NEWEST_OPSET = 21, APART_BYTES = 1 << 30 };

/* ---- what we do ourselves, before the runtime folds ---- */

/* Before IR 4 every weight was an input too, with the weight as its default: an input that nobody ever gives. */
static void drop_weight_inputs(struct graph *graph)
{
    struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    size_t kept = 0;
    for (size_t i = 0; i < model->input_count; i++) {
        const struct graph_tensor *tensor = graph_tensor(graph, model->inputs[i]->name);
        if (!tensor || !tensor->weight)
            model->inputs[kept++] = model->inputs[i];
    }
    model->input_count = kept;
}

/* An open first dimension is the batch: robots give one frame at a time. */
static int fix_batch(struct graph *graph, const struct onnx_value_info *value, struct err *err)
{
    if (!value->shaped || value->dim_count < 2 || value->dims[0] >= 0)
        return 0;
    int64_t dims[ONNX_MAX_DIMS] = {1};
    for (size_t i = 1; i < value->dim_count; i++) {
        dims[i] = value->dims[i];
        if (dims[i] < 0)
            return 0;
    }
    return graph_fix_input(graph, value->name, dims, value->dim_count, err);
}

static int fix_shapes(struct graph *graph, const struct optimize_fixed *fixed, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (graph_fix_input(graph, fixed[i].input, fixed[i].dims, fixed[i].dim_count, err) < 0)
            return -1;
    const struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    for (size_t i = 0; i < model->input_count; i++)
        if (fix_batch(graph, model->inputs[i], err) < 0)
            return -1;
    return prepare_check_shapes(graph, err);
}

static int write_fixed(const char *model_path, const struct optimize_fixed *fixed, size_t fixed_count,
                       const char *out_path, int64_t *out_opset, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(model_path, &graph, err) < 0 || prepare_check_kind(graph, err) < 0)
        return -1;
    drop_weight_inputs(graph);
    if (fix_shapes(graph, fixed, fixed_count, err) < 0 || graph_upgrade(graph, OPSET, err) < 0 ||
        graph_tidy(graph, err) < 0)
        return -1;
    *out_opset = graph_opset(graph);
    return graph_save_within(graph, out_path, 0, err);
}

/* ---- folding ---- */

/* The runtime leaves weights that it does not change where they are, in the file beside the model, and puts others into its own. Only where that
 * could pass 2 GiB it writes all into a new one (always would be wrong: it puts weights of subgraphs there, too). Equal constants are not
 * made one: each operator keeps its own, which can then be changed alone. */
static int fold(const char *path, const char *out_path, const char *runtime_path, struct err *err)
{
    static const char *const entries[][2] = {
        {"optimization.disable_specified_optimizers", "ConstantSharing"},
        {"session.optimized_model_external_initializers_file_name", "folded.data"},
        {"session.optimized_model_external_initializers_min_size_in_bytes", "1024"},
    };
    uint64_t bytes = 0;
    cleanup_free char *weights = mem_printf("%s.data", path); /* as graph_save names it */
    if (!weights)
        return err_no_memory(err);
    if (file_exists(weights) && file_size(weights, &bytes, err) < 0)
        return -1;
    const struct lab_how how = {.runtime_path = runtime_path,
                                .level = LAB_BASIC,
                                .lean = true,
                                .dump_path = out_path,
                                .entries = entries,
                                .entry_count = bytes > APART_BYTES ? ARRAY_LEN(entries) : 1};
    return lab_dump(path, &how, err);
}

/* The runtime's words are about a file that nobody has seen, and long: what is named is the model, and the part that says what is missing. */
static int explain(const char *model_path, const char *fixed_path, int64_t opset, struct err *err)
{
    static const char unknown[] = "No Op registered for ", version[] = " with";
    char words[sizeof err->text];
    const char *at = str_starts(err->text, fixed_path) ? err->text + strlen(fixed_path) : NULL;
    if (!at)
        return -1;
    if (opset > NEWEST_OPSET)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: this ONNX Runtime does not run opset %lld: export it with %d or older",
                       model_path, (long long)opset, NEWEST_OPSET);
    if (strstr(at, unknown))
        at = strstr(at, unknown);
    at += strspn(at, ": ");
    str_copy(words, sizeof words, at);
    char *tail = strstr(words, version);
    if (tail)
        *tail = '\0';
    const char *remedy = err->code == ERR_UNSUPPORTED ? " (export it with ONNX's own operators only)" : "";
    int room = (int)sizeof err->text - (int)strlen(model_path) - (int)strlen(remedy) - 3;
    return err_set(err, err->code, "%s: %.*s%s", model_path, MAX(room, 60), words, remedy);
}

/* ---- what we do behind it ---- */

/* The runtime writes down all domains that it knows. */
static void drop_idle_domains(struct graph *graph, const struct graph *before)
{
    struct onnx_graph *model = onnx_model_graph(graph_model(graph));
    size_t kept = 0;
    for (size_t i = 0; i < model->opset_count; i++)
        if (model->opsets[i].domain[0] == '\0' ||
            onnx_model_opset(graph_model((struct graph *)(uintptr_t)before), model->opsets[i].domain) > 0)
            model->opsets[kept++] = model->opsets[i];
    model->opset_count = kept;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (const char *const *)a, right = (uintptr_t) * (const char *const *)b;
    return left < right ? -1 : left > right;
}

static bool is_name(const char *const *names, size_t count, const char *name)
{
    return bsearch(&name, names, count, sizeof name, by_address) != NULL;
}

/* Names are interned: equal ones are one address. */
static int rename_node(struct graph *graph, struct onnx_node *node, const char *const *names, size_t count,
                       size_t *number, struct err *err)
{
    const char *name = NULL;
    do {
        cleanup_free char *text = mem_printf("%s_%zu", node->op, (*number)++);
        name = text ? onnx_model_name(graph_model(graph), text) : NULL;
        if (!name)
            return err_no_memory(err);
    } while (is_name(names, count, name));
    node->name = name;
    return 0;
}

static int name_nodes(struct graph *graph, struct err *err)
{
    size_t count = 0, number = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    cleanup_free const char **names = mem_zalloc(count + 1, sizeof *names);
    cleanup_free bool *taken = mem_zalloc(count + 1, sizeof *taken);
    if (!names || !taken)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        names[i] = nodes[i]->name;
    qsort(names, count, sizeof *names, by_address);
    for (size_t i = 0; i < count; i++) {
        const char **found = bsearch(&nodes[i]->name, names, count, sizeof *names, by_address);
        while (found > names && found[-1] == nodes[i]->name)
            found--;
        bool *slot = &taken[found - names];
        if ((*slot || !nodes[i]->name[0]) && rename_node(graph, nodes[i], names, count, &number, err) < 0)
            return -1;
        *slot = true;
    }
    return 0;
}

/* Does the folded model speak only of what the model itself does? Else the runtime has put operators of its own into it. */
static bool is_pure(struct graph *graph, const struct graph *before)
{
    size_t count = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; i < count; i++)
        if (nodes[i]->domain[0] &&
            onnx_model_opset(graph_model((struct graph *)(uintptr_t)before), nodes[i]->domain) == 0)
            return false;
    return true;
}

static int finish(const char *fixed_path, const char *folded_path, const char *out_path, struct err *err)
{
    cleanup_graph struct graph *before = NULL, *graph = NULL;
    if (graph_open(fixed_path, &before, err) < 0 || graph_open(folded_path, &graph, err) < 0)
        return -1;
    struct graph *chosen = is_pure(graph, before) ? graph : before;
    drop_idle_domains(chosen, before);
    if (fold_constants(chosen, err) < 0 || name_nodes(chosen, err) < 0 || graph_tidy(chosen, err) < 0)
        return -1;
    return graph_save(chosen, out_path, err);
}

/* ---- all of it ---- */

static int prepare_in(const char *dir, const char *model_path, const struct optimize_fixed *fixed,
                      size_t fixed_count, const char *out_path, const char *runtime_path, struct err *err)
{
    cleanup_free char *fixed_path = file_join(dir, "fixed.onnx"), *folded = file_join(dir, "folded.onnx");
    if (!fixed_path || !folded)
        return err_no_memory(err);
    int64_t opset = 0;
    if (write_fixed(model_path, fixed, fixed_count, fixed_path, &opset, err) < 0)
        return -1;
    if (fold(fixed_path, folded, runtime_path, err) < 0)
        return explain(model_path, fixed_path, opset, err);
    return finish(fixed_path, folded, out_path, err);
}

int prepare_model(const char *model_path, const struct optimize_fixed *fixed, size_t fixed_count,
                  const char *out_path, const char *runtime_path, struct err *err)
{
    cleanup_free char *dir = mem_printf("%s" FILE_TEMP_MARK "XXXXXX", out_path);
    if (!dir)
        return err_no_memory(err);
    if (!mkdtemp(dir))
        return err_errno(err, "%s", dir);
    struct err lost = {0};
    int result = prepare_in(dir, model_path, fixed, fixed_count, out_path, runtime_path, err);
    if (file_remove_tree(dir, &lost) < 0 && result == 0) {
        *err = lost;
        return -1;
    }
    return result;
}
