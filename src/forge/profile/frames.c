#include "forge/profile/frames.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/floats.h"
#include "picture/picture.h"
#include "sys/file.h"

#include <sys/stat.h>

enum { MAX_FOLDERS = 256 };

void frames_close(struct frames *frames)
{
    for (size_t i = 0; i < frames->count; i++)
        free(frames->files[i].path);
    free(frames->files);
    free(frames->boxes);
    free(frames->data);
    *frames = (struct frames){0};
}

/* ---- names ---- */

struct names {
    char **items;
    size_t count, room;
};

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}
#define cleanup_names __attribute__((cleanup(names_fini)))

static int add_name(const char *name, void *arg)
{
    struct names *names = arg;
    if (name[0] == '.' || names->count >= FRAMES_MAX_FILES)
        return 0;
    if (names->count == names->room) {
        const size_t room = MAX(2 * names->room, (size_t)64);
        char **grown = mem_grow(names->items, room, sizeof *grown);
        if (!grown)
            return 0;
        names->items = grown;
        names->room = room;
    }
    char *copy = mem_strdup(name);
    if (copy)
        names->items[names->count++] = copy;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(const char *dir, struct names *out, struct err *err)
{
    if (file_list(dir, add_name, out, err) < 0)
        return -1;
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return 0;
}

/* ---- one folder ---- */

static int add_frame(struct frames *frames, const char *path, size_t index, struct err *err)
{
    if (frames->count == FRAMES_MAX_FILES)
        return err_set(err, ERR_TOO_BIG, "more than %d frames; take fewer", FRAMES_MAX_FILES);
    if (frames->count == frames->room) {
        const size_t room = MAX(2 * frames->room, (size_t)256);
        struct frames_file *grown = mem_grow(frames->files, room, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        frames->files = grown;
        frames->room = room;
    }
    struct frames_file *file = &frames->files[frames->count];
    *file = (struct frames_file){.path = mem_strdup(path),
                                 .sequence = (uint32_t)frames->sequences,
                                 .index = index,
                                 .label = FRAMES_UNKNOWN};
    if (!file->path)
        return err_no_memory(err);
    frames->count++;
    return 0;
}

/* Several frames in one file are a sequence of their own. */
static int add_floats(struct frames *frames, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *floats = NULL;
    size_t count = 0, each = tensor_elements(&frames->release->inputs[0]);
    if (file_map(path, &map, err) < 0 || floats_find(path, map.data, map.size, &floats, &count, err) < 0)
        return -1;
    if (count == 0 || count % each)
        return err_set(err, ERR_INVALID, "%s: %zu numbers are no whole frames of %zu", path, count, each);
    for (size_t i = 0; i < count / each; i++)
        if (add_frame(frames, path, i, err) < 0)
            return -1;
    frames->sequences += count > each;
    return 0;
}

static int add_file(struct frames *frames, const char *path, struct err *err)
{
    if (frames->release->frame == FRAME_RGB8)
        return picture_is_name(path) ? add_frame(frames, path, 0, err) : 0;
    return floats_is_name(path) ? add_floats(frames, path, err) : 0;
}

static int add_folder(struct frames *frames, const char *dir, const struct names *names, struct err *err)
{
    const size_t from = frames->count;
    for (size_t i = 0; i < names->count; i++) {
        cleanup_free char *path = file_join(dir, names->items[i]);
        if (!path)
            return err_no_memory(err);
        if (add_file(frames, path, err) < 0)
            return -1;
    }
    frames->sequences++;
    return frames->count == from ? 0 : frames_read_truth(dir, frames, from, err);
}

static int add_subfolders(struct frames *frames, const char *dir, const struct names *names, struct err *err)
{
    size_t folders = 0;
    for (size_t i = 0; i < names->count && folders < MAX_FOLDERS; i++) {
        cleanup_free char *path = file_join(dir, names->items[i]);
        cleanup_names struct names inner = {0};
        struct stat st;
        if (!path)
            return err_no_memory(err);
        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        folders++;
        if (list_names(path, &inner, err) < 0 || add_folder(frames, path, &inner, err) < 0)
            return -1;
    }
    return 0;
}

int frames_open(const char *dir, const struct release *release, struct frames *out, struct err *err)
{
    cleanup_names struct names names = {0};
    *out = (struct frames){.release = release};
    int result = list_names(dir, &names, err);
    if (result == 0)
        result = add_folder(out, dir, &names, err);
    if (result == 0)
        result = add_subfolders(out, dir, &names, err);
    if (result == 0 && out->count == 0)
        result = err_set(err, ERR_NOT_FOUND, "no %s in it",
                         release->frame == FRAME_RGB8 ? "pictures (PNG, JPEG)" : "frames (.npy, .f32)");
    if (result < 0)
        frames_close(out);
    return result;
}

/* ---- loading ---- */

static int load_picture(struct frames *frames, const char *path, struct pipeline_frame *out, struct err *err)
{
    struct picture picture = {0};
    if (picture_read(path, &picture, err) < 0)
        return -1;
    frames->data = picture.rgb;
    *out = (struct pipeline_frame){.data = picture.rgb, .width = picture.width, .height = picture.height};
    return 0;
}

static int load_floats(struct frames *frames, const struct frames_file *file, struct pipeline_frame *out,
                       struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    const uint8_t *floats = NULL;
    size_t count = 0, each = tensor_elements(&frames->release->inputs[0]);
    if (file_map(file->path, &map, err) < 0 ||
        floats_find(file->path, map.data, map.size, &floats, &count, err) < 0)
        return -1;
    if (count / each <= file->index)
        return err_set(err, ERR_INVALID, "%s: it has changed meanwhile", file->path);
    frames->data = mem_dup(floats + file->index * each * sizeof(float), each * sizeof(float));
    *out = (struct pipeline_frame){.data = frames->data, .width = (int)each, .height = 1};
    return frames->data ? 0 : err_no_memory(err);
}

int frames_load(struct frames *frames, size_t i, struct pipeline_frame *out, struct err *err)
{
    free(frames->data);
    frames->data = NULL;
    const struct frames_file *file = &frames->files[i];
    return frames->release->frame == FRAME_RGB8 ? load_picture(frames, file->path, out, err)
                                                : load_floats(frames, file, out, err);
}
