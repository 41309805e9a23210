/* Releases for the played fleet server: small, but right in every part. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/image.h"
#include "robot/agent/fake_fleet.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/golden.h"
#include "wire/onnx/summary.h"

static struct digest add_layer(struct oci_manifest *manifest, const void *data, size_t len, const char *type,
                               const char *path)
{
    struct err err = {0};
    struct oci_descriptor *layer = &manifest->layers[manifest->layer_count++];
    *layer = (struct oci_descriptor){.size = len};
    str_copy(layer->media_type, sizeof layer->media_type, type);
    str_copy(layer->filepath, sizeof layer->filepath, path);
    if (str_eq(type, MODELPACK_WEIGHT_TYPE))
        str_copy(layer->variant, sizeof layer->variant, "fp32");
    assert_ok(layout_add_blob(fleet_layout(), data, len, &layer->digest, &err), err);
    return layer->digest;
}

static void read_seed(const char *path, struct buf *out)
{
    struct err err = {0};
    assert_ok(file_read(path, out, &err), err);
}

/* The seeds were not made for each other. */
static void fit_to_model(struct release *release, const uint8_t *onnx, size_t len)
{
    struct err err = {0};
    struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    assert_ok(onnx_summarize(onnx, len, summary, &err), err);
    memcpy(release->inputs[0].dims, summary->inputs[0].dims, sizeof release->inputs[0].dims);
    memcpy(release->outputs[0].dims, summary->outputs[0].dims, sizeof release->outputs[0].dims);
    release->label_count = (size_t)release->outputs[0].dims[1] - 4;
    for (size_t i = 0; i < release->label_count; i++)
        snprintf(release->labels[i], sizeof release->labels[i], "label-%zu", i);
    free(summary);
}

typedef void change_fn(struct release *release);

/* The model with another "domain" in it (field 4): other bytes, the same tensors. */
static void add_variants(struct oci_manifest *manifest, const struct release *release, struct buf *onnx,
                         struct made *made)
{
    struct err err = {0};
    for (size_t i = 0; i < release->variant_count; i++) {
        const char *name = release->variants[i].name;
        const uint8_t domain[] = {0x22, 1, (uint8_t)('a' + i)};
        char path[32];
        assert_ok(buf_put(onnx, domain, sizeof domain, &err), err);
        snprintf(path, sizeof path, "%s.onnx", name);
        made->variants[i] = add_layer(manifest, onnx->data, onnx->len, MODELPACK_WEIGHT_TYPE, path);
        struct oci_descriptor *layer = &manifest->layers[manifest->layer_count - 1];
        str_copy(layer->variant, sizeof layer->variant, name);
    }
}

static void add_model(struct oci_manifest *manifest, const char *version, change_fn *change, char name[64],
                      struct made *made)
{
    struct err err = {0};
    cleanup_buf struct buf onnx = BUF_INIT(1 << 20), json = BUF_INIT(1 << 16), golden = BUF_INIT(1 << 20);
    read_seed(MUSTER_SOURCE_DIR "/fuzz/corpora/onnx/detector.onnx", &onnx);
    read_seed(MUSTER_SOURCE_DIR "/fuzz/corpora/release_json/detector.json", &json);
    read_seed(MUSTER_SOURCE_DIR "/fuzz/corpora/golden/two.bin", &golden);
    struct release *release = mem_zalloc(1, sizeof *release);
    assert_ok(release_parse(json.data, json.len, release, &err), err);
    fit_to_model(release, onnx.data, onnx.len);
    str_copy(release->version, sizeof release->version, version);
    str_copy(name, 64, release->name);
    if (change)
        change(release);
    cleanup_free char *text = release_format(release);
    made->weights = add_layer(manifest, onnx.data, onnx.len, MODELPACK_WEIGHT_TYPE, "model.onnx");
    add_layer(manifest, text, strlen(text), MUSTER_RELEASE_TYPE, "release.json");
    add_layer(manifest, golden.data, golden.len, MUSTER_GOLDEN_TYPE, "golden.bin");
    add_variants(manifest, release, &onnx, made);
    free(release);
}

static struct digest add_extra(struct oci_manifest *manifest, const char *version)
{
    uint8_t *extra = mem_zalloc(1, EXTRA_BYTES);
    struct digest seed = hash_bytes(version, strlen(version));
    for (size_t i = 0; i < EXTRA_BYTES; i++)
        extra[i] = (uint8_t)(seed.bytes[i % 32] + i / 32 * 7);
    struct digest digest = add_layer(manifest, extra, EXTRA_BYTES, MODELPACK_DOC_TYPE, "extra.bin");
    free(extra);
    return digest;
}

static struct made make(const char *version, uint64_t extra_bytes, change_fn *change)
{
    struct err err = {0};
    struct made made = {0};
    char name[64];
    struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    str_copy(made.version, sizeof made.version, version);
    add_model(manifest, version, change, name, &made);
    made.extra = add_extra(manifest, version);
    if (extra_bytes)
        manifest->layers[manifest->layer_count - 1].size = extra_bytes;
    cleanup_free char *config = modelpack_config_format(name, version, "", "2026-01-01T00:00:00Z",
                                                        manifest->layers, manifest->layer_count);
    str_copy(manifest->config.media_type, sizeof manifest->config.media_type, MODELPACK_CONFIG_TYPE);
    manifest->config.size = strlen(config);
    assert_ok(layout_add_blob(fleet_layout(), config, strlen(config), &manifest->config.digest, &err), err);
    cleanup_free char *text = oci_manifest_format(manifest);
    struct oci_descriptor descriptor = {.size = strlen(text)};
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    assert_ok(layout_add_blob(fleet_layout(), text, strlen(text), &descriptor.digest, &err), err);
    assert_ok(layout_add_manifest(fleet_layout(), &descriptor, &err), err);
    free(manifest);
    made.digest = descriptor.digest;
    made.size = descriptor.size;
    return made;
}

struct made fleet_make(const char *version)
{
    return make(version, 0, NULL);
}

struct made fleet_make_claiming(const char *version, uint64_t extra_bytes)
{
    return make(version, extra_bytes, NULL);
}

struct made fleet_make_changed(const char *version, change_fn *change)
{
    return make(version, 0, change);
}
