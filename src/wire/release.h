/* release.json: what a release promises and needs. One file per release, written by `muster pack` from release.yaml
 * (same fields), read by everybody. Media type application/vnd.muster.release.v1+json.
 *
 * {
 *   "schema": 1,
 *   "name": "detector", "version": "2.0.0", "description": "…",
 *   "task": "detection",                                                detection classification timeseries control raw
 *   "targets": ["x86_64", "aarch64"],                 machine names (uname -m) the release may run on
 *   "model": {"format": "onnx", "inputs":  [{"name": "images",  "dtype": "float32", "shape": [1, 3, 128, 160]}],
 *                               "outputs": [{"name": "output0", "dtype": "float32", "shape": [1, 9, 400]}]},
 *   "frame": "rgb8",                                    or "float32": frames are the first input tensor itself, nothing is done to them
 *   "state": [],                                        of a model with memory: [{"input": "h", "output": "h_out"}, …]: the output
 *                                                       becomes the next frame's input; zeros at first
 *   "preprocess":  {"color": "rgb", "layout": "nchw", "resize": "letterbox", "pad": 114,
 *                   "scale": 0.00392156862745098, "mean": [0, 0, 0], "std": [1, 1, 1]},      x = (u8 * scale - mean) / std
 *   "postprocess": {"decoder": "yolov8", "score_threshold": 0.35, "iou_threshold": 0.5, "max_detections": 100,
 *                   "activation": "none"},
 *   "labels": ["person", "pallet", "forklift", "cone", "crate"],
 *   "budgets":  {"latency_p99_ms": 40, "deadline_ms": 60, "memory_mib": 128},
 *   "envelope": {"max_detections": 100, "min_score": 0.0, "max_miss_share": 0.05,              what guard and agent enforce
 *                "max_age_ms": 0, "frozen_frames": 0, "latch_after": 0,                        0: not looked at
 *                "value_min": -1e30, "value_max": 1e30, "max_rate": 0, "max_jump": 0},         see struct ctl_limits
 *   "runtime":  {"threads": 1, "spin": false, "queue": "latest", "providers": ["tensorrt", "cuda", "cpu"]},
 *                                                       queue "lossless": every frame in order, for models with memory; bounded
 *                                                       by the ring. providers: in the order of preference; the robot takes the
 *                                                       first that works. Degraded: one before it has its hardware here, but failed
 *   "switch":   {"policy": "availability", "shadow_frames": 0, "min_agreement": 0, "hold_s": 0, "at": "frame"},
 *                policy "memory": the old runner leaves before the new one is loaded; the gap is served by the safe state.
 *                shadow_frames: live frames computed beside the old release before the switch, never used;
 *                min_agreement: share of them that has to agree with the old one (0: only has to be sound);
 *                hold_s: how long the previous release stays hot after the commit (0: until the next one);
 *                at "sequence_end": switched only after a frame that ends a sequence (at the latest after 60 s)
 *   "safe_state": "stop",
 *   "golden": {"tolerance": 0.001},
 *   "variants": [{"name": "cpu-x86", "precision": "int8", "fidelity": 0.93}],     cheaper forms of the model; left out if there is none
 *   "tap": "/model/9/act/Mul_output_0"                a tensor inside of the model that is the last of model.outputs; left out if there is none
 * }
 *
 * A variant is the same model made for one kind of machine ("cpu-x86", "cpu-arm", "trt"; the model itself is called "fp32"): its own weight
 * layer, the same tensors. `fidelity` is promised: how alike it answers the golden frames on average (infer/fidelity.h). A robot that sees less,
 * or no gain, runs the model itself (infer/contest.h).
 *
 * A tap is float32 [1, channels], [1, channels, t] or [1, channels, h, w] and is looked at by who watches (infer/novelty.h): it is neither result nor state, no golden case holds it, nothing is compared with it.
 *
 * Versions are SemVer 2.0.0 without build metadata.
 *
 *   task             decoder   the first output                                            a result
 *   detection        yolov8    [1, 4 + labels, N]: rows cx cy w h in input pixels, then    detections
 *                              one probability per label; frame rgb8 only
 *   classification   scores    one number per label; postprocess.activation: none,         one value per label
 *   timeseries       scores    softmax or sigmoid
 *   control          values    at most 768 numbers (labels: all or none)                   these numbers
 *   raw              values
 *
 * Frame, result and state are float32. The first input is the frame; frame "rgb8" wants it to be an image of 3 channels. The
 * first output is the result. All other inputs and outputs, but the tap, are state, in pairs of the same shape. A time series with
 * state needs queue "lossless", since a frame left out would be a gap in time; a controller with state may choose. A limit that
 * nobody would look at (max_jump for values, max_rate, value_min and value_max for detections) is refused. What the robot
 * could not run is refused by release_check, so at pack time.
 *
 * Every member but `variants` and `tap` is required in release.json and no other is allowed. In release.yaml `description`, `model.format`, `frame`,
 * `state`, `preprocess`, `postprocess`, `envelope`, `runtime`, `switch`, `golden` and their members may be left out and
 * then have the values above (no description); besides it says `model.path` (required) and may say `golden.inputs`, `created`, `evaluation` and
 * `recipe`, `variants`, `optimized`, `trt`, `tap` and `profile` (forge/recipe.h), which the packer reads for itself: a tap is no output there yet.
 */
