/* What a model says of labelled frames, and how much of it is right, by how sure it was: for stats/labelfree.h. Private to this room. */
#ifndef MUSTER_FORGE_PROFILE_ANSWERS_H
#define MUSTER_FORGE_PROFILE_ANSWERS_H

#include "forge/profile/frames.h"
#include "infer/pipeline.h"
#include "stats/labelfree.h"

enum { ANSWERS_MAX_DETECTIONS = 128, ANSWERS_MAX_FRAMES = 1500 };

/* Detections: right are those that lie on an object of their label (IoU ≥ 0.5; each object once, the surest first). Values: the largest one. */
void answers_judge(const struct frames *frames, const struct frames_file *file,
                   const struct pipeline_result *result, struct labelfree_copy *out);

/* Runs at most ANSWERS_MAX_FRAMES labelled frames as they are and as worse cameras would have taken them (camera.h), and fits. Without labels:
 * accuracy NaN. `progress` (or NULL): called for every frame that was run. */
int answers_fit(struct frames *frames, struct pipeline *pipeline, void (*progress)(void *arg), void *arg,
                struct labelfree_reference *out, struct err *err) must_check;
size_t answers_runs(const struct frames *frames); /* how many frames answers_fit will run */

#endif
