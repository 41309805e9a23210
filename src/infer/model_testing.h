/* For tests: writes small ONNX models of float32 tensors, so that each test shows the model that it is about.
 *
 *     struct model model = model_begin();
 *     model_value(&model, MODEL_INPUT, "x", 1, 4);                 [1, 4]
 *     model_value(&model, MODEL_OUTPUT, "y", 1, 4);
 *     model_node(&model, "Add", "x x", "y");
 *     model_save(&model, path);                                    opset 13, IR version 8
 */
#ifndef MUSTER_INFER_MODEL_TESTING_H
#define MUSTER_INFER_MODEL_TESTING_H

#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/file.h"

#include <string.h>

enum { MODEL_NODE = 1, MODEL_INPUT = 11, MODEL_OUTPUT = 12 }; /* fields of GraphProto */

struct model {
    struct buf graph;
};

static inline void model_put(struct buf *out, const void *data, size_t len)
{
    struct err err = {0};
    assert_ok(buf_put(out, data, len, &err), err);
}

static inline void model_varint(struct buf *out, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        model_put(out, &(uint8_t){(uint8_t)(value | 128)}, 1);
    model_put(out, &(uint8_t){(uint8_t)value}, 1);
}

static inline void model_number(struct buf *out, uint32_t field, uint64_t value)
{
    model_varint(out, field << 3);
    model_varint(out, value);
}

static inline void model_bytes(struct buf *out, uint32_t field, const void *data, size_t len)
{
    model_varint(out, field << 3 | 2);
    model_varint(out, len);
    model_put(out, data, len);
}

/* Takes `inner` over. */
static inline void model_message(struct buf *out, uint32_t field, struct buf *inner)
{
    model_bytes(out, field, inner->data ? inner->data : (const uint8_t *)"", inner->len);
    buf_fini(inner);
}

static inline struct model model_begin(void)
{
    struct model model = {.graph = BUF_INIT(64 << 20)};
    model_bytes(&model.graph, 2, "test", 4);
    return model;
}

/* A tensor of shape [rows, columns]; `element` is ONNX's number of the elements' type. */
static inline void model_typed(struct model *model, uint32_t kind, const char *name, uint64_t element,
                               int rows, int columns)
{
    struct buf shape = BUF_INIT(4096), tensor = BUF_INIT(4096), type = BUF_INIT(4096), value = BUF_INIT(4096);
    const int dims[] = {rows, columns};
    for (int i = 0; i < 2; i++) {
        struct buf dim = BUF_INIT(64);
        model_number(&dim, 1, (uint64_t)dims[i]);
        model_message(&shape, 1, &dim);
    }
    model_number(&tensor, 1, element);
    model_message(&tensor, 2, &shape);
    model_message(&type, 1, &tensor);
    model_bytes(&value, 1, name, strlen(name));
    model_message(&value, 2, &type);
    model_message(&model->graph, kind, &value);
}

static inline void model_value(struct model *model, uint32_t kind, const char *name, int rows, int columns)
{
    model_typed(model, kind, name, 1, rows, columns);
}

static inline void model_names(struct buf *node, uint32_t field, const char *names)
{
    while (*names) {
        size_t len = strcspn(names, " ");
        model_bytes(node, field, names, len);
        names += len + (names[len] == ' ');
    }
}

/* `inputs` and `outputs`: names with blanks in between. */
static inline void model_node(struct model *model, const char *op, const char *inputs, const char *outputs)
{
    struct buf node = BUF_INIT(4096);
    model_names(&node, 1, inputs);
    model_names(&node, 2, outputs);
    model_bytes(&node, 4, op, strlen(op));
    model_message(&model->graph, MODEL_NODE, &node);
}

/* An initializer of shape [rows, columns]. */
static inline void model_weights(struct model *model, const char *name, const float *values, int rows,
                                 int columns)
{
    struct buf tensor = BUF_INIT(64 << 20);
    model_number(&tensor, 1, (uint64_t)rows);
    model_number(&tensor, 1, (uint64_t)columns);
    model_number(&tensor, 2, 1);
    model_bytes(&tensor, 8, name, strlen(name));
    model_bytes(&tensor, 9, values, (size_t)rows * (size_t)columns * sizeof *values);
    model_message(&model->graph, 5, &tensor);
}

static inline void model_save(struct model *model, const char *path)
{
    struct buf file = BUF_INIT(64 << 20), opset = BUF_INIT(64);
    struct err err = {0};
    model_number(&opset, 2, 13);
    model_number(&file, 1, 8);
    model_message(&file, 7, &model->graph);
    model_message(&file, 8, &opset);
    assert_ok(file_replace(path, file.data, file.len, 0644, &err), err);
    buf_fini(&file);
}

#endif
