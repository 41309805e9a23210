/* A warehouse as a robot's camera sees it, with the exact truth about every frame.
 *
 *     struct world *world = world_new(7, 0);             // seed, site
 *     world_step(world, 100);                            // drive 100 ms
 *     world_render(world, rgb, boxes, WORLD_MAX_BOXES, &count);
 *
 * Everything is a function of (seed, site, time): the same numbers give the same pixels on every machine, in
 * any order of calls. The robot drives along an aisle past standing, walking and driving things. Once in a
 * period it turns to a bay in the wall and stands there for a while, looking slowly to and fro: the reference
 * station by the dock. What stands in the bay is known to the site's staff, so only there may a robot use the
 * labels (world_at_dock).
 *
 *     time in a period:  | turn back | drive ............ | turn | at the dock |
 *                        0          1 s                 D-1 s    D          period        D = period - dock
 *
 * world_scene() puts the camera and everything else at random instead: independent scenes for training and
 * evaluation.
 *
 * Boxes hold the visible pixels of an object, exactly (half a pixel of resolution, clipped to the frame).
 * Objects of which less than 30 % is visible (hidden or outside), or whose box is under 6 pixels in either
 * direction, have none.
 */
#ifndef MUSTER_SIM_WORLD_WORLD_H
#define MUSTER_SIM_WORLD_WORLD_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_WIDTH 160
#define WORLD_HEIGHT 128
#define WORLD_FRAME_BYTES (WORLD_WIDTH * WORLD_HEIGHT * 3) /* RGB8, rows from the top */
#define WORLD_CLASSES 5
#define WORLD_MAX_BOXES 32
#define WORLD_MASK_WIDTH (2 * WORLD_WIDTH)
#define WORLD_MASK_HEIGHT (2 * WORLD_HEIGHT)

struct world;

struct world_box {
    float x0, y0, x1, y1; /* frame pixels; x1 and y1 are exclusive edges */
    int label;            /* 0..WORLD_CLASSES-1 */
    float visible;        /* share of the object that is seen, 0.3..1 */
    int object;           /* its number in the mask */
};

/* Deviations from what site and seed give; a negative value means "as it comes". */
struct world_sensor {
    float light; /* 1: normal */
    float noise; /* standard deviation in steps of 1/255 */
    float blur;  /* 0: sharp, 1..4: out of focus */
};

#define WORLD_MAX_STRANGE 5

/* What comes over the world at `from_ms`, and stays. Zeros: nothing; then every pixel is as it always was. */
struct world_change {
    bool night;      /* only some lamps are on, and they are yellow */
    bool dirty_lens; /* a smear over a part of the picture: blurred, veiled */
    int strange;     /* so many robot dogs between two docks, unlabelled: nothing was ever trained on them */
    int64_t from_ms;
};

const char *world_class_name(int label); /* "person", "pallet", "forklift", "cone", "crate"; NULL beyond */
int world_site_count(void);
const char *world_site_name(int site); /* NULL if there is none */

/* NULL if there is no such site or no memory. */
struct world *world_new(uint64_t seed, int site);
void world_free(struct world *world);
MUSTER_CLEANUP(struct world *, world_free)
#define cleanup_world __attribute__((cleanup(world_freep)))

/* Default: a period of 15000 ms with 4000 ms at the dock. At least 4 s must remain for turning and driving,
 * else false and nothing is changed. */
bool world_set_dock(struct world *world, int period_ms, int dock_ms);
void world_set_sensor(struct world *world, struct world_sensor sensor);

/* So many times the light that site and time give: hours and weather. 1: as it comes. */
void world_set_daylight(struct world *world, float daylight);
void world_set_change(struct world *world, const struct world_change *change);

void world_step(struct world *world, int dt_ms);
void world_seek(struct world *world, int64_t time_ms);

/* An independent random scene, chosen by `index`, until the next world_step or world_seek. */
void world_scene(struct world *world, uint64_t index);

/* True while the robot stands at the reference station. */
bool world_at_dock(const struct world *world);

/* Renders the frame of this instant. `rgb` holds WORLD_FRAME_BYTES; at most `max` boxes are written. */
void world_render(struct world *world, uint8_t *rgb, struct world_box *boxes, size_t max, size_t *count);

/* The object number of every pixel of the last rendered frame at twice its resolution (WORLD_MASK_WIDTH x
 * WORLD_MASK_HEIGHT, 0: background). Valid until the next call. */
const uint8_t *world_mask(const struct world *world);

#endif
