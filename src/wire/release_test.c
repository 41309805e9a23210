#include "wire/release.h"
#include "wire/wire_testing.h"

#include <math.h>

static const char yaml_sample[] = "schema: 1\n"
                                  "name: detector\n"
                                  "version: 2.0.0\n"
                                  "task: detection\n"
                                  "targets: [x86_64, aarch64]\n"
                                  "model:\n"
                                  "  path: ../models/model.onnx\n"
                                  "  inputs:\n"
                                  "    - {name: images, dtype: float32, shape: [1, 3, 128, 160]}\n"
                                  "  outputs:\n"
                                  "    - {name: output0, dtype: float32, shape: [1, 9, 400]}\n"
                                  "labels: [person, pallet, forklift, cone, crate]\n"
                                  "budgets: {latency_p99_ms: 40, deadline_ms: 60, memory_mib: 128}\n"
                                  "safe_state: stop\n"
                                  "golden: {inputs: [a.png, b.png]}\n";

static int parse_any(const void *text, size_t len, struct err *err)
{
    struct release release;
    return release_parse(text, len, &release, err);
}

static int parse_any_yaml(const void *text, size_t len, struct err *err)
{
    struct release release;
    char path[256];
    return release_parse_yaml("release.yaml", text, len, &release, path, sizeof path, err);
}

static struct release sample(void)
{
    struct err err = {0};
    struct release release;
    char path[256];
    assert_ok(release_parse_yaml("release.yaml", yaml_sample, strlen(yaml_sample), &release, path,
                                 sizeof path, &err),
              err);
    return release;
}

/* ---- random releases that hold together ---- */

static void random_version(uint64_t *random, char *out, size_t out_size)
{
    static const char *const tails[] = {"", "-rc.1", "-alpha", "-0.3.7", "-x-y-z.1"};
    snprintf(out, out_size, "%llu.%llu.%llu%s", (unsigned long long)random_below(random, 100),
             (unsigned long long)random_below(random, 9), (unsigned long long)random_below(random, 30),
             tails[random_below(random, ARRAY_LEN(tails))]);
}

static void random_shape(uint64_t *random, struct tensor_spec *tensor, const char *name)
{
    *tensor = (struct tensor_spec){.dtype = DTYPE_FLOAT32, .dim_count = 1 + random_below(random, 4)};
    str_copy(tensor->name, sizeof tensor->name, name);
    for (size_t d = 0; d < tensor->dim_count; d++)
        tensor->dims[d] = (int64_t)(1 + random_below(random, 5));
}

/* Every input and output after the first is state, in any order. */
static void random_state(uint64_t *random, struct release *out)
{
    out->state_count = random_below(random, RELEASE_MAX_TENSORS);
    out->input_count = out->output_count = 1 + out->state_count;
    for (size_t i = 0; i < out->state_count; i++) {
        size_t from = out->state_count - i;
        snprintf(out->state[i].input, sizeof out->state[i].input, "in %zu", i);
        snprintf(out->state[i].output, sizeof out->state[i].output, "out/%zu", i);
        random_shape(random, &out->inputs[1 + i], out->state[i].input);
        out->outputs[from] = out->inputs[1 + i];
        str_copy(out->outputs[from].name, sizeof out->outputs[from].name, out->state[i].output);
    }
}

static void random_input(uint64_t *random, struct release *out)
{
    out->frame = out->task != TASK_DETECTION && random_below(random, 2) ? FRAME_FLOAT32 : FRAME_RGB8;
    if (out->frame == FRAME_FLOAT32)
        return random_shape(random, &out->inputs[0], "in");
    int64_t height = (int64_t)random_below(random, 700) + 1, width = (int64_t)random_below(random, 700) + 1;
    bool nchw = out->preprocess.layout == LAYOUT_NCHW;
    out->inputs[0] =
        (struct tensor_spec){.name = "in",
                             .dtype = DTYPE_FLOAT32,
                             .dim_count = 4,
                             .dims = {1, nchw ? 3 : height, nchw ? height : width, nchw ? width : 3}};
}

