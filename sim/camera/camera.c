#include "sim/camera/camera.h"

#include "base/str.h"
#include "sim/camera/source.h"

struct camera {
    const struct source_ops *ops;
    void *self;
};

static const struct source_ops *const kinds[] = {&source_world, &source_images, &source_video};

static const struct source_ops *kind_of(const char *source)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(source, kinds[i]->prefix))
            return kinds[i];
    return NULL;
}

int camera_open(const struct camera_options *options, struct camera **out, struct err *err)
{
    struct source_size size = {options->width, options->height};
    const struct source_ops *ops = kind_of(options->source);

    if (!ops)
        return err_set(err, ERR_INVALID, "camera '%s' is unknown: use world:, images:DIR or video:FILE",
                       options->source);
    if (size.width < 1 || size.height < 1 || size.width > CAMERA_MAX_SIDE || size.height > CAMERA_MAX_SIDE)
        return err_set(err, ERR_INVALID, "a camera frame of %d x %d pixels is not possible: 1..%d each",
                       size.width, size.height, CAMERA_MAX_SIDE);
    cleanup_camera struct camera *camera = mem_zalloc(1, sizeof(*camera));
    if (!camera)
        return err_no_memory(err);
    camera->ops = ops;
    if (ops->open(options->source + strlen(ops->prefix), size, &camera->self, err) < 0)
        return err_prefix(err, "camera %s", options->source);
    *out = TAKE_PTR(camera);
    return 0;
}

void camera_free(struct camera *camera)
{
    if (camera->self)
        camera->ops->close(camera->self);
    free(camera);
}

int camera_next(struct camera *camera, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth,
                struct err *err)
{
    struct camera_truth unused;

    truth = truth ? truth : &unused;
    *truth = (struct camera_truth){0};
    return camera->ops->next(camera->self, elapsed_ms, rgb, truth, err);
}
