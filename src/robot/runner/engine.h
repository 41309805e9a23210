/* One release, loaded and proved, as a runner_engine: the model of infer/pipeline.h on the slots of a ring.
 *
 *     the model ─▶ golden cases within tolerance ─┬─▶ a variant for this machine? ─▶ contest (infer/contest.h) ─▶ won: it serves, the model leaves
 *                                                 └─ none, lost, an accelerator runs it, or --cpu-only: the model serves
 */
#ifndef MUSTER_ROBOT_RUNNER_ENGINE_H
#define MUSTER_ROBOT_RUNNER_ENGINE_H

#include "infer/pipeline.h"
#include "infer/signals.h"
#include "release/image.h"
#include "robot/runner/runner.h"
#include "trust/seal/seal.h"

struct engine {
    struct image image;
    struct image_use use; /* of `image`: what the walls show; engines for TensorRT come from the cache */
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

    bool plain_only; /* set before engine_self_test: the model itself, whatever variants there are */
    struct seal_plain variant_plain;       /* as `plain`, of this machine's variant */
    const struct release_variant *variant; /* that serves; NULL: the model itself does */
    char backend[96];       /* "onnxruntime 1.22.0 cpu, cpu-x86 int8 2.6x", "…, cpu-x86 refused: slower" */
    char variant_said[280]; /* one line about this machine's variant; "": there is none */

    struct profile profile; /* the release's, where it has one */
    struct signal_maker *signals;
};

/* Opens `release` of the layout, checks every blob, loads the model and warms it up. Sealed weights are opened in memory and loaded from there;
 * nothing is derived from them, whatever cache_dir says.
 * Errors: as image_open, image_check_blobs, seal_open, pipeline_open; DENIED for sealed weights without a content key. */
int engine_open(struct engine *engine, const char *layout, const struct digest *release,
                const struct pipeline_options *options, struct err *err) must_check;
void engine_close(struct engine *engine); /* a zeroed one is fine; it is zeroed again */

/* The golden cases, in this very process, with this very model. An accelerator or what was derived from the model that fails is given up for the
 * next best, at last the model itself on the processor. Then this machine's variant may win its place; whatever is wrong with one is no error.
 * Errors: REFUSED. */
int engine_self_test(struct engine *engine, struct err *err) must_check;

/* In engine_variant.c, private to engine_*.c: the contest. Loads the variant, keeps the winner in engine->pipeline, says so in backend and
 * variant_said. Errors: REFUSED if the model, which has lost nothing, does not load again. */
int engine_hold_contest(struct engine *engine, const struct golden *golden, struct err *err) must_check;
/* The model itself, by engine->options. */
int engine_open_plain(struct engine *engine, const struct pipeline_options *options,
                      struct err *err) must_check;
void engine_unseal_variant(struct engine *engine);

/* `engine` must stay where it is. */
struct runner_engine engine_of(struct engine *engine);

#endif
