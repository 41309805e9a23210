/* Carries a plan out: a prepared float graph becomes a QDQ model. And looks afterwards whether ONNX Runtime really makes integers of it.
 *
 *     cpu-*   weights: S8 initializer ─▶ DQ (per channel, axis); bias: S32 initializer of scale x_scale * w_scale ─▶ DQ; activations Q ─▶ DQ
 *     trt     weights: float ─▶ Q ─▶ DQ (per channel); bias float; activations Q ─▶ DQ, zero point 0
 */
#ifndef MUSTER_FORGE_QUANT_EMIT_H
#define MUSTER_FORGE_QUANT_EMIT_H

#include "forge/quant/plan.h"

/* What rounding and bias correction found out for one weighted operator; both optional. */
struct quant_fix {
    const char *node;
    const int8_t
        *weights; /* in the layout of the initializer, on the scales of grid_weight_scales; NULL: nearest */
    const float *bias_add; /* per output channel, added to the bias (made if there is none); NULL: nothing */
};

/* Changes `graph`. */
int quant_emit(struct graph *graph, const struct quant_plan *plan, const struct quant_fix *fixes,
               size_t fix_count, struct err *err) must_check;

struct unfused {
    size_t weighted, integer, float_by_plan, unfused; /* integer + float_by_plan + unfused = weighted */
    size_t name_count;
    char names[16][128]; /* of the first unfused ones, with operator: "Conv conv_17" */
};
/* Reloads the model in ONNX Runtime, has it optimize for the profile's kind of processor (cpu-arm: with signed integers allowed), reads the
 * optimized graph and counts weighted operators that are neither integer kernels nor float by plan. For cpu profiles. */
int quant_count_unfused(const char *model_path, const struct quant_plan *plan, const char *work_dir,
                        const char *runtime_path, struct unfused *out, struct err *err) must_check;

#endif
