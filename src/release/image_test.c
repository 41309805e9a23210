#include "release/image.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/engine.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <unistd.h>

struct scratch {
    char dir[64];
};

static void scratch_init(struct scratch *scratch)
{
    struct err err = {0};
    str_copy(scratch->dir, sizeof scratch->dir, "/tmp/muster-release-XXXXXX");
    assert_non_null(mkdtemp(scratch->dir));
    assert_ok(layout_init(scratch->dir, &err), err);
}

static void scratch_fini(struct scratch *scratch)
{
    struct err err = {0};
    assert_ok(file_remove_tree(scratch->dir, &err), err);
}

static struct oci_descriptor add_blob(const char *dir, const char *media_type, const char *text)
{
    struct err err = {0};
    struct oci_descriptor out = {.size = strlen(text)};
    str_copy(out.media_type, sizeof out.media_type, media_type);
    assert_ok(layout_add_blob(dir, text, strlen(text), &out.digest, &err), err);
    return out;
}

/* A manifest of the model type with one layer that holds `text`; not a whole release, but enough of one for a
 * layout. */
static struct oci_descriptor add_model(const char *dir, const char *text)
{
    struct err err = {0};
    struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    manifest->config = add_blob(dir, MODELPACK_CONFIG_TYPE, "{}");
    manifest->layer_count = 1;
    manifest->layers[0] = add_blob(dir, MODELPACK_WEIGHT_TYPE, text);
    str_copy(manifest->layers[0].filepath, sizeof manifest->layers[0].filepath, "model.onnx");
    cleanup_free char *json = oci_manifest_format(manifest);
    struct oci_descriptor out = add_blob(dir, OCI_MANIFEST_TYPE, json);
    str_copy(out.artifact_type, sizeof out.artifact_type, MODELPACK_ARTIFACT_TYPE);
    assert_ok(layout_add_manifest(dir, &out, &err), err);
    free(manifest);
    return out;
}

static size_t manifest_count(const char *dir)
{
    struct err err = {0};
    struct oci_index *index = mem_zalloc(1, sizeof *index);
    assert_ok(layout_read_index(dir, index, &err), err);
    size_t count = index->count;
    free(index);
    return count;
}

static int count_name(const char *name, void *arg)
{
    ++*(size_t *)arg;
    return 0;
}

static size_t blob_count(const char *dir)
{
    struct err err = {0};
    size_t count = 0;
    cleanup_free char *blobs = file_join(dir, "blobs/sha256");
    assert_ok(file_list(blobs, count_name, &count, &err), err);
    return count;
}

static bool has_blob(const char *dir, const struct digest *digest)
{
    cleanup_free char *path = image_blob_path(dir, digest);
    return file_exists(path);
}

static void a_layout_is_made_once_and_kept(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    add_model(scratch.dir, "weights");
    assert_ok(layout_init(scratch.dir, &err), err);
    assert_int_equal(manifest_count(scratch.dir), 1);
    scratch_fini(&scratch);
}

static void a_manifest_is_listed_once(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct oci_descriptor model = add_model(scratch.dir, "weights");
    for (int i = 0; i < 3; i++)
        assert_ok(layout_add_manifest(scratch.dir, &model, &err), err);
    assert_int_equal(manifest_count(scratch.dir), 1);
    struct oci_descriptor unknown = model;
    unknown.digest.bytes[0] ^= 1;
    assert_fails(layout_add_manifest(scratch.dir, &unknown, &err), err, ERR_CORRUPT);
    assert_int_equal(manifest_count(scratch.dir), 1);
    scratch_fini(&scratch);
}

/* Another one each time; what is in it is not looked at here. */
static void set_signature(const char *dir, const struct oci_descriptor *model)
{
    static unsigned number;
    struct err err = {0};
    cleanup_buf struct buf back = BUF_INIT(1 << 10);
    cleanup_free char *bundle = mem_printf("{\"number\": %u}", ++number);
    struct image *image = mem_zalloc(1, sizeof *image);
    image->dir = (char *)dir;
    image->digest = model->digest;
    image->size = model->size;
    assert_ok(layout_set_model_signature(dir, image, bundle, &err), err);
    assert_ok(image_model_signature(image, &back, &err), err);
    assert_string_equal(buf_text(&back), bundle);
    free(image);
}