static void random_output(uint64_t *random, struct release *out)
{
    struct tensor_spec *result = &out->outputs[0];
    *result =
        (struct tensor_spec){.name = "out:0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 1, 1}};
    if (out->task == TASK_DETECTION) {
        result->dims[1] = 4 + (int64_t)out->label_count;
        result->dims[2] = 400;
    } else if (out->task == TASK_CONTROL || out->task == TASK_RAW) {
        if (random_below(random, 2))
            out->label_count = 0;
        result->dims[1] =
            out->label_count ? (int64_t)out->label_count : 1 + (int64_t)random_below(random, 768);
    } else {
        result->dims[2] = (int64_t)out->label_count;
        out->postprocess.activation = (enum activation)random_below(random, out->label_count > 1 ? 3 : 1);
    }
}

static void random_model(uint64_t *random, struct release *out)
{
    static const enum decoder_kind decoders[] = {DECODER_YOLOV8, DECODER_SCORES, DECODER_SCORES, DECODER_RAW,
                                                 DECODER_RAW};
    out->task = (enum release_task)random_below(random, ARRAY_LEN(decoders));
    out->postprocess.decoder = decoders[out->task];
    out->preprocess.layout = random_below(random, 2) ? LAYOUT_NHWC : LAYOUT_NCHW;
    out->label_count = random_below(random, RELEASE_MAX_LABELS) + 1;
    random_state(random, out);
    random_input(random, out);
    random_output(random, out);
    for (size_t i = 0; i < out->label_count; i++)
        snprintf(out->labels[i], sizeof out->labels[i], "lábel \"%zu\"", i);
}

static void random_numbers(uint64_t *random, struct release *out)
{
    out->preprocess.color = random_below(random, 2) ? COLOR_BGR : COLOR_RGB;
    out->preprocess.resize = random_below(random, 2) ? RESIZE_STRETCH : RESIZE_LETTERBOX;
    out->preprocess.pad = (int)random_below(random, 256);
    out->preprocess.scale = random_between(random, 1e-6, 2);
    for (int i = 0; i < 3; i++) {
        out->preprocess.mean[i] = random_between(random, -200, 200);
        out->preprocess.std[i] = random_between(random, 1e-6, 200);
    }
    out->postprocess.score_threshold = random_between(random, 0, 1);
    out->postprocess.iou_threshold = random_between(random, 0.01, 1);
    out->postprocess.max_detections = 1 + (int)random_below(random, 128);
    out->budgets.latency_p99_ms = random_between(random, 0.1, 1000);
    out->budgets.deadline_ms = out->budgets.latency_p99_ms + random_between(random, 0, 1000);
    out->budgets.memory_mib = 1 + (int)random_below(random, 4096);
    out->envelope.max_detections = 1 + (int)random_below(random, 128);
    out->envelope.min_score = out->postprocess.score_threshold * random_between(random, 0, 1);
    out->envelope.max_miss_share = random_between(random, 0.001, 0.999);
    out->golden_tolerance = random_between(random, 0, 1);
}

static void random_limits(uint64_t *random, struct release *out)
{
    out->envelope.max_age_ms = random_between(random, 0, 1000);
    out->envelope.frozen_frames = (int)random_below(random, 9) ? 2 + (int)random_below(random, 99) : 0;
    out->envelope.latch_after = (int)random_below(random, 100);
    out->envelope.value_min = -1e30;
    out->envelope.value_max = 1e30;
    if (release_value_count(out) == 0) {
        out->envelope.max_jump = random_between(random, 0, 3);
        return;
    }
    out->envelope.value_min = random_between(random, -5, 0);
    out->envelope.value_max = random_between(random, 0, 5);
    out->envelope.max_rate = random_between(random, 0, 3);
}

static void random_policy(uint64_t *random, struct release *out)
{
    out->runtime.threads = 1 + (int)random_below(random, 64);
    out->runtime.spin = random_below(random, 2);
    bool sequence = out->task == TASK_TIMESERIES && out->state_count;
    out->runtime.queue = sequence || random_below(random, 2) ? QUEUE_LOSSLESS : QUEUE_LATEST;
    out->runtime.provider_count = 1 + random_below(random, 3);
    bool cuda_first = random_below(random, 2);
    for (size_t i = 0; i + 1 < out->runtime.provider_count; i++)
        out->runtime.providers[i] = (i == 0) == cuda_first ? PROVIDER_CUDA : PROVIDER_TENSORRT;
    out->switching.at = random_below(random, 2) ? SWITCH_AT_SEQUENCE_END : SWITCH_AT_FRAME;
    out->switching.policy = random_below(random, 2) ? SWITCH_MEMORY : SWITCH_AVAILABILITY;
    if (out->switching.policy == SWITCH_MEMORY)
        return;
    out->switching.shadow_frames = 1 + (int)random_below(random, 10000);
    out->switching.min_agreement = random_between(random, 0, 1);
    out->switching.hold_s = (int)random_below(random, 604801);
}

static void random_variants(uint64_t *random, struct release *out)
{
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++) {
        struct release_variant *variant = &out->variants[out->variant_count];
        if (random_below(random, 2))
            continue;
        *variant = (struct release_variant){.precision = (enum precision)random_below(random, 4),
                                            .fidelity = random_between(random, 0.01, 1)};
        str_copy(variant->name, sizeof variant->name, variant_names[i]);
        out->variant_count++;
    }
}

