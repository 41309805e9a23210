/* The structural check of a model for TensorRT, with pairs or float16 or both: the rules of NVIDIA's developer guide and of ModelOpt, one by one;
 * docs/tensorrt.md has the table. Nothing here has run on TensorRT: these are its documented rules, not its behaviour. */
#ifndef MUSTER_FORGE_TRT_PLACEMENT_H
#define MUSTER_FORGE_TRT_PLACEMENT_H

#include "base/buf.h"
#include "forge/graph/graph.h"

enum { TRT_MAX_FINDINGS = 32, TRT_OLDEST_OPSET = 13, TRT_NEWEST_OPSET = 22 };

struct trt_findings {
    size_t weighted, quantized; /* weighted operators, and those with all inputs quantized */
    size_t count;               /* of rules broken; 0: it passes */
    struct trt_finding {
        const char *rule; /* "symmetric", "residual-input" …: trt_rule_text says it in words */
        char node[128];   /* "" for the model as a whole */
    } items[TRT_MAX_FINDINGS];
};
/* Errors: out of memory. */
int trt_check(struct graph *graph, struct trt_findings *out, struct err *err) must_check;

size_t trt_rule_count(void);
const char *trt_rule(size_t i);              /* its name */
const char *trt_rule_text(const char *rule); /* "zero points are int8 and 0"; NULL: there is no such rule */

/* The first finding as one line: "Conv_3: zero points are int8 and 0 (and 4 more)". Errors: REFUSED; 0 if there is none. */
int trt_explain(const struct trt_findings *findings, struct err *err) must_check;

/* The command that builds the engine on the robot's board, for humans and for the release's documents (docs/tensorrt.md); without the word that strong typing
 * takes up to TensorRT 10 if `version` is 11 or later. `timing_cache` NULL: none. Appends one line. */
struct trt_build {
    const char *model, *engine, *timing_cache;
    int version; /* TensorRT's major one; 0: 10 */
    int level, workspace_mib;
};
int trt_command(const struct trt_build *build, struct buf *out, struct err *err) must_check;

#endif
