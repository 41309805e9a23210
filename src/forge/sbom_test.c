#include "forge/fixture.h"

#include "forge/pack.h"
#include "forge/sbom.h"
#include "release/image.h"
#include "trust/oms/oms.h"
#include "wire/json.h"

/* What the schema of CycloneDX 1.6 requires of the members that we write, and that references lead somewhere. */

enum { MAX_REFS = 128 };
struct refs {
    size_t count;
    char items[MAX_REFS][256];
};

static bool has(const struct refs *refs, const char *ref)
{
    for (size_t i = 0; i < refs->count; i++)
        if (str_eq(refs->items[i], ref))
            return true;
    return false;
}

static void check_component(struct json_at at, struct refs *refs)
{
    static const char *const types[] = {"framework", "library", "application",
                                        "data",      "file",    "machine-learning-model"};
    char name[256] = "", ref[256] = "", version[64], alg[16] = "", content[80] = "";
    int type;
    size_t count;
    json_get_choice(at, "type", types, ARRAY_LEN(types), &type);
    json_get_line(at, "name", name, sizeof name);
    json_get_line(at, "bom-ref", ref, sizeof ref);
    if (json_has(at, "version"))
        json_get_line(at, "version", version, sizeof version);
    if (json_has(at, "hashes")) {
        struct json_at hashes = json_list(at, "hashes", 8, &count);
        json_get_line(json_item(hashes, 0), "alg", alg, sizeof alg);
        json_get_line(json_item(hashes, 0), "content", content, sizeof content);
        assert_string_equal(alg, "SHA-256");
        assert_int_equal(strlen(content), 64);
        assert_int_equal(strspn(content, "0123456789abcdef"), 64);
    }
    assert_true(name[0] && ref[0]);
    assert_false(has(refs, ref));
    assert_true(refs->count < MAX_REFS);
    str_copy(refs->items[refs->count++], sizeof refs->items[0], ref);
}

static void check_refs(struct json_at list, size_t count, const struct refs *refs)
{
    for (size_t i = 0; i < count; i++) {
        char ref[256] = "";
        json_as_string(json_item(list, i), ref, sizeof ref);
        if (!has(refs, ref))
            fail_msg("%s leads nowhere", ref);
    }
}

static void check_serial(struct json_at root)
{
    static const char shape[] = "urn:uuid:xxxxxxxx-xxxx-8xxx-yxxx-xxxxxxxxxxxx";
    char serial[64] = "";
    json_get_string(root, "serialNumber", serial, sizeof serial);
    assert_int_equal(strlen(serial), strlen(shape));
    for (size_t i = 0; shape[i]; i++)
        assert_true(shape[i] == 'x'   ? strchr("0123456789abcdef", serial[i]) != NULL
                    : shape[i] == 'y' ? strchr("89ab", serial[i]) != NULL
                                      : serial[i] == shape[i]);
}

static void check_document(const char *text, struct refs *refs)
{
    struct err err = {0};
    struct json_reader reader;
    char word[64] = "";
    int64_t version = 0;
    size_t count = 0;
    assert_ok(json_read(&reader, "sbom", text, strlen(text), &err), err);
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components",
              "dependencies");
    json_get_string(root, "bomFormat", word, sizeof word);
    assert_string_equal(word, "CycloneDX");
    json_get_string(root, "specVersion", word, sizeof word);
    assert_string_equal(word, "1.6");
    json_get_int(root, "version", 1, 1, &version);
    check_serial(root);
    struct json_at metadata = json_child(root, "metadata");
    json_get_string(metadata, "timestamp", word, sizeof word);
    assert_string_equal(word, "1970-01-01T00:00:00Z");
    check_component(json_child(metadata, "component"), refs);
    struct json_at list = json_list(root, "components", MAX_REFS, &count);
    for (size_t i = 0; i < count; i++)
        check_component(json_item(list, i), refs);
    struct json_at dependencies = json_list(root, "dependencies", 8, &count);
    assert_int_equal(count, 1);
    list = json_list(json_item(dependencies, 0), "dependsOn", MAX_REFS, &count);
    assert_int_equal(count + 1, refs->count); /* all but the release itself */
    check_refs(list, count, refs);
    assert_ok(json_finish(&reader, &err), err);
}

