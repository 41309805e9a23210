#include "sim/world/world.h"

#include "sim/world/canvas.h"
#include "sim/world/corridor.h"
#include "sim/world/objects.h"
#include "sim/world/prng.h"
#include "sim/world/sensor.h"
#include "sim/world/trig.h"

#define TURN_MS 1000
#define SPEED_M_PER_S 1.6f
#define PER_SEGMENT 11
#define PER_STATION 7
#define CLEAR_OF_BAY_M 3.8f

struct world {
    uint64_t seed;
    int site_index;
    struct corridor corridor;
    int period_ms, dock_ms;
    int64_t time_ms, offset_ms;
    bool is_scene;
    uint64_t scene;
    struct world_sensor wanted;

    /* of the instant */
    struct view view;
    struct sensor sensor;
    struct object objects[CANVAS_MAX_OBJECTS];
    int object_count;
    struct canvas canvas;
};

static const char *const class_names[WORLD_CLASSES] = {"person", "pallet", "forklift", "cone", "crate"};

const char *world_class_name(int label)
{
    return label >= 0 && label < WORLD_CLASSES ? class_names[label] : NULL;
}

int world_site_count(void)
{
    return SITE_COUNT;
}

const char *world_site_name(int site)
{
    return site_get(site) ? site_get(site)->name : NULL;
}

static float drive_s(const struct world *world)
{
    return (float)(world->period_ms - world->dock_ms - 2 * TURN_MS) / 1000.0f;
}

bool world_set_dock(struct world *world, int period_ms, int dock_ms)
{
    if (dock_ms < 0 || period_ms > 3600000 || period_ms - dock_ms < 4000)
        return false;
    world->period_ms = period_ms;
    world->dock_ms = dock_ms;
    world->corridor.bay_every_m = MAX(SPEED_M_PER_S * drive_s(world), 2 * CLEAR_OF_BAY_M);
    world->offset_ms = (int64_t)(prng_mix(world->seed) % (uint64_t)(period_ms - dock_ms));
    return true;
}

struct world *world_new(uint64_t seed, int site)
{
    struct world *world = site_get(site) ? mem_zalloc(1, sizeof(*world)) : NULL;

    if (!world)
        return NULL;
    world->seed = prng_mix(seed) + (uint64_t)site;
    world->site_index = site;
    world->corridor.site = site_get(site);
    world->corridor.salt = (uint32_t)prng_mix(world->seed);
    world->wanted = (struct world_sensor){-1, -1, -1};
    world_set_dock(world, 15000, 4000);
    return world;
}

void world_free(struct world *world)
{
    free(world);
}

void world_set_sensor(struct world *world, struct world_sensor sensor)
{
    world->wanted = sensor;
}

void world_step(struct world *world, int dt_ms)
{
    world_seek(world, world->time_ms + dt_ms);
}

int64_t world_time_ms(const struct world *world)
{
    return world->time_ms;
}

void world_seek(struct world *world, int64_t time_ms)
{
    world->time_ms = MAX(time_ms, 0);
    world->is_scene = false;
}

void world_scene(struct world *world, uint64_t index)
{
    world->is_scene = true;
    world->scene = index;
}

static int64_t phase_ms(const struct world *world)
{
    return (world->time_ms + world->offset_ms) % world->period_ms;
}

bool world_at_dock(const struct world *world)
{
    return !world->is_scene && phase_ms(world) >= world->period_ms - world->dock_ms;
}

const uint8_t *world_mask(const struct world *world)
{
    return &world->canvas.id[0][0];
}

/* ---- the drive
 * -------------------------------------------------------------------------------------------------- */

/* 0: along the aisle, 1: facing the bay. */
static float facing_bay(const struct world *world)
{
    float phase = (float)phase_ms(world), dock_at = (float)(world->period_ms - world->dock_ms);

    if (phase < TURN_MS)
        return 1 - trig_smooth(phase / TURN_MS);
    return trig_smooth((phase - (dock_at - TURN_MS)) / TURN_MS);
}

static float drive_position(const struct world *world)
{
    int64_t lap = (world->time_ms + world->offset_ms) / world->period_ms;
    float driven = (float)(phase_ms(world) - TURN_MS) / (drive_s(world) * 1000.0f);

    return ((float)lap + trig_smooth(driven)) * world->corridor.bay_every_m;
}

static void aim(struct view *view, float yaw, float pitch_rows)
{
    view->sin_yaw = trig_sin(yaw);
    view->cos_yaw = trig_cos(yaw);
    view->focal = 225;
    view->horizon = CANVAS_HEIGHT * 0.36f + pitch_rows;
}

