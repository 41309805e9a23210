/* The model by hand: the few protobuf fields of an ONNX file that such a graph needs. */
#include "robot/runner/made_release.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "wire/golden.h"

#include <string.h>

enum {
    MEANS = MADE_MEANS,
    PART_FLOATS = MADE_PART_BYTES / sizeof(float),
    DEADLINE_MS = 1000,
    FLOAT = 1,
    INT64 = 7
};

/* What goes wrong on the way stays in *err, for the one who began. */
struct proto {
    struct buf buf;
    struct err *err;
};

static void put_varint(struct proto *p, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    } while (value);
    bytes[n - 1] &= 0x7f;
    (void)!buf_put(&p->buf, bytes, n, p->err);
}

static void put_number(struct proto *p, unsigned field, uint64_t value)
{
    put_varint(p, field << 3);
    put_varint(p, value);
}

static void put_bytes(struct proto *p, unsigned field, const void *data, size_t len)
{
    put_varint(p, field << 3 | 2);
    put_varint(p, len);
    (void)!buf_put(&p->buf, data, len, p->err);
}

static void put_text(struct proto *p, unsigned field, const char *text)
{
    put_bytes(p, field, text, strlen(text));
}

/* Ends `inner` as field `field` of `p`. */
static void put_message(struct proto *p, unsigned field, struct proto *inner)
{
    put_bytes(p, field, inner->buf.data, inner->buf.len);
    buf_fini(&inner->buf);
}

static struct proto begin(const struct proto *outer)
{
    return (struct proto){.buf = BUF_INIT(1 << 16), .err = outer->err};
}

static void put_constant(struct proto *graph, const char *name, const int64_t *values, size_t count)
{
    struct proto tensor = begin(graph);
    put_number(&tensor, 1, count);
    put_number(&tensor, 2, INT64);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, values, count * sizeof *values);
    put_message(graph, 5, &tensor);
}

