#include "sim/world/drive.h"

#include "base/mem.h"
#include "sim/world/trig.h"

#define TURN_MS 1000
#define SPEED_M_PER_S 1.6f
#define PER_SEGMENT 12
#define PER_STATION 7
#define CLEAR_OF_BAY_M 3.8f
#define SEGMENT_END_M                                                                                        \
    1.2f /* free at both ends of a segment, so that segments do not depend on each other   \
                            */
#define PURPOSE_SEGMENT 1000
#define PURPOSE_STATION 500000

bool drive_init(struct drive *drive, uint64_t seed, int period_ms, int dock_ms)
{
    if (dock_ms < 0 || period_ms > 3600000 || period_ms - dock_ms < 4000)
        return false;
    drive->period_ms = period_ms;
    drive->dock_ms = dock_ms;
    drive->offset_ms = (int64_t)(prng_mix(seed) % (uint64_t)(period_ms - dock_ms));
    return true;
}

static float rolling_s(const struct drive *drive)
{
    return (float)(drive->period_ms - drive->dock_ms - 2 * TURN_MS) / 1000.0f;
}

float drive_bay_every_m(const struct drive *drive)
{
    return MAX(SPEED_M_PER_S * rolling_s(drive), 2 * CLEAR_OF_BAY_M + 1);
}

static int64_t phase_ms(const struct drive *drive, int64_t time_ms)
{
    return (time_ms + drive->offset_ms) % drive->period_ms;
}

bool drive_at_dock(const struct drive *drive, int64_t time_ms)
{
    return phase_ms(drive, time_ms) >= drive->period_ms - drive->dock_ms;
}

/* 0: along the aisle, 1: facing the bay. */
static float facing_bay(const struct drive *drive, int64_t time_ms)
{
    float phase = (float)phase_ms(drive, time_ms), dock_at = (float)(drive->period_ms - drive->dock_ms);

    if (phase < TURN_MS)
        return 1 - trig_smooth(phase / TURN_MS);
    return trig_smooth((phase - (dock_at - TURN_MS)) / TURN_MS);
}

/* In lengths of a segment. The part before the point is the segment. */
static float place(const struct drive *drive, int64_t time_ms)
{
    int64_t lap = (time_ms + drive->offset_ms) / drive->period_ms;
    float rolled = (float)(phase_ms(drive, time_ms) - TURN_MS) / (rolling_s(drive) * 1000.0f);

    return (float)(lap % 100000) + trig_smooth(rolled);
}

/* Seconds for things that swing; starts over after 1000 s so that a float holds it well. */
static float swing_s(int64_t time_ms)
{
    return (float)(time_ms % 1000000) / 1000.0f;
}

static void set_view(struct instant *instant, float bay, float z, float s)
{
    float along = 0.16f * trig_sin(z * 0.61f) * (1 - bay);
    float across = TRIG_PI / 2 + 0.17f * trig_sin(s * 1.4f);

    instant->view.z = z;
    instant->view.x = 0.45f * trig_sin(z * 0.37f) * (1 - bay);
    instant->view.height_m = 1.25f;
    instant_aim(instant, along + (across - along) * bay, 1.5f * trig_sin(s * 9) * (1 - bay));
}

static void set_sensor(struct instant *instant, float bay, float s, int64_t time_ms)
{
    const struct site *site = instant->corridor.site;
    float light = site->light * (1 + 0.08f * trig_sin(s * 0.45f) + 0.04f * trig_sin(s * 1.7f));
    struct prng rng = prng_of(instant->seed, 21);

    instant->sensor.gain = colour_scale(site->cast, light);
    instant->sensor.noise = prng_range(&rng, 2, 5);
    instant->sensor.motion_px = bay > 0.05f && bay < 0.95f ? 4 : 0;
    instant->sensor.defocus = prng_chance(&rng, 0.2f) ? 1 : 0;
    instant->sensor.seed = prng_mix(instant->seed ^ (uint64_t)time_ms << 20);
}

/* Most people walk and most forklifts drive to and fro, along the aisle. */
static void set_going(struct object *object, struct prng *rng)
{
    bool moves = prng_chance(rng, 0.6f), back = prng_chance(rng, 0.5f);

    if (object->kind == OBJECT_PERSON && moves)
        object->reach = 1.0f;
    if (object->kind == OBJECT_FORKLIFT) {
        object->reach = moves ? 0.6f : 0.0f;
        object->heading = back ? TRIG_PI - 0.1f : 0.1f;
    }
}

