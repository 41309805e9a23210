#include "robot/runner/engine.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/onnx/summary.h"
#include "wire/profile.h"

/* The golden cases of the release, borrowed from `map`. */
static int read_golden(const struct engine *engine, struct file_map *map, struct golden *out, struct err *err)
{
    cleanup_free char *path = NULL;
    if (image_golden_path(&engine->image, &path, err) < 0 || file_map(path, map, err) < 0)
        return -1;
    return golden_parse(map->data, map->size, out, err);
}

int engine_open_plain(struct engine *engine, const struct pipeline_options *options, struct err *err)
{
    cleanup_free char *path = NULL;
    struct pipeline_options how = *options;
    if (engine->plain.data) {
        how.model = engine->plain.data;
        how.model_size = engine->plain.size;
        return pipeline_open("sealed weights", &engine->image.release, &how, &engine->pipeline, err);
    }
    if (image_model_path(&engine->image, &path, err) < 0)
        return -1;
    return pipeline_open(path, &engine->image.release, options, &engine->pipeline, err);
}

/* A blob is called by its digest, which image_check_blobs has held to account. */
static bool digest_of_blob(const char *path, struct digest *out)
{
    char text[80];
    const char *slash = strrchr(path, '/');
    snprintf(text, sizeof text, "sha256:%s", slash ? slash + 1 : path);
    return digest_parse(text, out);
}

/* Its engine is in the cache under the digest of its weights; these need not be here. */
static void look_for_trt(const struct engine *engine, struct pipeline_cache *cache)
{
    const struct oci_descriptor *weights = image_weights(&engine->image, VARIANT_TRT);
    const struct release_variant *variant = release_variant(&engine->image.release, VARIANT_TRT);
    if (!weights || !variant)
        return;
    cache->trt.digest = weights->digest;
    cache->trt.promised = variant->fidelity;
}

static int open_cached(struct engine *engine, const struct pipeline_options *options, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    struct pipeline_cache cache = {.dir = engine->cache_dir};
    struct pipeline_options with_cache = *options;
    if (!golden)
        return err_no_memory(err);
    if (image_model_path(&engine->image, &path, err) < 0 || read_golden(engine, &map, golden, err) < 0)
        return -1;
    if (digest_of_blob(path, &cache.model))
        with_cache.cache = &cache;
    cache.golden = engine->may_derive ? golden : NULL;
    look_for_trt(engine, &cache);
    return pipeline_open(path, &engine->image.release, &with_cache, &engine->pipeline, err);
}

/* What image_check_model could not look at. */
static int check_plain(const struct engine *engine, struct err *err)
{
    struct onnx_summary summary = {0};
    if (onnx_summarize(engine->plain.data, engine->plain.size, &summary, err) < 0) {
        if (err->code == ERR_INVALID)
            err->code = ERR_REFUSED;
        return -1;
    }
    return onnx_check_release(&summary, &engine->image.release, err);
}

static int unseal(struct engine *engine, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    if (!engine->content_key)
        return err_set(err, ERR_DENIED, "the weights are sealed, and no content key was handed over");
    if (image_sealed_path(&engine->image, VARIANT_PARENT, &path, err) < 0 || file_map(path, &map, err) < 0 ||
        seal_open(map.data, map.size, engine->content_key, &engine->plain, err) < 0)
        return -1;
    if (check_plain(engine, err) < 0)
        return err_prefix(err, "sealed weights");
    engine_unseal_variant(engine);
    return 0;
}

static uint64_t frame_floats(const struct release *release)
{
    uint64_t floats = 1;
    for (size_t i = 0; i < release->inputs[0].dim_count; i++)
        floats *= (uint64_t)release->inputs[0].dims[i];
    return release->frame == FRAME_FLOAT32 ? floats : 0;
}

static int read_profile(struct engine *engine, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    return profile_parse(map.data, map.size, &engine->profile, err);
}

/* A profile that cannot be read costs the robot its sense of what is new, not its model. */
static const struct profile *take_profile(struct engine *engine)
{
    cleanup_free char *path = NULL;
    struct err err = {0};
    int done = image_profile_path(&engine->image, &path, &err);
    if (done == 0 && path)
        done = read_profile(engine, path, &err);
    if (done < 0)
        log_warn("no novelty is looked for, the profile cannot be read: %s", err.text);
    return done == 0 && path ? &engine->profile : NULL;
}

static int open_model(struct engine *engine, const struct pipeline_options *options, struct err *err)
{
    if (image_is_sealed(&engine->image))
        return unseal(engine, err) < 0 ? -1 : engine_open_plain(engine, options, err);
    return engine->cache_dir ? open_cached(engine, options, err) : engine_open_plain(engine, options, err);
}

