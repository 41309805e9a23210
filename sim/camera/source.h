/* What a kind of camera implements. Private to the room.
 *
 * `open` gets what stands behind the colon of the source. `next` fills `rgb` in the camera's size; *truth is
 * zeroed.
 */
#ifndef MUSTER_SIM_CAMERA_SOURCE_H
#define MUSTER_SIM_CAMERA_SOURCE_H

#include "sim/camera/camera.h"

struct source_size {
    int width, height;
};

struct source_ops {
    const char *prefix; /* "world:" */
    int (*open)(const char *settings, struct source_size size, void **out, struct err *err);
    int (*next)(void *self, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth, struct err *err);
    void (*close)(void *self);
};

extern const struct source_ops source_world;
extern const struct source_ops source_images;
extern const struct source_ops source_video;

#endif
