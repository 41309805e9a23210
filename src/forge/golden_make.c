#include "forge/golden_make.h"

#include "base/mem.h"
#include "picture/picture.h"
#include "wire/golden.h"

/* The cases under way: they own their pixels and outputs, golden_case only borrows. */
struct maker {
    struct golden golden;
    struct picture pictures[GOLDEN_MAX_CASES];
    float *outputs[GOLDEN_MAX_CASES][GOLDEN_MAX_OUTPUTS];
};

static void maker_free(struct maker *maker)
{
    for (size_t i = 0; i < GOLDEN_MAX_CASES; i++) {
        picture_fini(&maker->pictures[i]);
        for (size_t k = 0; k < GOLDEN_MAX_OUTPUTS; k++)
            free(maker->outputs[i][k]);
    }
    free(maker);
}
MUSTER_CLEANUP(struct maker *, maker_free)
#define cleanup_maker __attribute__((cleanup(maker_freep)))

static int keep_outputs(struct maker *maker, const struct pipeline *pipeline, size_t index,
                        size_t output_count, struct err *err)
{
    struct golden_case *item = &maker->golden.cases[index];
    item->output_count = (uint32_t)output_count;
    for (size_t i = 0; i < output_count; i++) {
        size_t len = 0;
        const float *values = pipeline_output(pipeline, i, &len);
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

static int make_case(struct maker *maker, struct pipeline *pipeline, size_t index, size_t output_count,
                     const char *path, struct err *err)
{
    struct picture *picture = &maker->pictures[index];
    if (picture_read(path, picture, err) < 0)
        return -1;
    struct detection found[1];
    size_t count = 0;
    if (pipeline_run(pipeline, picture->rgb, picture->width, picture->height, found, ARRAY_LEN(found), &count,
                     NULL, err) < 0) {
        if (err->code == ERR_INVALID)
            err->code = ERR_REFUSED;
        return err_prefix(err, "on %s", path);
    }
    struct golden_case *item = &maker->golden.cases[index];
    *item = (struct golden_case){
        .width = (uint32_t)picture->width, .height = (uint32_t)picture->height, .data = picture->rgb};
    maker->golden.count++;
    return keep_outputs(maker, pipeline, index, output_count, err);
}

int golden_make(struct pipeline *pipeline, size_t output_count, double tolerance, char *const *pictures,
                size_t count, struct buf *out, struct err *err)
{
    cleanup_maker struct maker *maker = mem_zalloc(1, sizeof *maker);
    if (!maker)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (make_case(maker, pipeline, i, output_count, pictures[i], err) < 0)
            return -1;
    if (pipeline_self_test(pipeline, &maker->golden, tolerance, err) < 0)
        return err_prefix(err, "the model does not repeat itself");
    return golden_write(&maker->golden, out, err);
}