#ifndef MUSTER_WIRE_RELEASE_H
#define MUSTER_WIRE_RELEASE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RELEASE_MAX_LABELS = 256,
    RELEASE_MAX_TENSORS = 8,
    RELEASE_MAX_DIMS = 8,
    RELEASE_MAX_TARGETS = 8,
    RELEASE_MAX_VALUES = 768, /* in one result */
    RELEASE_MAX_THREADS = 64,
    RELEASE_MAX_RUN = 10000, /* frames in a row that something may be asked of */
    RELEASE_MAX_HOLD_S = 604800,
    RELEASE_MAX_VARIANTS = 3,
    RELEASE_MAX_TAP_CHANNELS = 2048
};

enum tensor_dtype { /* ONNX numbers */
                    DTYPE_FLOAT32 = 1,
                    DTYPE_UINT8 = 2,
                    DTYPE_INT8 = 3,
                    DTYPE_UINT16 = 4,
                    DTYPE_INT16 = 5,
                    DTYPE_INT32 = 6,
                    DTYPE_INT64 = 7,
                    DTYPE_BOOL = 9,
                    DTYPE_FLOAT16 = 10,
                    DTYPE_FLOAT64 = 11,
                    DTYPE_UINT32 = 12,
                    DTYPE_UINT64 = 13,
                    DTYPE_BFLOAT16 = 16
};

struct tensor_spec {
    char name[64];
    enum tensor_dtype dtype;
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* all > 0: fixed shapes only */
};

enum release_task { TASK_DETECTION, TASK_CLASSIFICATION, TASK_TIMESERIES, TASK_CONTROL, TASK_RAW };
enum frame_format { FRAME_RGB8, FRAME_FLOAT32 };
enum activation { ACTIVATION_NONE, ACTIVATION_SOFTMAX, ACTIVATION_SIGMOID };
enum frame_queue { QUEUE_LATEST, QUEUE_LOSSLESS };
enum provider { PROVIDER_CPU, PROVIDER_CUDA, PROVIDER_TENSORRT, PROVIDER_COUNT };
enum switch_policy { SWITCH_AVAILABILITY, SWITCH_MEMORY };
enum switch_at { SWITCH_AT_FRAME, SWITCH_AT_SEQUENCE_END };
enum precision { PRECISION_FP32, PRECISION_FP16, PRECISION_INT8, PRECISION_INT8_FP16 };
enum color_order { COLOR_RGB, COLOR_BGR };
enum tensor_layout { LAYOUT_NCHW, LAYOUT_NHWC };
enum resize_mode { RESIZE_LETTERBOX, RESIZE_STRETCH };
enum decoder_kind { DECODER_YOLOV8, DECODER_RAW /* "values" */, DECODER_SCORES };

#define VARIANT_PARENT "fp32" /* the model itself, which every machine can run */
#define VARIANT_TRT "trt"

struct release_variant {
    char name[16];            /* "cpu-x86", "cpu-arm", "trt"; each at most once, in this order */
    enum precision precision; /* of its weights */
    double fidelity;          /* promised; above 0, at most 1 */
};

struct release {
    char name[64];
    char version[64];
    char description[256];
    enum release_task task;
    size_t target_count;
    char targets[RELEASE_MAX_TARGETS][32];

