/* Streams a graph to its file, or its two files: weights go from the map to the disk, never through memory of ours. */
#include "base/buf.h"
#include "forge/graph/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE = 64 << 10, BIG_PIECE = 4 << 20, EXTERNAL_MIN = 1024 };

/* ---- memory ---- */

static void let_go(const uint8_t *data, size_t len)
{
    madvise((void *)(uintptr_t)data, len, MADV_DONTNEED); /* what it cannot do costs only memory */
}

void graph_release_pages(const struct graph *graph)
{
    if (graph->map.size)
        let_go(graph->map.data, graph->map.size);
    for (size_t i = 0; i < graph->external_count; i++)
        if (graph->externals[i].size)
            let_go(graph->externals[i].data, graph->externals[i].size);
}

/* Only of a mapped file: the pages of the arena hold the only copy. */
static bool is_mapped(const struct graph *graph, const uint8_t *data)
{
    bool found = data >= graph->map.data && data < graph->map.data + graph->map.size;
    for (size_t i = 0; i < graph->external_count && !found; i++)
        found =
            data >= graph->externals[i].data && data < graph->externals[i].data + graph->externals[i].size;
    return found;
}

static void release_range(const struct graph *graph, const uint8_t *data, size_t len)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
                    from = ((uintptr_t)data + page - 1) & ~(page - 1),
                    to = ((uintptr_t)data + len) & ~(page - 1);
    if (from < to && is_mapped(graph, data))
        let_go((const uint8_t *)from, to - from);
}

/* ---- files ---- */

struct out_file {
    const struct graph *graph;
    int fd;
    char *path, *temp;
    uint8_t *piece; /* small writes are gathered here */
    size_t used;
};

static int write_all(struct out_file *file, const uint8_t *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t put = write(file->fd, data, MIN(len, (size_t)1 << 30));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "%s", file->path);
        data += put;
        len -= (size_t)put;
    }
    return 0;
}

static int flush(struct out_file *file, struct err *err)
{
    size_t used = file->used;
    file->used = 0;
    return write_all(file, file->piece, used, err);
}

/* Weights: what is written is let go of at once, so that a model of any size passes through little memory. */
static int write_big(struct out_file *file, const uint8_t *data, size_t len, struct err *err)
{
    for (size_t at = 0; at < len; at += BIG_PIECE) {
        size_t count = MIN(len - at, (size_t)BIG_PIECE);
        if (write_all(file, data + at, count, err) < 0)
            return -1;
        release_range(file->graph, data + at, count);
    }
    return 0;
}

static int put(struct out_file *file, const void *data, size_t len, struct err *err)
{
    if (len > PIECE - file->used && flush(file, err) < 0)
        return -1;
    if (len > PIECE)
        return write_big(file, data, len, err);
    if (len)
        memcpy(file->piece + file->used, data, len);
    file->used += len;
    return 0;
}

static void close_file(struct out_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->temp); /* not there any more once it was renamed */
    }
    free(file->path);
    free(file->temp);
    free(file->piece);
}

static int open_file(struct out_file *file, const char *path, const char *suffix, struct err *err)
{
    file->path = mem_printf("%s%s", path, suffix);
    file->temp = mem_printf("%s%s" FILE_TEMP_MARK "XXXXXX", path, suffix);
    file->piece = mem_zalloc(PIECE, 1);
    if (!file->path || !file->temp || !file->piece)
        return err_no_memory(err);
    file->fd = mkostemp(file->temp, O_CLOEXEC);
    if (file->fd < 0 || fchmod(file->fd, 0644) < 0)
        return err_errno(err, "%s", file->path);
    return 0;
}

static int finish(struct out_file *file, struct err *err)
{
    if (flush(file, err) < 0)
        return -1;
    return fsync(file->fd) < 0 ? err_errno(err, "%s", file->path) : 0;
}

/* ---- one file, or two ---- */

struct output {
    struct out_file model, data;
};

static int put_model(void *arg, const void *data, size_t len, struct err *err)
{
    return put(&((struct output *)arg)->model, data, len, err);
}

static int put_data(void *arg, const void *data, size_t len, struct err *err)
{
    return put(&((struct output *)arg)->data, data, len, err);
}

static int write_one(const struct graph *graph, const char *path, struct onnx_writer *writer,
                     struct output *output, struct err *err)
{
    if (open_file(&output->model, path, "", err) < 0 || onnx_model_write(graph->model, writer, err) < 0 ||
        finish(&output->model, err) < 0)
        return -1;
    return file_rename(output->model.temp, path, err);
}

/* The model's file refers to what is in the other one, so the old model goes first: after a cut there is none, never a mixed one. */
static int move_both(const struct output *output, struct err *err)
{
    if (unlink(output->model.path) < 0 && errno != ENOENT)
        return err_errno(err, "%s", output->model.path);
    if (file_rename(output->data.temp, output->data.path, err) < 0)
        return -1;
    return file_rename(output->model.temp, output->model.path, err);
}

static int write_two(const struct graph *graph, const char *path, struct onnx_writer *writer,
                     struct output *output, struct err *err)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *location = mem_printf("%s.data", slash ? slash + 1 : path);
    if (!location)
        return err_no_memory(err);
    writer->put_external = put_data;
    writer->external_location = location;
    writer->external_min = EXTERNAL_MIN;
    if (open_file(&output->model, path, "", err) < 0 || open_file(&output->data, path, ".data", err) < 0 ||
        onnx_model_write(graph->model, writer, err) < 0 || finish(&output->data, err) < 0 ||
        finish(&output->model, err) < 0)
        return -1;
    return move_both(output, err);
}

int graph_save_within(struct graph *graph, const char *path, uint64_t inside_max, struct err *err)
{
    struct output output = {.model = {.graph = graph, .fd = -1}, .data = {.graph = graph, .fd = -1}};
    struct onnx_writer writer = {.put = put_model, .arg = &output, .inside_max = inside_max};
    if (graph_settle(graph, err) < 0)
        return -1;
    bool one = onnx_model_bytes(graph->model, &writer) <= inside_max;
    int result =
        one ? write_one(graph, path, &writer, &output, err) : write_two(graph, path, &writer, &output, err);
    close_file(&output.model);
    close_file(&output.data);
    graph_release_pages(graph);
    return result;
}

int graph_save(struct graph *graph, const char *path, struct err *err)
{
    return graph_save_within(graph, path, INT32_MAX, err);
}

/* ---- into memory ---- */

static int put_buf(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

int graph_format(struct graph *graph, struct buf *out, struct err *err)
{
    const struct onnx_writer writer = {.put = put_buf, .arg = out};
    return graph_settle(graph, err) < 0 ? -1 : onnx_model_write(graph->model, &writer, err);
}
