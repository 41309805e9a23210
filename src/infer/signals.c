#include "infer/signals.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline_inside.h"
#include "infer/signals_inside.h"

#include <math.h>

#define NS_PER_MS 1e6f

struct signal_maker {
    bool tapped; /* `index` is there */
    struct novelty_index index;
    struct sensor sensor;
    struct result_memory memory;
    uint32_t turn;
};

static const struct tensor_spec *tap_of(const struct release *release)
{
    return release->tap[0] ? &release->outputs[release->output_count - 1] : NULL;
}

/* A profile of another tap, or of none, knows nothing of this model. */
static bool fits(const struct release *release, const struct profile *profile)
{
    const struct tensor_spec *tap = tap_of(release);
    return profile && tap && str_eq(profile->tap, release->tap) && tap->dim_count >= 2 &&
           (uint64_t)tap->dims[1] == profile->channels && profile->prototype_count > 0;
}

int signal_maker_new(const struct release *release, const struct profile *profile, struct signal_maker **out,
                     struct err *err)
{
    struct signal_maker *maker = mem_zalloc(1, sizeof *maker);
    if (!maker)
        return err_no_memory(err);
    maker->tapped = fits(release, profile);
    if (maker->tapped && novelty_index_init(&maker->index, profile, err) < 0) {
        signal_maker_free(maker);
        return -1;
    }
    *out = maker;
    return 0;
}

void signal_maker_free(struct signal_maker *maker)
{
    if (!maker)
        return;
    novelty_index_fini(&maker->index);
    free(maker);
}

void signal_maker_reset(struct signal_maker *maker)
{
    maker->sensor.points = 0;
    maker->memory.known = false;
    maker->turn = 0;
}

/* ---- what a run left behind ---- */

static void view_tap(const struct pipeline *pipeline, struct signal_view *out)
{
    const struct tensor_spec *tap = tap_of(&pipeline->release);
    size_t count = 0;
    if (!tap || tap->dim_count < 2)
        return;
    out->tap = pipeline_output(pipeline, pipeline->release.output_count - 1, &count);
    out->channels = (uint32_t)tap->dims[1];
    out->map_height = tap->dim_count > 3 ? (uint32_t)tap->dims[2] : 1;
    out->map_width = tap->dim_count > 2 ? (uint32_t)tap->dims[tap->dim_count - 1] : 1;
    out->map = tap->dim_count > 3 && out->decoder == DECODER_YOLOV8;
}

void signal_view_of(const struct pipeline *pipeline, struct signal_view *out)
{
    const struct release *release = &pipeline->release;
    size_t count = 0;
    *out = (struct signal_view){.format = release->frame,
                                .decoder = release->postprocess.decoder,
                                .activation = release->postprocess.activation,
                                .threshold = (float)release->postprocess.score_threshold,
                                .output = pipeline_output(pipeline, 0, &count),
                                .labels = release->label_count,
                                .columns = pipeline->decoder.columns,
                                .best = pipeline->decoder.best,
                                .placement = &pipeline->preprocess.placement,
                                .input_width = pipeline->preprocess.width,
                                .input_height = pipeline->preprocess.height};
    view_tap(pipeline, out);
}

/* ---- one frame ---- */

static void read_answer(struct signal_maker *maker, const struct pipeline_frame *frame,
                        const struct signal_view *view, const struct pipeline_result *result,
                        struct frame_signals *out)
{
    struct best_columns best = {0};
    if (view->decoder == DECODER_YOLOV8)
        result_find_best(view, &best);
    result_read(&maker->memory, view, &best, frame, result, out->values);
    if (maker->tapped && view->tap)
        novelty_score(&maker->index, view, &best, frame, result, maker->turn++, out);
}

void signal_maker_view(struct signal_maker *maker, const struct pipeline_frame *frame,
                       const struct signal_view *view, const struct pipeline_result *result, int64_t run_ns,
                       struct frame_signals *out)
{
    *out = (struct frame_signals){.valid = 1};
    for (size_t i = 0; i < SIGNALS; i++)
        out->values[i] = NAN;
    sensor_read(&maker->sensor, frame, view->format, out->values);
    if (result)
        read_answer(maker, frame, view, result, out);
    if (run_ns > 0)
        out->values[SIGNAL_RUN_MS] = signals_log2((float)run_ns / NS_PER_MS);
}

void signal_maker_frame(struct signal_maker *maker, const struct pipeline_frame *frame,
                        const struct pipeline *pipeline, const struct pipeline_result *result, int64_t run_ns,
                        struct frame_signals *out)
{
    struct signal_view view;
    signal_view_of(pipeline, &view);
    signal_maker_view(maker, frame, &view, result, run_ns, out);
}