static void drive_view(struct world *world)
{
    float bay = facing_bay(world), z = drive_position(world);
    float s = (float)(world->time_ms % 1000000) / 1000.0f;
    float along = 0.16f * trig_sin(z * 0.61f) * (1 - bay), across = TRIG_PI / 2 + 0.17f * trig_sin(s * 1.4f);

    world->view.z = z;
    world->view.x = 0.45f * trig_sin(z * 0.37f) * (1 - bay);
    world->view.height_m = 1.25f;
    aim(&world->view, along + (across - along) * bay, 1.5f * trig_sin(s * 9) * (1 - bay));
}

static float light_of(const struct world *world)
{
    float s = (float)(world->time_ms % 1000000) / 1000.0f;

    return world->corridor.site->light * (1 + 0.08f * trig_sin(s * 0.45f) + 0.04f * trig_sin(s * 1.7f));
}

static void drive_sensor(struct world *world)
{
    float bay = facing_bay(world);
    struct prng rng = prng_of(world->seed, 21);

    world->sensor = (struct sensor){.gain = colour_scale(world->corridor.site->cast, light_of(world)),
                                    .noise = prng_range(&rng, 2, 5),
                                    .motion_px = bay > 0.05f && bay < 0.95f ? 4 : 0,
                                    .defocus = prng_chance(&rng, 0.2f) ? 1 : 0,
                                    .seed = prng_mix(world->seed ^ (uint64_t)world->time_ms << 20)};
}

/* ---- what stands where
 * ------------------------------------------------------------------------------------------ */

static bool is_free(const struct world *world, const struct object *object)
{
    float radius = object_radius_m(object);

    if (!corridor_has_room(&world->corridor, object->x, object->z, radius))
        return false;
    for (int i = 0; i < world->object_count; i++) {
        const struct object *other = &world->objects[i];
        float dx = other->x - object->x, dz = other->z - object->z, apart = radius + object_radius_m(other);

        if (dx * dx + dz * dz < apart * apart * 0.8f)
            return false;
    }
    return true;
}

static void add(struct world *world, const struct object *object)
{
    if (world->object_count < CANVAS_MAX_OBJECTS)
        world->objects[world->object_count++] = *object;
}

static enum object_kind random_kind(struct prng *rng)
{
    static const enum object_kind table[] = {OBJECT_PERSON,   OBJECT_PERSON,   OBJECT_PERSON, OBJECT_PALLET,
                                             OBJECT_PALLET,   OBJECT_PALLET,   OBJECT_CONE,   OBJECT_CONE,
                                             OBJECT_CONE,     OBJECT_CRATE,    OBJECT_CRATE,  OBJECT_CRATE,
                                             OBJECT_FORKLIFT, OBJECT_FORKLIFT, OBJECT_DRUM,   OBJECT_POST};

    return table[prng_below(rng, (int)ARRAY_LEN(table))];
}

static struct object random_object(struct prng *rng)
{
    struct object object = {.kind = random_kind(rng), .heading = prng_range(rng, 0, 2 * TRIG_PI)};

    object.look = prng_next(rng);
    object.stride = prng_range(rng, 0, 2 * TRIG_PI);
    return object;
}

/* People walk and forklifts drive to and fro along the aisle, on a path that is free by construction. */
static void move(const struct world *world, struct object *object, struct prng *rng)
{
    float s = (float)(world->time_ms % 1000000) / 1000.0f;
    float reach = object->kind == OBJECT_PERSON ? 1.0f : 0.6f, pace = prng_range(rng, 0.5f, 1.1f);
    float at = pace * s + object->stride;

    if (object->kind != OBJECT_PERSON && object->kind != OBJECT_FORKLIFT)
        return;
    if (!prng_chance(rng, 0.6f))
        return;
    object->z += reach * trig_sin(at);
    object->heading = object->kind == OBJECT_PERSON && trig_cos(at) < 0 ? TRIG_PI : 0;
    object->stride += s * 6 * (object->kind == OBJECT_PERSON);
}

/* The aisle between bay k and bay k+1. Nothing but the station may be seen from the dock, and the middle
 * stays free. */
static void add_segment(struct world *world, int k)
{
    struct prng rng = prng_of(world->seed, 1000 + (uint64_t)(uint32_t)k);
    float every = world->corridor.bay_every_m, w = world->corridor.site->half_width_m;

    for (int i = 0; i < PER_SEGMENT; i++) {
        struct object object = random_object(&rng);
        float side = prng_chance(&rng, 0.5f) ? 1.0f : -1.0f, radius = object_radius_m(&object);

        object.x = side * prng_range(&rng, 0.75f + radius, MAX(w - radius, 0.76f + radius));
        object.z = every * ((float)k + prng_unit(&rng));
        if (side > 0 && (object.z < every * (float)k + CLEAR_OF_BAY_M ||
                         object.z > every * (float)(k + 1) - CLEAR_OF_BAY_M))
            continue;
        if (!is_free(world, &object))
            continue;
        move(world, &object, &rng);
        add(world, &object);
    }
}

