#include "forge/bench.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/spread.h"
#include "infer/pipeline.h"
#include "stats/order.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/onnx/summary.h"

#include <assert.h>
#include <math.h>

enum { MAX_FOUND = 128, LEAST_WARMUP = 5 };

/* One model under the clock. */
struct lane {
    struct pipeline *pipeline;
    uint8_t *frame; /* owned */
    int width, height;
    struct spread total, preprocess, run, decode;
    int64_t *rounds_ns; /* owned: the total of each round, in their order */
};

static void lanes_free(struct lane *lanes)
{
    for (size_t i = 0; i < BENCH_MAX_MODELS; i++) {
        pipeline_close(lanes[i].pipeline);
        free(lanes[i].frame);
        free(lanes[i].rounds_ns);
        spread_fini(&lanes[i].total);
        spread_fini(&lanes[i].preprocess);
        spread_fini(&lanes[i].run);
        spread_fini(&lanes[i].decode);
    }
    free(lanes);
}
MUSTER_CLEANUP(struct lane *, lanes_free)
#define cleanup_lanes __attribute__((cleanup(lanes_freep)))

/* The first input as a frame: pixels, or the floats themselves. */
static size_t frame_bytes(struct lane *lane, const struct release *release)
{
    if (release->frame == FRAME_FLOAT32) {
        lane->width = (int)tensor_elements(&release->inputs[0]);
        lane->height = 1;
        return (size_t)lane->width * sizeof(float);
    }
    bool nchw = release->preprocess.layout == LAYOUT_NCHW;
    lane->height = (int)release->inputs[0].dims[nchw ? 2 : 1];
    lane->width = (int)release->inputs[0].dims[nchw ? 3 : 2];
    return (size_t)lane->width * (size_t)lane->height * 3;
}

static int make_frame(struct lane *lane, const struct release *release, struct err *err)
{
    size_t bytes = frame_bytes(lane, release);
    lane->frame = mem_zalloc(bytes, 1);
    if (!lane->frame)
        return err_no_memory(err);
    uint32_t state = 1;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525U + 1013904223U;
        lane->frame[i] = (uint8_t)(state >> 24);
    }
    if (release->frame == FRAME_FLOAT32) { /* numbers in [0, 1) */
        float *floats = (float *)(void *)lane->frame;
        for (size_t i = 0; i < bytes / sizeof *floats; i++)
            floats[i] = (float)lane->frame[i * sizeof *floats] / 256;
        const void *slot = floats;
        return pipeline_bind_frames(lane->pipeline, &slot, 1, err);
    }
    return 0;
}

static int open_lane(struct lane *lane, const struct bench_model *model, const struct bench_options *options,
                     struct bench_report *out, struct err *err)
{
    struct pipeline_options pipeline_options = {
        .runtime_path = options->runtime_path, .threads = options->threads, .spin = options->spin};
    uint64_t rss_before = proc_rss_bytes(getpid());
    int64_t start = clock_mono_ns();
    if (pipeline_open(model->model_path, model->release, &pipeline_options, &lane->pipeline, err) < 0)
        return -1;
    out->load_ms = (double)(clock_mono_ns() - start) / 1e6;
    out->rss_mib = ((double)proc_rss_bytes(getpid()) - (double)rss_before) / (1 << 20);
    str_copy(out->backend, sizeof out->backend, pipeline_backend(lane->pipeline));
    return make_frame(lane, model->release, err);
}

static int run_once(struct lane *lane, struct pipeline_times *times, struct err *err)
{
    struct detection found[MAX_FOUND];
    float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {.detections = found,
                                     .max_detections = MAX_FOUND,
                                     .values = values,
                                     .max_values = PIPELINE_MAX_VALUES};
    const struct pipeline_frame frame = {.data = lane->frame, .width = lane->width, .height = lane->height};
    return pipeline_process(lane->pipeline, &frame, &result, times, err);
}

static int run_lane(struct lane *lane, int round, struct err *err)
{
    struct pipeline_times times;
    if (run_once(lane, &times, err) < 0)
        return -1;
    if (round < 0) /* warming up */
        return 0;
    lane->rounds_ns[round] = times.preprocess_ns + times.run_ns + times.decode_ns;
    if (spread_add(&lane->total, lane->rounds_ns[round], err) < 0 ||
        spread_add(&lane->preprocess, times.preprocess_ns, err) < 0 ||
        spread_add(&lane->run, times.run_ns, err) < 0)
        return -1;
    return spread_add(&lane->decode, times.decode_ns, err);
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Rounds are pairs: what slowed both down in one round says nothing about either. */
static int report_speedup(const struct lane *first, const struct lane *lane, size_t rounds,
                          struct bench_report *out, struct err *err)
{
    ptrdiff_t low, high;
    cleanup_free double *ratios = mem_zalloc(rounds, sizeof *ratios);
    if (!ratios)
        return err_no_memory(err);
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = (double)first->rounds_ns[i] / (double)MAX(lane->rounds_ns[i], 1);
    qsort(ratios, rounds, sizeof *ratios, ascending);
    order_bounds(rounds, 0.5, 0.05, &low, &high);
    out->speedup = ratios[rounds / 2];
    out->speedup_bounds = (struct bench_bounds){low < 0 ? (double)NAN : ratios[low],
                                                high >= (ptrdiff_t)rounds ? (double)NAN : ratios[high]};
    return 0;
}

static void report_lane(struct lane *lane, struct bench_report *out)
{
    out->total_p50_ms = spread_quantile_ms(&lane->total, 0.5);
    out->total_p99_ms = spread_quantile_ms(&lane->total, 0.99);
    spread_bounds_ms(&lane->total, 0.5, &out->total_p50.low, &out->total_p50.high);
    spread_bounds_ms(&lane->total, 0.99, &out->total_p99.low, &out->total_p99.high);
    out->preprocess_p50_ms = spread_quantile_ms(&lane->preprocess, 0.5);
    out->run_p50_ms = spread_quantile_ms(&lane->run, 0.5);
    out->run_p99_ms = spread_quantile_ms(&lane->run, 0.99);
    out->decode_p50_ms = spread_quantile_ms(&lane->decode, 0.5);
}

static int run_round(struct lane *lanes, const struct bench_model *models, size_t count, int round,
                     struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t turn = (i + (size_t)MAX(round, 0)) % count;
        if (run_lane(&lanes[turn], round, err) < 0)
            return err_prefix(err, "%s", models[turn].name);
    }
    return 0;
}

