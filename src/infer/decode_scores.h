/* Results that are plain numbers: class and event probabilities, actions, raw tensors. Pure; nothing is allocated. */
#ifndef MUSTER_INFER_DECODE_SCORES_H
#define MUSTER_INFER_DECODE_SCORES_H

#include "wire/release.h"

#include <stddef.h>

/* out[i] = activation(in[i]) for i < count. `in` and `out` may be the same. Stable: finite input of any size gives numbers
 * in [0, 1] (softmax: with sum 1; sigmoid), never NaN or infinity. Computed in double precision, rounded once. */
void decode_scores(const float *in, size_t count, enum activation activation, float *out);

#endif
