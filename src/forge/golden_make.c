#include "forge/golden_make.h"

#include "base/mem.h"
#include "forge/floats.h"
#include "picture/picture.h"
#include "sys/file.h"
#include "wire/golden.h"

/* The cases under way: they own their frames and outputs, golden_case only borrows. */
struct maker {
    struct pipeline *pipeline;
    const struct release *release;
    struct golden golden;
    void *frames[GOLDEN_MAX_CASES];
    float *outputs[GOLDEN_MAX_CASES][GOLDEN_MAX_OUTPUTS];
};

static void maker_free(struct maker *maker)
{
    for (size_t i = 0; i < GOLDEN_MAX_CASES; i++) {
        free(maker->frames[i]);
        for (size_t k = 0; k < GOLDEN_MAX_OUTPUTS; k++)
            free(maker->outputs[i][k]);
    }
    free(maker);
}
MUSTER_CLEANUP(struct maker *, maker_free)
#define cleanup_maker __attribute__((cleanup(maker_freep)))

static int keep_outputs(struct maker *maker, size_t index, struct err *err)
{
    struct golden_case *item = &maker->golden.cases[index];
    item->output_count = (uint32_t)release_answer_count(maker->release);
    for (size_t i = 0; i < item->output_count; i++) {
        size_t len = 0;
        const float *values = pipeline_output(maker->pipeline, i, &len);
        if (!values)
            return err_set(err, ERR_UNSUPPORTED, "output %zu is not float32: it cannot be a golden output",
                           i);
        maker->outputs[index][i] = mem_dup(values, len * sizeof *values);
        if (!maker->outputs[index][i])
            return err_no_memory(err);
        item->output_len[i] = (uint32_t)len;
        item->outputs[i] = (const uint8_t *)maker->outputs[index][i];
    }
    return 0;
}

static int run(struct maker *maker, const struct golden_case *item, struct err *err)
{
    struct detection found[1];
    struct pipeline_result result = {.detections = found, .max_detections = ARRAY_LEN(found)};
    const struct pipeline_frame frame = {
        .data = item->data, .width = (int)item->width, .height = (int)item->height};
    if (pipeline_process(maker->pipeline, &frame, &result, NULL, err) == 0)
        return 0;
    if (err->code == ERR_INVALID)
        err->code = ERR_REFUSED;
    return -1;
}

/* Takes over `frame`. */
static int add_case(struct maker *maker, void *frame, uint32_t width, uint32_t height, struct err *err)
{
    size_t index = maker->golden.count;
    if (!frame)
        return err_no_memory(err);
    if (index == GOLDEN_MAX_CASES) {
        free(frame);
        return err_set(err, ERR_TOO_BIG, "more than %d golden frames; choose fewer", GOLDEN_MAX_CASES);
    }
    maker->frames[index] = frame;
    maker->golden.cases[index] = (struct golden_case){
        .format = maker->release->frame, .width = width, .height = height, .data = frame};
    maker->golden.count++;
    return run(maker, &maker->golden.cases[index], err) < 0 ? -1 : keep_outputs(maker, index, err);
}

static int add_picture(struct maker *maker, const char *path, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    if (picture_read(path, &picture, err) < 0)
        return -1;
    size_t bytes = (size_t)picture.width * (size_t)picture.height * 3;
    if (add_case(maker, mem_dup(picture.rgb, bytes), (uint32_t)picture.width, (uint32_t)picture.height, err) <
        0)
        return err_prefix(err, "on %s", path);
    return 0;
}

static int add_frames(struct maker *maker, const struct file_map *map, const char *path, struct err *err)
{
    const uint8_t *floats = NULL;
    size_t count = 0, per_frame = tensor_elements(&maker->release->inputs[0]);
    if (floats_find(path, map->data, map->size, &floats, &count, err) < 0)
        return -1;
    if (count % per_frame)
        return err_set(err, ERR_INVALID, "%zu numbers are no whole number of frames of %zu", count,
                       per_frame);
    for (size_t at = 0; at < count; at += per_frame)
        if (add_case(maker, mem_dup(floats + at * sizeof(float), per_frame * sizeof(float)),
                     (uint32_t)per_frame, 1, err) < 0)
            return -1;
    return 0;
}

static int add_floats(struct maker *maker, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    return add_frames(maker, &map, path, err) < 0 ? err_prefix(err, "on %s", path) : 0;
}

int golden_make(struct pipeline *pipeline, const struct release *release, char *const *paths, size_t count,
                struct buf *out, size_t *out_cases, struct err *err)
{
    cleanup_maker struct maker *maker = mem_zalloc(1, sizeof *maker);
    if (!maker)
        return err_no_memory(err);
    maker->pipeline = pipeline;
    maker->release = release;
    pipeline_reset_state(pipeline);
    for (size_t i = 0; i < count; i++)
        if ((release->frame == FRAME_RGB8 ? add_picture : add_floats)(maker, paths[i], err) < 0)
            return -1;
    if (pipeline_self_test(pipeline, &maker->golden, release->golden_tolerance, err) < 0)
        return err_prefix(err, "the model does not repeat itself");
    *out_cases = maker->golden.count;
    return golden_write(&maker->golden, out, err);
}
