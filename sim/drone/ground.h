/* The ground from above, painted onto sim/world's canvas: fields, roads, trees, roofs; pads, people and cars. Private to the room. */
#ifndef MUSTER_SIM_DRONE_GROUND_H
#define MUSTER_SIM_DRONE_GROUND_H

#include "sim/world/canvas.h"

#include <stdint.h>

struct ground_view { /* over metre (x, y), turned, so high */
    float x, y, sin, cos, altitude_m;
    uint64_t seed;
    float home_x, home_y; /* the pad of this drone */
    int64_t time_ms;      /* people walk, cars drive */
};

struct ground_object {
    int label; /* of canvas number i + 1 */
};

enum { GROUND_MAX_OBJECTS = 40 };

/* Paints everything; returns how many labelled objects were painted, with canvas numbers 1, 2, … */
int ground_paint(const struct ground_view *view, struct canvas *canvas,
                 struct ground_object objects[GROUND_MAX_OBJECTS]);

#endif