static void a_new_signature_replaces_that_of_the_same_release_only(void **state)
{
    struct scratch scratch;
    scratch_init(&scratch);
    struct oci_descriptor one = add_model(scratch.dir, "one"), two = add_model(scratch.dir, "two");
    set_signature(scratch.dir, &one);
    set_signature(scratch.dir, &two);
    assert_int_equal(manifest_count(scratch.dir), 4);
    set_signature(scratch.dir, &one);
    assert_int_equal(manifest_count(scratch.dir), 4);
    scratch_fini(&scratch);
}

static void removing_takes_the_signature_along(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct oci_descriptor one = add_model(scratch.dir, "one"), two = add_model(scratch.dir, "two");
    set_signature(scratch.dir, &one);
    set_signature(scratch.dir, &two);
    assert_ok(layout_remove_manifest(scratch.dir, &one.digest, &err), err);
    assert_int_equal(manifest_count(scratch.dir), 2);
    assert_ok(layout_remove_manifest(scratch.dir, &one.digest, &err), err); /* gone already */
    assert_int_equal(manifest_count(scratch.dir), 2);
    scratch_fini(&scratch);
}

/* Whatever index.json reaches stays, all the rest goes, and the count is honest. */
static void collecting_leaves_exactly_what_is_reached(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct oci_descriptor one = add_model(scratch.dir, "one"), two = add_model(scratch.dir, "two");
    set_signature(scratch.dir, &one);
    set_signature(scratch.dir, &one); /* the first one is garbage now: manifest and bundle */
    struct oci_descriptor loose = add_blob(scratch.dir, MODELPACK_DOC_TYPE, "loose");
    cleanup_free char *temp = mem_printf("%s/blobs/sha256/%sabc", scratch.dir, LAYOUT_TEMP_PREFIX);
    cleanup_free char *foreign = mem_printf("%s/blobs/sha256/README", scratch.dir);
    assert_ok(file_replace(temp, "half", 4, 0644, &err), err);
    assert_ok(file_replace(foreign, "mine", 4, 0644, &err), err);
    uint64_t bytes = 0;
    assert_ok(layout_collect(scratch.dir, &bytes, &err), err);
    assert_true(bytes > strlen("loose") + strlen("half"));
    assert_false(has_blob(scratch.dir, &loose.digest));
    assert_false(file_exists(temp));
    assert_true(file_exists(foreign));
    assert_true(has_blob(scratch.dir, &two.digest));
    size_t left = blob_count(scratch.dir);
    assert_ok(layout_collect(scratch.dir, &bytes, &err), err);
    assert_int_equal(bytes, 0);
    assert_int_equal(blob_count(scratch.dir), left);
    assert_ok(layout_remove_manifest(scratch.dir, &two.digest, &err), err);
    assert_ok(layout_collect(scratch.dir, &bytes, &err), err);
    assert_int_equal(bytes, two.size + strlen("two"));
    assert_false(has_blob(scratch.dir, &two.digest));
    assert_true(has_blob(scratch.dir, &one.digest));
    scratch_fini(&scratch);
}

static void a_manifest_that_cannot_be_read_stops_the_collector(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct oci_descriptor one = add_model(scratch.dir, "one");
    add_model(scratch.dir, "two");
    add_blob(scratch.dir, MODELPACK_DOC_TYPE, "loose");
    cleanup_free char *path = image_blob_path(scratch.dir, &one.digest);
    assert_int_equal(unlink(path), 0);
    size_t before = blob_count(scratch.dir);
    uint64_t bytes = 0;
    assert_fails(layout_collect(scratch.dir, &bytes, &err), err, ERR_CORRUPT);
    assert_int_equal(blob_count(scratch.dir), before);
    scratch_fini(&scratch);
}

