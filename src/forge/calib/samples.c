#include "forge/calib/samples.h"

#include "base/str.h"
#include "forge/calib/samples_inside.h"
#include "picture/picture.h"
#include "sys/file.h"

#include <string.h>

enum { FIT_MAX = 512, HELD_MIN = 48, FIT_MIN = 8 };

size_t samples_split(size_t count)
{
    size_t fit = count / 2;
    if (count - fit < HELD_MIN) /* few samples: they are worth more as evidence than as ranges */
        fit = MIN(fit, MAX((size_t)FIT_MIN, count > HELD_MIN ? count - HELD_MIN : 0));
    if (count == 1)
        fit = 1;
    return MIN(fit, FIT_MAX);
}

/* ---- room for one sample ---- */

static int make_tensor(const struct tensor_spec *spec, struct lab_tensor *out, struct err *err)
{
    size_t elements = tensor_elements(spec), bytes = 0;
    if (elements == SIZE_MAX || __builtin_mul_overflow(elements, tensor_element_bytes(spec->dtype), &bytes) ||
        bytes > SAMPLES_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "input %s: more than %d MiB", spec->name, SAMPLES_MAX_BYTES >> 20);
    void *room = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!room)
        return err_no_memory(err);
    *out =
        (struct lab_tensor){.dtype = spec->dtype, .dim_count = spec->dim_count, .data = room, .bytes = bytes};
    memcpy(out->dims, spec->dims, sizeof out->dims);
    return 0;
}

static int make_room(struct samples *samples, struct err *err)
{
    if (samples->release.input_count == 0)
        return err_set(err, ERR_UNSUPPORTED, "the model has no inputs that samples could fill");
    for (size_t i = 0; i < samples->release.input_count; i++)
        if (make_tensor(&samples->release.inputs[i], &samples->inputs[i], err) < 0)
            return -1;
    return 0;
}

static void *room_of(struct samples *samples, size_t input)
{
    return (void *)(uintptr_t)samples->inputs[input].data;
}

/* ---- order ---- */

/* SplitMix64: the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void shuffle(struct sample_entry *entries, size_t count)
{
    uint64_t state = 1;
    for (size_t left = count; left > 1; left--) {
        size_t pick = (size_t)(next_random(&state) % left);
        struct sample_entry held = entries[left - 1];
        entries[left - 1] = entries[pick];
        entries[pick] = held;
    }
}

/* ---- the door ---- */

int samples_open(const char *dir, const struct release *release, struct samples **out, struct err *err)
{
    cleanup_samples struct samples *samples = mem_zalloc(1, sizeof *samples);
    if (!samples)
        return err_no_memory(err);
    samples->release = *release;
    samples->dir = mem_strdup(dir);
    if (!samples->dir)
        return err_no_memory(err);
    if (make_room(samples, err) < 0 || samples_scan(samples, err) < 0)
        return -1;
    if (samples->count == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: no samples; put pictures (.png, .jpg), .npy or .f32 files there", dir);
    shuffle(samples->entries, samples->count);
    *out = TAKE_PTR(samples);
    return 0;
}

void samples_free(struct samples *samples)
{
    if (!samples)
        return;
    for (size_t i = 0; i < samples->count; i++)
        free(samples->entries[i].name);
    for (size_t i = 0; i < samples->release.input_count; i++)
        free(room_of(samples, i));
    if (samples->can_preprocess)
        preprocess_fini(&samples->preprocess);
    free(samples->entries);
    free(samples->dir);
    free(samples);
}

size_t samples_count(const struct samples *samples)
{
    return samples->count;
}

size_t samples_calibrate(const struct samples *samples)
{
    return samples_split(samples->count);
}

const char *samples_name(const struct samples *samples, size_t i)
{
    return samples->entries[i].name;
}

/* ---- reading ---- */

static int load_picture(struct samples *samples, const char *path, struct err *err)
{
    cleanup_picture struct picture picture = {0};
    if (picture_read(path, &picture, err) < 0)
        return -1;
    return preprocess_run(&samples->preprocess, picture.rgb, picture.width, picture.height,
                          room_of(samples, 0), err);
}

static int load_tensor(struct samples *samples, size_t input, const char *path, size_t frame, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *data = NULL;
    size_t frames = 0, bytes = samples->inputs[input].bytes;
    if (file_map(path, &map, err) < 0 ||
        samples_find(path, &map, &samples->release.inputs[input], &data, &frames, err) < 0)
        return -1;
    if (frame >= frames)
        return err_set(err, ERR_INVALID, "%s: the file has become shorter", path);
    memcpy(room_of(samples, input), data + frame * bytes, bytes);
    return 0;
}

static int load_folder(struct samples *samples, const char *folder, struct err *err)
{
    for (size_t i = 0; i < samples->release.input_count; i++) {
        cleanup_free char *path = samples_input_path(folder, samples->release.inputs[i].name);
        if (!path)
            return err_no_memory(err);
        if (file_exists(path) && load_tensor(samples, i, path, 0, err) < 0)
            return -1;
    }
    return 0;
}

int samples_load(struct samples *samples, size_t i, const struct lab_tensor **out_inputs, struct err *err)
{
    const struct sample_entry *entry = &samples->entries[i];
    cleanup_free char *path = file_join(samples->dir, entry->name);
    if (!path)
        return err_no_memory(err);
    for (size_t k = 0; k < samples->release.input_count; k++)
        memset(room_of(samples, k), 0, samples->inputs[k].bytes);
    int result = entry->kind == SAMPLE_PICTURE  ? load_picture(samples, path, err)
                 : entry->kind == SAMPLE_FOLDER ? load_folder(samples, path, err)
                                                : load_tensor(samples, 0, path, entry->frame, err);
    *out_inputs = samples->inputs;
    return result;
}

static int find_input(const struct samples *samples, const char *name, size_t *out, struct err *err)
{
    for (size_t i = 0; i < samples->release.input_count; i++)
        if (str_eq(samples->release.inputs[i].name, name)) {
            *out = i;
            return 0;
        }
    return err_set(err, ERR_REFUSED, "the release names no input \"%s\" as the model does", name);
}

int samples_feed(struct samples *samples, size_t i, const struct lab *lab,
                 struct lab_tensor out_inputs[RELEASE_MAX_TENSORS], struct err *err)
{
    const struct lab_tensor *inputs = NULL;
    if (lab_input_count(lab) > samples->release.input_count)
        return err_set(err, ERR_REFUSED, "the model has more inputs than the release names");
    if (samples_load(samples, i, &inputs, err) < 0)
        return -1;
    for (size_t k = 0; k < lab_input_count(lab); k++) {
        size_t from = 0;
        if (find_input(samples, lab_input(lab, k)->name, &from, err) < 0)
            return -1;
        out_inputs[k] = inputs[from];
    }
    return 0;
}
