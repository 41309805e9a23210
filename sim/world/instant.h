/* One instant of the world: where the camera is, what its chip does, what stands where. `drive` and `scene`
 * set it up, world.c renders it.
 */
#ifndef MUSTER_SIM_WORLD_INSTANT_H
#define MUSTER_SIM_WORLD_INSTANT_H

#include "sim/world/canvas.h"
#include "sim/world/corridor.h"
#include "sim/world/objects.h"
#include "sim/world/prng.h"
#include "sim/world/sensor.h"

struct instant {
    uint64_t seed;
    struct corridor corridor;
    struct view view;
    struct sensor sensor;
    struct object objects[CANVAS_MAX_OBJECTS];
    int object_count;
};

/* Points the camera: yaw in radians, pitch as canvas rows that the horizon moves down. */
void instant_aim(struct instant *instant, float yaw, float pitch_rows);

/* True if the object touches no wall and none of the objects from number `first` on, also where their reach
 * takes them. */
bool instant_is_free(const struct instant *instant, const struct object *object, int first);

/* One more object; none if there are CANVAS_MAX_OBJECTS. */
void instant_add(struct instant *instant, const struct object *object);

/* Of any kind, with a look, heading and stride; without a place. */
struct object instant_random_object(struct prng *rng);

#endif
