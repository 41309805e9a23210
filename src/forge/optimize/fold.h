/* What the runtime's folding leaves of constant factors and summands, folded: fewer steps to compute, and to give a range of their own.
 *
 *     Conv, ConvTranspose, Gemm ─▶ × a, ÷ a, + b, − b, BatchNormalization      into weights and bias (per channel, or one number for all)
 *     × a, ÷ a (one number) ─▶ Conv, Gemm                                     into its weights
 *     × a ─▶ × b                                                              × ab
 *     ÷ a, − b                                                                × 1/a, + −b: what integers can compute
 *
 * Only where nobody else reads what is in between, and a, b and the weights are float32 constants. The results differ by rounding.
 */
#ifndef MUSTER_FORGE_OPTIMIZE_FOLD_H
#define MUSTER_FORGE_OPTIMIZE_FOLD_H

#include "forge/graph/graph.h"

int fold_constants(struct graph *graph, struct err *err) must_check;

#endif
