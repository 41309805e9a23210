/* What an arena entry holds, by kind. Times are CLOCK_MONOTONIC. */
#ifndef MUSTER_ROBOT_RECORDER_ENTRY_H
#define MUSTER_ROBOT_RECORDER_ENTRY_H

#include "robot/ring/ring.h"

#include <stddef.h>
#include <stdint.h>

enum entry_kind {
    ENTRY_FRAME = 1, /* struct entry_frame, JPEG */
    ENTRY_VALUES,    /* struct entry_values, floats: a frame that is no picture */
    ENTRY_VERDICT,   /* struct ring_verdict up to its last detection or value */
    ENTRY_NOTICE,    /* struct entry_notice: what the guard said */
    ENTRY_LOG,       /* text without a 0: what the recorder itself has to say */
    ENTRY_LOST,      /* struct entry_lost: overtaken before it could be kept */
};

struct entry_frame {
    uint64_t seq, stream;
    int64_t capture_ns;
    uint32_t width, height; /* of the picture as it was */
    uint32_t shrink;        /* the JPEG is so many times smaller */
    uint32_t len;
    uint8_t jpeg[];
};

struct entry_values {
    uint64_t seq, stream;
    int64_t capture_ns;
    uint32_t total, count; /* in the frame; kept, the first ones */
    float values[];
};

struct entry_notice {
    uint32_t notice, state;
    int32_t result;
    uint32_t count;
    uint64_t generation;
    char text[160], who[48], reason[112];
};

struct entry_lost {
    uint64_t frames, verdicts;
};

/* How long a verdict's bytes are. */
static inline size_t entry_verdict_bytes(const struct ring_verdict *verdict)
{
    size_t each = verdict->kind == RING_VALUES ? sizeof verdict->values[0] : sizeof verdict->detections[0];
    return offsetof(struct ring_verdict, detections) + verdict->count * each;
}

#endif
