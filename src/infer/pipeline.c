#include "infer/pipeline.h"

#include "base/clock.h"
#include "base/mem.h"
#include "infer/convert.h"
#include "infer/decode_scores.h"
#include "infer/pipeline_inside.h"

#include <malloc.h>

enum { WARM_RUNS = 4 };

/* ---- open, close ---- */

static int init_frames(struct pipeline *pipeline, struct err *err)
{
    const struct release *release = &pipeline->release;
    if (release->frame == FRAME_RGB8)
        return preprocess_init(&pipeline->preprocess, release, err);
    if (release->inputs[0].dtype != DTYPE_FLOAT32)
        return err_set(err, ERR_UNSUPPORTED, "frames of floats need a float32 input, %s is %s",
                       release->inputs[0].name, tensor_dtype_name(release->inputs[0].dtype));
    pipeline->frame_floats = tensor_elements(&release->inputs[0]);
    return 0;
}

static int init_decoder(struct pipeline *pipeline, struct err *err)
{
    const struct release *release = &pipeline->release;
    if (release->postprocess.decoder == DECODER_YOLOV8)
        return decoder_init(&pipeline->decoder, release, err);
    pipeline->value_count = release_value_count(release);
    if (release->postprocess.decoder == DECODER_SCORES &&
        (release->outputs[0].dtype != DTYPE_FLOAT32 ||
         tensor_elements(&release->outputs[0]) != pipeline->value_count))
        return err_set(err, ERR_UNSUPPORTED,
                       "decoder scores needs a float32 output with one number per label");
    if (release->outputs[0].dtype != DTYPE_FLOAT32)
        pipeline->value_count = 0;
    return 0;
}

static int load(struct pipeline *pipeline, const char *path, bool derived,
                const struct pipeline_options *options, struct err *err)
{
    const struct release *release = &pipeline->release;
    char version[32] = "";
    if (pipeline->provider == PROVIDER_TENSORRT) {
        const int *by = pipeline->machine->tensorrt.version;
        snprintf(version, sizeof version, "%d.%d.%d.%d", by[0], by[1], by[2], by[3]);
    }
    const struct backend_load request = {
        .model_path = path,
        .model = derived ? NULL : options->model,
        .model_size = options->model_size,
        .runtime_path = options->runtime_path,
        .threads = options->threads > 0 ? options->threads : MAX(release->runtime.threads, 1),
        .spin = options->spin || release->runtime.spin,
        .derived = derived && pipeline->provider == PROVIDER_CPU,
        .provider = pipeline->provider,
        .provider_version = version,
        .elsewhere = pipeline->provider != PROVIDER_CPU,
        .input_count = release->input_count,
        .output_count = release->output_count,
        .inputs = release->inputs,
        .outputs = release->outputs,
    };
    return pipeline->backend->load(&request, &pipeline->model, err);
}

int pipeline_load(struct pipeline *pipeline, const char *path, bool derived,
                  const struct pipeline_options *options, struct err *err)
{
    if (load(pipeline, path, derived, options, err) < 0 ||
        pipeline_bind_place(pipeline, pipeline->inputs[0], err) < 0)
        return -1;
    for (size_t turn = 0; turn < pipeline->variants; turn++)
        if (pipeline->backend->warm(pipeline->model, turn, WARM_RUNS, err) < 0)
            return -1;
    pipeline_reset_state(pipeline);
    pipeline->derived = derived;
    return 0;
}

void pipeline_unload(struct pipeline *pipeline)
{
    if (pipeline->model)
        pipeline->backend->unload(pipeline->model);
    pipeline->model = NULL;
}

static void describe(struct pipeline *pipeline)
{
    struct backend_stats stats;
    const char *how = !pipeline->derived                        ? ""
                      : pipeline->provider == PROVIDER_TENSORRT ? " (cache hit)"
                                                                : ", optimized";
    pipeline->backend->stats(pipeline->model, &stats);
    snprintf(pipeline->description, sizeof pipeline->description, "%s%s", stats.description, how);
    malloc_trim(0); /* optimizing the graph left a few MiB that nobody will ask for again */
}

static void give_up_run(void *arg)
{
    const struct pipeline *pipeline = arg;
    pipeline->backend->terminate(pipeline->model);
}

enum file { A_MODEL, AN_OPTIMIZED_MODEL, AN_ENGINE };

static int load_file(struct pipeline *pipeline, const char *path, enum file file,
                     const struct pipeline_options *options, struct err *err)
{
    if (file == A_MODEL)
        return pipeline_load_best(pipeline, path, options, err);
    pipeline->provider = file == AN_ENGINE ? PROVIDER_TENSORRT : PROVIDER_CPU;
    return pipeline_load(pipeline, path, true, options, err);
}