static void random_tap(uint64_t *random, struct release *out)
{
    if (out->output_count == RELEASE_MAX_TENSORS || random_below(random, 2))
        return;
    random_line(random, out->tap, 12);
    struct tensor_spec *tap = &out->outputs[out->output_count++];
    *tap = (struct tensor_spec){.dtype = DTYPE_FLOAT32};
    str_copy(tap->name, sizeof tap->name, out->tap);
    tap->dim_count = 2 + random_below(random, 3);
    tap->dims[0] = 1;
    for (size_t d = 1; d < tap->dim_count; d++)
        tap->dims[d] = 1 + (int64_t)random_below(random, 50);
}

static void random_release(uint64_t *random, struct release *out)
{
    static const char *const safe_states[] = {"stop", "slow",   "hold",   "hover",
                                              "land", "return", "crouch", "alert"};
    memset(out, 0, sizeof *out);
    random_name(random, out->name, sizeof out->name - 1);
    random_version(random, out->version, sizeof out->version);
    if (random_below(random, 4))
        random_line(random, out->description, sizeof out->description - 1);
    out->target_count = 1 + random_below(random, RELEASE_MAX_TARGETS);
    for (size_t i = 0; i < out->target_count; i++)
        snprintf(out->targets[i], sizeof out->targets[i], "machine-%zu", i);
    random_model(random, out);
    random_numbers(random, out);
    random_limits(random, out);
    random_policy(random, out);
    random_variants(random, out);
    random_tap(random, out);
    str_copy(out->safe_state, sizeof out->safe_state,
             safe_states[random_below(random, ARRAY_LEN(safe_states))]);
}

static void any_release_survives_the_round_trip(void **state)
{
    uint64_t random = 1;
    static struct release before, after;
    for (int i = 0; i < 300; i++) {
        struct err err = {0};
        random_release(&random, &before);
        assert_ok(release_check(&before, &err), err);
        cleanup_free char *text = release_format(&before);
        assert_non_null(text);
        assert_ok(release_parse(text, strlen(text), &after, &err), err);
        assert_memory_equal(&before, &after, sizeof before);
        cleanup_free char *again = release_format(&after);
        assert_string_equal(text, again);
    }
}

static void the_yaml_of_a_person_becomes_the_documented_release(void **state)
{
    struct err err = {0};
    struct release release;
    char path[64];
    assert_ok(release_parse_yaml("release.yaml", yaml_sample, strlen(yaml_sample), &release, path,
                                 sizeof path, &err),
              err);
    assert_string_equal(path, "../models/model.onnx");
    cleanup_free char *text = release_format(&release);
    assert_string_equal(
        text,
        "{\"budgets\":{\"deadline_ms\":60,\"latency_p99_ms\":40,\"memory_mib\":128},\"description\":\"\","
        "\"envelope\":{\"frozen_frames\":0,\"latch_after\":0,\"max_age_ms\":0,\"max_detections\":100,\"max_"
        "jump\":0,"
        "\"max_miss_share\":0.05,\"max_rate\":0,\"min_score\":0,\"value_max\":1e+30,\"value_min\":-1e+30},"
        "\"frame\":\"rgb8\","
        "\"golden\":{\"tolerance\":0.001},\"labels\":[\"person\",\"pallet\",\"forklift\",\"cone\",\"crate\"],"
        "\"model\":{\"format\":\"onnx\",\"inputs\":[{\"dtype\":\"float32\",\"name\":\"images\",\"shape\":[1,"
        "3,128,160]}],"
        "\"outputs\":[{\"dtype\":\"float32\",\"name\":\"output0\",\"shape\":[1,9,400]}]},\"name\":"
        "\"detector\","
        "\"postprocess\":{\"activation\":\"none\",\"decoder\":\"yolov8\",\"iou_threshold\":0.5,\"max_"
        "detections\":100,\"score_"
        "threshold\":0.35},"
        "\"preprocess\":{\"color\":\"rgb\",\"layout\":\"nchw\",\"mean\":[0,0,0],\"pad\":114,\"resize\":"
        "\"letterbox\","
        "\"scale\":0.00392156862745098,\"std\":[1,1,1]},"
        "\"runtime\":{\"providers\":[\"tensorrt\",\"cuda\",\"cpu\"],\"queue\":\"latest\",\"spin\":false,"
        "\"threads\":1},"
        "\"safe_state\":\"stop\",\"schema\":1,\"state\":[],"
        "\"switch\":{\"at\":\"frame\",\"hold_s\":0,\"min_agreement\":0,\"policy\":\"availability\",\"shadow_"
        "frames\":0},"
        "\"targets\":[\"x86_64\",\"aarch64\"],\"task\":\"detection\",\"version\":\"2.0.0\"}");
    cleanup_free char *yaml = mem_printf("%sxyz: 1\n", yaml_sample);
    assert_fails(parse_any_yaml(yaml, strlen(yaml), &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "release.yaml: xyz"));
    assert_fails(
        release_parse_yaml("release.yaml", yaml_sample, strlen(yaml_sample), &release, path, 8, &err), err,
        ERR_INVALID);
}

