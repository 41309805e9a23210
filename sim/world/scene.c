#include "sim/world/scene.h"

#include "sim/world/trig.h"

static float scene_yaw(struct prng *rng)
{
    float kind = prng_unit(rng);

    if (kind < 0.6f)
        return prng_range(rng, -0.35f, 0.35f);
    if (kind < 0.85f)
        return TRIG_PI / 2 + prng_range(rng, -0.35f, 0.35f);
    return prng_range(rng, 0, 2 * TRIG_PI);
}

static void scene_view(struct instant *instant, struct prng *rng)
{
    float yaw = scene_yaw(rng);

    instant->view.z = prng_range(rng, 0, 400);
    if (yaw > 1 && yaw < 2)
        instant->view.z = instant->corridor.bay_every_m * (float)prng_below(rng, 40) + prng_range(rng, -1, 1);
    instant->view.x = prng_range(rng, -0.6f, 0.6f);
    instant->view.height_m = prng_range(rng, 1.15f, 1.35f);
    instant_aim(instant, yaw, prng_range(rng, -6, 6));
}

static void scene_sensor(struct instant *instant, struct prng *rng)
{
    struct colour cast = instant->corridor.site->cast;
    float light = instant->corridor.site->light * prng_range(rng, 0.68f, 1.25f);

    cast.r *= prng_range(rng, 0.95f, 1.05f);
    cast.b *= prng_range(rng, 0.95f, 1.05f);
    instant->sensor.gain = colour_scale(cast, light);
    instant->sensor.noise = prng_range(rng, 1, 8);
    instant->sensor.motion_px = prng_chance(rng, 0.25f) ? 2 + prng_below(rng, 4) : 0;
    instant->sensor.defocus = prng_chance(rng, 0.25f) ? 1 + prng_below(rng, 2) : 0;
    instant->sensor.seed = prng_mix(prng_next(rng));
}

static void scene_objects(struct instant *instant, struct prng *rng)
{
    int count = 2 + prng_below(rng, 8);

    instant->object_count = 0;
    for (int attempt = 0; attempt < 8 * count && instant->object_count < count; attempt++) {
        struct object object = instant_random_object(rng);
        float depth = prng_range(rng, 1.7f, 8.0f), right = prng_range(rng, -0.75f, 0.75f) * depth;

        object.x = instant->view.x + depth * instant->view.sin_yaw + right * instant->view.cos_yaw;
        object.z = instant->view.z + depth * instant->view.cos_yaw - right * instant->view.sin_yaw;
        if (instant_is_free(instant, &object, 0))
            instant_add(instant, &object);
    }
}

void scene_build(uint64_t index, struct instant *instant)
{
    struct prng rng = prng_of(instant->seed, 0x5cee0000u + index);

    scene_view(instant, &rng);
    scene_sensor(instant, &rng);
    scene_objects(instant, &rng);
}
