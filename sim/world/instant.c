#include "sim/world/instant.h"

#include "base/mem.h"
#include "sim/world/trig.h"

void instant_aim(struct instant *instant, float yaw, float pitch_rows)
{
    struct view *view = &instant->view;

    view->sin_yaw = trig_sin(yaw);
    view->cos_yaw = trig_cos(yaw);
    view->focal = 225;
    view->horizon = CANVAS_HEIGHT * 0.36f + pitch_rows;
}

static float absf(float x)
{
    return x < 0 ? -x : x;
}

static bool too_near(const struct object *a, const struct object *b, float apart_m)
{
    float dx = a->x - b->x, dz = MAX(absf(a->z - b->z) - a->reach - b->reach, 0.0f);

    return dx * dx + dz * dz < apart_m * apart_m * 0.8f;
}

bool instant_is_free(const struct instant *instant, const struct object *object, int first)
{
    float radius = object_radius_m(object);

    if (!corridor_has_room(&instant->corridor, object->x, object->z, radius))
        return false;
    for (int i = first; i < instant->object_count; i++) {
        const struct object *other = &instant->objects[i];

        if (too_near(object, other, radius + object_radius_m(other)))
            return false;
    }
    return true;
}

void instant_add(struct instant *instant, const struct object *object)
{
    if (instant->object_count < CANVAS_MAX_OBJECTS)
        instant->objects[instant->object_count++] = *object;
}

static enum object_kind random_kind(struct prng *rng)
{
    static const enum object_kind table[] = {OBJECT_PERSON,   OBJECT_PERSON,   OBJECT_PERSON, OBJECT_PALLET,
                                             OBJECT_PALLET,   OBJECT_PALLET,   OBJECT_CONE,   OBJECT_CONE,
                                             OBJECT_CONE,     OBJECT_CRATE,    OBJECT_CRATE,  OBJECT_CRATE,
                                             OBJECT_FORKLIFT, OBJECT_FORKLIFT, OBJECT_DRUM,   OBJECT_POST};

    return table[prng_below(rng, (int)ARRAY_LEN(table))];
}

struct object instant_random_object(struct prng *rng)
{
    struct object object = {.kind = random_kind(rng)};

    object.heading = prng_range(rng, 0, 2 * TRIG_PI);
    object.look = prng_next(rng);
    object.stride = prng_range(rng, 0, 2 * TRIG_PI);
    return object;
}