/* A policy for a legged robot, with everything that a person may say. */
static const char policy_sample[] =
    "schema: 1\n"
    "name: walk\n"
    "version: 1.0.0\n"
    "task: control\n"
    "targets: [aarch64]\n"
    "model:\n"
    "  path: walk.onnx\n"
    "  inputs:\n"
    "    - {name: observation, dtype: float32, shape: [1, 48]}\n"
    "    - {name: h, dtype: float32, shape: [1, 64]}\n"
    "  outputs:\n"
    "    - {name: action, dtype: float32, shape: [1, 12]}\n"
    "    - {name: h_out, dtype: float32, shape: [1, 64]}\n"
    "frame: float32\n"
    "state: [{input: h, output: h_out}]\n"
    "postprocess: {decoder: values}\n"
    "labels: []\n"
    "budgets: {latency_p99_ms: 2, deadline_ms: 5, memory_mib: 64}\n"
    "envelope: {max_age_ms: 10, frozen_frames: 5, latch_after: 3, value_min: -1.5, value_max: 1.5, max_rate: "
    "20}\n"
    "runtime: {threads: 2, spin: true, queue: latest, providers: [cpu]}\n"
    "switch: {policy: availability, shadow_frames: 500, min_agreement: 0.9, hold_s: 60, at: sequence_end}\n"
    "safe_state: crouch\n";

static struct release sample_policy(void)
{
    struct err err = {0};
    struct release release;
    char path[64];
    assert_ok(release_parse_yaml("release.yaml", policy_sample, strlen(policy_sample), &release, path,
                                 sizeof path, &err),
              err);
    return release;
}

static void a_policy_with_memory_is_read_whole(void **state)
{
    struct release release = sample_policy();
    assert_int_equal(release.frame, FRAME_FLOAT32);
    assert_int_equal(release.state_count, 1);
    assert_string_equal(release.state[0].output, "h_out");
    assert_int_equal(release_value_count(&release), 12);
    assert_int_equal(release.envelope.frozen_frames, 5);
    assert_int_equal(release.envelope.latch_after, 3);
    assert_true(release.envelope.max_age_ms == 10 && release.envelope.max_rate == 20);
    assert_true(release.envelope.value_min == -1.5 && release.envelope.value_max == 1.5);
    assert_int_equal(release.runtime.threads, 2);
    assert_true(release.runtime.spin);
    assert_int_equal(release.runtime.provider_count, 1);
    assert_int_equal(release.runtime.providers[0], PROVIDER_CPU);
    assert_int_equal(release.runtime.providers[1], 0);
    assert_int_equal(release.switching.shadow_frames, 500);
    assert_int_equal(release.switching.hold_s, 60);
    assert_int_equal(release.switching.at, SWITCH_AT_SEQUENCE_END);
    assert_string_equal(provider_name(PROVIDER_TENSORRT), "tensorrt");
    struct release detector = sample();
    assert_int_equal(release_value_count(&detector), 0);
}

/* What the task leaves no choice about may be left out, and reads as if it had been said. */
static void the_task_says_how_results_are_read(void **state)
{
    struct err err = {0};
    struct release said = sample_policy(), unsaid;
    char path[64];
    cleanup_free char *text = mem_strdup(policy_sample);
    assert_non_null(text);
    static const char *const lines[] = {"postprocess: {decoder: values}", "labels: []"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char *line = strstr(text, lines[i]);
        assert_non_null(line);
        *line = '#';
    }
    assert_ok(release_parse_yaml("release.yaml", text, strlen(text), &unsaid, path, sizeof path, &err), err);
    cleanup_free char *a = release_format(&said);
    cleanup_free char *b = release_format(&unsaid);
    assert_string_equal(a, b);
}

static void every_member_is_checked_and_no_other_is_taken(void **state)
{
    struct release release = sample();
    cleanup_free char *text = release_format(&release);
    every_member_is_needed(parse_any, text, NULL);
    no_surplus_is_taken(parse_any, text);
    every_truncation_fails(parse_any, text, strlen(text));
    no_flip_crashes(parse_any, text, strlen(text));
    struct release policy = sample_policy();
    cleanup_free char *with_state = release_format(&policy);
    every_member_is_needed(parse_any, with_state, NULL);
    no_surplus_is_taken(parse_any, with_state);
    no_truncation_crashes(parse_any_yaml, yaml_sample, strlen(yaml_sample));
    no_flip_crashes(parse_any_yaml, yaml_sample, strlen(yaml_sample));
}

static void name_all(char labels[][32], size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf(labels[i], 32, "label %zu", i);
}

/* One wrong thing each: the check names it. */
#define REFUSED(change, names)                                                                               \
    do {                                                                                                     \
        bad = good;                                                                                          \
        change;                                                                                              \
        assert_fails(release_check(&bad, &err), err, ERR_INVALID);                                           \
        if (!strstr(err.text, names))                                                                        \
            fail_msg("wanted \"%s\" in: %s", names, err.text);                                               \
    } while (0)

