#include "sim/world/change.h"

#include "base/mem.h"
#include "sim/world/trig.h"

#define LAMP_EVERY_M 5.0f
#define LAMP_HEIGHT_M 0.9f /* what it lights, not where it hangs */
#define PURPOSE_STRANGE 900000
#define PURPOSE_DIRT 51
#define ATTEMPTS 60

/* Pools of warm light under the lamps that stay on; between them it is nearly dark. */
static void light_lamps(struct instant *instant)
{
    const struct view *view = &instant->view;
    struct sensor *sensor = &instant->sensor;
    int nearest = trig_floor(view->z / LAMP_EVERY_M) - 1;

    sensor->night = true;
    sensor->lamp_count = 0;
    for (int k = nearest; k < nearest + SENSOR_LAMPS; k++) {
        struct spot spot = view_of(view, 0, (float)k * LAMP_EVERY_M);

        if (spot.depth < 1)
            continue;
        struct point at = view_project(view, spot.right, LAMP_HEIGHT_M, spot.depth);
        sensor->lamps[sensor->lamp_count++] =
            (struct sensor_lamp){0.5f * at.x, 0.5f * at.y, 0.55f * view->focal / spot.depth};
    }
    sensor->gain = (struct colour){sensor->gain.r * 1.12f, sensor->gain.g * 0.86f, sensor->gain.b * 0.52f};
    sensor->noise += 3;
}

/* Where the smear sits belongs to the camera: always the same place of one robot's. */
static void dirty_lens(struct instant *instant)
{
    struct prng rng = prng_of(instant->seed, PURPOSE_DIRT);
    struct sensor *sensor = &instant->sensor;

    sensor->dirt = prng_range(&rng, 0.75f, 0.95f);
    sensor->dirt_x = SENSOR_WIDTH * prng_range(&rng, 0.3f, 0.7f);
    sensor->dirt_y = SENSOR_HEIGHT * prng_range(&rng, 0.4f, 0.65f);
    sensor->dirt_radius_x = SENSOR_WIDTH * prng_range(&rng, 0.38f, 0.5f);
    sensor->dirt_radius_y = SENSOR_HEIGHT * prng_range(&rng, 0.38f, 0.5f);
}

/* Robot dogs in the aisle between bay k and bay k+1: they trot to and fro, wherever there is room. */
static void add_dogs(struct instant *instant, int k, int count)
{
    struct prng rng = prng_of(instant->seed, PURPOSE_STRANGE + (uint64_t)(uint32_t)k);
    float every = instant->corridor.bay_every_m, start = every * (float)k;
    float wide = instant->corridor.site->half_width_m - 0.7f;

    for (int attempt = 0; attempt < ATTEMPTS && count > 0; attempt++) {
        struct object dog = instant_random_object(&rng);

        dog.kind = OBJECT_DOG;
        dog.reach = 0.4f;
        dog.x = prng_range(&rng, -wide, wide);
        dog.z = start + prng_range(&rng, 0, every);
        if (!instant_is_free(instant, &dog, 0))
            continue;
        instant_add(instant, &dog);
        count--;
    }
}

void change_apply(const struct world_change *change, int64_t time_ms, bool is_scene, struct instant *instant)
{
    struct sensor *sensor = &instant->sensor;

    sensor->night = false;
    sensor->dirt = 0;
    if (time_ms < change->from_ms)
        return;
    if (change->dirty_lens)
        dirty_lens(instant);
    if (change->night)
        light_lamps(instant);
    if (change->strange <= 0 || is_scene)
        return;
    int segment = trig_floor(instant->view.z / instant->corridor.bay_every_m + 0.0001f);
    for (int k = segment; k <= segment + 1; k++)
        add_dogs(instant, k, MIN(change->strange, WORLD_MAX_STRANGE));
}
