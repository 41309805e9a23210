#include "wire/oci.h"
#include "wire/wire_testing.h"

static int parse_manifest(const void *text, size_t len, struct err *err)
{
    struct oci_manifest manifest;
    return oci_manifest_parse(text, len, &manifest, err);
}

static int parse_index(const void *text, size_t len, struct err *err)
{
    struct oci_index index;
    return oci_index_parse(text, len, &index, err);
}

static void random_descriptor(uint64_t *random, struct oci_descriptor *out)
{
    snprintf(out->media_type, sizeof out->media_type, "application/vnd.x%llu+json",
             (unsigned long long)random_below(random, 9));
    random_bytes(random, out->digest.bytes, sizeof out->digest.bytes);
    out->size = random_u64(random) >> 1;
    if (random_below(random, 2))
        str_copy(out->artifact_type, sizeof out->artifact_type, MODELPACK_ARTIFACT_TYPE);
    if (random_below(random, 2))
        snprintf(out->filepath, sizeof out->filepath, "dir/%llu/ä file.onnx",
                 (unsigned long long)random_below(random, 99));
    if (random_below(random, 2))
        random_line(random, out->ref_name, sizeof out->ref_name - 1);
    if (random_below(random, 2))
        random_name(random, out->variant, sizeof out->variant - 1);
}

static void random_manifest(uint64_t *random, struct oci_manifest *out)
{
    memset(out, 0, sizeof *out);
    if (random_below(random, 2))
        str_copy(out->artifact_type, sizeof out->artifact_type, MODELPACK_ARTIFACT_TYPE);
    random_descriptor(random, &out->config);
    out->has_subject = random_below(random, 2);
    if (out->has_subject)
        random_descriptor(random, &out->subject);
    out->layer_count = random_below(random, OCI_MAX_LAYERS + 1);
    for (size_t i = 0; i < out->layer_count; i++)
        random_descriptor(random, &out->layers[i]);
}