static void what_does_not_hold_together_is_refused(void **state)
{
    struct err err;
    struct release good = sample(), bad;
    REFUSED(bad.name[0] = '/', "name");
    REFUSED(bad.name[0] = 0, "name");
    REFUSED(str_copy(bad.version, 64, "1.0"), "version");
    REFUSED(str_copy(bad.version, 64, "1.0.0+build"), "version");
    REFUSED(str_copy(bad.description, 64, "a\nb"), "description");
    REFUSED(bad.target_count = 0, "targets");
    REFUSED(str_copy(bad.targets[1], 32, "x86_64"), "targets[1]");
    REFUSED(bad.input_count = 0, "model.inputs");
    REFUSED(bad.output_count = 0, "model.outputs");
    REFUSED(bad.output_count = 9, "model.outputs");
    REFUSED(bad.inputs[0].name[0] = 0, "model.inputs[0].name");
    REFUSED(bad.inputs[0].dtype = (enum tensor_dtype)8, "model.inputs[0].dtype");
    REFUSED(bad.inputs[0].dtype = (enum tensor_dtype) - 1, "model.inputs[0].dtype");
    REFUSED(bad.inputs[0].dtype = DTYPE_UINT8, "model.inputs");
    REFUSED(bad.inputs[0].dims[2] = 0, "model.inputs[0].shape");
    REFUSED(bad.inputs[0].dims[2] = 1 << 30, "model.inputs[0].shape");
    REFUSED(bad.inputs[0].dims[3] = INT64_MAX, "model.inputs[0].shape");
    REFUSED(bad.inputs[0].dims[3] = 8193, "8192");
    REFUSED(bad.inputs[0].dim_count = 0, "model.inputs[0].shape");
    REFUSED(bad.inputs[0].dim_count = 9, "model.inputs[0].shape");
    REFUSED(bad.inputs[0].dims[0] = 2, "model.inputs");
    REFUSED(bad.inputs[0].dims[1] = 1, "3 channels");
    REFUSED(bad.preprocess.layout = LAYOUT_NHWC, "3 channels");
    REFUSED((bad.input_count = 2, bad.inputs[1] = bad.inputs[0]), "appears twice");
    REFUSED((bad.input_count = 2, bad.inputs[1] = bad.outputs[0]), "must all be state");
    REFUSED((bad.output_count = 2, bad.outputs[1] = bad.inputs[0]), "must all be state");
    REFUSED(bad.frame = FRAME_FLOAT32, "in pixels of a picture");
    REFUSED(bad.frame = (enum frame_format)2, "frame");
    REFUSED(bad.outputs[0].dtype = DTYPE_FLOAT16, "model.outputs[0].dtype");
    REFUSED(bad.postprocess.activation = ACTIVATION_SIGMOID, "postprocess.activation");
    REFUSED(bad.envelope.max_rate = 1, "envelope.max_rate");
    REFUSED(bad.envelope.value_max = 1, "envelope.value_min");
    REFUSED(bad.envelope.value_max = NAN, "envelope.value_max");
    REFUSED(bad.outputs[0].dims[1] = 8, "5 labels need 9 rows");
    REFUSED(bad.label_count = 4, "4 labels need 8 rows");
    REFUSED(bad.label_count = 0, "labels");
    REFUSED(bad.label_count = 257, "labels");
    REFUSED(str_copy(bad.labels[3], 32, "person"), "labels[3]");
    REFUSED(bad.labels[2][0] = 0, "labels[2]");
    REFUSED(bad.preprocess.pad = 256, "preprocess.pad");
    REFUSED(bad.preprocess.pad = -1, "preprocess.pad");
    REFUSED(bad.preprocess.scale = 0, "preprocess.scale");
    REFUSED(bad.preprocess.scale = NAN, "preprocess.scale");
    REFUSED(bad.preprocess.mean[1] = INFINITY, "preprocess.mean");
    REFUSED(bad.preprocess.std[2] = 0, "preprocess.std");
    REFUSED(bad.preprocess.color = (enum color_order)7, "preprocess");
    REFUSED(bad.postprocess.score_threshold = 1.01, "postprocess.score_threshold");
    REFUSED(bad.postprocess.score_threshold = NAN, "postprocess.score_threshold");
    REFUSED(bad.postprocess.iou_threshold = 0, "postprocess.iou_threshold");
    REFUSED(bad.postprocess.max_detections = 129, "postprocess.max_detections");
    REFUSED(bad.postprocess.max_detections = 0, "postprocess.max_detections");
    REFUSED(bad.postprocess.decoder = DECODER_RAW, "postprocess.decoder");
    REFUSED(bad.task = TASK_RAW, "postprocess.decoder");
    REFUSED(bad.task = (enum release_task)9, "task");
    REFUSED(bad.budgets.latency_p99_ms = 0, "budgets.latency_p99_ms");
    REFUSED(bad.budgets.latency_p99_ms = -1, "budgets.latency_p99_ms");
    REFUSED(bad.budgets.deadline_ms = NAN, "budgets.deadline_ms");
    REFUSED(bad.budgets.deadline_ms = 39, "budgets.deadline_ms");
    REFUSED(bad.budgets.memory_mib = 0, "budgets.memory_mib");
    REFUSED(bad.envelope.max_detections = 0, "envelope.max_detections");
    REFUSED(bad.envelope.max_detections = 129, "envelope.max_detections");
    REFUSED(bad.envelope.min_score = -0.1, "envelope.min_score");
    REFUSED(bad.envelope.min_score = 0.4, "envelope.min_score");
    REFUSED(bad.envelope.max_miss_share = 0, "envelope.max_miss_share");
    REFUSED(bad.envelope.max_miss_share = 1, "envelope.max_miss_share");
    REFUSED(bad.golden_tolerance = -1, "golden.tolerance");
    REFUSED(str_copy(bad.safe_state, 32, "panic"), "safe_state");
    REFUSED(bad.safe_state[0] = 0, "safe_state");
}