static int open_lanes(struct lane *lanes, const struct bench_model *models, size_t count,
                      const struct bench_options *options, struct bench_report *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (open_lane(&lanes[i], &models[i], options, &out[i], err) < 0)
            return err_prefix(err, "%s", models[i].name);
        lanes[i].rounds_ns = mem_zalloc((size_t)options->rounds, sizeof *lanes[i].rounds_ns);
        if (!lanes[i].rounds_ns)
            return err_no_memory(err);
    }
    return 0;
}

int bench_models(const struct bench_model *models, size_t count, const struct bench_options *options,
                 struct bench_report *out, struct err *err)
{
    assert(count <= BENCH_MAX_MODELS);
    cleanup_lanes struct lane *lanes = mem_zalloc(BENCH_MAX_MODELS, sizeof *lanes);
    if (!lanes)
        return err_no_memory(err);
    int warmup = options->warmup > 0 ? options->warmup : MAX(options->rounds / 10, LEAST_WARMUP);
    if (open_lanes(lanes, models, count, options, out, err) < 0)
        return -1;
    for (int i = 0; i < warmup; i++)
        if (run_round(lanes, models, count, -1, err) < 0)
            return -1;
    for (int round = 0; round < options->rounds; round++) {
        if (run_round(lanes, models, count, round, err) < 0)
            return -1;
        if (options->progress)
            options->progress((size_t)round + 1, (size_t)options->rounds, options->progress_arg);
    }
    for (size_t i = 0; i < count; i++) {
        report_lane(&lanes[i], &out[i]);
        if (report_speedup(&lanes[0], &lanes[i], (size_t)options->rounds, &out[i], err) < 0)
            return -1;
    }
    return 0;
}

static int to_spec(const struct onnx_value *value, struct tensor_spec *out, struct err *err)
{
    *out = (struct tensor_spec){.dtype = (enum tensor_dtype)value->elem_type, .dim_count = value->dim_count};
    if (!str_copy(out->name, sizeof out->name, value->name))
        return err_set(err, ERR_UNSUPPORTED, "tensor %s: the name is too long", value->name);
    for (size_t i = 0; i < value->dim_count; i++) {
        out->dims[i] = value->dims[i];
        if (value->dims[i] < 1)
            return err_set(err, ERR_UNSUPPORTED,
                           "tensor %s: dimension %zu is open; export the model with fixed shapes",
                           value->name, i);
    }
    return 0;
}

static int fill_release(const struct onnx_summary *summary, struct release *out, struct err *err)
{
    *out = (struct release){.name = "model", .version = "0.0.0", .task = TASK_RAW, .safe_state = "stop"};
    out->input_count = summary->input_count;
    out->output_count = summary->output_count;
    for (size_t i = 0; i < summary->input_count; i++)
        if (to_spec(&summary->inputs[i], &out->inputs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < summary->output_count; i++)
        if (to_spec(&summary->outputs[i], &out->outputs[i], err) < 0)
            return -1;
    const struct tensor_spec *input = &out->inputs[0];
    bool picture =
        input->dim_count == 4 && input->dims[0] == 1 && (input->dims[1] == 3 || input->dims[3] == 3);
    out->frame = picture ? FRAME_RGB8 : FRAME_FLOAT32;
    out->preprocess.layout = input->dim_count == 4 && input->dims[1] != 3 ? LAYOUT_NHWC : LAYOUT_NCHW;
    out->preprocess.scale = 1.0 / 255;
    for (int c = 0; c < 3; c++)
        out->preprocess.std[c] = 1;
    out->postprocess.decoder = DECODER_RAW;
    return 0;
}

int bench_release_of(const char *model_path, struct release *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(model_path, &map, err) < 0)
        return -1;
    struct onnx_summary summary = {0};
    if (onnx_summarize(map.data, map.size, &summary, err) < 0 || fill_release(&summary, out, err) < 0)
        return err_prefix(err, "%s", model_path);
    return 0;
}
