/* The building: one aisle without end along z, with a dock bay in its right wall every `bay_every_m`.
 *
 *        x = +w + BAY_DEPTH      .-----------.                   .-----------.
 *                                | station k |                   |    k+1    |
 *        x = +w   ---------------'           '-------------------'           '-----   right wall
 *                                                robot  o->  z
 *        x = -w   ------------------------------------------------------------------  left wall
 *                             z = k * bay_every_m
 *
 * The camera is a pinhole at `height_m` that looks along `yaw` (0: +z, +90 degrees: the right wall); pitch is
 * a shift of the horizon. Camera space: right (m), depth (m). Walls are found per column, the floor per
 * pixel.
 */
#ifndef MUSTER_SIM_WORLD_CORRIDOR_H
#define MUSTER_SIM_WORLD_CORRIDOR_H

#include "sim/world/canvas.h"
#include "sim/world/site.h"

#include <stdbool.h>

#define BAY_DEPTH_M 3.0f
#define BAY_HALF_M 2.4f

struct view {
    float x, z;     /* m */
    float height_m; /* of the lens over the floor */
    float sin_yaw, cos_yaw;
    float focal;   /* canvas pixels */
    float horizon; /* canvas row */
};

struct corridor {
    const struct site *site;
    float bay_every_m;
    uint32_t salt; /* the pattern of floor and racks */
};

struct spot {
    float right, depth; /* m, in camera space */
};

static inline struct spot view_of(const struct view *view, float x, float z)
{
    float dx = x - view->x, dz = z - view->z;

    return (struct spot){dx * view->cos_yaw - dz * view->sin_yaw, dx * view->sin_yaw + dz * view->cos_yaw};
}

static inline struct point view_project(const struct view *view, float right, float y, float depth)
{
    float scale = view->focal / depth;

    return (struct point){CANVAS_WIDTH * 0.5f + right * scale, view->horizon + (view->height_m - y) * scale};
}

/* True if something of this radius fits at (x, z): in the aisle or in a bay. */
bool corridor_has_room(const struct corridor *corridor, float x, float z, float radius_m);

/* The share of an object's own colour that the haze leaves at this depth. */
float corridor_clearness(const struct corridor *corridor, float depth_m);

/* Paints floor, walls and ceiling over the whole canvas. */
void corridor_paint(const struct corridor *corridor, const struct view *view, struct canvas *canvas);

#endif
