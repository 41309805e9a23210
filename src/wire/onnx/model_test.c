/* Models that are read, changed and written: nothing is lost, and hostile bytes get one line. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/str.h"
#include "wire/onnx/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- messages made by hand ---- */

struct message {
    uint8_t data[1 << 14];
    size_t len;
};

static void put_varint(struct message *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        to->data[to->len++] = (uint8_t)(value | 0x80);
    to->data[to->len++] = (uint8_t)value;
}

static void put_number(struct message *to, uint32_t number, uint64_t value)
{
    put_varint(to, number << 3);
    put_varint(to, value);
}

static void put_bytes(struct message *to, uint32_t number, const void *data, size_t len)
{
    put_varint(to, number << 3 | 2);
    put_varint(to, len);
    assert_true(to->len + len <= sizeof to->data);
    memcpy(to->data + to->len, data, len);
    to->len += len;
}

static void put_text(struct message *to, uint32_t number, const char *text)
{
    put_bytes(to, number, text, strlen(text));
}

static void put_message(struct message *to, uint32_t number, const struct message *inner)
{
    put_bytes(to, number, inner->data, inner->len);
}

static void put_float(struct message *to, uint32_t number, float value)
{
    put_varint(to, number << 3 | 5);
    memcpy(to->data + to->len, &value, sizeof value);
    to->len += sizeof value;
}

/* A model around one graph. */
static struct message model_around(const struct message *graph)
{
    struct message model = {0}, opset = {0};
    put_number(&model, 1, 8);
    put_message(&model, 7, graph);
    put_number(&opset, 2, 17);
    put_message(&model, 8, &opset);
    return model;
}

static struct message model_with(uint32_t number, const struct message *of_graph)
{
    struct message graph = {0};
    put_message(&graph, number, of_graph);
    return model_around(&graph);
}

static struct onnx_model *parse(const struct message *message)
{
    struct err err = {0};
    struct onnx_model *model = NULL;
    assert_ok(onnx_model_parse(message->data, message->len, &model, &err), err);
    return model;
}

static void refuse(const struct message *message, enum err_code want)
{
    struct err err = {0};
    struct onnx_model *model = NULL;
    assert_fails(onnx_model_parse(message->data, message->len, &model, &err), err, want);
    assert_null(model);
    assert_null(strchr(err.text, '\n'));
    assert_true(strlen(err.text) > 10);
}

