#include "sim/camera/source.h"

#include "picture/picture.h"
#include "sys/file.h"

#define MAX_IMAGES 1000000

struct images_source {
    struct source_size size;
    char *dir;
    char **names;
    size_t count, cap, at;
    bool no_memory;
};

static void images_close(void *self)
{
    struct images_source *source = self;

    for (size_t i = 0; i < source->count; i++)
        free(source->names[i]);
    free(source->names);
    free(source->dir);
    free(source);
}

static int collect(const char *name, void *arg)
{
    struct images_source *source = arg;

    if (!picture_is_name(name) || source->count == MAX_IMAGES)
        return 0;
    if (source->count == source->cap) {
        size_t cap = source->cap ? 2 * source->cap : 64;
        char **names = mem_grow(source->names, cap, sizeof(*names));

        source->no_memory = !names;
        if (!names)
            return 1;
        source->names = names;
        source->cap = cap;
    }
    source->names[source->count] = mem_strdup(name);
    source->no_memory = !source->names[source->count];
    source->count += !source->no_memory;
    return source->no_memory;
}

static int images_list(struct images_source *source, struct err *err)
{
    if (!source->dir)
        return err_no_memory(err);
    if (file_list(source->dir, collect, source, err) < 0)
        return -1;
    if (source->no_memory)
        return err_no_memory(err);
    if (!source->count)
        return err_set(err, ERR_NOT_FOUND, "no PNG or JPEG pictures in this folder");
    return 0;
}

static int images_open(const char *dir, struct source_size size, void **out, struct err *err)
{
    struct images_source *source = mem_zalloc(1, sizeof(*source));

    if (!source)
        return err_no_memory(err);
    source->size = size;
    source->dir = mem_strdup(dir);
    if (images_list(source, err) < 0) {
        images_close(source);
        return -1;
    }
    *out = source;
    return 0;
}

static int images_next(void *self, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth, struct err *err)
{
    struct images_source *source = self;
    cleanup_picture struct picture picture = {0};
    cleanup_free char *path = mem_printf("%s/%s", source->dir, source->names[source->at]);

    source->at = (source->at + 1) % source->count;
    if (!path)
        return err_no_memory(err);
    if (picture_read(path, &picture, err) < 0)
        return -1;
    picture_resize(picture.rgb, picture.width, picture.height, rgb, source->size.width, source->size.height);
    return 0;
}

const struct source_ops source_images = {"images:", images_open, images_next, images_close};
