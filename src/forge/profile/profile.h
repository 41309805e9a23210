/* The reference profile of a release (wire/profile.h): what its frames and results look like, measured by the very code that robots run.
 *
 *     DIR            frames in the order of their names, one after the other as a camera gave them
 *     DIR/NAME/      or: a folder per drive, site or camera, each a sequence of its own
 *       annotations.json, labels.json or events.json beside the frames: what is true of them (as muster eval reads it); optional
 *
 *     every frame ─▶ pipeline ─▶ signals (infer/signals.h) ─▶ mean, sd, edges, memory, tolerance    reference.h
 *                             ─▶ candidates (infer/novelty.h) ─▶ projection, prototypes             embed.h, of two thirds of the frames
 *                                                             ─▶ conformal distances, novelty       of the other third, which nothing was fitted to
 *     labelled ones, and copies of a worse camera (camera.h) ─▶ how accuracy falls with confidence   stats/labelfree.h
 *
 * - Frames that are no sequence (scenes one by one) tell neither CHANGE nor FLICKER, and nothing of memory: those two are not watched, and the memory
 *   is taken to be PROFILE_UNKNOWN_MEMORY frames.
 * - RUN_MS is not in it: this is another machine.
 * - The same frames and the same processor give the same bytes.
 */
#ifndef MUSTER_FORGE_PROFILE_PROFILE_H
#define MUSTER_FORGE_PROFILE_PROFILE_H

#include "forge/pack.h"
#include "wire/profile.h"

enum { PROFILE_MIN_FRAMES = 100, PROFILE_UNKNOWN_MEMORY = 20 };

/* Errors: NOT_FOUND without frames; INVALID for less than PROFILE_MIN_FRAMES, or files that do not fit; as the pipeline says. */
int profile_make(const struct pack_profile_job *job, struct profile *out, struct err *err) must_check;
/* The same as bytes: struct pack_options.make_profile. */
pack_profile_maker profile_make_bytes;

#endif
