/* Pictures as a worse camera would have taken them: copies of labelled data on which one sees how a model's accuracy falls with its confidence.
 *
 *     out of focus   Gaussian, standard deviation in pixels of the model's input
 *     dark           light times gain
 *     grain          noise added, in 1/255
 *
 * The sensor's own noise, as measured in the picture (Immerkær, "Fast noise variance estimation", 1996, by the median), is the same after as before: what blur
 * and darkness took of it is put back. Without that, blurred copies were unlike blurred pictures: a model that is used to grain was sure of them and wrong.
 */
#ifndef MUSTER_FORGE_PROFILE_CAMERA_H
#define MUSTER_FORGE_PROFILE_CAMERA_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct camera {
    double blur, gain, grain; /* 0, 1, 0: as it is */
};

enum { CAMERA_COPIES = 17 };
extern const struct camera camera_copies[CAMERA_COPIES]; /* blur, dark, grain, each from little to much */

/* In place. `scale`: pixels of the picture to one of the model's input. The same `seed` gives the same grain. */
int camera_take(uint8_t *rgb, int width, int height, const struct camera *camera, double scale, uint64_t seed,
                struct err *err) must_check;
/* Of floats, which mean anything: grain alone, in standard deviations of the frame per 1/60 of it; 0 for copies of other kinds: leave those out. */
int camera_shake(float *values, size_t count, const struct camera *camera, uint64_t seed);

double camera_noise(const uint8_t *rgb, int width, int height); /* in 1/255, per channel */

#endif
