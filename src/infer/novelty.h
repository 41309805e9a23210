/* Has the model seen anything like this? From a tensor inside of it that was made an output when the release was packed (release.json "tap").
 *
 *     feature map [C, h, w] at a candidate's cell (or [C] alone: its mean over all cells) ─▶ projection to 32 numbers, int8, unit length
 *       ─▶ cosine distance to the k = 5 nearest prototypes ─▶ conformal p: share of calibration distances that are as large
 *
 * Sun et al., "Out-of-distribution detection with deep nearest neighbors" (2022); conformal p-values are valid for exchangeable frames: p ≤ 0.01 of ordinary
 * frames at most 1 % of the time.
 */
#ifndef MUSTER_INFER_NOVELTY_H
#define MUSTER_INFER_NOVELTY_H

#include "infer/pipeline.h"
#include "wire/profile.h"

#include <stddef.h>
#include <stdint.h>

enum { NOVELTY_NEIGHBOURS = 5, NOVELTY_CANDIDATES = 4 };

/* A place that is looked at. */
struct novelty_candidate {
    float box[4];          /* x0 y0 x1 y1, pixels of the frame; zeros: all of it */
    float score;           /* of the best label */
    uint32_t label;        /* PROFILE_NO_LABEL: below the threshold, so like none that is known */
    const float *features; /* of its cell; valid until the next run */
    size_t stride;         /* floats between two channels */
};

/* Where to look, from the frame that was run last: the best detections, and what scores a quarter of the threshold or more without being one. One
 * candidate, all of it, for results that are values. 0: the release has no tap. The reference has to be made of the same ones: forge/profile calls
 * this too. `scratch`: PROFILE_MAX_CHANNELS floats, for taps that are averaged; lives as long as the features. */
size_t novelty_candidates(const struct pipeline *pipeline, const struct pipeline_frame *frame,
                          const struct pipeline_result *result, float *scratch,
                          struct novelty_candidate out[NOVELTY_CANDIDATES]);

/* `stride`: floats between two channels of the same cell. */
void novelty_embed(const struct profile *profile, const float *features, size_t stride,
                   int8_t out[PROFILE_DIMS]);
/* Mean distance to the nearest ones, 0..2. out_nearest (or NULL): their indices, nearest first. */
float novelty_distance(const struct profile *profile, const int8_t embedded[PROFILE_DIMS],
                       uint32_t out_nearest[NOVELTY_NEIGHBOURS]);
double novelty_p(const struct profile *profile, float distance); /* (1 + as large) / (1 + all) */

#endif