static int open_parts(struct pipeline *pipeline, const char *path, enum file file,
                      const struct pipeline_options *options, struct err *err)
{
    if (init_frames(pipeline, err) < 0 || init_decoder(pipeline, err) < 0 ||
        pipeline_make_memory(pipeline, err) < 0 || load_file(pipeline, path, file, options, err) < 0)
        return -1;
    describe(pipeline);
    return options->deadlines ? watchdog_start(give_up_run, pipeline, &pipeline->watchdog, err) : 0;
}

static int open_file(const char *path, enum file file, const struct release *release,
                     const struct pipeline_options *options, struct pipeline **out, struct err *err)
{
    struct pipeline *pipeline = mem_zalloc(1, sizeof *pipeline);
    if (!pipeline)
        return err_no_memory(err);
    pipeline->release = *release;
    pipeline->backend = &ort_backend;
    pipeline->machine = options->machine ? options->machine : machine_get(options->runtime_path);
    if (open_parts(pipeline, path, file, options, err) < 0) {
        pipeline_close(pipeline);
        return -1;
    }
    *out = pipeline;
    return 0;
}

int pipeline_open(const char *model_path, const struct release *release,
                  const struct pipeline_options *options, struct pipeline **out, struct err *err)
{
    if (options && options->model && options->cache)
        return err_set(err, ERR_INVALID, "nothing is derived from a model in memory");
    return open_file(model_path, A_MODEL, release, options ? options : &(struct pipeline_options){0}, out,
                     err);
}

int pipeline_open_derived(const char *path, const struct release *release, const char *runtime_path,
                          struct pipeline **out, struct err *err)
{
    const struct pipeline_options options = {.runtime_path = runtime_path};
    return open_file(path, AN_OPTIMIZED_MODEL, release, &options, out, err);
}

int pipeline_open_engine(const char *path, const struct release *release, const struct machine *machine,
                         const char *runtime_path, double promised, struct pipeline **out, struct err *err)
{
    const struct pipeline_options options = {.runtime_path = runtime_path, .machine = machine};
    if (open_file(path, AN_ENGINE, release, &options, out, err) < 0)
        return -1;
    (*out)->promised = promised;
    return 0;
}

void pipeline_close(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    watchdog_stop(pipeline->watchdog);
    pipeline_unload(pipeline);
    pipeline_free_memory(pipeline);
    decoder_fini(&pipeline->decoder);
    preprocess_fini(&pipeline->preprocess);
    free(pipeline);
}

/* ---- where frames lie ---- */

static int bind_slot(struct pipeline *pipeline, const void *slot, struct err *err)
{
    if ((uintptr_t)slot % sizeof(float))
        return err_set(err, ERR_INVALID, "a slot is not aligned to floats");
    /* An input is only read; the engine's API has no const. */
    if (pipeline_bind_place(pipeline, (void *)(uintptr_t)slot, err) < 0)
        return -1;
    pipeline->slots[pipeline->slot_count++] = slot;
    return 0;
}

int pipeline_bind_frames(struct pipeline *pipeline, const void *const *slots, size_t count, struct err *err)
{
    if (pipeline->release.frame != FRAME_FLOAT32)
        return 0;
    if (count > PIPELINE_MAX_SLOTS)
        return err_set(err, ERR_TOO_BIG, "%zu slots, at most %d can be bound", count, PIPELINE_MAX_SLOTS);
    pipeline->backend->drop(pipeline->model, pipeline->variants);
    pipeline->slot_count = 0;
    for (size_t i = 0; i < count; i++)
        if (bind_slot(pipeline, slots[i], err) < 0) {
            pipeline->backend->drop(pipeline->model, pipeline->variants);
            pipeline->slot_count = 0;
            return -1;
        }
    return 0;
}

/* Puts the frame where a binding finds it. */
static int place_frame(struct pipeline *pipeline, const struct pipeline_frame *frame, size_t *out_binding,
                       struct err *err)
{
    *out_binding = pipeline->turn;
    if (pipeline->release.frame == FRAME_RGB8)
        return preprocess_run(&pipeline->preprocess, frame->data, frame->width, frame->height,
                              pipeline->inputs[0], err);
    if (frame->height != 1 || frame->width < 0 || (size_t)frame->width != pipeline->frame_floats)
        return err_set(err, ERR_REFUSED, "a frame of %d x %d floats, the model takes %zu x 1", frame->width,
                       frame->height, pipeline->frame_floats);
    for (size_t i = 0; i < pipeline->slot_count; i++)
        if (pipeline->slots[i] == frame->data) {
            *out_binding = (1 + i) * pipeline->variants + pipeline->turn;
            return 0;
        }
    memcpy(pipeline->inputs[0], frame->data, pipeline->frame_floats * sizeof(float));
    return 0;
}

/* ---- one frame ---- */

