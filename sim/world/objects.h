/* The things in the world: five kinds that a detector is to find, and some that it is to leave alone.
 *
 * An object stands on the floor at (x, z) and is turned by `heading`. Its look (size, colours, pose) follows
 * from `look` alone, so that the same object is the same in every frame. Boxes are true solids; people, cones
 * and drums are painted facing the camera.
 */
#ifndef MUSTER_SIM_WORLD_OBJECTS_H
#define MUSTER_SIM_WORLD_OBJECTS_H

#include "sim/world/canvas.h"
#include "sim/world/corridor.h"

#include <stdbool.h>
#include <stdint.h>

enum object_kind {
    OBJECT_PERSON,
    OBJECT_PALLET,
    OBJECT_FORKLIFT,
    OBJECT_CONE,
    OBJECT_CRATE,
    OBJECT_DRUM,
    OBJECT_POST,
    OBJECT_DOG /* a robot on four legs: in no picture that a model was trained on */
};

#define OBJECT_LABELLED 5 /* kinds below this are classes; the others only get in the way */
#define OBJECT_KINDS 8

struct object {
    enum object_kind kind;
    float x, z;    /* m */
    float heading; /* radians */
    float reach;   /* m: how far it walks or drives from (x, z) along the aisle; 0: it stands */
    float stride;  /* radians: where a walking person is in the step */
    uint32_t look;
};

struct object_scene {
    const struct corridor *corridor;
    const struct view *view;
    struct canvas *canvas;
};

/* The circle on the floor that nothing else may enter. */
float object_radius_m(const struct object *object);

/* What the object would cover if nothing stood in the way, the frame's edges included: canvas pixels.
 * False if it is behind the camera or too near to be drawn. */
bool object_extent(const struct view *view, const struct object *object, struct point *low,
                   struct point *high);

/* Paints the object with number `id` (1..CANVAS_MAX_OBJECTS). Back to front is the caller's business. */
void object_paint(const struct object_scene *scene, const struct object *object, int id);

/* Its shadow on the floor; before any object is painted. */
void object_shadow(const struct object_scene *scene, const struct object *object);

#endif