int engine_open(struct engine *engine, const char *layout, const struct digest *release,
                const struct pipeline_options *options, struct err *err)
{
    struct image *image = &engine->image;
    if (image_open(layout, release, image, err) < 0)
        return -1;
    engine->use = (struct image_use){.machine = image_this_machine()};
    image->use = &engine->use;
    if (image_check_blobs(image, err) < 0)
        return -1;
    engine->options = *options;
    engine->floats = frame_floats(&image->release);
    if (open_model(engine, options, err) < 0)
        return -1;
    return signal_maker_new(&image->release, take_profile(engine), &engine->signals, err);
}

void engine_close(struct engine *engine)
{
    if (engine->pipeline)
        pipeline_close(engine->pipeline);
    signal_maker_free(engine->signals);
    profile_fini(&engine->profile);
    seal_plain_fini(&engine->plain);
    seal_plain_fini(&engine->variant_plain);
    image_close(&engine->image);
    *engine = (struct engine){0};
}

/* Something else than the model itself on the processor failed: the next best is loaded. */
static int fall_back(struct engine *engine, const struct err *why, struct err *err)
{
    enum provider provider = pipeline_provider(engine->pipeline);
    if (provider == PROVIDER_CPU) {
        log_warn("what was derived from the model gives something else here, so the model itself runs: %s",
                 why->text);
    } else {
        log_warn("on %s the model gives something else here, so another provider runs it: %s",
                 provider_name(provider), why->text);
        engine->options.skip |= 1U << provider;
    }
    pipeline_close(TAKE_PTR(engine->pipeline));
    return engine_open_plain(engine, &engine->options, err);
}

static int run_golden(struct engine *engine, const struct golden *golden, struct err *err)
{
    double tolerance = engine->image.release.golden_tolerance;
    for (;;) {
        if (pipeline_self_test(engine->pipeline, golden, tolerance, err) == 0)
            return 0;
        if (pipeline_provider(engine->pipeline) == PROVIDER_CPU && !pipeline_is_derived(engine->pipeline))
            return -1;
        const struct err why = *err;
        *err = (struct err){0};
        if (fall_back(engine, &why, err) < 0)
            return -1;
    }
}

int engine_self_test(struct engine *engine, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    if (!golden)
        return err_no_memory(err);
    if (read_golden(engine, &map, golden, err) < 0 || run_golden(engine, golden, err) < 0)
        return err_prefix(err, "self-test");
    snprintf(engine->backend, sizeof engine->backend, "%s%s", pipeline_backend(engine->pipeline),
             pipeline_is_variant(engine->pipeline) ? ", trt" : "");
    if (engine_hold_contest(engine, golden, err) < 0)
        return err_prefix(err, "self-test");
    engine->golden_count = golden->count;
    seal_plain_fini(&engine->plain); /* nothing else will be asked for */
    seal_plain_fini(&engine->variant_plain);
    return 0;
}

/* Another robot program, or the same one again: another life, so the model's memory of the last one is void. */
static int attach(void *self, const struct runner_slots *slots, struct err *err)
{
    struct engine *engine = self;
    pipeline_reset_state(engine->pipeline);
    signal_maker_reset(engine->signals);
    return pipeline_bind_frames(engine->pipeline, slots->payload, slots->count, err);
}

/* Not what the model takes, as opposed to a bad output. */
static int check_fit(const struct engine *engine, const struct runner_frame *frame, struct err *err)
{
    bool floats = frame->format == RING_FLOAT32;
    if (floats != (engine->floats != 0))
        return err_set(err, ERR_REFUSED, "the robot program sends %s, the model wants %s",
                       floats ? "floats" : "pictures", floats ? "pictures" : "floats");
    if (floats && frame->width != engine->floats)
        return err_set(err, ERR_REFUSED, "the robot program sends %u floats, the model wants %llu",
                       frame->width, (unsigned long long)engine->floats);
    return 0;
}

static int run(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err)
{
    struct engine *engine = self;
    if (check_fit(engine, frame, err) < 0)
        return -1;
    const struct pipeline_frame in = {.data = frame->payload,
                                      .width = (int)frame->width,
                                      .height = (int)frame->height,
                                      .deadline_ns = frame->deadline_ns};
    struct pipeline_result result = {.detections = out->detections,
                                     .max_detections = RING_MAX_DETECTIONS,
                                     .values = out->values,
                                     .max_values = RING_MAX_VALUES};
    struct pipeline_times times = {0};
    int done = pipeline_process(engine->pipeline, &in, &result, &times, err);
    out->kind = release_value_count(&engine->image.release) ? RING_VALUES : RING_DETECTIONS;
    out->count = done == 0 ? (uint32_t)result.count : 0;
    out->preprocess_ns = times.preprocess_ns;
    out->run_ns = times.run_ns;
    out->decode_ns = times.decode_ns;
    /* Of a frame that the model could not answer too: that is when somebody asks what it looked like. */
    signal_maker_frame(engine->signals, &in, engine->pipeline, done == 0 ? &result : NULL, times.run_ns,
                       &out->signals);
    return done;
}

struct runner_engine engine_of(struct engine *engine)
{
    return (struct runner_engine){.self = engine, .attach = attach, .run = run};
}
