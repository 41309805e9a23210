/* float16 with explicit casts, as strongly typed TensorRT wants it: every operator computes in one type, and a Cast stands wherever a tensor
 * crosses from one into the other.
 *
 *     inputs and outputs of the graph        float32, also what subgraphs read
 *     never float16                          operators of half_kinds.c's list; tensors with values beyond 65504 / 2 or all below float16's
 *                                            normal numbers (6.1e-5); weights likewise (an epsilon of 1e-6)
 *     float16                                everything else; but pointwise and value-moving operators stay with their neighbours where that
 *                                            saves Casts: no Cast behind a Cast, one at most per tensor; what is computed of the inputs at
 *                                            first (0..255 to -1..1) stays float32
 *     Q/DQ pairs                             from opset 19 on, to which a graph with pairs is brought, a scale may be float16: Q has the type
 *                                            of what it reads, DQ that of who reads it, so a pair needs no Cast at all. Scales become
 *                                            float16's neighbours, the same for both sides, at least 2^-15 (their inverse is finite). A
 *                                            graph with pairs whose opset cannot be raised is refused.
 *
 * ONNX Runtime's CPU provider runs such models too, in float32 between casts of its own: rounding is the same, speed is not.
 */
#ifndef MUSTER_FORGE_PRECISION_HALF_H
#define MUSTER_FORGE_PRECISION_HALF_H

#include "forge/calib/observe.h"
#include "forge/graph/graph.h"

#include <stdint.h>

enum { HALF_PAIR_OPSET = 19 };

struct half_outcome {
    size_t nodes, half, kept; /* that compute with floats; in float16; in float32 */
    size_t casts;             /* put in */
    size_t blocked;           /* of those kept: by their kind or range; the others saved Casts */
};

/* Changes `graph` and tidies it. `seen`: ranges of float tensors, before or after pairs were put in; one that is missing counts as harmless; NULL:
 * none known. Types of what subgraphs and foreign operators make have to be known to the graph (observe_shapes), else those who touch it stay float32.
 * Errors: out of memory; as graph_upgrade and graph_tidy. */
int half_convert(struct graph *graph, const struct observation *seen, struct half_outcome *out,
                 struct err *err) must_check;

/* Names of all computed float32 tensors whose range matters (owned array of names of the graph; free() it). NULL: out of memory. */
const char **half_tensors(struct graph *graph, size_t *out_count);

#endif
