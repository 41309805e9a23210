/* float16 with explicit casts, as strongly typed TensorRT wants it: inputs and outputs stay float32, operators whose ranges or kinds do not bear
 * float16 stay float32 (fixed list and observed ranges beyond 65504 / 2 or below its normal numbers), everything else becomes float16. A graph
 * that holds Q/DQ pairs keeps their integer side; scales become float16's neighbours' only where the opset allows it (19), else they stay. */
#ifndef MUSTER_FORGE_PRECISION_HALF_H
#define MUSTER_FORGE_PRECISION_HALF_H

#include "forge/calib/observe.h"
#include "forge/graph/graph.h"

struct half_outcome {
    size_t nodes, half, kept; /* kept in float32 */
    size_t casts;
};
int half_convert(struct graph *graph, const struct observation *seen, struct half_outcome *out,
                 struct err *err) must_check;
uint16_t half_of(float value); /* IEEE 754, round to even; overflow: infinity */
float half_to_float(uint16_t bits);

#endif
