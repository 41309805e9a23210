/* The second and third builders of derived.h: a TensorRT engine of the model for this very machine, inside the small ONNX model with which
 * ONNX Runtime's TensorRT provider runs it (wire/trt_plan.h).
 *
 *     trtexec    TensorRT's own program builds it, strictly in the types that the model has (float16 and int8 only where the model says
 *                so). Preferred where the program is on this machine.
 *     provider   ONNX Runtime's provider builds it and writes that model itself; in float32.
 *
 *     build ─▶ version of the engine == version of the TensorRT here ─▶ opens ─▶ golden cases ─▶ as fast as the release asks ─▶ kept
 *
 * Beside the entries the folder holds `timing.cache`, what TensorRT has measured here, which makes the next build several times as fast; it
 * is set aside during a build, so a build that dies costs it, and no more. Where there is none, that of the release is a start, once:
 * `timing.seeded` remembers which one it was.
 */
#ifndef MUSTER_INFER_TENSORRT_H
#define MUSTER_INFER_TENSORRT_H

#include "infer/derived.h"
#include "infer/machine.h"
#include "wire/golden.h"
#include "wire/release.h"

enum tensorrt_way { TENSORRT_TRTEXEC, TENSORRT_PROVIDER, TENSORRT_WAY_COUNT };

struct tensorrt { /* borrowed while the builder is in use */
    enum tensorrt_way way;
    const struct machine *machine;
    const struct release *release;
    const struct golden *golden; /* NULL: only look */
    const char *runtime_path;
    const char *dir; /* of the cache */
    int level;       /* of the builder's effort, 0 to 5 */
    int dla_core;    /* -1: none */
    int workspace_mib;
    const char *timing_seed; /* the release's timing cache, for a machine that has none; NULL: none */
    double
        promised; /* it is built from the variant "trt": mean fidelity on golden cases (infer/fidelity.h); 0: from the model itself */
    /* Opens the engine, runs the golden cases, times it; tensorrt_prove, but for tests. */
    int (*prove)(const struct tensorrt *self, const char *target, struct err *err);
};

/* Of this machine as it is now: what a build may take of its free memory. */
struct tensorrt tensorrt_here(const struct machine *machine, const struct release *release,
                              const struct golden *golden, const char *runtime_path, const char *dir);
struct derived_limits tensorrt_limits(void);

struct derived_builder tensorrt_builder(struct tensorrt *self);
bool tensorrt_can_build(const struct tensorrt *self); /* what this way needs is here */

int tensorrt_prove(const struct tensorrt *self, const char *target, struct err *err) must_check;

/* Before anything deserializes it: engines of exactly the TensorRT that is here. Errors: as trt_context_check. */
int tensorrt_check_file(const struct machine *machine, const char *path, struct err *err) must_check;

/* In tensorrt_exec.c: the plan that trtexec makes, wrapped, at `target`. */
int tensorrt_exec(const struct tensorrt *self, const char *source, const char *target,
                  struct err *err) must_check;

#endif