static void move(struct object *object, float s)
{
    struct prng rng = prng_of(object->look, 31);
    float at = prng_range(&rng, 0.5f, 1.1f) * s + object->stride;

    if (object->reach <= 0)
        return;
    object->z += object->reach * trig_sin(at);
    if (object->kind != OBJECT_PERSON)
        return;
    object->heading = trig_cos(at) < 0 ? TRIG_PI : 0;
    object->stride += 6 * s;
}

/* True where an object would be in sight from a dock: there only the station may be seen. */
static bool before_a_bay(const struct object *object, float start, float every)
{
    return object->x > 0 &&
           (object->z < start + CLEAR_OF_BAY_M || object->z > start + every - CLEAR_OF_BAY_M);
}

/* The aisle between bay k and bay k+1; its middle stays free for the robot. */
static void add_segment(struct instant *instant, int k)
{
    struct prng rng = prng_of(instant->seed, PURPOSE_SEGMENT + (uint64_t)(uint32_t)k);
    float every = instant->corridor.bay_every_m, start = every * (float)k;
    float half_width = instant->corridor.site->half_width_m;
    int first = instant->object_count;

    for (int i = 0; i < PER_SEGMENT; i++) {
        struct object object = instant_random_object(&rng);
        float radius = object_radius_m(&object);
        float inner = object.kind == OBJECT_FORKLIFT
                          ? 1.3f
                          : 0.75f + radius; /* forklifts keep to the aisle's direction */
        float side = prng_chance(&rng, 0.5f) ? 1.0f : -1.0f;

        set_going(&object, &rng);
        object.x = side * prng_range(&rng, inner, MAX(half_width - radius, inner + 0.01f));
        object.z = start + prng_range(&rng, SEGMENT_END_M, every - SEGMENT_END_M);
        if (!before_a_bay(&object, start, every) && instant_is_free(instant, &object, first))
            instant_add(instant, &object);
    }
}

static enum object_kind station_kind(struct prng *rng, int place_in_bay)
{
    static const enum object_kind each[] = {OBJECT_FORKLIFT, OBJECT_PALLET, OBJECT_CRATE, OBJECT_PERSON,
                                            OBJECT_CONE};

    if (place_in_bay < OBJECT_LABELLED)
        return each[place_in_bay];
    return (enum object_kind)prng_below(rng, OBJECT_LABELLED);
}

/* Tries a few places in bay k for the object; without one it is left out. */
static void add_to_bay(struct instant *instant, int k, struct object *object, int first, struct prng *rng)
{
    float half_width = instant->corridor.site->half_width_m, radius = object_radius_m(object);

    for (int attempt = 0; attempt < 12; attempt++) {
        object->x = half_width + prng_range(rng, 0.1f, BAY_DEPTH_M - radius);
        object->z = instant->corridor.bay_every_m * (float)k + prng_range(rng, -2.0f, 2.0f);
        if (instant_is_free(instant, object, first)) {
            instant_add(instant, object);
            return;
        }
    }
}

/* The reference station in bay k: each class is tried once, the biggest first; arranged anew for each visit.
 */
static void add_station(struct instant *instant, int k)
{
    struct prng rng = prng_of(instant->seed, PURPOSE_STATION + (uint64_t)(uint32_t)k);
    int first = instant->object_count;

    for (int i = 0; i < PER_STATION; i++) {
        struct object object = instant_random_object(&rng);

        object.kind = station_kind(&rng, i);
        add_to_bay(instant, k, &object, first, &rng);
    }
}

static void set_objects(struct instant *instant, int segment, float s)
{
    instant->object_count = 0;
    for (int k = segment; k <= segment + 1; k++)
        add_station(instant, k);
    for (int k = segment; k <= segment + 1; k++)
        add_segment(instant, k);
    for (int i = 0; i < instant->object_count; i++)
        move(&instant->objects[i], s);
}

void drive_build(const struct drive *drive, int64_t time_ms, struct instant *out)
{
    float at = place(drive, time_ms), bay = facing_bay(drive, time_ms), s = swing_s(time_ms);
    int segment = trig_floor(at + 0.0001f);

    set_view(out, bay, at * out->corridor.bay_every_m, s);
    set_sensor(out, bay, s, time_ms);
    set_objects(out, segment, s);
}