static enum object_kind station_kind(struct prng *rng, int place)
{
    static const enum object_kind each[] = {OBJECT_FORKLIFT, OBJECT_PALLET, OBJECT_CRATE, OBJECT_PERSON,
                                            OBJECT_CONE};

    return place < OBJECT_LABELLED ? each[place] : (enum object_kind)prng_below(rng, OBJECT_LABELLED);
}

/* The reference station in bay k: every class at least once, arranged anew for each visit. */
static void add_station(struct world *world, int k)
{
    struct prng rng = prng_of(world->seed, 500000 + (uint64_t)(uint32_t)k);
    float w = world->corridor.site->half_width_m;

    for (int i = 0; i < PER_STATION; i++) {
        struct object object = random_object(&rng);

        object.kind = station_kind(&rng, i);
        for (int attempt = 0; attempt < 12; attempt++) {
            float radius = object_radius_m(&object);

            object.x = w + prng_range(&rng, 0.1f, BAY_DEPTH_M - radius);
            object.z = world->corridor.bay_every_m * (float)k + prng_range(&rng, -2.0f, 2.0f);
            if (is_free(world, &object)) {
                add(world, &object);
                break;
            }
        }
    }
}

static void drive_objects(struct world *world)
{
    int here = trig_floor(world->view.z / world->corridor.bay_every_m + 0.001f);

    world->object_count = 0;
    for (int k = here; k <= here + 1; k++)
        add_station(world, k);
    for (int k = here - 1; k <= here + 1; k++)
        add_segment(world, k);
}

/* ---- random scenes
 * ---------------------------------------------------------------------------------------------- */

static float scene_yaw(struct prng *rng)
{
    float kind = prng_unit(rng);

    if (kind < 0.6f)
        return prng_range(rng, -0.35f, 0.35f);
    if (kind < 0.85f)
        return TRIG_PI / 2 + prng_range(rng, -0.35f, 0.35f);
    return prng_range(rng, 0, 2 * TRIG_PI);
}

static void scene_view(struct world *world, struct prng *rng)
{
    float yaw = scene_yaw(rng);

    world->view.z = prng_range(rng, 0, 400);
    if (yaw > 1 && yaw < 2)
        world->view.z = world->corridor.bay_every_m * (float)prng_below(rng, 40) + prng_range(rng, -1, 1);
    world->view.x = prng_range(rng, -0.6f, 0.6f);
    world->view.height_m = prng_range(rng, 1.15f, 1.35f);
    aim(&world->view, yaw, prng_range(rng, -6, 6));
}

static void scene_sensor(struct world *world, struct prng *rng)
{
    struct colour cast = world->corridor.site->cast;
    float light = world->corridor.site->light * prng_range(rng, 0.68f, 1.25f);

    cast.r *= prng_range(rng, 0.95f, 1.05f);
    cast.b *= prng_range(rng, 0.95f, 1.05f);
    world->sensor = (struct sensor){.gain = colour_scale(cast, light),
                                    .noise = prng_range(rng, 1, 8),
                                    .motion_px = prng_chance(rng, 0.25f) ? 2 + prng_below(rng, 4) : 0,
                                    .defocus = prng_chance(rng, 0.25f) ? 1 + prng_below(rng, 2) : 0,
                                    .seed = prng_mix(prng_next(rng))};
}

static void scene_objects(struct world *world, struct prng *rng)
{
    int count = 2 + prng_below(rng, 8);

    world->object_count = 0;
    for (int attempt = 0; attempt < 8 * count && world->object_count < count; attempt++) {
        struct object object = random_object(rng);
        float depth = prng_range(rng, 1.7f, 8.0f), right = prng_range(rng, -0.75f, 0.75f) * depth;

        object.x = world->view.x + depth * world->view.sin_yaw + right * world->view.cos_yaw;
        object.z = world->view.z + depth * world->view.cos_yaw - right * world->view.sin_yaw;
        if (is_free(world, &object))
            add(world, &object);
    }
}

static void scene_build(struct world *world)
{
    struct prng rng = prng_of(world->seed, 0x5cee0000u + world->scene);

    scene_view(world, &rng);
    scene_sensor(world, &rng);
    scene_objects(world, &rng);
}

/* ---- rendering
 * -------------------------------------------------------------------------------------------------- */

static void override_sensor(struct world *world)
{
    if (world->wanted.light >= 0)
        world->sensor.gain = colour_scale(world->corridor.site->cast, world->wanted.light);
    if (world->wanted.noise >= 0)
        world->sensor.noise = MIN(world->wanted.noise, 64);
    if (world->wanted.blur >= 0)
        world->sensor.defocus = (int)MIN(world->wanted.blur, 4);
}

