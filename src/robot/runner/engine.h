/* One release, loaded and proved, as a runner_engine: the model of infer/pipeline.h on the slots of a ring. */
#ifndef MUSTER_ROBOT_RUNNER_ENGINE_H
#define MUSTER_ROBOT_RUNNER_ENGINE_H

#include "infer/pipeline.h"
#include "release/image.h"
#include "robot/runner/runner.h"
#include "trust/seal/seal.h"

struct engine {
    struct image image;
    struct pipeline *pipeline;
    uint32_t golden_count; /* cases that it passed */
    uint64_t floats;       /* of a frame; 0: frames are pictures, of any size */
    /* Set before engine_open, or NULL: where this machine keeps what it derives from models (infer/derived.h). Used if it is there;
     * made if may_derive, in a process with a single thread. */
    const char *cache_dir;
    bool may_derive;
    const struct seal_key
        *content_key; /* opens sealed weights; NULL: none was handed over. Borrowed during engine_open */
    struct seal_plain
        plain; /* the weights in the clear, until the golden cases have held; all zero if they are not sealed */
    struct pipeline_options options; /* of engine_open; what they point to is borrowed */
};

/* Opens `release` of the layout, checks every blob, loads the model and warms it up. Sealed weights are opened in memory and loaded from there;
 * nothing is derived from them, whatever cache_dir says.
 * Errors: as image_open, image_check_blobs, seal_open, pipeline_open; DENIED for sealed weights without a content key. */
int engine_open(struct engine *engine, const char *layout, const struct digest *release,
                const struct pipeline_options *options, struct err *err) must_check;
void engine_close(struct engine *engine); /* a zeroed one is fine; it is zeroed again */

/* The golden cases, in this very process, with this very model. An accelerator or what was derived from the model that fails is given up for the
 * next best, at last the model itself on the processor.
 * Errors: REFUSED. */
int engine_self_test(struct engine *engine, struct err *err) must_check;

/* `engine` must stay where it is. */
struct runner_engine engine_of(struct engine *engine);

#endif
