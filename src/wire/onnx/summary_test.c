#include "wire/onnx/summary.h"
#include "wire/wire_testing.h"

static int parse_any(const void *data, size_t len, struct err *err)
{
    struct onnx_summary summary;
    return onnx_summarize(data, len, &summary, err);
}

static struct onnx_summary summarize(const char *seed)
{
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct onnx_summary summary;
    struct err err = {0};
    read_seed("onnx", seed, &file);
    assert_ok(onnx_summarize(file.data, file.len, &summary, &err), err);
    return summary;
}

static void a_real_model_is_summed_up(void **state)
{
    struct onnx_summary model = summarize("detector.onnx");
    assert_int_equal(model.ir_version, 8);
    assert_int_equal(model.opset, 17);
    assert_string_equal(model.producer, "muster-seeds");
    assert_int_equal(model.node_count, 2);
    assert_int_equal(model.input_count, 1);
    assert_string_equal(model.inputs[0].name, "images");
    assert_int_equal(model.inputs[0].elem_type, DTYPE_FLOAT32);
    assert_int_equal(model.inputs[0].dim_count, 4);
    assert_int_equal(model.inputs[0].dims[1], 3);
    assert_int_equal(model.output_count, 1);
    assert_string_equal(model.outputs[0].name, "output0");
    assert_int_equal(model.outputs[0].dims[1], 9);
    assert_false(model.external_data);
}

static void what_the_kinds_of_models_differ_in_is_seen(void **state)
{
    struct onnx_summary symbolic = summarize("symbolic.onnx");
    assert_int_equal(symbolic.inputs[0].dim_count, 4);
    assert_int_equal(symbolic.inputs[0].dims[0], 0);
    assert_int_equal(symbolic.inputs[0].dims[1], 3);
    assert_int_equal(symbolic.inputs[0].dims[3], 0);
    struct onnx_summary old = summarize("old_inputs.onnx");
    assert_int_equal(old.input_count, 1);
    assert_string_equal(old.inputs[0].name, "images");
    assert_true(summarize("external.onnx").external_data);
    assert_int_equal(summarize("domains.onnx").opset, 13);
    struct onnx_summary types = summarize("types.onnx");
    assert_int_equal(types.input_count, 3);
    assert_int_equal(types.inputs[0].elem_type, DTYPE_INT64);
    assert_int_equal(types.inputs[1].dim_count, 0);
    assert_int_equal(types.inputs[2].elem_type, 10);
}

static void subgraphs_are_entered_but_not_too_deep(void **state)
{
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct err err;
    assert_int_equal(summarize("depth1.onnx").node_count, 3);
    assert_int_equal(summarize("depth8.onnx").node_count, 10);
    read_seed("onnx", "depth9.onnx", &file);
    assert_fails(parse_any(file.data, file.len, &err), err, ERR_TOO_BIG);
}

static void cut_and_flipped_models_never_crash(void **state)
{
    static const char *const seeds[] = {"detector.onnx", "symbolic.onnx", "old_inputs.onnx", "external.onnx",
                                        "depth8.onnx",   "domains.onnx",  "types.onnx"};
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        cleanup_buf struct buf file = BUF_INIT(1 << 20);
        read_seed("onnx", seeds[i], &file);
        no_truncation_crashes(parse_any, file.data, file.len);
        no_flip_crashes(parse_any, file.data, file.len);
    }
}

/* ---- models by hand ---- */

static void put(struct buf *out, const void *data, size_t len)
{
    struct err err = {0};
    assert_ok(buf_put(out, data, len, &err), err);
}

/* IR version 8 and one graph that consists of `count` times the same field. */
static void model_of(struct buf *out, const char *field, size_t field_len, size_t count)
{
    size_t len = field_len * count;
    buf_reset(out);
    put(out, "\x08\x08\x3a", 3);
    for (; len >= 0x80; len >>= 7)
        put(out, &(uint8_t){(uint8_t)(len | 0x80)}, 1);
    put(out, &(uint8_t){(uint8_t)len}, 1);
    for (size_t i = 0; i < count; i++)
        put(out, field, field_len);
}

