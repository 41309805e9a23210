/* What lies in a folder of samples, and whether it fits the model: heads of files are read, pictures are only looked at by name. */
#include "forge/calib/samples_inside.h"

#include "base/str.h"
#include "forge/floats.h"
#include "forge/npy.h"
#include "picture/picture.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct scan {
    struct samples *samples;
    struct err *err;
    bool failed;
};

char *samples_input_path(const char *folder, const char *input)
{
    char *path = mem_printf("%s/%s.npy", folder, input);
    for (char *c = path ? path + strlen(folder) + 1 : NULL; c && *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
            *c = '_';
    return path;
}

static int check_type(const char *path, const struct npy *npy, const struct tensor_spec *spec,
                      struct err *err)
{
    if (npy->dtype == spec->dtype)
        return 0;
    const char *descr = npy_descr(spec->dtype);
    return err_set(err, ERR_INVALID, "%s: holds %s, input %s wants %s: array.astype('%s')", path,
                   tensor_dtype_name(npy->dtype), spec->name, tensor_dtype_name(spec->dtype),
                   descr ? descr : "?");
}

/* Sizes without those of 1. */
static size_t squeeze(const int64_t *dims, size_t count, int64_t out[RELEASE_MAX_DIMS])
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (dims[i] != 1)
            out[kept++] = dims[i];
    return kept;
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The same sizes in another order, as height, width and channels where channels come first: as many numbers, but not the frame that is meant.
 * Flat ones are taken. */
static int check_order(const char *path, const struct npy *npy, const struct tensor_spec *spec,
                       struct err *err)
{
    int64_t has[RELEASE_MAX_DIMS], wants[RELEASE_MAX_DIMS];
    size_t count = squeeze(npy->dims, npy->dim_count, has);
    size_t wanted = squeeze(spec->dims, spec->dim_count, wants);
    if (count < wanted || memcmp(has + count - wanted, wants, wanted * sizeof *wants) == 0)
        return 0;
    qsort(has + count - wanted, wanted, sizeof *has, by_size);
    qsort(wants, wanted, sizeof *wants, by_size);
    if (memcmp(has + count - wanted, wants, wanted * sizeof *wants) != 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s: its dimensions are in another order than input %s's: numpy.transpose(array, …)", path,
                   spec->name);
}

int samples_find(const char *path, const struct file_map *map, const struct tensor_spec *spec,
                 const uint8_t **out, size_t *out_frames, struct err *err)
{
    struct npy npy = {.dtype = DTYPE_FLOAT32, .data = map->data, .bytes = map->size};
    if (!str_ends(path, ".f32") && npy_find(map->data, map->size, &npy, err) < 0)
        return err_prefix(err, "%s", path);
    if (check_type(path, &npy, spec, err) < 0)
        return -1;
    size_t frame = tensor_elements(spec) * tensor_element_bytes(spec->dtype);
    if (npy.bytes == 0 || npy.bytes % frame)
        return err_set(err, ERR_INVALID, "%s: %zu bytes are no whole number of input %s's %zu", path,
                       npy.bytes, spec->name, frame);
    *out = npy.data;
    *out_frames = npy.bytes / frame;
    return check_order(path, &npy, spec, err);
}

/* What is fitted to a NaN is nothing, and no robot's frame has one. Looked at once, before any work. */
static int check_numbers(const char *path, const struct tensor_spec *spec, const uint8_t *data, size_t frames,
                         struct err *err)
{
    size_t count = spec->dtype == DTYPE_FLOAT32 ? tensor_elements(spec) * frames : 0;
    for (size_t i = 0; i < count; i++) {
        float number = 0;
        memcpy(&number, data + i * sizeof number, sizeof number); /* maybe unaligned */
        if (!isfinite(number))
            return err_set(err, ERR_INVALID, "%s: number %zu is %s: repair the sample or leave it out", path,
                           i, isnan(number) ? "NaN" : "infinite");
    }
    return 0;
}

static int add(struct samples *samples, enum sample_kind kind, const char *name, size_t frame,
               struct err *err)
{
    if (samples->count == SAMPLES_MAX)
        return err_set(err, ERR_TOO_BIG, "%s: more than %d samples", samples->dir, SAMPLES_MAX);
    size_t room = samples->count ? samples->count & (samples->count - 1) ? 0 : 2 * samples->count : 1;
    struct sample_entry *grown = room ? mem_grow(samples->entries, room, sizeof *grown) : samples->entries;
    if (!grown)
        return err_no_memory(err);
    samples->entries = grown;
    char *copy = mem_strdup(name);
    if (!copy)
        return err_no_memory(err);
    grown[samples->count++] = (struct sample_entry){.kind = kind, .name = copy, .frame = frame};
    return 0;
}

static int add_picture(struct samples *samples, const char *name, struct err *err)
{
    if (!samples->can_preprocess) {
        if (preprocess_init(&samples->preprocess, &samples->release, err) < 0)
            return err_prefix(err, "%s/%s", samples->dir, name);
        samples->can_preprocess = true;
    }
    return add(samples, SAMPLE_PICTURE, name, 0, err);
}

static int add_tensors(struct samples *samples, const char *name, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *data = NULL;
    size_t frames = 0;
    if (file_map(path, &map, err) < 0 ||
        samples_find(path, &map, &samples->release.inputs[0], &data, &frames, err) < 0 ||
        check_numbers(path, &samples->release.inputs[0], data, frames, err) < 0)
        return -1;
    for (size_t frame = 0; frame < frames; frame++)
        if (add(samples, SAMPLE_TENSOR, name, frame, err) < 0)
            return -1;
    return 0;
}

/* Each file of the folder that an input asks for holds exactly one frame. */
static int check_given(const char *path, const struct tensor_spec *spec, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *data = NULL;
    size_t frames = 0;
    if (file_map(path, &map, err) < 0 || samples_find(path, &map, spec, &data, &frames, err) < 0 ||
        check_numbers(path, spec, data, frames, err) < 0)
        return -1;
    return frames == 1 ? 0 : err_set(err, ERR_INVALID, "%s: %zu frames, one is wanted", path, frames);
}

/* A folder without any input's file is none of ours, and no error. */
static int add_folder(struct samples *samples, const char *name, const char *folder, struct err *err)
{
    size_t given = 0;
    for (size_t i = 0; i < samples->release.input_count; i++) {
        cleanup_free char *path = samples_input_path(folder, samples->release.inputs[i].name);
        if (!path)
            return err_no_memory(err);
        if (!file_exists(path))
            continue;
        if (check_given(path, &samples->release.inputs[i], err) < 0)
            return -1;
        given++;
    }
    return given ? add(samples, SAMPLE_FOLDER, name, 0, err) : 0;
}

static int add_path(struct samples *samples, const char *name, struct err *err)
{
    struct stat stat_buf;
    cleanup_free char *path = file_join(samples->dir, name);
    if (!path)
        return err_no_memory(err);
    if (stat(path, &stat_buf) < 0)
        return err_errno(err, "%s", path);
    if (S_ISDIR(stat_buf.st_mode))
        return add_folder(samples, name, path, err);
    if (picture_is_name(name) && S_ISREG(stat_buf.st_mode))
        return add_picture(samples, name, err);
    if (!S_ISREG(stat_buf.st_mode))
        return floats_is_name(name) ? err_set(err, ERR_INVALID, "%s: not a regular file", path) : 0;
    return floats_is_name(name) ? add_tensors(samples, name, path, err) : 0;
}

static int visit(const char *name, void *arg)
{
    struct scan *scan = arg;
    scan->failed = name[0] != '.' && add_path(scan->samples, name, scan->err) < 0;
    return scan->failed;
}

int samples_scan(struct samples *samples, struct err *err)
{
    struct scan scan = {.samples = samples, .err = err};
    if (file_list(samples->dir, visit, &scan, err) < 0)
        return -1;
    return scan.failed ? -1 : 0;
}
