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

#include "wire/profile.h"

#include <stddef.h>
#include <stdint.h>

enum { NOVELTY_NEIGHBOURS = 5 };

/* `stride`: floats between two channels of the same cell. */
void novelty_embed(const struct profile *profile, const float *features, size_t stride,
                   int8_t out[PROFILE_DIMS]);
/* Mean distance to the nearest ones, 0..2. out_nearest (or NULL): their indices, nearest first. */
float novelty_distance(const struct profile *profile, const int8_t embedded[PROFILE_DIMS],
                       uint32_t out_nearest[NOVELTY_NEIGHBOURS]);
double novelty_p(const struct profile *profile, float distance); /* (1 + as large) / (1 + all) */

#endif