    size_t input_count, output_count;
    struct tensor_spec inputs[RELEASE_MAX_TENSORS];
    struct tensor_spec outputs[RELEASE_MAX_TENSORS];

    enum frame_format frame;
    size_t state_count;
    struct {
        char input[64], output[64];
    } state[RELEASE_MAX_TENSORS];

    struct {
        enum color_order color;
        enum tensor_layout layout;
        enum resize_mode resize;
        int pad; /* 0..255 */
        double scale, mean[3], std[3];
    } preprocess;

    struct {
        enum decoder_kind decoder;
        double score_threshold, iou_threshold;
        int max_detections; /* ≤ RESULT_MAX_DETECTIONS (128) */
        enum activation activation;
    } postprocess;

    size_t label_count;
    char labels[RELEASE_MAX_LABELS][32];

    struct {
        double latency_p99_ms; /* of the inference, measured on the robot */
        double deadline_ms;    /* capture to checked result; later is a miss */
        int memory_mib;
    } budgets;

    struct {
        int max_detections; /* more in one frame is implausible */
        double min_score;   /* a result may not carry a score below this or above 1 */
        double
            max_miss_share; /* probation: share of guard interventions a robot tolerates, above 0 and below 1 */
        double max_age_ms;
        int frozen_frames, latch_after;
        double value_min, value_max, max_rate, max_jump;
    } envelope;

    struct {
        int threads; /* 1..64 */
        bool spin;
        enum frame_queue queue;
        size_t provider_count; /* ≥ 1; the last one is always cpu */
        enum provider providers[PROVIDER_COUNT];
    } runtime;

    struct {
        enum switch_policy policy;
        int shadow_frames; /* 0..10000 */
        double min_agreement;
        int hold_s;
        enum switch_at at;
    } switching;

    char safe_state
        [32]; /* stop, slow, hold, hover, land, return, crouch, alert: what the robot does without a result */
    double golden_tolerance; /* absolute, on output tensors */

    size_t variant_count;
    struct release_variant variants[RELEASE_MAX_VARIANTS];
    char tap[64]; /* name of the last output, where that is one; "": there is none */
};

/* Both parsers end with release_check. After -1 *out is not to be used. */
int release_parse(const void *text, size_t len, struct release *out, struct err *err) must_check;
int release_parse_yaml(const char *name, const void *text, size_t len, struct release *out,
                       char *out_model_path, size_t path_size, struct err *err)
    must_check; /* release.yaml, called `name` in errors: the same, plus "model: {path: model.onnx, …}" and
                                                       "golden: {inputs: DIR, …}"; see forge/pack.h */
char *release_format(const struct release *release); /* canonical JSON; free() it; NULL: out of memory */

/* Graded checks. `release_check` is what everybody asks: all fields in range and consistent with each other
 * (labels against the decoder's tensor shape, and so on). */
int release_check(const struct release *release, struct err *err) must_check;
int release_check_machine(const struct release *release, const char *machine,
                          struct err *err) must_check; /* REFUSED */

/* How many values a result has; 0: detections. */
size_t release_value_count(const struct release *release);
/* The outputs that answer something: result and state, all but the tap, which is behind them. */
size_t release_answer_count(const struct release *release);
const char *precision_name(enum precision precision); /* "int8+fp16" */
const char *task_name(enum release_task task);        /* "timeseries" */
const char *provider_name(enum provider provider);    /* "tensorrt" */

/* Variants. */
extern const char *const variant_names[RELEASE_MAX_VARIANTS]; /* of all kinds, in their order */
/* For this machine's processor (uname -m): "cpu-x86", "cpu-arm"; NULL: there is no kind for it. */
const char *variant_of_machine(const char *machine);
const struct release_variant *release_variant(const struct release *release, const char *name); /* or NULL */

const char *tensor_dtype_name(enum tensor_dtype dtype);   /* "float32"; "unknown type" */
size_t tensor_element_bytes(enum tensor_dtype dtype);     /* 0 for an unknown type */
size_t tensor_elements(const struct tensor_spec *tensor); /* SIZE_MAX if it does not fit */

int version_compare(const char *a, const char *b); /* SemVer precedence; both must be valid */
bool version_valid(const char *text);

#endif