/* Variants are the one member that may be left out, so that releases without them are what they were. */
/* sample() with a tap of some other shape than the result's. */
static struct release tapped(void)
{
    struct release release = sample();
    str_copy(release.tap, sizeof release.tap, "features");
    release.outputs[release.output_count++] = (struct tensor_spec){
        .name = "features", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 48, 16, 20}};
    return release;
}

static void a_tap_is_the_last_output_and_answers_nothing(void **state)
{
    struct err err = {0};
    struct release good = tapped(), bad;
    assert_ok(release_check(&good, &err), err);
    assert_int_equal(release_answer_count(&good), 1);
    cleanup_free char *text = release_format(&good);
    assert_non_null(strstr(text, "\"tap\":\"features\""));
    REFUSED(bad.tap[0] = '\0', "must all be state");
    REFUSED(str_copy(bad.tap, 64, "output0"), "last of the outputs");
    REFUSED(bad.output_count = 1, "last of the outputs");
    REFUSED(bad.outputs[1].dtype = DTYPE_UINT8, "float32");
    REFUSED(bad.outputs[1].dims[1] = 2049, "channels");
    REFUSED(bad.outputs[1].dims[0] = 2, "channels");
    REFUSED(bad.outputs[1].dim_count = 1, "channels");
    REFUSED((bad.state_count = 1, bad.input_count = 2, bad.inputs[1] = bad.outputs[1]), "state");

    good = sample();
    assert_int_equal(release_answer_count(&good), 1);
    cleanup_free char *without = release_format(&good);
    assert_null(strstr(without, "tap"));
}

static void a_tap_in_the_yaml_is_told_to_the_packer_only(void **state)
{
    struct err err = {0};
    struct release release;
    char path[64];
    cleanup_free char *yaml = mem_printf("%stap: features\nprofile: {calib: frames}\n", yaml_sample);
    assert_ok(release_parse_yaml("release.yaml", yaml, strlen(yaml), &release, path, sizeof path, &err), err);
    assert_string_equal(release.tap, "");
    assert_int_equal(release.output_count, 1);
}

static void variants_hold_together_or_are_refused(void **state)
{
    struct err err;
    struct release good = sample(), bad;
    good.variant_count = 2;
    good.variants[0] =
        (struct release_variant){.name = "cpu-x86", .precision = PRECISION_INT8, .fidelity = 0.93};
    good.variants[1] =
        (struct release_variant){.name = "trt", .precision = PRECISION_INT8_FP16, .fidelity = 1};
    REFUSED(bad.variant_count = 4, "variants");
    REFUSED(str_copy(bad.variants[0].name, 16, "fp32"), "cpu-x86, cpu-arm, trt");
    REFUSED(str_copy(bad.variants[1].name, 16, "cpu-x86"), "each once");
    REFUSED((bad.variants[0] = good.variants[1], bad.variants[1] = good.variants[0]), "in the order");
    REFUSED(bad.variants[0].precision = (enum precision)4, "precision");
    REFUSED(bad.variants[0].fidelity = 0, "variants.fidelity");
    REFUSED(bad.variants[1].fidelity = 1.01, "variants.fidelity");
    REFUSED(bad.variants[1].fidelity = NAN, "variants.fidelity");
    cleanup_free char *text = release_format(&good);
    assert_non_null(strstr(text,
                           "\"variants\":[{\"fidelity\":0.93,\"name\":\"cpu-x86\",\"precision\":\"int8\"},"
                           "{\"fidelity\":1,\"name\":\"trt\",\"precision\":\"int8+fp16\"}]"));
    no_surplus_is_taken(parse_any, text);
    every_truncation_fails(parse_any, text, strlen(text));
    no_flip_crashes(parse_any, text, strlen(text));
    assert_string_equal(release_variant(&good, variant_of_machine("x86_64"))->name, "cpu-x86");
    assert_null(release_variant(&good, variant_of_machine("aarch64")));
    assert_null(release_variant(&good, variant_of_machine("riscv64")));
    cleanup_free char *with_files = mem_printf("%svariants: {cpu-x86: a.onnx}\n", yaml_sample);
    struct release release;
    char path[64];
    err = (struct err){0};
    assert_ok(
        release_parse_yaml("release.yaml", with_files, strlen(with_files), &release, path, sizeof path, &err),
        err);
    assert_int_equal(release.variant_count, 0);
}