static int run_watched(struct pipeline *pipeline, size_t binding, int64_t now_ns, int64_t deadline_ns,
                       struct err *err)
{
    if (now_ns >= deadline_ns)
        return err_set(err, ERR_TIMEOUT, "the deadline passed before the model ran");
    watchdog_arm(pipeline->watchdog, now_ns, deadline_ns);
    int done = pipeline->backend->run(pipeline->model, binding, err);
    if (!watchdog_disarm(pipeline->watchdog))
        return done;
    pipeline->backend->renew(pipeline->model);
    if (done < 0)
        return err_set(err, ERR_TIMEOUT, "the deadline passed while the model ran");
    return 0;
}

static int run_model(struct pipeline *pipeline, size_t binding, int64_t now_ns, int64_t deadline_ns,
                     struct err *err)
{
    pipeline->last_turn = pipeline->turn;
    if (pipeline->watchdog && deadline_ns > 0)
        return run_watched(pipeline, binding, now_ns, deadline_ns, err);
    return pipeline->backend->run(pipeline->model, binding, err);
}

static int check_finite(const struct pipeline *pipeline, struct err *err)
{
    for (size_t i = 0; i < release_answer_count(&pipeline->release); i++) {
        size_t count = 0;
        const float *values = pipeline_output(pipeline, i, &count);
        if (values && convert_any_nonfinite(values, count))
            return err_set(err, ERR_INVALID, "output %s holds NaN or infinity",
                           pipeline->release.outputs[i].name);
    }
    return 0;
}

static void decode(struct pipeline *pipeline, const struct pipeline_frame *frame,
                   struct pipeline_result *result)
{
    const struct release *release = &pipeline->release;
    if (release->postprocess.decoder == DECODER_YOLOV8) {
        size_t limit = MIN(result->max_detections, (size_t)release->postprocess.max_detections);
        result->count = decoder_run(&pipeline->decoder, pipeline->outputs[0], &pipeline->preprocess.placement,
                                    frame->width, frame->height, result->detections, limit);
        return;
    }
    result->count = 0;
    if (pipeline->value_count > result->max_values)
        return;
    decode_scores(pipeline->outputs[0], pipeline->value_count, release->postprocess.activation,
                  result->values);
    result->count = pipeline->value_count;
}

int pipeline_process(struct pipeline *pipeline, const struct pipeline_frame *frame,
                     struct pipeline_result *result, struct pipeline_times *times, struct err *err)
{
    size_t binding;
    int64_t start = clock_mono_ns();
    if (place_frame(pipeline, frame, &binding, err) < 0)
        return -1;
    int64_t ready = clock_mono_ns();
    if (run_model(pipeline, binding, ready, frame->deadline_ns, err) < 0)
        return -1;
    int64_t ran = clock_mono_ns();
    if (check_finite(pipeline, err) < 0)
        return -1;
    decode(pipeline, frame, result);
    pipeline->turn = (pipeline->turn + 1) % pipeline->variants;
    if (times)
        *times = (struct pipeline_times){
            .preprocess_ns = ready - start, .run_ns = ran - ready, .decode_ns = clock_mono_ns() - ran};
    return 0;
}

int pipeline_run(struct pipeline *pipeline, const uint8_t *rgb, int width, int height, struct detection *out,
                 size_t max, size_t *out_count, struct pipeline_times *times, struct err *err)
{
    const struct pipeline_frame frame = {.data = rgb, .width = width, .height = height};
    struct pipeline_result result = {.detections = out, .max_detections = max};
    if (pipeline_process(pipeline, &frame, &result, times, err) < 0)
        return -1;
    *out_count = result.count;
    return 0;
}

void pipeline_reset_state(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->release.state_count; i++)
        memset(pipeline->state[i].buffers[0], 0, pipeline->state[i].bytes);
    pipeline->turn = 0;
}

/* ---- what others want to know ---- */

const float *pipeline_output(const struct pipeline *pipeline, size_t index, size_t *out_len)
{
    if (index >= pipeline->release.output_count || pipeline->release.outputs[index].dtype != DTYPE_FLOAT32)
        return NULL;
    *out_len = tensor_elements(&pipeline->release.outputs[index]);
    return pipeline_output_memory(pipeline, index, pipeline->last_turn);
}

const char *pipeline_backend(const struct pipeline *pipeline)
{
    return pipeline->description;
}

enum provider pipeline_provider(const struct pipeline *pipeline)
{
    return pipeline->provider;
}

bool pipeline_is_variant(const struct pipeline *pipeline)
{
    return pipeline->promised > 0;
}

bool pipeline_is_derived(const struct pipeline *pipeline)
{
    return pipeline->derived;
}

const char *pipeline_plain_because(const struct pipeline *pipeline)
{
    return pipeline->plain_because[0] ? pipeline->plain_because : NULL;
}

const char *pipeline_degraded(const struct pipeline *pipeline)
{
    return pipeline->degraded[0] ? pipeline->degraded : NULL;
}
