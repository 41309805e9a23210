/* The layout that ring.h draws, for the two files that implement it. */
#ifndef MUSTER_ROBOT_RING_REGION_H
#define MUSTER_ROBOT_RING_REGION_H

#include "robot/ring/ring.h"

#include <stdatomic.h>

enum {
    REGION_MAGIC = 0x474e524d, /* "MRNG" */
    REGION_VERSION = 2,
    REGION_BELL = 128,
    REGION_SLOTS = 4096,
    REGION_SLOT_HEAD = 64,
};

struct region_head {
    uint32_t magic, version, kind, slot_count;
    uint64_t body_bytes, stride;
};

struct region_bell {
    _Atomic uint64_t newest;
    _Atomic uint32_t bell, asked;
};

_Static_assert(sizeof(struct ring_frame) == 64, "no padding");
_Static_assert(sizeof(struct ring_result) == 176 + 24 * RING_MAX_DETECTIONS, "no padding");
_Static_assert(sizeof(struct ring_verdict) == 248 + 24 * RING_MAX_DETECTIONS, "no padding");
_Static_assert(sizeof(struct ring_control) % 8 == 0, "copied in words");

#endif