static void what_a_policy_cannot_be_is_refused(void **state)
{
    struct err err;
    struct release good = sample_policy(), bad;
    REFUSED(str_copy(bad.state[0].input, 64, "observation"), "state[0].input");
    REFUSED(str_copy(bad.state[0].output, 64, "action"), "state[0].output");
    REFUSED(bad.inputs[1].dims[1] = 63, "differ in type or shape");
    REFUSED(bad.outputs[1].dtype = DTYPE_FLOAT64, "differ in type or shape");
    REFUSED(bad.inputs[1].dtype = bad.outputs[1].dtype = DTYPE_INT64, "must be float32");
    REFUSED(bad.state_count = 0, "must all be state");
    REFUSED(bad.state_count = 99, "state");
    REFUSED((bad.state_count = 2, bad.state[1] = bad.state[0]), "appears twice");
    REFUSED(bad.inputs[0].dtype = DTYPE_FLOAT64, "model.inputs[0].dtype");
    REFUSED(bad.inputs[0].dims[1] = (16 << 20) + 1, "floats");
    REFUSED(bad.outputs[0].dims[1] = 769, "768");
    REFUSED(
        (bad.label_count = 11, memcpy(bad.labels, good.labels, sizeof bad.labels), name_all(bad.labels, 11)),
        "11 names for 12 values");
    REFUSED(bad.postprocess.decoder = DECODER_SCORES, "postprocess.decoder");
    REFUSED(bad.postprocess.decoder = (enum decoder_kind)3, "postprocess.decoder");
    REFUSED(bad.postprocess.activation = ACTIVATION_SOFTMAX, "postprocess.activation");
    REFUSED(bad.task = TASK_CLASSIFICATION, "postprocess.decoder");
    REFUSED((bad.task = TASK_CLASSIFICATION, bad.postprocess.decoder = DECODER_SCORES), "labels");
    REFUSED((bad.task = TASK_CLASSIFICATION, bad.postprocess.decoder = DECODER_SCORES, bad.label_count = 3,
             name_all(bad.labels, 3)),
            "one number per label: 3 labels, 12 numbers");
    REFUSED((bad.task = TASK_TIMESERIES, bad.postprocess.decoder = DECODER_SCORES, bad.label_count = 12,
             name_all(bad.labels, 12)),
            "lossless");
    REFUSED((bad.task = TASK_CLASSIFICATION, bad.postprocess.decoder = DECODER_SCORES, bad.label_count = 1,
             name_all(bad.labels, 1), bad.outputs[0].dims[1] = 1,
             bad.postprocess.activation = ACTIVATION_SOFTMAX),
            "softmax over one label");
    REFUSED(bad.frame = FRAME_RGB8, "4 dimensions");
    REFUSED(bad.envelope.max_jump = 1, "envelope.max_jump");
    REFUSED(bad.envelope.max_rate = -1, "envelope.max_rate");
    REFUSED(bad.envelope.value_min = 2, "envelope.value_min");
    REFUSED(bad.envelope.value_min = NAN, "envelope.value_min");
    REFUSED(bad.envelope.max_age_ms = -1, "envelope.max_age_ms");
    REFUSED(bad.envelope.frozen_frames = 1, "envelope.frozen_frames");
    REFUSED(bad.envelope.latch_after = -1, "envelope.latch_after");
    REFUSED(bad.runtime.threads = 0, "runtime.threads");
    REFUSED(bad.runtime.threads = 65, "runtime.threads");
    REFUSED(bad.runtime.queue = (enum frame_queue)2, "runtime.queue");
    REFUSED(bad.runtime.provider_count = 0, "runtime.providers");
    REFUSED(bad.runtime.provider_count = 4, "runtime.providers");
    REFUSED(bad.runtime.providers[0] = PROVIDER_CUDA, "the last one must be cpu");
    REFUSED(bad.runtime.providers[0] = PROVIDER_COUNT, "runtime.providers");
    REFUSED(bad.runtime.provider_count = 2, "appears twice");
    REFUSED(bad.switching.policy = SWITCH_MEMORY, "switch.policy");
    REFUSED(bad.switching.policy = (enum switch_policy)2, "switch");
    REFUSED(bad.switching.shadow_frames = 0, "switch.min_agreement");
    REFUSED(bad.switching.shadow_frames = 10001, "switch.shadow_frames");
    REFUSED(bad.switching.min_agreement = 1.1, "switch.min_agreement");
    REFUSED(bad.switching.hold_s = -1, "switch.hold_s");
    REFUSED(bad.switching.at = (enum switch_at)2, "switch");
}

