#include "robot/runner/engine.h"

#include "base/mem.h"
#include "sys/file.h"

int engine_open(struct engine *engine, const char *layout, const struct digest *release,
                const struct pipeline_options *options, struct err *err)
{
    cleanup_free char *path = NULL;
    struct image *image = &engine->image;
    if (image_open(layout, release, image, err) < 0 || image_check_blobs(image, err) < 0 ||
        image_model_path(image, &path, err) < 0)
        return -1;
    return pipeline_open(path, &image->release, options, &engine->pipeline, err);
}

void engine_close(struct engine *engine)
{
    if (engine->pipeline)
        pipeline_close(engine->pipeline);
    image_close(&engine->image);
    *engine = (struct engine){0};
}

int engine_self_test(struct engine *engine, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct golden *golden = mem_zalloc(1, sizeof *golden);
    if (!golden)
        return err_no_memory(err);
    if (image_golden_path(&engine->image, &path, err) < 0 || file_map(path, &map, err) < 0 ||
        golden_parse(map.data, map.size, golden, err) < 0 ||
        pipeline_self_test(engine->pipeline, golden, engine->image.release.golden_tolerance, err) < 0)
        return err_prefix(err, "self-test");
    engine->golden_count = golden->count;
    return 0;
}

/* Another robot program, or the same one again: another life, so the model's memory of the last one is void. */
static int attach(void *self, const struct runner_slots *slots, struct err *err)
{
    struct engine *engine = self;
    pipeline_reset_state(engine->pipeline);
    return pipeline_bind_frames(engine->pipeline, slots->payload, slots->count, err);
}

static int run(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err)
{
    struct engine *engine = self;
    const struct release *release = &engine->image.release;
    if ((release->frame == FRAME_FLOAT32) != (frame->format == RING_FLOAT32))
        return err_set(err, ERR_REFUSED, "the robot program sends %s, the model wants %s",
                       frame->format == RING_FLOAT32 ? "floats" : "pictures",
                       release->frame == FRAME_FLOAT32 ? "floats" : "pictures");
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
    out->kind = release_value_count(release) ? RING_VALUES : RING_DETECTIONS;
    out->count = done == 0 ? (uint32_t)result.count : 0;
    out->preprocess_ns = times.preprocess_ns;
    out->run_ns = times.run_ns;
    out->decode_ns = times.decode_ns;
    return done;
}

struct runner_engine engine_of(struct engine *engine)
{
    return (struct runner_engine){.self = engine, .attach = attach, .run = run};
}