static void a_damaged_blob_is_written_anew(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct oci_descriptor blob = add_blob(scratch.dir, MODELPACK_DOC_TYPE, "content");
    cleanup_free char *path = image_blob_path(scratch.dir, &blob.digest);
    assert_ok(file_replace(path, "c0ntent", 7, 0644, &err), err);
    add_blob(scratch.dir, MODELPACK_DOC_TYPE, "content");
    struct digest digest;
    uint64_t size = 0;
    assert_ok(hash_file(path, &digest, &size, &err), err);
    assert_true(digest_equal(&digest, &blob.digest));
    scratch_fini(&scratch);
}

static void a_file_goes_in_under_its_own_digest(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    cleanup_free char *path = file_join(scratch.dir, "source");
    size_t len = 200000;
    char *data = mem_zalloc(len, 1);
    memset(data, 'x', len);
    assert_ok(file_replace(path, data, len, 0644, &err), err);
    struct digest digest, want = hash_bytes(data, len);
    uint64_t size = 0;
    assert_ok(layout_add_file(scratch.dir, path, &digest, &size, &err), err);
    assert_true(digest_equal(&digest, &want));
    assert_int_equal(size, len);
    assert_true(has_blob(scratch.dir, &digest));
    assert_int_equal(blob_count(scratch.dir), 1);
    assert_fails(layout_add_file(scratch.dir, "/nonexistent", &digest, &size, &err), err, ERR_NOT_FOUND);
    assert_int_equal(blob_count(scratch.dir), 1);
    free(data);
    scratch_fini(&scratch);
}

static void what_is_no_release_is_told_apart(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct image *image = mem_zalloc(1, sizeof *image);
    assert_fails(image_open("/nonexistent", NULL, image, &err), err, ERR_NOT_FOUND);
    assert_fails(image_open(scratch.dir, NULL, image, &err), err, ERR_NOT_FOUND);
    struct oci_descriptor one = add_model(scratch.dir, "one");
    assert_fails(image_open(scratch.dir, NULL, image, &err), err, ERR_INVALID); /* no release.json */
    add_model(scratch.dir, "two");
    assert_fails(image_open(scratch.dir, NULL, image, &err), err, ERR_INVALID); /* which one? */
    assert_non_null(strstr(err.text, "2 releases"));
    one.digest.bytes[0] ^= 1;
    assert_fails(image_open(scratch.dir, &one.digest, image, &err), err, ERR_NOT_FOUND);
    free(image);
    scratch_fini(&scratch);
}

static struct oci_descriptor layer_of(const char *type, const char *variant)
{
    struct oci_descriptor layer = {.size = 1};
    str_copy(layer.media_type, sizeof layer.media_type, type);
    str_copy(layer.variant, sizeof layer.variant, variant);
    return layer;
}

