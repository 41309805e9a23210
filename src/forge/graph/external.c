/* Weights in other files: only regular files beneath the model's folder, reached without a link. */
#include "base/str.h"
#include "forge/graph/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { MAX_FILES = 4096 };

static int refuse(const char *location, const char *why, struct err *err)
{
    return err_set(err, ERR_REFUSED, "weights in \"%.100s\": %s", location, why);
}

/* Step by step, for kernels (and sandboxes) without openat2. The path is safe: no "..", not absolute. */
static int open_stepwise(int dir, const char *location)
{
    cleanup_close int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    for (const char *slash; at >= 0 && (slash = strchr(location, '/')); location = slash + 1) {
        cleanup_free char *step = mem_strndup(location, (size_t)(slash - location));
        int next = step ? openat(at, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        close(at);
        at = next;
    }
    return at < 0 ? -1 : openat(at, location, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int graph_open_beneath(int dir, const char *location, bool stepwise)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = stepwise ? -1 : syscall(SYS_openat2, dir, location, &how, sizeof how);
    if (stepwise || (fd < 0 && (errno == ENOSYS || errno == EPERM)))
        return open_stepwise(dir, location);
    return (int)fd;
}

static int map_file(int dir, const char *location, struct file_map *out, struct err *err)
{
    if (!str_is_safe_path(location))
        return refuse(location, "the path leads out of the model's folder", err);
    cleanup_close int fd = graph_open_beneath(dir, location, false);
    struct stat st;
    if (fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ENXIO || errno == ENOTDIR))
        return refuse(location, "a link or a device, not a regular file beneath the model's folder", err);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "weights in \"%.100s\"", location);
    if (!S_ISREG(st.st_mode))
        return refuse(location, "not a regular file", err);
    *out = (struct file_map){.data = (const uint8_t *)""};
    if (st.st_size == 0)
        return 0;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_errno(err, "weights in \"%.100s\": cannot map", location);
    *out = (struct file_map){.data = data, .size = (size_t)st.st_size};
    return 0;
}

/* Each file once. */
static const struct file_map *find_file(struct graph *graph, int dir, const char *location, struct err *err)
{
    for (size_t i = 0; i < graph->external_count; i++)
        if (str_eq(graph->external_paths[i], location))
            return &graph->externals[i];
    if (graph->external_count == MAX_FILES) {
        err_set(err, ERR_TOO_BIG, "weights in more than %d files", MAX_FILES);
        return NULL;
    }
    if (!graph->externals) {
        graph->externals = mem_zalloc(MAX_FILES, sizeof *graph->externals);
        graph->external_paths = mem_zalloc(MAX_FILES, sizeof *graph->external_paths);
    }
    if (!graph->externals || !graph->external_paths) {
        err_no_memory(err);
        return NULL;
    }
    struct file_map *map = &graph->externals[graph->external_count];
    if (map_file(dir, location, map, err) < 0)
        return NULL;
    graph->external_paths[graph->external_count] = mem_strdup(location);
    if (!graph->external_paths[graph->external_count++]) {
        err_no_memory(err);
        return NULL;
    }
    return map;
}

static int load(struct graph *graph, int dir, struct onnx_weight *weight, struct err *err)
{
    const struct onnx_external *place = &weight->external;
    size_t size = tensor_element_bytes(weight->dtype);
    if (!size)
        return err_set(err, ERR_UNSUPPORTED,
                       "weight \"%.80s\": of a type (%d) that cannot lie in another file", weight->name,
                       (int)weight->dtype);
    uint64_t want = onnx_weight_elements(weight) * size; /* the parser has bounded it */
    const struct file_map *map = find_file(graph, dir, place->location, err);
    if (!map)
        return -1;
    if (place->length && place->length != want)
        return err_set(err, ERR_INVALID, "weight \"%.80s\": %llu bytes, its shape says %llu", weight->name,
                       (unsigned long long)place->length, (unsigned long long)want);
    if (place->offset > map->size || want > map->size - place->offset)
        return err_set(err, ERR_INVALID, "weight \"%.80s\": reaches beyond the end of %.80s", weight->name,
                       place->location);
    weight->data = (struct onnx_bytes){map->data + place->offset, (size_t)want};
    weight->external = (struct onnx_external){0};
    return 0;
}

/* Constants carry their tensor in an attribute, which is written anew then. */
static int load_constants(struct graph *graph, int dir, struct onnx_node *node, struct err *err)
{
    for (size_t i = 0; i < node->attr_count; i++) {
        struct onnx_attr *attr = &node->attrs[i];
        if (!attr->t || !attr->t->external.location)
            continue;
        if (load(graph, dir, attr->t, err) < 0)
            return -1;
        attr->type = ONNX_ATTR_TENSOR;
        attr->raw = (struct onnx_bytes){0};
    }
    return 0;
}

static bool any_external(const struct onnx_graph *model)
{
    for (size_t i = 0; i < model->weight_count; i++)
        if (model->weights[i]->external.location)
            return true;
    for (size_t i = 0; i < model->node_count; i++)
        for (size_t k = 0; k < model->nodes[i]->attr_count; k++)
            if (model->nodes[i]->attrs[k].t && model->nodes[i]->attrs[k].t->external.location)
                return true;
    return false;
}

int graph_load_external(struct graph *graph, const char *path, struct err *err)
{
    const struct onnx_graph *model = onnx_model_graph(graph->model);
    if (!any_external(model))
        return 0;
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder =
        slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    if (!folder)
        return err_no_memory(err);
    cleanup_close int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, "%s", folder);
    for (size_t i = 0; i < model->weight_count; i++)
        if (model->weights[i]->external.location && load(graph, dir, model->weights[i], err) < 0)
            return -1;
    for (size_t i = 0; i < model->node_count; i++)
        if (load_constants(graph, dir, model->nodes[i], err) < 0)
            return -1;
    return 0;
}
