/* The first builder of derived.h: the model's graph, optimized by ONNX Runtime for this very processor and written in its own format. A
 * process that opens it maps the file and reads the weights from there: no optimizing at start, and the pages are shared by
 * all processes that run the model. */
#ifndef MUSTER_INFER_OPTIMIZE_H
#define MUSTER_INFER_OPTIMIZE_H

#include "base/err.h"
#include "infer/derived.h"
#include "wire/golden.h"
#include "wire/release.h"

struct optimizer { /* borrowed while the builder is in use */
    const char *runtime_path;
    const struct release *release;
    const struct golden *golden; /* what the optimized model must give */
};

struct derived_builder optimize_builder(struct optimizer *self);

/* Writes the optimized graph of `model_path` to `out_path`. Errors: UNSUPPORTED without a runtime; REFUSED if the model does not load. */
int optimize_model(const char *runtime_path, const char *model_path, const char *out_path,
                   struct err *err) must_check;

#endif