static void limits_of_the_document_hold(void **state)
{
    struct err err;
    static const char *const bad[][2] = {
        {"schema: 1\n", "schema: 2\n"},
        {"name: detector", "name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"},
        {"version: 2.0.0", "version: 2.0"},
        {"[x86_64, aarch64]", "[a, b, c, d, e, f, g, h, i]"},
        {"[1, 9, 400]", "[1, 9, 400, 1, 1, 1, 1, 1, 1]"},
        {"[1, 9, 400]", "[1, 9, 4294967296]"},
        {"[1, 9, 400]", "[1, 9, 400.0]"},
        {"[1, 9, 400]", "[1, 9, -1]"},
        {"dtype: float32", "dtype: float17"},
        {"safe_state: stop", "safe_state: stop\nframe: rgb16"},
        {"safe_state: stop", "safe_state: stop\nruntime: {providers: [npu, cpu]}"},
        {"safe_state: stop", "safe_state: stop\nruntime: {providers: [cpu, cuda, tensorrt, cpu]}"},
        {"safe_state: stop", "safe_state: stop\nruntime: {threads: 2, cores: 2}"},
        {"safe_state: stop", "safe_state: stop\nswitch: {policy: atomic}"},
        {"safe_state: stop", "safe_state: stop\nstate: [{input: h}]"},
        {"safe_state: stop", "safe_state: stop\npostprocess: {activation: tanh}"},
        {"person", "a-label-name-with-more-than-31-letters"},
        {"stop", "stop: 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *at = strstr(yaml_sample, bad[i][0]);
        assert_non_null(at);
        cleanup_free char *text =
            mem_printf("%.*s%s%s", (int)(at - yaml_sample), yaml_sample, bad[i][1], at + strlen(bad[i][0]));
        if (decode_copy(parse_any_yaml, text, strlen(text), &err) == 0)
            fail_msg("taken: %s", bad[i][1]);
    }
}

static void a_release_runs_only_where_it_says(void **state)
{
    struct err err = {0};
    struct release release = sample();
    assert_ok(release_check_machine(&release, "x86_64", &err), err);
    assert_ok(release_check_machine(&release, "aarch64", &err), err);
    assert_fails(release_check_machine(&release, "riscv64", &err), err, ERR_REFUSED);
    assert_string_equal(
        err.text, "detector 2.0.0 is built for x86_64, aarch64, this machine is riscv64; pack it for this "
                  "one too");
    assert_fails(release_check_machine(&release, "x86", &err), err, ERR_REFUSED);
}

/* ---- versions ---- */

static void versions_have_the_order_of_semver(void **state)
{
    static const char *const order[] = {
        "0.0.1",
        "0.9.0",
        "1.0.0-0",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-99999999999999999999",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
        "10.0.0",
        "99999999999999999999.0.0",
    };
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_true(version_valid(order[i]));
        for (size_t k = 0; k < ARRAY_LEN(order); k++)
            assert_int_equal(version_compare(order[i], order[k]), (i > k) - (i < k));
    }
}

static void what_is_no_version_is_refused(void **state)
{
    static const char *const bad[] = {
        "",         "1",
        "1.0",      "1.0.0.0",
        "v1.0.0",   "01.0.0",
        "1.00.0",   "1.0.0-",
        "1.0.0-01", "1.0.0-a..b",
        "1.0.0-a.", "1.0.0-ä",
        "1.0.0+5",  "1.0.0 ",
        " 1.0.0",   "1.0.-1",
        "1..0",     "1.0.0-a_b",
        "-1.0.0",   "1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (version_valid(bad[i]))
            fail_msg("\"%s\" was taken for a version", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_release_survives_the_round_trip),
        cmocka_unit_test(the_yaml_of_a_person_becomes_the_documented_release),
        cmocka_unit_test(the_task_says_how_results_are_read),
        cmocka_unit_test(every_member_is_checked_and_no_other_is_taken),
        cmocka_unit_test(what_does_not_hold_together_is_refused),
        cmocka_unit_test(a_policy_with_memory_is_read_whole),
        cmocka_unit_test(variants_hold_together_or_are_refused),
        cmocka_unit_test(a_tap_is_the_last_output_and_answers_nothing),
        cmocka_unit_test(a_tap_in_the_yaml_is_told_to_the_packer_only),
        cmocka_unit_test(what_a_policy_cannot_be_is_refused),
        cmocka_unit_test(limits_of_the_document_hold),
        cmocka_unit_test(a_release_runs_only_where_it_says),
        cmocka_unit_test(versions_have_the_order_of_semver),
        cmocka_unit_test(what_is_no_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
