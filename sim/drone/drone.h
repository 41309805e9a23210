/* A delivery drone: what its camera sees straight below, where it is in its round, and what is left in its battery. With the exact truth.
 *
 *     struct drone *drone = drone_new(7);
 *     drone_seek(drone, time_ms);
 *     drone_render(drone, rgb, boxes, DRONE_MAX_BOXES, &count);
 *     drone_state(drone, &state);
 *
 * Everything is a function of (seed, time): the same numbers give the same pixels on every machine, in any order of calls.
 *
 *     round   | on its pad, charges | climbs | flies to the customer and back | descends |
 *             0                    12 s     15 s                             37 s       40 s
 *
 * The battery falls from what the pad gave it to about 30 % and is filled again on the pad. drone_scene puts the camera over any place at any height:
 * independent pictures for training and evaluation. Boxes as in sim/world: visible pixels, to half a pixel, at least 6 pixels wide and high.
 */
#ifndef MUSTER_SIM_DRONE_H
#define MUSTER_SIM_DRONE_H

#include "base/mem.h"
#include "sim/world/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRONE_CLASSES = 3, DRONE_MAX_BOXES = 24, DRONE_ROUND_MS = 40000 };

struct drone;

struct drone_state {
    bool flying;                /* off its pad: must not be disturbed */
    double altitude_m, battery; /* 0..1 */
    double power_w;             /* positive: charging */
};

const char *drone_class_name(int label); /* "pad", "person", "car"; NULL beyond */

struct drone *drone_new(uint64_t seed); /* NULL: out of memory */
void drone_free(struct drone *drone);
MUSTER_CLEANUP(struct drone *, drone_free)
#define cleanup_drone __attribute__((cleanup(drone_freep)))

void drone_seek(struct drone *drone, int64_t time_ms);
void drone_scene(struct drone *drone, uint64_t index); /* until the next drone_seek */
void drone_state(const struct drone *drone, struct drone_state *out);
/* WORLD_WIDTH x WORLD_HEIGHT, RGB8. At most `max` boxes. */
void drone_render(struct drone *drone, uint8_t *rgb, struct world_box *boxes, size_t max, size_t *count);

#endif
