#include "forge/explain/subject_inside.h"

#include "base/mem.h"
#include "forge/explain/masks.h"
#include "forge/floats.h"
#include "sys/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pictures ---- */

static void fill_picture(struct subject *subject)
{
    const struct picture *picture = &subject->picture;
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    double sum[3] = {0};
    for (size_t i = 0; i < 3 * pixels; i++)
        sum[i % 3] += picture->rgb[i];
    const double mean = (sum[0] + sum[1] + sum[2]) / (3 * (double)pixels);
    for (int channel = 0; channel < 3; channel++) {
        subject->fill_rgb[FILL_MEAN][channel] = (uint8_t)lround(sum[channel] / (double)pixels);
        subject->fill_rgb[FILL_OPPOSITE][channel] = mean < 128 ? 255 : 0;
    }
}

static int measure_contrast(struct subject *subject, struct err *err)
{
    const size_t pixels = (size_t)subject->picture.width * (size_t)subject->picture.height;
    free(subject->contrast);
    subject->contrast = mem_zalloc(pixels, sizeof *subject->contrast);
    if (!subject->contrast)
        return err_no_memory(err);
    for (size_t i = 0; i < 3 * pixels; i++)
        subject->contrast[i / 3] += (float)abs(subject->picture.rgb[i] - subject->fill_rgb[FILL_MEAN][i % 3]);
    return 0;
}

int subject_show(struct subject *subject, const struct picture *picture, struct err *err)
{
    if (subject->release.frame != FRAME_RGB8)
        return err_set(err, ERR_REFUSED, "%s %s takes frames of numbers (.npy, .f32), no pictures",
                       subject->release.name, subject->release.version);
    picture_fini(&subject->picture);
    picture_fini(&subject->covered);
    if (picture_init(&subject->picture, picture->width, picture->height, err) < 0 ||
        picture_init(&subject->covered, picture->width, picture->height, err) < 0)
        return -1;
    memcpy(subject->picture.rgb, picture->rgb, 3 * (size_t)picture->width * (size_t)picture->height);
    fill_picture(subject);
    if (measure_contrast(subject, err) < 0)
        return -1;
    return subject_begin(subject, err);
}

static void cover_picture(struct subject *subject, const float *keep, enum fill fill)
{
    const size_t pixels = (size_t)subject->picture.width * (size_t)subject->picture.height;
    const uint8_t *from = subject->picture.rgb, *by = subject->fill_rgb[fill];
    uint8_t *to = subject->covered.rgb;
    if (!keep) {
        memcpy(to, from, 3 * pixels);
        return;
    }
    for (size_t i = 0; i < pixels; i++)
        for (size_t channel = 0; channel < 3; channel++) {
            const float base = by[channel];
            to[3 * i + channel] = (uint8_t)(base + ((float)from[3 * i + channel] - base) * keep[i] + 0.5F);
        }
}

/* ---- numbers ---- */

static struct layout layout_of_sequence(size_t frames, size_t floats)
{
    return (struct layout){.width = (int)frames,
                           .height = (int)floats,
                           .layers = 1,
                           .step_x = floats,
                           .step_y = 1,
                           .rows_apart = floats <= MASK_MAX_CELLS};
}

/* The longer one of two dimensions is time. */
static struct layout layout_of_series(size_t a, size_t b)
{
    struct layout layout = {.width = (int)b, .height = (int)a, .layers = 1, .step_x = 1, .step_y = b};
    if (a > b)
        layout = (struct layout){.width = (int)a, .height = (int)b, .layers = 1, .step_x = b, .step_y = 1};
    layout.rows_apart = layout.height <= MASK_MAX_CELLS;
    return layout;
}

static int layout_of(const struct tensor_spec *input, struct layout *out, struct err *err)
{
    size_t dims[RELEASE_MAX_DIMS], count = 0;
    for (size_t i = 0; i < input->dim_count; i++)
        if (input->dims[i] > 1)
            dims[count++] = (size_t)input->dims[i];
    if (count <= 1)
        *out = layout_of_series(1, count ? dims[0] : 1);
    else if (count == 2)
        *out = layout_of_series(dims[0], dims[1]);
    else if (count == 3)
        *out = (struct layout){.width = (int)dims[2],
                               .height = (int)dims[1],
                               .layers = (int)dims[0],
                               .step_x = 1,
                               .step_y = dims[2],
                               .step_layer = dims[1] * dims[2]};
    else
        return err_set(err, ERR_UNSUPPORTED, "frames of %zu dimensions have no map", count);
    return 0;
}

static size_t at(const struct layout *layout, int x, int y, int layer)
{
    return (size_t)x * layout->step_x + (size_t)y * layout->step_y + (size_t)layer * layout->step_layer;
}

static double row_mean(const struct subject *subject, int y, int layer)
{
    double sum = 0;
    for (int x = 0; x < subject->layout.width; x++)
        sum += (double)subject->values[at(&subject->layout, x, y, layer)];
    return sum / subject->layout.width;
}

static void fill_row(struct subject *subject, int y, int layer)
{
    const struct layout *layout = &subject->layout;
    const float mean = (float)row_mean(subject, y, layer);
    const float first = subject->values[at(layout, 0, y, layer)];
    const float last = subject->values[at(layout, layout->width - 1, y, layer)];
    for (int x = 0; x < layout->width; x++) {
        const size_t place = at(layout, x, y, layer);
        subject->fill[FILL_MEAN][place] = mean;
        subject->fill[FILL_OPPOSITE][place] =
            first + (last - first) * (float)x / (float)MAX(layout->width - 1, 1);
    }
}