static void the_document_is_what_the_schema_wants(void **state)
{
    struct err err = {0};
    struct release release = {
        .name = "detector", .version = "2.0.0", .description = "sees", .input_count = 1, .output_count = 1};
    release.inputs[0] = (struct tensor_spec){.name = "images", .dim_count = 2, .dims = {1, 3}};
    release.outputs[0] = (struct tensor_spec){.name = "out \"quoted\"", .dim_count = 1, .dims = {7}};
    struct digest digest = {{1, 2, 3}};
    cleanup_sbom struct sbom sbom = {.release = &release,
                                     .created = "1970-01-01T00:00:00Z",
                                     .tool_version = "0.1",
                                     .model_signer = "ab12",
                                     .sealed = true,
                                     .weights = digest};
    struct refs refs = {0};
    cleanup_free char *text = NULL, *again = NULL;
    assert_ok(sbom_add_backend(&sbom, "onnxruntime 1.22.0 cpu", false, &err), err);
    assert_ok(sbom_add_engine_file(&sbom, "usr/bin/muster-runner", &digest, &err), err);
    assert_ok(sbom_add_engine_file(&sbom, "usr/lib/muster/libc.so.6", &digest, &err), err);
    assert_ok(sbom_add(&sbom, SBOM_DATA, "golden.bin", "", "golden", &digest, &err), err);
    assert_ok(sbom_write(&sbom, &text, &err), err);
    check_document(text, &refs);
    assert_true(has(&refs, "onnxruntime"));
    assert_true(has(&refs, "engine/usr/lib/muster/libc.so.6"));
    assert_non_null(strstr(text, "\"version\":\"1.22.0\""));
    assert_non_null(strstr(text, "muster:sealed"));
    assert_ok(sbom_write(&sbom, &again, &err), err);
    assert_string_equal(text, again);
    sbom.weights.bytes[0]++;
    cleanup_free char *other = NULL;
    assert_ok(sbom_write(&sbom, &other, &err), err);
    char *serial = strstr(text, "urn:uuid:"), *other_serial = strstr(other, "urn:uuid:");
    assert_int_not_equal(strncmp(serial, other_serial, 45), 0);
}

static void a_release_carries_its_own(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    struct pack_report report;
    struct refs refs = {0};
    fixture_init(&fixture);
    if (pack_release(fixture.yaml, fixture.out, NULL, &report, &err) < 0) {
        fixture_fini(&fixture);
        if (err.code == ERR_UNSUPPORTED)
            skip();
        fail_msg("%s", err.text);
    }
    cleanup_image struct image image = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 20);
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    const struct oci_descriptor *layer = oci_layer(&image.manifest, SBOM_TYPE, NULL);
    assert_non_null(layer);
    cleanup_free char *path = image_blob_path(fixture.out, &layer->digest);
    assert_ok(file_read(path, &text, &err), err);
    check_document(buf_text(&text), &refs);
    assert_true(has(&refs, "golden.bin") && has(&refs, "release.json") && has(&refs, "onnxruntime"));
    fixture_fini(&fixture);
}

/* ---- models of others are taken in only as they were signed ---- */

static void add_line(const struct fixture *fixture, const char *model, const char *line)
{
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 16);
    fixture_write_yaml(fixture, model, "x86_64, aarch64");
    assert_ok(file_read(fixture->yaml, &text, &err), err);
    char *at = strstr(buf_text(&text), "  inputs:");
    cleanup_free char *whole = mem_printf("%.*s%s%s", (int)(at - buf_text(&text)), buf_text(&text), line, at);
    fixture_write(fixture->yaml, whole);
}

static int pack(const struct fixture *fixture, struct pack_report *report, struct err *err)
{
    *err = (struct err){0};
    return pack_release(fixture->yaml, fixture->out, NULL, report, err);
}

static void a_signed_model_is_taken_in(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    struct pack_report report;
    fixture_init(&fixture);
    cleanup_oms_key struct oms_key *key = NULL, *other = NULL;
    cleanup_free char *secret = mem_printf("%s/k.key", fixture.dir),
                      *open = mem_printf("%s/k.pub", fixture.dir);
    cleanup_free char *secret2 = mem_printf("%s/o.key", fixture.dir),
                      *open2 = mem_printf("%s/o.pub", fixture.dir);
    cleanup_free char *signature = mem_printf("%s/model.sig", fixture.dir), *text = NULL;
    assert_ok(oms_key_generate(&key, &err), err);
    assert_ok(oms_key_generate(&other, &err), err);
    assert_ok(oms_key_save(key, secret, open, &err), err);
    assert_ok(oms_key_save(other, secret2, open2, &err), err);
    assert_ok(oms_sign_model(MODELS "quadrants.onnx", NULL, NULL, 0, key, &text, &err), err);
    fixture_write(signature, text);

    add_line(&fixture, "quadrants.onnx", "  signature: model.sig\n  key: o.pub\n");
    assert_fails(pack(&fixture, &report, &err), err, ERR_UNTRUSTED);
    add_line(&fixture, "quadrants.onnx", "  signature: model.sig\n");
    assert_fails(pack(&fixture, &report, &err), err, ERR_INVALID);
    add_line(&fixture, "transposed.onnx", "  signature: model.sig\n  key: k.pub\n");
    assert_fails(pack(&fixture, &report, &err), err, ERR_UNTRUSTED);
    add_line(&fixture, "quadrants.onnx", "  signature: model.sig\n  key: k.pub\n");
    if (pack(&fixture, &report, &err) == 0)
        assert_string_equal(report.model_signer, oms_key_hint(key));
    else if (err.code != ERR_UNSUPPORTED)
        fail_msg("%s", err.text);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_what_the_schema_wants),
        cmocka_unit_test(a_release_carries_its_own),
        cmocka_unit_test(a_signed_model_is_taken_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
