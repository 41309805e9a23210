/* A frame out of the ring into the arena, straight from the shared slot. */
#ifndef MUSTER_ROBOT_RECORDER_CAPTURE_H
#define MUSTER_ROBOT_RECORDER_CAPTURE_H

#include "base/err.h"
#include "robot/recorder/arena.h"
#include "robot/ring/ring.h"

#include <stddef.h>
#include <stdint.h>

enum { CAPTURE_MAX_VALUES = 1024 }; /* of a frame that is no picture, the first ones are kept */

struct capture {
    struct arena *arena;
    int side, quality;
    uint8_t *scratch; /* for one picture */
    size_t scratch_bytes;
};

enum capture_result {
    CAPTURE_KEPT,
    CAPTURE_OVERTAKEN, /* the robot program was faster */
    CAPTURE_NOT        /* no such frame, or none that can be kept */
};

/* *out_bytes: in the arena. */
enum capture_result capture_frame(const struct capture *capture, const struct ring *frames, uint64_t stream,
                                  uint64_t seq, int64_t now_ns, size_t *out_bytes);

#endif
