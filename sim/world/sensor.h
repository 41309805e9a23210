/* The camera's optics and chip: canvas -> frame. Averages 2x2, blurs by motion and defocus, applies light and
 * colour cast, adds noise. */
#ifndef MUSTER_SIM_WORLD_SENSOR_H
#define MUSTER_SIM_WORLD_SENSOR_H

#include "sim/world/canvas.h"

#include <stdbool.h>
#include <stdint.h>

#define SENSOR_WIDTH 160
#define SENSOR_HEIGHT 128
#define SENSOR_LAMPS 5

struct sensor_lamp {
    float x, y, radius; /* frame pixels */
};

struct sensor {
    struct colour gain; /* light times cast, per channel; 1: unchanged */
    float noise;        /* standard deviation in steps of 1/255 */
    int motion_px;      /* length of a horizontal smear in frame pixels; 0: none, at most 12 */
    int defocus;        /* passes of a 1-2-1 blur, at most 4 */
    uint64_t seed;      /* of the noise */
    float dirt;         /* 0: a clean lens; else how much of a smear in its middle, at most 1 */
    float dirt_x, dirt_y, dirt_radius_x, dirt_radius_y; /* frame pixels */
    bool night;                                         /* it is lit by these lamps alone */
    int lamp_count;
    struct sensor_lamp lamps[SENSOR_LAMPS];
};

void sensor_expose(const struct sensor *sensor, const struct canvas *canvas, uint8_t *rgb);

#endif