static void counts_are_limited(void **state)
{
    static const struct {
        const char *field;
        size_t len, most;
    } limits[] = {
        {"\x0a\x00", 2, 1000000},                      /* node */
        {"\x2a\x00", 2, 1000000},                      /* initializer */
        {"\x5a\x03\x0a\x01x", 5, RELEASE_MAX_TENSORS}, /* input */
        {"\x62\x00", 2, RELEASE_MAX_TENSORS},          /* output */
    };
    cleanup_buf struct buf model = BUF_INIT(4 << 20);
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        model_of(&model, limits[i].field, limits[i].len, limits[i].most);
        assert_ok(parse_any(model.data, model.len, &err), err);
        model_of(&model, limits[i].field, limits[i].len, limits[i].most + 1);
        assert_fails(parse_any(model.data, model.len, &err), err, ERR_TOO_BIG);
    }
}

static void hostile_fields_are_refused(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } bad[] = {
        {"", 0},                                                      /* nothing */
        {"\x08\x08", 2},                                              /* no graph */
        {"\x3a\x00", 2},                                              /* no IR version */
        {"\x08\x08\x3a\x00\x3a\x00", 6},                              /* two graphs */
        {"\x08\x08\x38\x01", 4},                                      /* a graph that is a number */
        {"\x08\x08\x3a\x05\x0a", 5},                                  /* longer than the file */
        {"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13}, /* much longer */
        {"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 13}, /* a varint over 64 bits */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},     /* a varint of 11 bytes */
        {"\x00\x00", 2},                                              /* field number 0 */
        {"\x0b\x0c", 2},                                              /* a group */
        {"\x08\x08\x3a\x02\x5a\x7f", 6},                              /* an input longer than the graph */
        {"\x08\x08\x3a\x05\x5a\x03\x0a\x01\x00", 9},                  /* a name with a NUL */
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (decode_copy(parse_any, bad[i].data, bad[i].len, &err) == 0)
            fail_msg("taken: case %zu", i);
}

/* ---- against a release ---- */

static struct release release_of_detector(void)
{
    return (struct release){
        .input_count = 1,
        .inputs = {{.name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 8, 8}}},
        .output_count = 1,
        .outputs = {{.name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 9, 4}}},
    };
}

static void a_model_fits_its_release(void **state)
{
    struct err err = {0};
    struct release release = release_of_detector();
    static const char *const fits[] = {"detector.onnx", "symbolic.onnx", "old_inputs.onnx", "domains.onnx"};
    for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
        struct onnx_summary model = summarize(fits[i]);
        assert_ok(onnx_check_release(&model, &release, &err), err);
    }
}

static void any_difference_is_refused_by_name(void **state)
{
    struct err err;
    struct onnx_summary model, good = summarize("detector.onnx");
    struct release release, right = release_of_detector();
#define REFUSED(change, message)                                                                             \
    do {                                                                                                     \
        model = good;                                                                                        \
        release = right;                                                                                     \
        change;                                                                                              \
        assert_fails(onnx_check_release(&model, &release, &err), err, ERR_REFUSED);                          \
        assert_string_equal(err.text, message);                                                              \
    } while (0)
    REFUSED(release.inputs[0].dtype = DTYPE_UINT8,
            "input \"images\": the model has float32 (1), the release says uint8");
    REFUSED(model.inputs[0].elem_type = 10,
            "input \"images\": the model has float16 (10), the release says float32");
    REFUSED(release.inputs[0].dims[3] = 9,
            "input \"images\": the model has shape [1, 3, 8, 8], the release says [1, 3, 8, 9]");
    REFUSED(release.outputs[0].dim_count = 2,
            "output \"output0\": the model has shape [1, 9, 4], the release says [1, 9]");
    REFUSED((model.inputs[0].dims[0] = 0, release.inputs[0].dims[1] = 1),
            "input \"images\": the model has shape [?, 3, 8, 8], the release says [1, 1, 8, 8]");
    REFUSED(release.inputs[0].name[0] = 'I',
            "input \"Images\": the release names it, the model has none of that name");
    REFUSED((model.input_count = 2, str_copy(model.inputs[1].name, 8, "mask")),
            "input \"mask\": the model has it, the release does not name it");
    REFUSED(model.output_count = 0,
            "output \"output0\": the release names it, the model has none of that name");
    REFUSED(model.external_data = true, "the model keeps weights in other files; save it as one file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_model_is_summed_up),
        cmocka_unit_test(what_the_kinds_of_models_differ_in_is_seen),
        cmocka_unit_test(subgraphs_are_entered_but_not_too_deep),
        cmocka_unit_test(cut_and_flipped_models_never_crash),
        cmocka_unit_test(counts_are_limited),
        cmocka_unit_test(hostile_fields_are_refused),
        cmocka_unit_test(a_model_fits_its_release),
        cmocka_unit_test(any_difference_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
