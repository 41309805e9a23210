#include "sim/drone/drone.h"

#include "sim/drone/ground.h"
#include "sim/world/prng.h"
#include "sim/world/sensor.h"
#include "sim/world/trig.h"

enum { CLIMB_MS = 12000, CRUISE_MS = 15000, DESCEND_MS = 37000 };
#define CRUISE_M 7.0f
#define PAD_M 0.9f

struct drone {
    uint64_t seed;
    int64_t time_ms;
    bool is_scene;
    uint64_t scene;
    struct sensor sensor;
    struct canvas canvas;
};

static const char *const class_names[DRONE_CLASSES] = {"pad", "person", "car"};

const char *drone_class_name(int label)
{
    return label >= 0 && label < DRONE_CLASSES ? class_names[label] : NULL;
}

struct drone *drone_new(uint64_t seed)
{
    struct drone *drone = mem_zalloc(1, sizeof *drone);
    if (drone)
        drone->seed = prng_mix(seed);
    return drone;
}

void drone_free(struct drone *drone)
{
    free(drone);
}

void drone_seek(struct drone *drone, int64_t time_ms)
{
    drone->time_ms = MAX(time_ms, 0);
    drone->is_scene = false;
}

void drone_scene(struct drone *drone, uint64_t index)
{
    drone->is_scene = true;
    drone->scene = index;
}

static float altitude_at(float ms)
{
    if (ms < CLIMB_MS)
        return PAD_M;
    float up = trig_smooth((ms - CLIMB_MS) / (CRUISE_MS - CLIMB_MS)),
          down = trig_smooth((ms - DESCEND_MS) / (DRONE_ROUND_MS - DESCEND_MS));
    return PAD_M + (CRUISE_M - PAD_M) * (up - down);
}

/* Filled on the pad, used in the air. */
static double battery_at(float ms)
{
    double pad = trig_clamp(ms / CLIMB_MS, 0, 1),
           air = trig_clamp((ms - CLIMB_MS) / (DRONE_ROUND_MS - CLIMB_MS), 0, 1);
    return 0.3 + 0.65 * (pad - air);
}

static float in_round(const struct drone *drone)
{
    return (float)(drone->time_ms % DRONE_ROUND_MS);
}

void drone_state(const struct drone *drone, struct drone_state *out)
{
    float ms = in_round(drone);
    bool flying = ms >= CLIMB_MS;
    *out = (struct drone_state){.flying = flying,
                                .altitude_m = (double)altitude_at(ms),
                                .battery = battery_at(ms),
                                .power_w = flying ? -180 : 120};
}

/* Out and back along another direction each round. */
static void fly(const struct drone *drone, struct ground_view *view)
{
    float ms = in_round(drone), out = trig_clamp((ms - CRUISE_MS) / (DESCEND_MS - CRUISE_MS), 0, 1);
    struct prng rng = prng_of(drone->seed, 0xf11e0000u + (uint64_t)(drone->time_ms / DRONE_ROUND_MS));
    float heading = prng_range(&rng, 0, 6.28f),
          far = prng_range(&rng, 25, 60) * trig_smooth(1 - 2 * (out < 0.5f ? 0.5f - out : out - 0.5f));
    view->altitude_m = altitude_at(ms);
    view->x = view->home_x + far * trig_cos(heading);
    view->y = view->home_y + far * trig_sin(heading);
    view->sin = trig_sin(heading);
    view->cos = trig_cos(heading);
}

static void anywhere(const struct drone *drone, struct ground_view *view)
{
    struct prng rng = prng_of(drone->seed, 0x5ce00000u + drone->scene);
    float heading = prng_range(&rng, 0, 6.28f);
    view->seed = prng_mix(drone->seed + drone->scene);
    view->x = prng_range(&rng, -400, 400);
    view->y = prng_range(&rng, -400, 400);
    view->altitude_m = prng_range(&rng, PAD_M, 9);
    view->sin = trig_sin(heading);
    view->cos = trig_cos(heading);
    if (prng_chance(&rng, 0.3f)) { /* over a pad, as when it lands */
        view->home_x = view->x + prng_range(&rng, -0.6f, 0.6f) * view->altitude_m;
        view->home_y = view->y + prng_range(&rng, -0.5f, 0.5f) * view->altitude_m;
    }
}

static struct ground_view look(const struct drone *drone)
{
    struct prng rng = prng_of(drone->seed, 0x40e);
    struct ground_view view = {.seed = drone->seed, .time_ms = drone->time_ms};
    view.home_x = prng_range(&rng, -50, 50);
    view.home_y = prng_range(&rng, -50, 50);
    if (drone->is_scene)
        anywhere(drone, &view);
    else
        fly(drone, &view);
    return view;
}

static struct sensor expose_for(const struct drone *drone)
{
    uint64_t moment = drone->is_scene ? drone->scene : (uint64_t)drone->time_ms;
    struct prng rng = prng_of(drone->seed, 0x5e500000u + moment),
                day = prng_of(drone->seed, drone->is_scene ? moment : 0x11);
    float light = prng_range(&day, 0.75f, 1.2f);
    return (struct sensor){
        .gain = {light * prng_range(&day, 0.96f, 1.04f), light, light * prng_range(&day, 0.94f, 1.04f)},
        .noise = prng_range(&day, 1, 6),
        .motion_px = prng_chance(&rng, 0.3f) ? 2 + prng_below(&rng, 2) : 0,
        .seed = prng_next(&rng)};
}

static bool box_of(const struct canvas *canvas, const struct canvas_extent *extent, int id, int label,
                   struct world_box *box)
{
    if (!extent->pixels || 2 * extent->pixels < canvas->painted[id])
        return false;
    *box = (struct world_box){.x0 = (float)extent->x0 * 0.5f,
                              .y0 = (float)extent->y0 * 0.5f,
                              .x1 = (float)extent->x1 * 0.5f,
                              .y1 = (float)extent->y1 * 0.5f,
                              .label = label,
                              .object = id,
                              .visible = (float)extent->pixels / (float)canvas->painted[id]};
    return box->x1 - box->x0 >= 6 && box->y1 - box->y0 >= 6;
}

void drone_render(struct drone *drone, uint8_t *rgb, struct world_box *boxes, size_t max, size_t *count)
{
    struct ground_view view = look(drone);
    struct ground_object objects[GROUND_MAX_OBJECTS];
    struct canvas_extent extents[CANVAS_MAX_OBJECTS + 1];
    int painted = ground_paint(&view, &drone->canvas, objects);
    drone->sensor = expose_for(drone);
    sensor_expose(&drone->sensor, &drone->canvas, rgb);
    canvas_measure(&drone->canvas, extents);
    *count = 0;
    for (int i = 0; i < painted && *count < max; i++)
        *count += box_of(&drone->canvas, &extents[i + 1], i + 1, objects[i].label, &boxes[*count]);
}