/* Far objects first, since near ones cover them. */
static void sort_by_depth(struct world *world)
{
    for (int i = 1; i < world->object_count; i++)
        for (int j = i; j > 0; j--) {
            struct object *a = &world->objects[j - 1], *b = &world->objects[j];

            if (view_of(&world->view, a->x, a->z).depth >= view_of(&world->view, b->x, b->z).depth)
                break;
            struct object swap = *a;
            *a = *b;
            *b = swap;
        }
}

/* Objects outside the picture, and at most 12 m away, are not painted. */
static bool in_picture(const struct world *world, const struct object *object)
{
    struct point low, high;

    if (!object_extent(&world->view, object, &low, &high))
        return false;
    if (view_of(&world->view, object->x, object->z).depth > 14)
        return false;
    return high.x > -20 && low.x < CANVAS_WIDTH + 20 && high.y > 0 && low.y < CANVAS_HEIGHT;
}

static void paint_objects(struct world *world)
{
    struct object_scene scene = {&world->corridor, &world->view, &world->canvas};

    for (int i = 0; i < world->object_count; i++)
        if (in_picture(world, &world->objects[i]))
            object_shadow(&scene, &world->objects[i]);
    for (int i = 0; i < world->object_count; i++)
        if (in_picture(world, &world->objects[i]))
            object_paint(&scene, &world->objects[i], i + 1);
}

struct seen {
    int x0, y0, x1, y1;
    uint32_t pixels;
};

static void look_at_mask(const struct canvas *canvas, struct seen *seen)
{
    for (int i = 0; i <= CANVAS_MAX_OBJECTS; i++)
        seen[i] = (struct seen){CANVAS_WIDTH, CANVAS_HEIGHT, 0, 0, 0};
    for (int y = 0; y < CANVAS_HEIGHT; y++)
        for (int x = 0; x < CANVAS_WIDTH; x++) {
            struct seen *s = &seen[canvas->id[y][x]];

            s->x0 = MIN(s->x0, x);
            s->x1 = MAX(s->x1, x + 1);
            s->y0 = MIN(s->y0, y);
            s->y1 = y + 1;
            s->pixels++;
        }
}

/* The share of the object's own rectangle that lies inside the frame. */
static float inside_share(const struct view *view, const struct object *object)
{
    struct point low, high;

    if (!object_extent(view, object, &low, &high))
        return 0;
    float wide = trig_clamp(high.x, 0, CANVAS_WIDTH) - trig_clamp(low.x, 0, CANVAS_WIDTH);
    float tall = trig_clamp(high.y, 0, CANVAS_HEIGHT) - trig_clamp(low.y, 0, CANVAS_HEIGHT);
    return wide * tall / MAX((high.x - low.x) * (high.y - low.y), 1e-3f);
}

static bool box_of(const struct world *world, int index, const struct seen *seen, struct world_box *box)
{
    const struct object *object = &world->objects[index];
    uint32_t painted = world->canvas.painted[index + 1];

    if ((int)object->kind >= OBJECT_LABELLED || !seen->pixels || !painted)
        return false;
    *box = (struct world_box){.x0 = (float)seen->x0 * 0.5f,
                              .y0 = (float)seen->y0 * 0.5f,
                              .x1 = (float)seen->x1 * 0.5f,
                              .y1 = (float)seen->y1 * 0.5f,
                              .label = (int)object->kind,
                              .object = index + 1,
                              .visible =
                                  (float)seen->pixels / (float)painted * inside_share(&world->view, object)};
    return box->visible >= 0.3f && box->x1 - box->x0 >= 6 && box->y1 - box->y0 >= 6;
}

static size_t collect_boxes(const struct world *world, struct world_box *boxes, size_t max)
{
    struct seen seen[CANVAS_MAX_OBJECTS + 1];
    size_t count = 0;

    look_at_mask(&world->canvas, seen);
    for (int i = world->object_count - 1; i >= 0 && count < max; i--)
        count += box_of(world, i, &seen[i + 1], &boxes[count]);
    return count;
}

void world_render(struct world *world, uint8_t *rgb, struct world_box *boxes, size_t max, size_t *count)
{
    if (world->is_scene) {
        scene_build(world);
    } else {
        drive_view(world);
        drive_sensor(world);
        drive_objects(world);
    }
    override_sensor(world);
    sort_by_depth(world);
    canvas_clear_ids(&world->canvas);
    corridor_paint(&world->corridor, &world->view, &world->canvas);
    paint_objects(world);
    sensor_expose(&world->sensor, &world->canvas, rgb);
    *count = collect_boxes(world, boxes, max);
}
