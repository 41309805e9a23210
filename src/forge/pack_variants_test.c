/* Releases with variants, packed: what is promised, what is refused, what lies in the layout. */
#include "forge/fixture.h"

#include "forge/pack.h"
#include "forge/recipe.h"
#include "release/image.h"
#include "trust/seal/seal.h"
#include "wire/onnx/model.h"

#include <math.h>

/* The fixture's yaml, and more of it. */
static void say(const struct fixture *fixture, const char *more)
{
    fixture_write_yaml(fixture, "quadrants.onnx", "x86_64, aarch64");
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 16);
    assert_ok(file_read(fixture->yaml, &text, &err), err);
    cleanup_free char *all = mem_printf("%s%s", buf_text(&text), more);
    fixture_write(fixture->yaml, all);
}

static bool packs(const struct fixture *fixture, const struct pack_options *options, struct err *err)
{
    struct pack_report report;
    *err = (struct err){0};
    int result = pack_release(fixture->yaml, fixture->out, options, &report, err);
    if (result < 0 && err->code == ERR_UNSUPPORTED && strstr(err->text, "libonnxruntime"))
        skip();
    return result == 0;
}

static void write_json(const struct fixture *fixture, const char *name, const char *text)
{
    cleanup_free char *path = mem_printf("%s/%s", fixture->dir, name);
    fixture_write(path, text);
}