static int put_buf(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static void write_into(const struct onnx_model *model, struct buf *out)
{
    struct err err = {0};
    const struct onnx_writer writer = {.put = put_buf, .arg = out};
    assert_ok(onnx_model_write(model, &writer, &err), err);
    assert_int_equal(onnx_model_bytes(model, &writer), out->len);
}

/* ---- reading ---- */

static struct onnx_weight *only_weight(struct onnx_model *model)
{
    const struct onnx_graph *graph = onnx_model_graph(model);
    assert_int_equal(graph->weight_count, 1);
    return graph->weights[0];
}

static void raw_data_are_borrowed(void **state)
{
    const float values[] = {1, 2, 3, 4, 5, 6};
    struct message weight = {0};
    put_number(&weight, 1, 2);
    put_number(&weight, 1, 3);
    put_number(&weight, 2, DTYPE_FLOAT32);
    put_text(&weight, 8, "w");
    put_bytes(&weight, 9, values, sizeof values);
    struct message message = model_with(5, &weight);
    cleanup_onnx_model struct onnx_model *model = parse(&message);
    const struct onnx_weight *read = only_weight(model);
    assert_string_equal(read->name, "w");
    assert_int_equal(read->dim_count, 2);
    assert_int_equal(onnx_weight_elements(read), 6);
    assert_true(read->data.data > message.data && read->data.data < message.data + message.len);
    assert_memory_equal(read->data.data, values, sizeof values);
}

static void numbers_are_read_packed_and_one_by_one(void **state)
{
    const int64_t want[] = {-1, 300, INT64_MIN};
    for (int packed = 0; packed < 2; packed++) {
        struct message weight = {0}, inner = {0};
        put_number(&inner, 7, 3); /* a packed list of one dimension: its varint alone */
        put_bytes(&weight, 1, inner.data + 1, 1);
        put_number(&weight, 2, DTYPE_INT64);
        put_text(&weight, 8, "w");
        inner.len = 0;
        for (size_t i = 0; i < ARRAY_LEN(want); i++)
            if (packed)
                put_varint(&inner, (uint64_t)want[i]);
            else
                put_number(&weight, 7, (uint64_t)want[i]);
        if (packed)
            put_message(&weight, 7, &inner);
        struct message message = model_with(5, &weight);
        cleanup_onnx_model struct onnx_model *model = parse(&message);
        assert_int_equal(only_weight(model)->data.len, sizeof want);
        assert_memory_equal(only_weight(model)->data.data, want, sizeof want);
    }
}

static void small_integers_come_out_of_int32_data(void **state)
{
    struct message weight = {0};
    put_number(&weight, 1, 3);
    put_number(&weight, 2, DTYPE_INT8);
    put_text(&weight, 8, "w");
    put_number(&weight, 5, (uint64_t)(int64_t)-128);
    put_number(&weight, 5, 127);
    put_number(&weight, 5, 0);
    struct message message = model_with(5, &weight);
    cleanup_onnx_model struct onnx_model *model = parse(&message);
    assert_memory_equal(only_weight(model)->data.data, ((const int8_t[]){-128, 127, 0}), 3);
}

static void floats_are_read_in_pieces(void **state)
{
    struct message weight = {0};
    const float rest[] = {2, 3};
    put_number(&weight, 1, 3);
    put_number(&weight, 2, DTYPE_FLOAT32);
    put_text(&weight, 8, "w");
    put_float(&weight, 4, 1);
    put_bytes(&weight, 4, rest, sizeof rest);
    struct message message = model_with(5, &weight);
    cleanup_onnx_model struct onnx_model *model = parse(&message);
    assert_memory_equal(only_weight(model)->data.data, ((const float[]){1, 2, 3}), 12);
}

static void captures_are_what_a_subgraph_takes_from_outside(void **state)
{
    /* node(c, If) { inner: y = Add(a, b); z = Loop{ Mul(a, y, q) } } */
    struct message model_message, node = {0}, attr = {0}, body = {0}, inner = {0}, add = {0}, loop = {0};
    struct message loop_attr = {0}, loop_body = {0}, mul = {0}, domain = {0};
    put_text(&mul, 1, "a");
    put_text(&mul, 1, "y");
    put_text(&mul, 1, "q");
    put_text(&mul, 2, "m");
    put_text(&mul, 4, "Mul");
    put_message(&loop_body, 1, &mul);
    put_message(&loop_attr, 6, &loop_body);
    put_text(&loop, 2, "z");
    put_text(&loop, 4, "Loop");
    put_message(&loop, 5, &loop_attr);
    put_text(&add, 1, "a");
    put_text(&add, 1, "b");
    put_text(&add, 2, "y");
    put_text(&add, 4, "Add");
    put_text(&domain, 4, "Foreign");
    put_text(&domain, 7, "com.example");
    put_message(&body, 1, &add);
    put_message(&body, 1, &loop);
    put_message(&body, 1, &domain);
    put_text(&inner, 1, "outer");
    put_message(&body, 12, &inner);
    put_message(&attr, 6, &body);
    put_number(&attr, 20, ONNX_ATTR_GRAPH);
    put_text(&node, 1, "c");
    put_text(&node, 2, "out");
    put_text(&node, 4, "If");
    put_message(&node, 5, &attr);
    model_message = model_with(1, &node);
    cleanup_onnx_model struct onnx_model *model = parse(&model_message);
    const struct onnx_node *read = onnx_model_graph(model)->nodes[0];
    static const char *const want[] = {"a", "b", "q", "outer"};
    assert_int_equal(read->capture_count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        size_t found = 0;
        for (size_t k = 0; k < read->capture_count; k++)
            found += read->captures[k] == onnx_model_find(model, want[i]);
        assert_int_equal(found, 1);
    }
    assert_int_equal(read->inner_op_count, 3); /* Add, Loop, Mul */
}

static void names_are_equal_as_pointers_and_numbered(void **state)
{
    cleanup_onnx_model struct onnx_model *model = onnx_model_new(8, 17);
    static const char *names[5000];
    size_t before = onnx_model_name_count(model);
    for (int i = 0; i < 5000; i++) {
        char text[16];
        snprintf(text, sizeof text, "n%d", i);
        assert_null(onnx_model_find(model, text));
        names[i] = onnx_model_name(model, text);
        assert_int_equal(onnx_name_id(names[i]), before + (size_t)i);
    }
    for (int i = 0; i < 5000; i++) {
        char text[16];
        snprintf(text, sizeof text, "n%d", i);
        assert_ptr_equal(onnx_model_name(model, text), names[i]);
        assert_ptr_equal(onnx_model_find(model, text), names[i]);
        assert_string_equal(names[i], text);
    }
    assert_int_equal(onnx_name_id(onnx_model_find(model, "")), 0);
}

/* ---- nothing is lost ---- */

/* Fields that this code does not know, at every level, in the middle of known ones. */
static struct message foreign_model(void)
{
    struct message node = {0}, attr = {0}, weight = {0}, value = {0}, graph = {0}, model, property = {0},
                   strings = {0};
    put_text(&attr, 13, "doc of attr");
    put_text(&attr, 1, "alpha");
    put_float(&attr, 2, 0.5F);
    put_number(&attr, 20, ONNX_ATTR_FLOAT);
    put_text(&node, 6, "doc of node");
    put_text(&node, 1, "x");
    put_number(&node, 99, 7);
    put_text(&node, 2, "y");
    put_message(&node, 5, &attr);
    put_text(&node, 4, "LeakyRelu");
    put_float(&node, 98, 3);
    put_text(&weight, 12, "doc of weight");
    put_number(&weight, 1, 0);
    put_number(&weight, 2, DTYPE_FLOAT32);
    put_text(&weight, 8, "w");
    put_number(&strings, 1, 1);
    put_number(&strings, 2, 8);
    put_text(&strings, 6, "a string");
    put_text(&strings, 8, "s");
    put_text(&value, 1, "x");
    put_text(&value, 3, "doc of value");
    put_text(&graph, 10, "doc of graph");
    put_message(&graph, 1, &node);
    put_text(&graph, 14, "annotation");
    put_message(&graph, 5, &weight);
    put_message(&graph, 5, &strings);
    put_message(&graph, 11, &value);
    model = model_around(&graph);
    put_text(&model, 2, "producer");
    put_text(&property, 1, "key");
    put_text(&property, 2, "value");
    put_message(&model, 14, &property);
    put_number(&model, 5, 3);
    return model;
}

static bool contains(const struct buf *buf, const char *text)
{
    return memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

static void unknown_fields_are_written_back(void **state)
{
    static const char *const texts[] = {"doc of attr",  "doc of node", "doc of weight", "doc of value",
                                        "doc of graph", "annotation",  "producer",      "a string"};
    struct message message = foreign_model();
    cleanup_onnx_model struct onnx_model *model = parse(&message);
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    write_into(model, &out);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(contains(&out, texts[i]));
    assert_string_equal(onnx_model_metadata(model, "key"), "value");
}

/* What is written is read again, and then written with the same bytes. */
static void check_fixed_point(const uint8_t *data, size_t len)
{
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *first = NULL, *second = NULL;
    cleanup_buf struct buf once = BUF_INIT(256 << 20), twice = BUF_INIT(256 << 20);
    assert_ok(onnx_model_parse(data, len, &first, &err), err);
    write_into(first, &once);
    assert_ok(onnx_model_parse(once.data, once.len, &second, &err), err);
    write_into(second, &twice);
    assert_int_equal(once.len, twice.len);
    assert_memory_equal(once.data, twice.data, once.len);
    const struct onnx_graph *a = onnx_model_graph(first), *b = onnx_model_graph(second);
    assert_int_equal(a->node_count, b->node_count);
    assert_int_equal(a->weight_count, b->weight_count);
    for (size_t i = 0; i < a->weight_count; i++) {
        assert_int_equal(a->weights[i]->data.len, b->weights[i]->data.len);
        if (a->weights[i]->data.len)
            assert_memory_equal(a->weights[i]->data.data, b->weights[i]->data.data, a->weights[i]->data.len);
    }
}

static void a_written_model_is_a_fixed_point(void **state)
{
    struct message message = foreign_model();
    check_fixed_point(message.data, message.len);
}

static void the_projects_models_are_written_as_they_were(void **state)
{
    static const char *const models[] = {"models/detector-1.0.0", "models/detector-2.0.0",
                                         "models/detector-3.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        char path[512];
        snprintf(path, sizeof path, MUSTER_SOURCE_DIR "/%s/model.onnx", models[i]);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        cleanup_free uint8_t *data = malloc((size_t)st.st_size);
        assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
        check_fixed_point(data, (size_t)st.st_size);
    }
}

/* ---- changing ---- */

static void what_was_added_comes_back(void **state)
{
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *model = onnx_model_new(8, 17), *again = NULL;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    struct onnx_graph *graph = onnx_model_graph(model);
    static const char *const inputs[] = {"x", NULL, "w"}, *const outputs[] = {"y"};
    const int64_t dims[] = {2, -1}, shape[] = {2};
    const float floats[] = {0.25F, -1};
    struct onnx_node *node = onnx_model_add_node(model, "Clip", "clip", inputs, 3, outputs, 1);
    assert_non_null(onnx_model_add_weight(model, "w", DTYPE_FLOAT32, shape, 1, floats));
    assert_non_null(
        onnx_model_add_value(model, &graph->inputs, &graph->input_count, "x", DTYPE_FLOAT32, dims, 2));
    assert_non_null(
        onnx_model_add_value(model, &graph->outputs, &graph->output_count, "y", DTYPE_FLOAT32, NULL, 0));
    assert_ok(onnx_node_set_int(model, node, "i", -7, &err), err);
    assert_ok(onnx_node_set_int(model, node, "gone", 1, &err), err);
    assert_ok(onnx_node_set_float(model, node, "f", 1.5F, &err), err);
    assert_ok(onnx_node_set_ints(model, node, "ints", dims, 2, &err), err);
    assert_ok(onnx_node_set_floats(model, node, "floats", floats, 2, &err), err);
    assert_ok(onnx_node_set_string(model, node, "s", "text", &err), err);
    assert_ok(onnx_node_set_int(model, node, "i", -8, &err), err);
    onnx_node_drop_attr(node, "gone");
    assert_ok(onnx_model_set_metadata(model, "k", "one", &err), err);
    assert_ok(onnx_model_set_metadata(model, "k", "two", &err), err);
    assert_ok(onnx_model_set_opset(model, "com.example", 3, &err), err);
    write_into(model, &out);

    assert_ok(onnx_model_parse(out.data, out.len, &again, &err), err);
    graph = onnx_model_graph(again);
    node = graph->nodes[0];
    assert_int_equal(node->input_count, 3);
    assert_string_equal(node->inputs[1], "");
    assert_int_equal(node->attr_count, 5);
    assert_int_equal(onnx_node_int(node, "i", 0), -8);
    assert_int_equal(onnx_node_int(node, "gone", 5), 5);
    assert_true(onnx_node_float(node, "f", 0) == 1.5F);
    assert_memory_equal(onnx_node_attr(node, "ints")->ints, dims, sizeof dims);
    assert_memory_equal(onnx_node_attr(node, "floats")->floats, floats, sizeof floats);
    assert_int_equal(onnx_node_attr(node, "s")->s.len, 4);
    assert_int_equal(graph->inputs[0]->dims[1], -1);
    assert_true(graph->inputs[0]->shaped && !graph->outputs[0]->shaped);
    assert_memory_equal(graph->weights[0]->data.data, floats, sizeof floats);
    assert_string_equal(onnx_model_metadata(again, "k"), "two");
    assert_int_equal(onnx_model_opset(again, "com.example"), 3);
    assert_int_equal(onnx_model_opset(again, ""), 17);
}

struct two_files {
    struct buf inside, outside;
};

static int put_inside(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(&((struct two_files *)arg)->inside, data, len, err);
}

static int put_outside(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(&((struct two_files *)arg)->outside, data, len, err);
}

static void big_weights_go_outside(void **state)
{
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *model = onnx_model_new(8, 17), *again = NULL;
    struct two_files files = {.inside = BUF_INIT(1 << 20), .outside = BUF_INIT(1 << 20)};
    const int64_t big[] = {1000}, small[] = {4};
    static float values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (float)i;
    assert_non_null(onnx_model_add_weight(model, "a", DTYPE_FLOAT32, big, 1, values));
    assert_non_null(onnx_model_add_weight(model, "b", DTYPE_FLOAT32, small, 1, values));
    assert_non_null(onnx_model_add_weight(model, "c", DTYPE_FLOAT32, big, 1, values));
    struct onnx_writer writer = {.put = put_inside, .arg = &files, .inside_max = 1000};
    assert_fails(onnx_model_write(model, &writer, &err), err, ERR_TOO_BIG);
    assert_int_equal(files.inside.len, 0);
    writer.put_external = put_outside;
    writer.external_location = "m.data";
    writer.external_min = 100;
    assert_ok(onnx_model_write(model, &writer, &err), err);
    assert_int_equal(onnx_model_bytes(model, &writer), files.inside.len);

    assert_ok(onnx_model_parse(files.inside.data, files.inside.len, &again, &err), err);
    const struct onnx_graph *graph = onnx_model_graph(again);
    assert_memory_equal(graph->weights[1]->data.data, values, 16);
    for (size_t i = 0; i < 3; i += 2) {
        const struct onnx_external *place = &graph->weights[i]->external;
        assert_string_equal(place->location, "m.data");
        assert_int_equal(place->offset % 4096, 0);
        assert_int_equal(place->length, sizeof values);
        assert_true(place->offset + place->length <= files.outside.len);
        assert_memory_equal(files.outside.data + place->offset, values, sizeof values);
    }
    buf_fini(&files.inside);
    buf_fini(&files.outside);
}

/* ---- hostile bytes ---- */

static struct message weight_of(uint64_t dim, uint64_t dtype, const void *raw, size_t raw_len)
{
    struct message weight = {0};
    put_number(&weight, 1, dim);
    put_number(&weight, 2, dtype);
    put_text(&weight, 8, "w");
    if (raw)
        put_bytes(&weight, 9, raw, raw_len);
    return weight;
}

static void weights_that_lie_are_refused(void **state)
{
    const uint8_t bytes[8] = {0};
    struct message cases[] = {
        weight_of(3, DTYPE_FLOAT32, bytes, 8),                /* too few */
        weight_of(1, DTYPE_FLOAT32, bytes, 8),                /* too many */
        weight_of(2, DTYPE_FLOAT32, bytes, 7),                /* half an element */
        weight_of(2, DTYPE_FLOAT32, NULL, 0),                 /* none */
        weight_of((uint64_t)-1, DTYPE_FLOAT32, bytes, 8),     /* a negative dimension */
        weight_of((uint64_t)INT64_MAX, DTYPE_INT8, bytes, 8), /* a huge claim */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message model = model_with(5, &cases[i]);
        refuse(&model, ERR_INVALID);
    }
}

static void products_of_dimensions_do_not_overflow(void **state)
{
    const uint8_t bytes[8] = {0};
    struct message weight = weight_of((uint64_t)1 << 32, DTYPE_FLOAT32, bytes, 8);
    put_number(&weight, 1, (uint64_t)1 << 32);
    struct message model = model_with(5, &weight);
    refuse(&model, ERR_TOO_BIG);
    weight = weight_of((uint64_t)1 << 40, DTYPE_FLOAT32, NULL, 0);
    put_number(&weight, 1, 0); /* with a zero it is nothing after all */
    model = model_with(5, &weight);
    onnx_model_free(parse(&model));
    weight = weight_of(1, DTYPE_FLOAT32, bytes, 4);
    for (int i = 0; i < ONNX_MAX_DIMS; i++)
        put_number(&weight, 1, 1);
    model = model_with(5, &weight);
    refuse(&model, ERR_TOO_BIG);
}

static void names_are_bounded(void **state)
{
    static char name[ONNX_MAX_DIMS * 200];
    struct message node = {0};
    put_bytes(&node, 4, "a\0b", 3);
    struct message model = model_with(1, &node);
    refuse(&model, ERR_INVALID);
    node.len = 0;
    put_text(&node, 4, "two\nlines");
    model = model_with(1, &node);
    refuse(&model, ERR_INVALID);
    memset(name, 'x', sizeof name - 1);
    static uint8_t long_one[sizeof name + 64];
    size_t len = 0; /* graph { name }, longer than a struct message */
    long_one[len++] = 7 << 3 | 2;
    long_one[len++] = (uint8_t)((sizeof name + 2) | 0x80);
    long_one[len++] = (uint8_t)((sizeof name + 2) >> 7);
    long_one[len++] = 2 << 3 | 2;
    long_one[len++] = (uint8_t)((sizeof name - 1) | 0x80);
    long_one[len++] = (uint8_t)((sizeof name - 1) >> 7);
    memcpy(long_one + len, name, sizeof name - 1);
    struct err err = {0};
    struct onnx_model *big = NULL;
    assert_fails(onnx_model_parse(long_one, len + sizeof name - 1, &big, &err), err, ERR_TOO_BIG);
}

static void subgraphs_are_nested_so_deep_and_no_deeper(void **state)
{
    for (int depth = 7; depth < 12; depth++) {
        struct message node = {0};
        put_text(&node, 4, "If");
        for (int i = 0; i < depth; i++) {
            struct message body = {0}, attr = {0};
            put_message(&body, 1, &node);
            put_message(&attr, 6, &body);
            node.len = 0;
            put_text(&node, 4, "If");
            put_message(&node, 5, &attr);
        }
        struct message model = model_with(1, &node);
        if (depth > 8)
            refuse(&model, ERR_TOO_BIG);
        else
            onnx_model_free(parse(&model));
    }
}

/* Each is looked for among all the others: a file of a million must not take hours. */
static void operator_sets_are_few(void **state)
{
    struct message graph = {0}, model = model_around(&graph);
    char domain[8];
    for (int i = 1; i <= 1000; i++) { /* beside ONNX's own */
        struct message opset = {0};
        if (i == 1000)
            onnx_model_free(parse(&model));
        snprintf(domain, sizeof domain, "d%d", i);
        put_text(&opset, 1, domain);
        put_number(&opset, 2, 1);
        put_message(&model, 8, &opset);
    }
    refuse(&model, ERR_TOO_BIG);
}

static void twice_is_too_often(void **state)
{
    struct message graph = {0}, model = model_around(&graph), opset = {0}, node = {0}, attr = {0},
                   tensor = {0};
    put_message(&model, 7, &graph);
    refuse(&model, ERR_INVALID);
    model = model_around(&graph);
    put_number(&opset, 2, 18); /* and 17 */
    put_message(&model, 8, &opset);
    refuse(&model, ERR_INVALID);
    put_message(&attr, 5, &tensor);
    put_message(&attr, 5, &tensor);
    put_message(&node, 5, &attr);
    model = model_with(1, &node);
    refuse(&model, ERR_INVALID);
}

static void weights_of_subgraphs_must_be_inside(void **state)
{
    struct message tensor = {0}, body = {0}, attr = {0}, node = {0}, model, function = {0};
    put_number(&tensor, 14, 1);
    put_message(&body, 5, &tensor);
    put_message(&attr, 6, &body);
    put_message(&node, 5, &attr);
    model = model_with(1, &node);
    refuse(&model, ERR_UNSUPPORTED);
    body.len = attr.len = node.len = 0;
    put_message(&attr, 5, &tensor);
    put_message(&node, 5, &attr);
    put_message(&function, 7, &node);
    model = model_around(&body);
    put_message(&model, 25, &function);
    refuse(&model, ERR_UNSUPPORTED);
}

static void places_outside_must_be_said(void **state)
{
    struct message weight = weight_of(2, DTYPE_FLOAT32, NULL, 0), entry = {0};
    put_number(&weight, 14, 1);
    struct message model = model_with(5, &weight);
    refuse(&model, ERR_INVALID);
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "w.bin");
    put_message(&weight, 13, &entry);
    struct message good = model_with(5, &weight);
    cleanup_onnx_model struct onnx_model *read = parse(&good);
    assert_string_equal(only_weight(read)->external.location, "w.bin");
    assert_null(only_weight(read)->data.data);
    check_fixed_point(good.data, good.len);
    entry.len = 0;
    put_text(&entry, 1, "offset");
    put_text(&entry, 2, "-4");
    put_message(&weight, 13, &entry);
    model = model_with(5, &weight);
    refuse(&model, ERR_INVALID);
}

static void what_is_no_model_is_refused(void **state)
{
    struct message nothing = {0}, text = {0}, overlong = {0};
    memcpy(text.data, "hello, this is text", text.len = 19);
    refuse(&nothing, ERR_INVALID);
    refuse(&text, ERR_INVALID);
    memset(overlong.data, 0xff, overlong.len = 30);
    refuse(&overlong, ERR_INVALID);
}

/* Every prefix of a good model is refused or is a model; never a crash, never two lines. */
static void prefixes_do_not_hurt(void **state)
{
    struct message whole = foreign_model();
    for (size_t len = 0; len < whole.len; len++) {
        struct err err = {0};
        cleanup_free uint8_t *copy = mem_dup(whole.data, len);
        cleanup_onnx_model struct onnx_model *model = NULL;
        if (onnx_model_parse(copy, len, &model, &err) < 0)
            assert_null(strchr(err.text, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_data_are_borrowed),
        cmocka_unit_test(numbers_are_read_packed_and_one_by_one),
        cmocka_unit_test(small_integers_come_out_of_int32_data),
        cmocka_unit_test(floats_are_read_in_pieces),
        cmocka_unit_test(captures_are_what_a_subgraph_takes_from_outside),
        cmocka_unit_test(names_are_equal_as_pointers_and_numbered),
        cmocka_unit_test(unknown_fields_are_written_back),
        cmocka_unit_test(a_written_model_is_a_fixed_point),
        cmocka_unit_test(the_projects_models_are_written_as_they_were),
        cmocka_unit_test(what_was_added_comes_back),
        cmocka_unit_test(big_weights_go_outside),
        cmocka_unit_test(weights_that_lie_are_refused),
        cmocka_unit_test(products_of_dimensions_do_not_overflow),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(subgraphs_are_nested_so_deep_and_no_deeper),
        cmocka_unit_test(operator_sets_are_few),
        cmocka_unit_test(twice_is_too_often),
        cmocka_unit_test(weights_of_subgraphs_must_be_inside),
        cmocka_unit_test(places_outside_must_be_said),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(prefixes_do_not_hurt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