static void put_tensor_info(struct proto *graph, unsigned field, const char *name, const int64_t *dims,
                            size_t count)
{
    struct proto info = begin(graph), type = begin(graph), tensor = begin(graph), shape = begin(graph);
    for (size_t i = 0; i < count; i++) {
        struct proto dim = begin(graph);
        put_number(&dim, 1, (uint64_t)dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_number(&tensor, 1, FLOAT);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

static void put_ints(struct proto *node, const char *name, uint64_t value, bool list)
{
    struct proto attribute = begin(node);
    put_text(&attribute, 1, name);
    put_number(&attribute, list ? 8 : 3, value);
    put_number(&attribute, 20, list ? 7 : 2);
    put_message(node, 5, &attribute);
}

static void put_node(struct proto *graph, const char *op, const char *const *inputs, const char *output)
{
    struct proto node = begin(graph);
    for (size_t i = 0; inputs[i]; i++)
        put_text(&node, 1, inputs[i]);
    put_text(&node, 2, output);
    put_text(&node, 4, op);
    if (strncmp(op, "Reduce", 6) == 0) {
        put_ints(&node, "axes", 1, true);
        put_ints(&node, "keepdims", 0, false);
    }
    put_message(graph, 1, &node);
}

/* frame [1, N] → its first part, or all of it → [8, …] → the mean of each row (→ plus those of all frames before). */
static void put_graph(struct proto *graph, const struct made_model *what)
{
    const int64_t in[] = {1, (int64_t)(what->bytes / sizeof(float))}, out[] = {MEANS}, rows[] = {MEANS, -1},
                  zero[] = {0}, part[] = {PART_FLOATS}, axis[] = {1};
    if (!what->reads_all)
        put_node(graph, "Slice", (const char *[]){"frame", "zero", "part", "axis", NULL}, "read");
    put_node(graph, "Reshape", (const char *[]){what->reads_all ? "frame" : "read", "rows", NULL}, "rows_of");
    put_node(graph, what->variant == MADE_WRONG ? "ReduceL2" : "ReduceMean",
             (const char *[]){"rows_of", NULL}, what->remembers ? "now" : "means");
    if (what->remembers) {
        put_node(graph, "Add", (const char *[]){"now", "before", NULL}, "means");
        put_node(graph, "Identity", (const char *[]){"means", NULL}, "after");
    }
    put_text(graph, 2, "means");
    put_constant(graph, "rows", rows, 2);
    if (!what->reads_all) {
        put_constant(graph, "zero", zero, 1);
        put_constant(graph, "part", part, 1);
        put_constant(graph, "axis", axis, 1);
    }
    put_tensor_info(graph, 11, "frame", in, 2);
    if (what->remembers)
        put_tensor_info(graph, 11, "before", out, 1);
    put_tensor_info(graph, 12, "means", out, 1);
    if (what->remembers)
        put_tensor_info(graph, 12, "after", out, 1);
}

static int build_model(struct buf *out, const struct made_model *what, struct err *err)
{
    struct err first = {0};
    struct proto model = {.buf = BUF_INIT(1 << 16), .err = &first}, opset = begin(&model),
                 graph = begin(&model);
    put_number(&model, 1, 8);
    put_text(&model, 2, "muster-bench");
    put_graph(&graph, what);
    put_message(&model, 7, &graph);
    put_number(&opset, 2, 13);
    put_message(&model, 8, &opset);
    *out = model.buf;
    return first.code ? err_set(err, first.code, "%s", first.text) : 0;
}

/* ---- a release of it: what `muster pack` writes, for golden outputs that are known beforehand ---- */

static const char yaml_text[] = "schema: 1\n"
                                "name: means\n"
                                "version: 1.0.0\n"
                                "task: raw\n"
                                "targets: [x86_64, aarch64]\n"
                                "model:\n"
                                "  path: means.onnx\n"
                                "  inputs: [{name: frame, dtype: float32, shape: [1, %llu]}%s]\n"
                                "  outputs: [{name: means, dtype: float32, shape: [%d]}%s]\n"
                                "%s"
                                "frame: float32\n"
                                "postprocess: {decoder: values}\n"
                                "labels: []\n"
                                "budgets: {latency_p99_ms: 40, deadline_ms: %u, memory_mib: 256}\n"
                                "safe_state: stop\n";

static void promise(struct release *release, const char *name)
{
    struct release_variant *variant = &release->variants[release->variant_count++];
    *variant = (struct release_variant){.precision = PRECISION_INT8, .fidelity = 0.95};
    str_copy(variant->name, sizeof variant->name, name);
}

static int make_json(const struct made_model *what, char **out, struct err *err)
{
    char path[64];
    cleanup_free struct release *release = mem_zalloc(1, sizeof *release);
    const char *own = variant_of_machine(image_this_machine());
    cleanup_free char *yaml = mem_printf(
        yaml_text, (unsigned long long)what->bytes / sizeof(float),
        what->remembers ? ", {name: before, dtype: float32, shape: [8]}" : "", MEANS,
        what->remembers ? ", {name: after, dtype: float32, shape: [8]}" : "",
        what->remembers ? "state: [{input: before, output: after}]\nruntime: {queue: lossless}\n" : "",
        DEADLINE_MS);
    if (!release || !yaml)
        return err_no_memory(err);
    if (release_parse_yaml("means", yaml, strlen(yaml), release, path, sizeof path, err) < 0)
        return -1;
    if (what->variant && own)
        promise(release, own);
    if (what->trt)
        promise(release, VARIANT_TRT);
    *out = release_format(release);
    return *out ? 0 : err_no_memory(err);
}

/* All is one half, so every mean is; the memory is empty before it. */
static int make_golden(const struct made_model *what, struct buf *out, struct err *err)
{
    const float half = 0.5f;
    uint64_t floats = what->bytes / sizeof half;
    float means[MEANS];
    cleanup_free float *frame = mem_zalloc(floats, sizeof *frame);
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    if (!frame || !golden)
        return err_no_memory(err);
    for (uint64_t i = 0; i < floats; i++)
        frame[i] = half;
    for (int i = 0; i < MEANS; i++)
        means[i] = what->wrong_golden ? half / 2 : half;
    const uint8_t *expected = (const uint8_t *)means;
    golden->count = 1;
    golden->cases[0] = (struct golden_case){.format = FRAME_FLOAT32,
                                            .width = (uint32_t)floats,
                                            .height = 1,
                                            .data = (const uint8_t *)frame,
                                            .output_count = what->remembers ? 2 : 1,
                                            .output_len = {MEANS, MEANS},
                                            .outputs = {expected, expected}};
    return golden_write(golden, out, err);
}

struct layer {
    const char *type, *path, *variant;
    const void *data;
    size_t len;
};

static int add_layers(const char *dir, struct oci_manifest *manifest, const struct layer *layers,
                      size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct oci_descriptor *to = &manifest->layers[manifest->layer_count++];
        to->size = layers[i].len;
        str_copy(to->media_type, sizeof to->media_type, layers[i].type);
        str_copy(to->filepath, sizeof to->filepath, layers[i].path);
        str_copy(to->variant, sizeof to->variant, layers[i].variant);
        if (layout_add_blob(dir, layers[i].data, layers[i].len, &to->digest, err) < 0)
            return -1;
    }
    return 0;
}

static int add_manifest(const char *dir, struct oci_manifest *manifest, struct err *err)
{
    struct oci_descriptor descriptor = {0};
    cleanup_free char *config = modelpack_config_format("means", "1.0.0", "", "2026-01-01T00:00:00Z",
                                                        manifest->layers, manifest->layer_count);
    if (!config)
        return err_no_memory(err);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    str_copy(manifest->config.media_type, sizeof manifest->config.media_type, MODELPACK_CONFIG_TYPE);
    manifest->config.size = strlen(config);
    if (layout_add_blob(dir, config, strlen(config), &manifest->config.digest, err) < 0)
        return -1;
    cleanup_free char *text = oci_manifest_format(manifest);
    if (!text)
        return err_no_memory(err);
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    descriptor.size = strlen(text);
    if (layout_add_blob(dir, text, strlen(text), &descriptor.digest, err) < 0)
        return -1;
    return layout_add_manifest(dir, &descriptor, err);
}

/* What there is to be put into the release. */
struct parts {
    const struct made_model *what;
    struct buf model, variant, golden;
    char *json;
};

static void parts_fini(struct parts *parts)
{
    buf_fini(&parts->model);
    buf_fini(&parts->variant);
    buf_fini(&parts->golden);
    free(parts->json);
}

static int write_layout(const char *dir, const struct parts *parts, struct err *err)
{
    static const char garbage[] = "no model";
    const struct buf *own = &parts->variant, *model = &parts->model;
    const char *name = variant_of_machine(image_this_machine());
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    bool broken = parts->what->variant == MADE_BROKEN;
    struct layer layers[5] = {
        {MODELPACK_WEIGHT_TYPE, "model.onnx", VARIANT_PARENT, model->data, model->len},
        {MUSTER_RELEASE_TYPE, "release.json", "", parts->json, strlen(parts->json)},
        {MUSTER_GOLDEN_TYPE, "golden.bin", "", parts->golden.data, parts->golden.len},
    };
    size_t count = 3;
    if (parts->what->variant && name)
        layers[count++] =
            (struct layer){MODELPACK_WEIGHT_TYPE, "own.onnx", name,
                           broken ? garbage : (const void *)own->data, broken ? sizeof garbage : own->len};
    if (parts->what->trt)
        layers[count++] = (struct layer){MODELPACK_WEIGHT_TYPE, "trt.onnx", VARIANT_TRT, own->data, own->len};
    if (!manifest)
        return err_no_memory(err);
    if (layout_init(dir, err) < 0 || add_layers(dir, manifest, layers, count, err) < 0)
        return -1;
    return add_manifest(dir, manifest, err);
}

static int make_parts(const struct made_model *what, struct parts *parts, struct err *err)
{
    struct made_model plain = *what, other = *what;
    plain.variant = MADE_NO_VARIANT;
    other.reads_all = what->reads_all && what->variant != MADE_FAST;
    parts->what = what;
    if (make_json(what, &parts->json, err) < 0 || build_model(&parts->model, &plain, err) < 0 ||
        build_model(&parts->variant, &other, err) < 0)
        return -1;
    if (what->trt && buf_put(&parts->variant, "\x1a", 1, err) < 0) /* domain "" */
        return -1;
    if (what->trt && buf_put(&parts->variant, "", 1, err) < 0)
        return -1;
    return make_golden(what, &parts->golden, err);
}

int made_release(const char *dir, const struct made_model *what, char **out_store, struct err *err)
{
    struct parts parts = {.golden = BUF_INIT(64 << 20)};
    char *store = mem_printf("%s/means-%llu%s%s%s-%d%s", dir, (unsigned long long)what->bytes,
                             what->reads_all ? "-all" : "", what->remembers ? "-remembers" : "",
                             what->wrong_golden ? "-wrong" : "", what->variant, what->trt ? "-trt" : "");
    int result = store ? make_parts(what, &parts, err) : err_no_memory(err);
    if (result == 0)
        result = write_layout(store, &parts, err);
    parts_fini(&parts);
    if (result == 0)
        *out_store = TAKE_PTR(store);
    free(store);
    return result < 0 ? err_prefix(err, "a model of %llu bytes", (unsigned long long)what->bytes) : 0;
}