static int make_room(struct subject *subject, const float *values, size_t count, struct err *err)
{
    float **all[] = {&subject->values, &subject->covered_values, &subject->fill[FILL_MEAN],
                     &subject->fill[FILL_OPPOSITE]};
    subject->count = count;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        free(*all[i]);
        *all[i] = mem_dup(values, count * sizeof *values);
        if (!*all[i])
            return err_no_memory(err);
    }
    return 0;
}

static int check_count(const struct subject *subject, size_t count, size_t frame, struct err *err)
{
    if (count > SUBJECT_MAX_FLOATS)
        return err_set(err, ERR_TOO_BIG, "%zu numbers, at most %d can be explained", count,
                       SUBJECT_MAX_FLOATS);
    if (!count || count % frame)
        return err_set(err, ERR_REFUSED, "%zu numbers, a frame has %zu", count, frame);
    if (count > frame && !subject->release.state_count)
        return err_set(err, ERR_REFUSED,
                       "%zu frames in one file, but %s %s has no memory: give one frame of %zu numbers",
                       count / frame, subject->release.name, subject->release.version, frame);
    return 0;
}

int subject_tell(struct subject *subject, const float *values, size_t count, struct err *err)
{
    if (subject->release.frame != FRAME_FLOAT32)
        return err_set(err, ERR_REFUSED, "%s %s takes pictures, no numbers", subject->release.name,
                       subject->release.version);
    const size_t frame = tensor_elements(&subject->release.inputs[0]);
    if (check_count(subject, count, frame, err) < 0 ||
        layout_of(&subject->release.inputs[0], &subject->layout, err) < 0 ||
        make_room(subject, values, count, err) < 0)
        return -1;
    if (count > frame)
        subject->layout = layout_of_sequence(count / frame, frame);
    for (int layer = 0; layer < subject->layout.layers; layer++)
        for (int y = 0; y < subject->layout.height; y++)
            fill_row(subject, y, layer);
    return subject_begin(subject, err);
}

static void cover_values(struct subject *subject, const float *keep, enum fill fill)
{
    const struct layout *layout = &subject->layout;
    memcpy(subject->covered_values, subject->values, subject->count * sizeof(float));
    for (int layer = 0; keep && layer < layout->layers; layer++)
        for (int y = 0; y < layout->height; y++)
            for (int x = 0; x < layout->width; x++) {
                const size_t place = at(layout, x, y, layer);
                const float base = subject->fill[fill][place];
                subject->covered_values[place] =
                    base +
                    (subject->values[place] - base) * keep[(size_t)y * (size_t)layout->width + (size_t)x];
            }
}

/* ---- either ---- */

static int run_values(struct subject *subject, struct pipeline_result *result, struct err *err)
{
    const size_t frame = tensor_elements(&subject->release.inputs[0]);
    for (size_t i = 0; i < subject->count; i += frame) {
        const struct pipeline_frame one = {
            .data = subject->covered_values + i, .width = (int)frame, .height = 1};
        if (pipeline_process(subject->pipeline, &one, result, NULL, err) < 0)
            return -1;
    }
    return 0;
}

int subject_run(struct subject *subject, const float *keep, enum fill fill, struct pipeline_result *result,
                struct err *err)
{
    pipeline_reset_state(subject->pipeline);
    if (subject->release.frame == FRAME_FLOAT32) {
        cover_values(subject, keep, fill);
        return run_values(subject, result, err);
    }
    cover_picture(subject, keep, fill);
    const struct pipeline_frame frame = subject_last_frame(subject);
    return pipeline_process(subject->pipeline, &frame, result, NULL, err);
}

struct pipeline_frame subject_last_frame(const struct subject *subject)
{
    if (subject->release.frame == FRAME_RGB8)
        return (struct pipeline_frame){
            .data = subject->covered.rgb, .width = subject->covered.width, .height = subject->covered.height};
    const size_t frame = tensor_elements(&subject->release.inputs[0]);
    return (struct pipeline_frame){
        .data = subject->covered_values + (subject->count - frame), .width = (int)frame, .height = 1};
}

static int read_values(struct subject *subject, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *floats = NULL;
    size_t count = 0;
    if (file_map(path, &map, err) < 0)
        return -1;
    if (floats_find(path, map.data, map.size, &floats, &count, err) < 0)
        return err_prefix(err, "%s", path);
    cleanup_free float *aligned = mem_dup(floats, count * sizeof *aligned);
    if (!aligned)
        return err_no_memory(err);
    return subject_tell(subject, aligned, count, err);
}

int subject_read(struct subject *subject, const char *path, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    if (subject->release.frame == FRAME_FLOAT32) {
        if (!floats_is_name(path))
            return err_set(err, ERR_REFUSED, "%s %s takes frames of numbers (.npy, .f32), no pictures",
                           subject->release.name, subject->release.version);
        return read_values(subject, path, err);
    }
    if (floats_is_name(path))
        return err_set(err, ERR_REFUSED, "%s %s takes pictures, no numbers", subject->release.name,
                       subject->release.version);
    if (picture_read(path, &picture, err) < 0)
        return err_prefix(err, "%s", path);
    return subject_show(subject, &picture, err);
}
