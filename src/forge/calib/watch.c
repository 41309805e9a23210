#include "forge/calib/watch.h"

#include "base/str.h"
#include "forge/graph/graph.h"
#include "sys/file.h"

#include <sched.h>
#include <stdlib.h>

enum { MAX_THREADS = 8 };

struct watched {
    struct lab *lab;
};

static int add_watch(struct graph *graph, const char *name, size_t which, struct err *err)
{
    const struct graph_tensor *tensor = graph_tensor(graph, name);
    if (!tensor)
        return err_set(err, ERR_NOT_FOUND, "the model has no tensor %s", name);
    struct onnx_model *model = graph_model(graph);
    const char *output = graph_fresh(graph, "watch");
    struct onnx_node *node = output ? graph_add(graph, LAB_WATCH_OP, &tensor->name, 1, &output, 1) : NULL;
    if (!node)
        return err_no_memory(err);
    node->domain = onnx_model_name(model, LAB_WATCH_DOMAIN);
    if (!node->domain)
        return err_no_memory(err);
    if (onnx_node_set_int(model, node, "which", (int64_t)which, err) < 0)
        return -1;
    return graph_expose(graph, output, err);
}

static int write_watched(const char *model_path, const char *const *names, size_t count, const char *out_path,
                         struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(model_path, &graph, err) < 0 ||
        onnx_model_set_opset(graph_model(graph), LAB_WATCH_DOMAIN, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_watch(graph, names[i], i, err) < 0)
            return -1;
    return graph_save_within(graph, out_path, 0, err);
}

static int threads_here(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return MIN(MAX(count, 1), MAX_THREADS);
}

/* The session has read the model when it is open, and mapped the file of its weights: no names of them need to stay. */
static int open_in(const char *dir, const char *model_path, const char *const *names, size_t count,
                   const struct lab_how *how, struct lab **out, struct err *err)
{
    cleanup_free char *path = file_join(dir, "model.onnx");
    if (!path)
        return err_no_memory(err);
    if (write_watched(model_path, names, count, path, err) < 0)
        return -1;
    return lab_open(path, NULL, 0, how, out, err);
}

int watched_open(const char *model_path, const char *const *names, size_t name_count, struct lab_watch watch,
                 const char *runtime_path, struct watched **out, struct err *err)
{
    const struct lab_how how = {.runtime_path = runtime_path,
                                .threads = threads_here(),
                                .lean = true,
                                .watch = {.count = name_count, .see = watch.see, .arg = watch.arg}};
    cleanup_free char *dir = mem_printf("%s" FILE_TEMP_MARK "XXXXXX", model_path);
    cleanup_watched struct watched *watched = mem_zalloc(1, sizeof *watched);
    if (!dir || !watched)
        return err_no_memory(err);
    if (!mkdtemp(dir))
        return err_errno(err, "%s", dir);
    struct err lost = {0};
    int result = open_in(dir, model_path, names, name_count, &how, &watched->lab, err);
    if (file_remove_tree(dir, &lost) < 0 && result == 0) {
        *err = lost;
        return -1;
    }
    if (result == 0)
        *out = TAKE_PTR(watched);
    return result;
}

void watched_close(struct watched *watched)
{
    lab_close(watched->lab);
    free(watched);
}

int watched_run(struct watched *watched, struct samples *samples, size_t i, struct err *err)
{
    struct lab_tensor inputs[RELEASE_MAX_TENSORS], output;
    const size_t first = 0; /* the runtime wants to give at least one */
    if (samples_feed(samples, i, watched->lab, inputs, err) < 0)
        return -1;
    if (lab_run(watched->lab, inputs, &first, 1, &output, err) < 0)
        return err_prefix(err, "sample %s", samples_name(samples, i));
    return 0;
}
