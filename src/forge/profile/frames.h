/* The frames of a calibration folder, in order, and what is true of them. Private to this room.
 *
 * Truth: boxes with the release's labels (of others nothing is known, so a detection on one is wrong), a class, or nothing.
 */
#ifndef MUSTER_FORGE_PROFILE_FRAMES_H
#define MUSTER_FORGE_PROFILE_FRAMES_H

#include "base/err.h"
#include "infer/pipeline.h"
#include "stats/detection.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

enum { FRAMES_MAX_FILES = 100000, FRAMES_UNKNOWN = -1 };

struct frames_file {
    char *path;        /* owned */
    uint32_t sequence; /* frames of the same one follow each other */
    size_t index;      /* which frame of a file of floats */
    bool known;        /* what is true is known */
    int32_t label;     /* of a classification */
    size_t first, box_count;
};

struct frames {
    const struct release *release;
    size_t count, room, sequences;
    struct frames_file *files;
    size_t box_count, box_room;
    struct detection *boxes; /* score 1 */
    void *data;              /* of the frame that was loaded last; owned */
};

int frames_open(const char *dir, const struct release *release, struct frames *out,
                struct err *err) must_check;
void frames_close(struct frames *frames);
#define cleanup_frames __attribute__((cleanup(frames_close)))

/* Valid until the next call. The data may be changed by the caller. */
int frames_load(struct frames *frames, size_t i, struct pipeline_frame *out, struct err *err) must_check;

/* Of frames.c and frames_truth.c among each other: what is true of the files [from, count) of this folder. */
int frames_read_truth(const char *dir, struct frames *frames, size_t from, struct err *err) must_check;

#endif
