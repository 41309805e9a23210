/* A world whose robots bench-watch watches: what one sees at a time of its life, and what may go wrong there. */
#ifndef MUSTER_BENCH_WATCH_H
#define MUSTER_BENCH_WATCH_H

#include "base/err.h"
#include "robot/runner/runner.h"

#include <stdint.h>

enum { WATCH_CHANGES = 4, WATCH_MINUTE_MS = 60000 };

struct watch_change {
    const char *name, *cause; /* "dirty_lens", "sensor"; cause "": nothing is to be told */
};

struct watch_scene {
    const char *name;
    uint64_t block_frames; /* unless told otherwise */
    /* Each frame comes after one so long before it, which is not judged, somewhere in its share of the minute; 0: they follow one another. */
    int64_t pair_ms;
    uint32_t label_count;
    struct watch_change
        change[WATCH_CHANGES]; /* number n of the robots meets n % WATCH_CHANGES; the first is none */
    /* One robot's world, to be closed. */
    int (*open)(int number, void **out, struct err *err);
    const char *(*site)(const void *world);
    void (*set_change)(void *world, int change);
    void (*begin_block)(void *world, int64_t time_ms);
    /* The payload belongs to the scene and holds until the next. */
    void (*see)(void *world, int64_t time_ms, struct runner_frame *out);
    void (*close)(void *world);
};

extern const struct watch_scene watch_warehouse, watch_falls;

#endif
