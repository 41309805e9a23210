/* The structural check of a QDQ model for TensorRT: the rules of NVIDIA's developer guide and ModelOpt, as ml.md A3 restates them, one by one.
 * Nothing here has run on TensorRT: these are its documented rules, not its behaviour. */
#ifndef MUSTER_FORGE_TRT_PLACEMENT_H
#define MUSTER_FORGE_TRT_PLACEMENT_H

#include "base/buf.h"
#include "forge/graph/graph.h"

enum { TRT_MAX_FINDINGS = 32 };

struct trt_findings {
    size_t weighted, quantized; /* weighted operators, and those with all inputs quantized */
    size_t count;               /* of rules broken; 0: it passes */
    struct trt_finding {
        const char *
            rule; /* "symmetric", "output-not-quantized", "residual-input", "per-channel-weights", "dangling-pair", … */
        char node[128];
    } items[TRT_MAX_FINDINGS];
};
int trt_check(struct graph *graph, struct trt_findings *out, struct err *err) must_check;

/* The command that builds the engine on the robot's board, for humans and for the release's documents (ml.md A9). */
int trt_command(const char *model, const char *timing_cache, int level, int workspace_mib, struct buf *out,
                struct err *err) must_check;

#endif