static void any_manifest_survives_the_round_trip(void **state)
{
    uint64_t random = 2;
    static struct oci_manifest before, after;
    for (int i = 0; i < 200; i++) {
        struct err err = {0};
        random_manifest(&random, &before);
        cleanup_free char *text = oci_manifest_format(&before);
        assert_non_null(text);
        assert_ok(oci_manifest_parse(text, strlen(text), &after, &err), err);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void any_index_survives_the_round_trip(void **state)
{
    uint64_t random = 3;
    static struct oci_index before, after;
    for (int i = 0; i < 60; i++) {
        struct err err = {0};
        memset(&before, 0, sizeof before);
        before.count = i == 0 ? OCI_MAX_MANIFESTS : random_below(&random, 20);
        for (size_t k = 0; k < before.count; k++)
            random_descriptor(&random, &before.manifests[k]);
        cleanup_free char *text = oci_index_format(&before);
        assert_ok(oci_index_parse(text, strlen(text), &after, &err), err);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONFIG "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX64 "\",\"size\":2}"
#define LAYER                                                                                                \
    "{\"mediaType\":\"a/c\",\"digest\":\"sha256:" HEX64 "\",\"size\":3,"                                     \
    "\"annotations\":{\"org.cncf.model.filepath\":\"model.onnx\",\"org.muster.variant\":\"fp32\"}}"
#define MANIFEST                                                                                             \
    "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"config\":" CONFIG ",\"layers\":[" LAYER  \
    "]}"
#define INDEX "{\"schemaVersion\":2,\"manifests\":[" LAYER "]}"

static void every_needed_member_is_checked(void **state)
{
    static const char *const optional[] = {"annotations", "org.cncf.model.filepath", "org.muster.variant",
                                           NULL};
    every_member_is_needed(parse_manifest, MANIFEST, optional);
    every_member_is_needed(parse_index, INDEX, optional);
    every_truncation_fails(parse_manifest, MANIFEST, strlen(MANIFEST));
    every_truncation_fails(parse_index, INDEX, strlen(INDEX));
    no_flip_crashes(parse_manifest, MANIFEST, strlen(MANIFEST));
    no_flip_crashes(parse_index, INDEX, strlen(INDEX));
}

static void members_of_others_are_ignored(void **state)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"config\":" CONFIG
        ",\"layers\":[{\"mediaType\":\"a/c\","
        "\"digest\":\"sha256:" HEX64
        "\",\"size\":3,\"urls\":[\"http://x\"],\"data\":\"eA==\",\"platform\":{\"os\":\"linux\"},"
        "\"annotations\":{\"x\":\"a\\nb\"}}],\"annotations\":{\"y\":\"z\"},\"new\":{\"a\":[1,2]}}";
    struct err err = {0};
    struct oci_manifest manifest;
    assert_ok(oci_manifest_parse(text, strlen(text), &manifest, &err), err);
    assert_int_equal(manifest.layer_count, 1);
    assert_int_equal(manifest.layers[0].size, 3);
    assert_string_equal(manifest.layers[0].filepath, "");
}

static char *swap(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);
    assert_non_null(at);
    return mem_printf("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static void wrong_values_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"\"schemaVersion\":2", "\"schemaVersion\":1"},
        {OCI_MANIFEST_TYPE, OCI_INDEX_TYPE},
        {"\"a/b\"", "\"ab\""},
        {"\"a/b\"", "\"/b\""},
        {"\"a/b\"", "\"a/\""},
        {"\"a/b\"", "\"a/b c\""},
        {"sha256:", "sha512:"},
        {"sha256:0", "sha256:A"},
        {"sha256:0", "sha256:"},
        {"\"size\":2", "\"size\":-1"},
        {"\"size\":2", "\"size\":2.5"},
        {"\"size\":2", "\"size\":9223372036854775808"},
        {"\"model.onnx\"", "\"../model.onnx\""},
        {"\"model.onnx\"", "\"/etc/passwd\""},
        {"\"model.onnx\"", "\"a\\nb\""},
        {"\"fp32\"", "\"../fp32\""},
        {"\"layers\":", "\"subject\":{},\"layers\":"},
        {"\"layers\":", "\"artifactType\":\"x\",\"layers\":"},
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_free char *text = swap(MANIFEST, bad[i][0], bad[i][1]);
        if (decode_copy(parse_manifest, text, strlen(text), &err) == 0)
            fail_msg("taken: %s", bad[i][1]);
    }
    cleanup_free char *typed =
        swap(INDEX, "\"manifests\"", "\"mediaType\":\"" OCI_MANIFEST_TYPE "\",\"manifests\"");
    assert_int_equal(decode_copy(parse_index, typed, strlen(typed), &err), -1);
}

static char *manifest_of_layers(int count)
{
    cleanup_json json_t *root = json_loads(MANIFEST, 0, NULL);
    json_t *layers = json_object_get(root, "layers");
    for (int i = 1; i < count; i++)
        json_array_append_new(layers, json_deep_copy(json_array_get(layers, 0)));
    return json_write(root);
}

static void limits_hold(void **state)
{
    struct err err = {0};
    cleanup_free char *most = manifest_of_layers(OCI_MAX_LAYERS);
    cleanup_free char *more = manifest_of_layers(OCI_MAX_LAYERS + 1);
    assert_ok(parse_manifest(most, strlen(most), &err), err);
    assert_fails(parse_manifest(more, strlen(more), &err), err, ERR_INVALID);
    size_t big = OCI_MAX_MANIFEST_BYTES + 1;
    cleanup_free char *padded = mem_zalloc(big, 1);
    memset(padded, ' ', big);
    memcpy(padded, MANIFEST, strlen(MANIFEST));
    assert_ok(parse_manifest(padded, big - 1, &err), err);
    assert_fails(parse_manifest(padded, big, &err), err, ERR_TOO_BIG);
    assert_fails(parse_index(padded, big, &err), err, ERR_TOO_BIG);
}

static void layers_are_found_by_type_and_variant(void **state)
{
    struct oci_manifest manifest = {
        .layer_count = 3,
        .layers = {{.media_type = MODELPACK_WEIGHT_TYPE, .variant = "fp32", .size = 1},
                   {.media_type = MODELPACK_WEIGHT_TYPE, .variant = "cpu-x86", .size = 2},
                   {.media_type = MUSTER_GOLDEN_TYPE, .size = 3}}};
    assert_int_equal(oci_layer(&manifest, MODELPACK_WEIGHT_TYPE, NULL)->size, 1);
    assert_int_equal(oci_layer(&manifest, MODELPACK_WEIGHT_TYPE, "cpu-x86")->size, 2);
    assert_int_equal(oci_layer(&manifest, MUSTER_GOLDEN_TYPE, "")->size, 3);
    assert_null(oci_layer(&manifest, MODELPACK_WEIGHT_TYPE, "trt"));
    assert_null(oci_layer(&manifest, MUSTER_RELEASE_TYPE, NULL));
}

static void the_modelpack_config_has_its_three_objects(void **state)
{
    struct oci_descriptor layers[2] = {{.size = 1}, {.size = 2}};
    memset(layers[1].digest.bytes, 0xab, 32);
    cleanup_free char *text =
        modelpack_config_format("detector", "2.0.0", "", "2026-01-02T00:00:00Z", layers, 2);
    assert_string_equal(
        text, "{\"config\":{\"format\":\"onnx\"},\"descriptor\":{\"createdAt\":\"2026-01-02T00:00:00Z\","
              "\"name\":\"detector\",\"version\":\"2.0.0\"},\"modelfs\":{\"diffIds\":["
              "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\","
              "\"sha256:abababababababababababababababababababababababababababababababab\"],"
              "\"type\":\"layers\"}}");
    cleanup_free char *bare = modelpack_config_format("a", "1.0.0", NULL, NULL, NULL, 0);
    assert_string_equal(
        bare, "{\"config\":{\"format\":\"onnx\"},\"descriptor\":{\"name\":\"a\",\"version\":\"1.0.0\"},"
              "\"modelfs\":{\"diffIds\":[],\"type\":\"layers\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_manifest_survives_the_round_trip),
        cmocka_unit_test(any_index_survives_the_round_trip),
        cmocka_unit_test(every_needed_member_is_checked),
        cmocka_unit_test(members_of_others_are_ignored),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(layers_are_found_by_type_and_variant),
        cmocka_unit_test(the_modelpack_config_has_its_three_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
