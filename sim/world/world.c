#include "sim/world/world.h"

#include "sim/world/boxes.h"
#include "sim/world/change.h"
#include "sim/world/drive.h"
#include "sim/world/scene.h"

struct world {
    struct drive drive;
    int64_t time_ms;
    bool is_scene;
    uint64_t scene;
    struct world_sensor wanted;
    struct world_change change;
    float daylight;
    struct instant now;
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

bool world_set_dock(struct world *world, int period_ms, int dock_ms)
{
    if (!drive_init(&world->drive, world->now.seed, period_ms, dock_ms))
        return false;
    world->now.corridor.bay_every_m = drive_bay_every_m(&world->drive);
    return true;
}

struct world *world_new(uint64_t seed, int site)
{
    struct world *world = site_get(site) ? mem_zalloc(1, sizeof(*world)) : NULL;

    if (!world)
        return NULL;
    world->now.seed = prng_mix(seed) + (uint64_t)site;
    world->now.corridor.site = site_get(site);
    world->now.corridor.salt = (uint32_t)prng_mix(world->now.seed);
    world->wanted = (struct world_sensor){-1, -1, -1};
    world->daylight = 1;
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

void world_set_daylight(struct world *world, float daylight)
{
    world->daylight = daylight > 0 ? daylight : 0;
}

void world_set_change(struct world *world, const struct world_change *change)
{
    world->change = *change;
}

void world_step(struct world *world, int dt_ms)
{
    world_seek(world, world->time_ms + dt_ms);
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

bool world_at_dock(const struct world *world)
{
    return !world->is_scene && drive_at_dock(&world->drive, world->time_ms);
}

const uint8_t *world_mask(const struct world *world)
{
    return &world->canvas.id[0][0];
}

static void override_sensor(struct world *world)
{
    if (world->wanted.light >= 0)
        world->now.sensor.gain = colour_scale(world->now.corridor.site->cast, world->wanted.light);
    if (world->wanted.noise >= 0)
        world->now.sensor.noise = MIN(world->wanted.noise, 64);
    if (world->wanted.blur >= 0)
        world->now.sensor.defocus = (int)MIN(world->wanted.blur, 4);
}

/* Far objects first, since near ones cover them. */
static void sort_by_depth(struct instant *now)
{
    for (int i = 1; i < now->object_count; i++)
        for (int j = i; j > 0; j--) {
            struct object *a = &now->objects[j - 1], *b = &now->objects[j];

            if (view_of(&now->view, a->x, a->z).depth >= view_of(&now->view, b->x, b->z).depth)
                break;
            struct object swap = *a;
            *a = *b;
            *b = swap;
        }
}

/* What is outside the picture or more than 14 m away is not painted. */
static bool in_picture(const struct world *world, const struct object *object)
{
    struct point low, high;

    if (!object_extent(&world->now.view, object, &low, &high))
        return false;
    if (view_of(&world->now.view, object->x, object->z).depth > 14)
        return false;
    return high.x > -20 && low.x < CANVAS_WIDTH + 20 && high.y > 0 && low.y < CANVAS_HEIGHT;
}

static void paint_objects(struct world *world)
{
    struct object_scene scene = {&world->now.corridor, &world->now.view, &world->canvas};

    for (int i = 0; i < world->now.object_count; i++)
        if (in_picture(world, &world->now.objects[i]))
            object_shadow(&scene, &world->now.objects[i]);
    for (int i = 0; i < world->now.object_count; i++)
        if (in_picture(world, &world->now.objects[i]))
            object_paint(&scene, &world->now.objects[i], i + 1);
}

void world_render(struct world *world, uint8_t *rgb, struct world_box *boxes, size_t max, size_t *count)
{
    if (world->is_scene)
        scene_build(world->scene, &world->now);
    else
        drive_build(&world->drive, world->time_ms, &world->now);
    if (world->daylight < 1 || world->daylight > 1)
        world->now.sensor.gain = colour_scale(world->now.sensor.gain, world->daylight);
    override_sensor(world);
    change_apply(&world->change, world->time_ms, world->is_scene, &world->now);
    sort_by_depth(&world->now);
    canvas_clear_ids(&world->canvas);
    corridor_paint(&world->now.corridor, &world->now.view, &world->canvas);
    paint_objects(world);
    sensor_expose(&world->now.sensor, &world->canvas, rgb);
    *count = boxes_collect(&world->now, &world->canvas, boxes, max);
}
