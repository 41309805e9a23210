/* What trtexec is told: one table for the robot that runs it (tensorrt_exec.c) and for the command that people are shown (forge/trt/placement.h).
 *
 *     --onnx=MODEL --saveEngine=PLAN [--timingCacheFile=CACHE] --builderOptimizationLevel=3 --memPoolSize=workspace:1024 --skipInference
 *     [--stronglyTyped] [--useDLACore=0 --allowGPUFallback] [--shapes=x:1x3x128x160]
 */
#ifndef MUSTER_INFER_TENSORRT_ARGS_H
#define MUSTER_INFER_TENSORRT_ARGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { TENSORRT_MAX_ARGS = 16, TENSORRT_LEVEL = 3, TENSORRT_WORKSPACE_MIB = 1024 };

struct tensorrt_args {
    const char *program, *model, *plan;
    const char *timing_cache; /* NULL: none */
    const char *shapes;       /* "x:1x3x128x160,y:1x4": of inputs that the model leaves open; NULL: none */
    int major;                /* TensorRT's */
    int level;                /* of the builder's effort, 0 to 5 */
    int workspace_mib;
    int dla_core; /* -1: none */
};

struct tensorrt_words {             /* all 0 before */
    char *words[TENSORRT_MAX_ARGS]; /* owned, NULL-terminated */
    size_t count;
};

int tensorrt_args_words(const struct tensorrt_args *args, struct tensorrt_words *out,
                        struct err *err) must_check;
void tensorrt_words_fini(struct tensorrt_words *words);
#define cleanup_tensorrt_words __attribute__((cleanup(tensorrt_words_fini)))

#endif
