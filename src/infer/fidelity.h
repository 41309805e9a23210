/* How alike two models answer one frame: 1 the same, 0 nothing in common. Needs no labels. Pure.
 *
 *     classes      the share of positions whose largest score is at the same place: 0 or 1 for one prediction, between for sequences ([1, T, C])
 *     detections   F1 of the detections of the one against the other, same label, IoU ≥ 0.5, score ≥ the release's threshold; 1 if both see nothing
 *     map          F1 of the elements ≥ 0.5 (probabilities per pixel); 1 if both have none
 *     values       max(0, 1 - ‖a - b‖ / ‖a‖), each output for itself, the least counts; 1 if both are 0
 *
 * NaN or infinity in the candidate's answer is 0.
 */
#ifndef MUSTER_INFER_FIDELITY_H
#define MUSTER_INFER_FIDELITY_H

#include "infer/lab.h"
#include "wire/release.h"

#include <stddef.h>

enum fidelity_kind { FIDELITY_VALUES, FIDELITY_CLASSES, FIDELITY_DETECTIONS, FIDELITY_MAP };
const char *fidelity_kind_name(enum fidelity_kind kind);

struct fidelity {
    enum fidelity_kind kind;
    const struct release *release; /* of detections; borrowed */
    size_t output_count;           /* how many outputs count; state does not */
};

/* What fits the release's task; for a bare model (task raw) what its outputs are like on some sample: probabilities per pixel are a map, rows that
 * add up to 1 are classes, anything else values. */
struct fidelity fidelity_for(const struct release *release, const struct lab_tensor *outputs, size_t count);

/* Outputs of the parent and the candidate for the same frame: float32, same shapes. */
double fidelity_of(const struct fidelity *fidelity, const struct lab_tensor *parent,
                   const struct lab_tensor *candidate);

#endif