/* Columns: an x86 machine, an ARM one, one with TensorRT, one of another kind. */
static void a_machine_uses_what_is_made_for_it_and_for_all(void **state)
{
    static const struct image_use uses[] = {
        {"x86_64", false}, {"aarch64", false}, {"aarch64", true}, {"riscv64", false}};
    static const struct {
        const char *type, *variant;
        bool used[ARRAY_LEN(uses)];
    } rows[] = {
        {MODELPACK_WEIGHT_TYPE, "fp32", {true, true, true, true}},
        {MODELPACK_WEIGHT_TYPE, "cpu-x86", {true, false, false, false}},
        {MUSTER_SEALED_TYPE, "cpu-x86", {true, false, false, false}},
        {MUSTER_SEALED_TYPE, "cpu-arm", {false, true, true, false}},
        {MODELPACK_WEIGHT_TYPE, "trt", {false, false, true, false}},
        {MUSTER_TIMING_TYPE, "trt", {false, false, true, false}},
        {OCI_MANIFEST_TYPE, "amd64", {true, false, false, false}},
        {OCI_IMAGE_LAYER_TYPE, "arm64", {false, true, true, false}},
        {OCI_IMAGE_CONFIG_TYPE, "", {true, true, true, true}},
        {MUSTER_RELEASE_TYPE, "", {true, true, true, true}},
        {MODELPACK_DOC_TYPE, "cpu-arm", {true, true, true, true}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct oci_descriptor layer = layer_of(rows[i].type, rows[i].variant);
        assert_true(image_uses_layer(NULL, &layer));
        for (size_t k = 0; k < ARRAY_LEN(uses); k++)
            if (image_uses_layer(&uses[k], &layer) != rows[i].used[k])
                fail_msg("%s %s on %s", rows[i].type, rows[i].variant, uses[k].machine);
    }
}

/* Weights and promises have to be of the same variants; nothing is on the disk here but the model itself. */
static void weights_and_promises_belong_together(void **state)
{
    struct scratch scratch;
    struct err err = {0};
    scratch_init(&scratch);
    struct image *image = mem_zalloc(1, sizeof *image);
    cleanup_file_map struct file_map map = {0};
    static const struct image_use elsewhere = {.machine = "riscv64"};
    assert_ok(file_map(MUSTER_SOURCE_DIR "/tests/data/models/quadrants.onnx", &map, &err), err);
    image->dir = scratch.dir;
    image->use = &elsewhere;
    image->release = (struct release){.input_count = 1,
                                      .output_count = 1,
                                      .inputs = {{"images", DTYPE_FLOAT32, 4, {1, 3, 16, 16}}},
                                      .outputs = {{"output0", DTYPE_FLOAT32, 3, {1, 6, 4}}}};
    struct oci_descriptor *layers = image->manifest.layers;
    layers[0] = layer_of(MODELPACK_WEIGHT_TYPE, "fp32");
    assert_ok(layout_add_blob(scratch.dir, map.data, map.size, &layers[0].digest, &err), err);
    layers[1] = layer_of(MODELPACK_WEIGHT_TYPE, "cpu-x86");
    image->manifest.layer_count = 2;
    assert_fails(image_check_model(image, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "promises nothing"));
    image->release.variant_count = 1;
    image->release.variants[0] = (struct release_variant){.name = "cpu-x86", .fidelity = 0.9};
    assert_ok(image_check_model(image, &err), err);
    image->use = NULL; /* who looks at all of it finds that it is not there */
    assert_fails(image_check_model(image, &err), err, ERR_NOT_FOUND);
    image->use = &elsewhere;
    image->manifest.layer_count = 1;
    assert_fails(image_check_model(image, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "missing"));
    char *path = NULL;
    assert_fails(image_variant_path(image, "cpu-arm", &path, &err), err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "fp32, cpu-x86"));
    image->manifest.layer_count = 3;
    layers[2] = layers[1];
    assert_fails(image_check_model(image, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "two layers"));
    layers[2] = layer_of(MUSTER_SEALED_TYPE, "trt");
    assert_fails(image_check_model(image, &err), err, ERR_REFUSED);
    layers[0] = layer_of(MODELPACK_WEIGHT_TYPE, "cpu-x86");
    image->manifest.layer_count = 1;
    assert_fails(image_check_model(image, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "no weights"));
    free(image);
    scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layout_is_made_once_and_kept),
        cmocka_unit_test(a_manifest_is_listed_once),
        cmocka_unit_test(a_new_signature_replaces_that_of_the_same_release_only),
        cmocka_unit_test(removing_takes_the_signature_along),
        cmocka_unit_test(collecting_leaves_exactly_what_is_reached),
        cmocka_unit_test(a_manifest_that_cannot_be_read_stops_the_collector),
        cmocka_unit_test(a_damaged_blob_is_written_anew),
        cmocka_unit_test(a_file_goes_in_under_its_own_digest),
        cmocka_unit_test(what_is_no_release_is_told_apart),
        cmocka_unit_test(a_machine_uses_what_is_made_for_it_and_for_all),
        cmocka_unit_test(weights_and_promises_belong_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
