/* The first step: any float32 model becomes one that the others understand. Fixed shapes, opset ≥ 17, folded (ONNX Runtime's basic level), unique names
 * for all nodes, Constant nodes as initializers, no dead nodes. It computes the same. */
#ifndef MUSTER_FORGE_OPTIMIZE_PREPARE_H
#define MUSTER_FORGE_OPTIMIZE_PREPARE_H

#include "base/err.h"
#include "wire/release.h"

struct optimize_fixed;
/* Errors: as graph_open, graph_upgrade, lab. UNSUPPORTED if an input stays open: names it and how to fix it. */
int prepare_model(const char *model_path, const struct optimize_fixed *fixed, size_t fixed_count,
                  const char *out_path, const char *runtime_path, struct err *err) must_check;

#endif
