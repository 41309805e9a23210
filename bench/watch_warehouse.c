/* The rendered warehouse. A robot has its own site, goods, camera and round (15 to 25 s from dock to dock; its goods are the same again after 4 h). Light
 * follows the hours (±10 %), the day (2 %) and the hour (1 %). */
#include "sim/world/prng.h"
#include "sim/world/world.h"
#include "watch.h"

#include <math.h>
#include <stdlib.h>

enum {
    SITES_APART = WATCH_CHANGES,
    HOUR_MS = 60 * WATCH_MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    ROUND_MS = 4 * HOUR_MS /* a float holds where a robot is for so long */
};

static const struct world_change changes[WATCH_CHANGES] = {
    {0}, {.dirty_lens = true}, {.night = true}, {.strange = 4}};

struct place {
    int number, site;
    struct world *world;
};

static int warehouse_open(int number, void **out, struct err *err)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return err_no_memory(err);
    place->number = number;
    place->site = (number + number / SITES_APART) % world_site_count(); /* each change comes to each site */
    place->world = world_new(100 + (uint64_t)number, place->site);
    *out = place;
    if (!place->world || !world_set_dock(place->world, 15000 + 2500 * (number % 5), 4000))
        return err_no_memory(err);
    return 0;
}

static const char *warehouse_site(const void *world)
{
    return world_site_name(((const struct place *)world)->site);
}

static void warehouse_change(void *world, int change)
{
    world_set_change(((struct place *)world)->world, &changes[change]);
}

static float gauss(struct prng *rng)
{
    float sum = -6;
    for (int i = 0; i < 12; i++)
        sum += prng_unit(rng);
    return sum;
}

/* Light of this hour at this robot. */
static float light_of(uint64_t number, int64_t time_ms)
{
    struct prng day = prng_of(number, 7000 + (uint64_t)(time_ms / DAY_MS));
    struct prng hour = prng_of(number, 900000 + (uint64_t)(time_ms / HOUR_MS));
    float of_day = (float)(time_ms % DAY_MS) / (float)DAY_MS;
    return 1 + 0.1f * sinf(6.2831853f * (of_day - 0.25f)) + 0.02f * gauss(&day) + 0.01f * gauss(&hour);
}

static void warehouse_begin_block(void *world, int64_t time_ms)
{
    struct place *place = world;
    world_set_daylight(place->world, light_of((uint64_t)place->number, time_ms));
}

static void warehouse_see(void *world, int64_t time_ms, struct runner_frame *out)
{
    static _Alignas(64) uint8_t rgb[WORLD_FRAME_BYTES];
    struct place *place = world;
    struct world_box boxes[WORLD_MAX_BOXES];
    size_t count;
    world_seek(place->world, time_ms % ROUND_MS);
    world_render(place->world, rgb, boxes, WORLD_MAX_BOXES, &count);
    *out = (struct runner_frame){.payload = rgb,
                                 .payload_bytes = sizeof rgb,
                                 .width = WORLD_WIDTH,
                                 .height = WORLD_HEIGHT,
                                 .format = RING_RGB8};
}

static void warehouse_close(void *world)
{
    struct place *place = world;
    if (place->world)
        world_free(place->world);
    free(place);
}

const struct watch_scene watch_warehouse = {
    .name = "warehouse",
    .block_frames = 20,
    .pair_ms = 100,
    .label_count = WORLD_CLASSES,
    .change = {{"none", ""}, {"dirty_lens", "sensor"}, {"night", "environment"}, {"new_object", "novelty"}},
    .open = warehouse_open,
    .site = warehouse_site,
    .set_change = warehouse_change,
    .begin_block = warehouse_begin_block,
    .see = warehouse_see,
    .close = warehouse_close};