static int append(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

/* quadrants.onnx whose scores are multiplied: 1 gives the same answers. */
static void write_scaled(const struct fixture *fixture, const char *name, float factor)
{
    struct err err = {0};
    cleanup_file_map struct file_map map = {0};
    cleanup_onnx_model struct onnx_model *model = NULL;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    assert_ok(file_map(MODELS "quadrants.onnx", &map, &err), err);
    assert_ok(onnx_model_parse(map.data, map.size, &model, &err), err);
    struct onnx_graph *graph = onnx_model_graph(model);
    for (size_t i = 0; i < graph->node_count; i++)
        if (str_eq(graph->nodes[i]->op, "Identity") && str_eq(graph->nodes[i]->outputs[0], "scores"))
            graph->nodes[i]->op = factor > 0 ? "Identity" : "Neg";
    assert_ok(onnx_model_set_metadata(model, "made", name, &err), err);
    const struct onnx_writer writer = {.put = append, .arg = &out};
    assert_ok(onnx_model_write(model, &writer, &err), err);
    cleanup_free char *path = mem_printf("%s/%s", fixture->dir, name);
    assert_ok(file_replace(path, out.data, out.len, 0644, &err), err);
}

static void variants_are_layers_with_a_promise(void **state)
{
    struct fixture fixture;
    struct err err;
    cleanup_image struct image image = {0};
    fixture_init(&fixture);
    write_scaled(&fixture, "x86.onnx", 1);
    write_scaled(&fixture, "trt.onnx", 1);
    write_json(&fixture, "times", "measured");
    say(&fixture, "variants: {trt: trt.onnx, cpu-x86: x86.onnx}\ntrt: {timing_cache: times}\n");
    if (!packs(&fixture, NULL, &err))
        fail_msg("%s", err.text);
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    assert_ok(image_verify(&image, "x86_64", &err), err);
    assert_int_equal(image.release.variant_count, 2);
    assert_string_equal(image.release.variants[0].name, "cpu-x86");
    assert_int_equal(image.release.variants[0].precision, PRECISION_FP32);
    assert_true(fabs(image.release.variants[0].fidelity - 0.95) < 1e-9);
    const struct oci_descriptor *layer = image_weights(&image, "trt");
    assert_non_null(layer);
    assert_string_equal(layer->filepath, "trt.onnx");
    assert_non_null(oci_layer(&image.manifest, MUSTER_TIMING_TYPE, VARIANT_TRT));
    assert_null(image_weights(&image, "cpu-arm"));
    cleanup_free char *path = NULL;
    assert_ok(image_variant_path(&image, "cpu-x86", &path, &err), err);
    struct oms_statement statement = {0};
    assert_ok(image_statement(&image, &statement, &err), err); /* model signatures name all of them */
    assert_true(statement.count >= image.manifest.layer_count);
    oms_statement_fini(&statement);
    fixture_fini(&fixture);
}

static void what_is_no_variant_of_this_model_is_refused(void **state)
{
    static const struct {
        const char *yaml, *says;
        enum err_code code;
    } rows[] = {
        {"variants: {cpu-x86: " MODELS "transposed.onnx}\n", "output0", ERR_REFUSED},
        {"variants: {cpu-x86: " MODELS "nan.onnx}\n", "NaN", ERR_REFUSED},
        {"variants: {cpu-arm: " MODELS "garbage.onnx}\n", "variant cpu-arm", ERR_REFUSED},
        {"variants: {cpu-arm: " MODELS "missing.onnx}\n", "missing.onnx", ERR_NOT_FOUND},
        {"variants: {trt: " MODELS "unknown_op.onnx}\n", "variant trt", ERR_REFUSED},
        {"variants: {cpu-x86: other.onnx}\n", "it is another model", ERR_REFUSED},
        {"variants: {gpu: x.onnx}\n", "gpu", ERR_INVALID},
        {"variants: []\n", "variants", ERR_INVALID},
        {"trt: {timing_cache: nowhere}\n", "nowhere", ERR_NOT_FOUND},
        {"optimized: nowhere\n", "muster optimize", ERR_NOT_FOUND},
    };
    struct fixture fixture;
    struct err err;
    fixture_init(&fixture);
    write_scaled(&fixture, "other.onnx", -1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        say(&fixture, rows[i].yaml);
        if (packs(&fixture, NULL, &err))
            fail_msg("%s", rows[i].yaml);
        if (err.code != rows[i].code || !strstr(err.text, rows[i].says))
            fail_msg("%s: %s", rows[i].yaml, err.text);
        assert_false(file_exists(fixture.out));
    }
    fixture_fini(&fixture);
}

/* What was promoted, with what the optimizer proved; its reports come along. */
static void a_folder_of_the_optimizer_is_taken_as_it_is(void **state)
{
    struct fixture fixture;
    struct err err;
    cleanup_image struct image image = {0};
    fixture_init(&fixture);
    write_scaled(&fixture, "a.onnx", 1);
    write_json(&fixture, "report.json",
               "{\"profiles\": [{\"profile\": \"cpu-x86\", \"promoted\": true, \"path\": \"a.onnx\", "
               "\"fidelity_lower\": 0.8125, \"more\": [1]}, "
               "{\"profile\": \"cpu-arm\", \"promoted\": false, \"path\": \"none.onnx\"}, "
               "{\"profile\": \"trt\", \"promoted\": true, \"path\": \"a.onnx\", \"fidelity_lower\": null}], "
               "\"x\": 1}");
    write_json(&fixture, "report.html", "<p>");
    say(&fixture, "optimized: .\n");
    if (!packs(&fixture, NULL, &err))
        fail_msg("%s", err.text);
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    assert_ok(image_verify(&image, "x86_64", &err), err);
    assert_int_equal(image.release.variant_count, 2);
    assert_true(fabs(image.release.variants[0].fidelity - 0.812) < 1e-9);
    assert_string_equal(image.release.variants[1].name, "trt");
    size_t documents = 0;
    for (size_t i = 0; i < image.manifest.layer_count; i++)
        documents += str_starts(image.manifest.layers[i].filepath, "report.");
    assert_int_equal(documents, 2);
    static const char *const bad[] = {
        "{\"profiles\": [{\"profile\": \"trt\", \"promoted\": true, \"path\": \"../a.onnx\"}]}",
        "{\"profiles\": [{\"profile\": \"trt\", \"promoted\": true}]}", "{\"profiles\": 1}", "[", "{}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_json(&fixture, "report.json", bad[i]);
        assert_false(packs(&fixture, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    write_json(
        &fixture, "report.json",
        "{\"model_digest\": \"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\", "
        "\"profiles\": []}");
    assert_false(packs(&fixture, NULL, &err));
    assert_int_equal(err.code, ERR_REFUSED);
    assert_non_null(strstr(err.text, "another model"));
    fixture_fini(&fixture);
}

static void all_weights_are_sealed_or_none(void **state)
{
    struct fixture fixture;
    struct err err;
    cleanup_image struct image image = {0};
    cleanup_seal_key struct seal_key key = {{1}};
    fixture_init(&fixture);
    write_scaled(&fixture, "x86.onnx", 1);
    say(&fixture, "variants: {cpu-x86: x86.onnx}\n");
    const struct pack_options options = {.seal = &key};
    if (!packs(&fixture, &options, &err))
        fail_msg("%s", err.text);
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    assert_ok(image_verify(&image, "x86_64", &err), err);
    assert_string_equal(image_weights(&image, "cpu-x86")->media_type, MUSTER_SEALED_TYPE);
    char *path = NULL;
    assert_fails(image_variant_path(&image, "cpu-x86", &path, &err), err, ERR_REFUSED);
    assert_ok(image_sealed_path(&image, "cpu-x86", &path, &err), err);
    cleanup_free char *sealed = path;
    cleanup_file_map struct file_map map = {0};
    cleanup_seal_plain struct seal_plain plain = {0};
    assert_ok(file_map(sealed, &map, &err), err);
    assert_ok(seal_open(map.data, map.size, &key, &plain, &err), err);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_are_layers_with_a_promise),
        cmocka_unit_test(what_is_no_variant_of_this_model_is_refused),
        cmocka_unit_test(a_folder_of_the_optimizer_is_taken_as_it_is),
        cmocka_unit_test(all_weights_are_sealed_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
