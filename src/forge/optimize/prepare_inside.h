/* What prepare.c shares with prepare_check.c. */
#ifndef MUSTER_FORGE_OPTIMIZE_PREPARE_INSIDE_H
#define MUSTER_FORGE_OPTIMIZE_PREPARE_INSIDE_H

#include "forge/graph/graph.h"

/* A float32 model that nobody has quantized yet. Errors: UNSUPPORTED. */
int prepare_check_kind(struct graph *graph, struct err *err) must_check;
/* All inputs have fixed shapes. Errors: UNSUPPORTED naming the first that has not. */
int prepare_check_shapes(struct graph *graph, struct err *err) must_check;

#endif
