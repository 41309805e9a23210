/* Labelled frames of the world, written for training and evaluation.
 *
 * Frame i of site s is scene i of world_new(seed, s); with all sites, frame i is scene i / sites of site i %
 * sites. A sequence is one drive per site instead, a frame every `every_ms`. The same plan gives the same
 * bytes everywhere. Of the drone's world (sim/drone) there are no sites: scene i, or one flight.
 */
#ifndef MUSTER_SIM_FRAMES_FRAMES_H
#define MUSTER_SIM_FRAMES_FRAMES_H

#include "base/err.h"
#include "sim/world/world.h"

#define FRAMES_ALL_SITES (-1)
#define FRAMES_MAX 1000000

struct frames_plan {
    bool drone; /* its world instead of the warehouse; `site`, `dock_only` and `sensor` are not looked at */
    uint64_t seed;
    int site;  /* or FRAMES_ALL_SITES */
    int count; /* 1..FRAMES_MAX */
    bool sequence;
    bool dock_only; /* of a sequence only the frames taken at the reference station */
    int every_ms;
    struct world_sensor sensor;
};

struct frames_one {
    int site;
    uint8_t rgb[WORLD_FRAME_BYTES];
    struct world_box boxes[WORLD_MAX_BOXES];
    size_t count;
};

/* Calls `take` for each frame in order until it fails. */
int frames_each(const struct frames_plan *plan,
                int (*take)(void *arg, const struct frames_one *frame, struct err *err), void *arg,
                struct err *err) must_check;

/* PNG files "frame-000000.png", ... and annotations.json (coco.h) in `dir`, which is made if need be. */
int frames_write_dir(const struct frames_plan *plan, const char *dir, struct err *err) must_check;

/* One file of frames (raw.h). */
int frames_write_raw(const struct frames_plan *plan, const char *path, struct err *err) must_check;

#endif
