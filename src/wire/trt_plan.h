/* TensorRT's engines as files ("plans"), and the ONNX model that has ONNX Runtime run one (an "EP context").
 *
 *     plan      0 "ftrt"   4 version of the format: 0   24 major 25 minor 26 patch 27 build of the TensorRT that made it   28 …
 *
 *     context   ModelProto {ir_version 8, opset_import {"" 17}, {"com.microsoft" 1},
 *               graph {input …, output …, node {EPContext of com.microsoft, inputs → outputs,
 *                      attributes embed_mode 1, hardware_architecture "87", ep_cache_context = the plan}}}
 *
 * Only the TensorRT of exactly that version reads a plan; another one aborts or worse. So the version is looked at before anybody
 * deserializes. A plan is never taken from elsewhere: these files are made on the machine that runs them.
 */
#ifndef MUSTER_WIRE_TRT_PLAN_H
#define MUSTER_WIRE_TRT_PLAN_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

/* Errors: INVALID if it is no plan, REFUSED if another TensorRT made it. */
int trt_plan_check(const void *plan, size_t len, const int version[4], struct err *err) must_check;

/* Appends the model that runs `plan` with the tensors of `release`. `compute`: 87 for 8.7. Errors: TOO_BIG, NO_MEMORY. */
int trt_context_put(const void *plan, size_t len, int compute, const struct release *release, struct buf *out,
                    struct err *err) must_check;

/* Every plan in such a model, ours or ONNX Runtime's own, is of this version, and there is one at least. Errors: INVALID if it is
 * no such model or names a plan in another file; REFUSED. */
int trt_context_check(const void *model, size_t len, const int version[4], struct err *err) must_check;

#endif
