/* A camera: where a robot's frames come from.
 *
 *     struct camera_options options = {.source = "world:site=1,seed=7", .width = 160, .height = 128};
 *     struct camera *camera;
 *     if (camera_open(&options, &camera, err) < 0) ...
 *     while (camera_next(camera, 100, rgb, &truth, err) == 0) ...
 *
 * Sources:
 *
 *     world:[site=N][,seed=N][,period=MS][,dock=MS]   the rendered warehouse (sim/world); the default "world:"
 *           [,light=night][,lens=dirty][,strange=N]   what comes over it, [,from=MS] after the first frame
 *     images:DIR                                      the PNG and JPEG files of a folder, by name, over and over
 *     video:FILE                                      a video file (if built with libavformat), over and over
 *
 * Every source gives frames of the size that was asked for (bilinear; the sides are scaled independently).
 * Folders and videos have no labels. The world has them only where a real robot would: at the reference
 * station by the dock.
 */
#ifndef MUSTER_SIM_CAMERA_CAMERA_H
#define MUSTER_SIM_CAMERA_CAMERA_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAMERA_MAX_BOXES 32
#define CAMERA_MAX_SIDE 4096

struct camera;

struct camera_options {
    const char *source;
    int width, height; /* pixels, 1..CAMERA_MAX_SIDE */
};

struct camera_box {
    float x0, y0, x1, y1; /* pixels of the frame as delivered; x1, y1 exclusive */
    int label;            /* world.h: person, pallet, forklift, cone, crate */
};

/* What is known about a frame. `known` false: nothing, and count is 0. Known and count 0: nothing is there.
 */
struct camera_truth {
    bool known;
    size_t count;
    struct camera_box boxes[CAMERA_MAX_BOXES];
};

/* Errors: INVALID for a source that is none of the above or whose settings are wrong; NOT_FOUND for a missing
 * folder or file, or a folder without pictures; UNSUPPORTED for a video in a build without one. */
int camera_open(const struct camera_options *options, struct camera **out, struct err *err) must_check;
void camera_free(struct camera *camera);
MUSTER_CLEANUP(struct camera *, camera_free)
#define cleanup_camera __attribute__((cleanup(camera_freep)))

/* The frame `elapsed_ms` after the last one (the world moves on by so much; folders and videos give their
 * next frame). `rgb` holds width * height * 3 bytes. `truth` may be NULL. A damaged picture or frame is an
 * error; the next call goes on behind it. */
int camera_next(struct camera *camera, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth,
                struct err *err) must_check;

#endif
