/* From a prepared float model to the best integer model of one profile: plan, emit, look at what fused, correct, take back what hurts.
 *
 *     plan ─▶ emit ─▶ unfused? ─▶ their groups stay float ─▶ [second-order rounding, if asked for] ─▶ fidelity on the fitting samples ≥ target? ─▶ done
 *                                                                                                    │ no
 *                                                                                                    ▼
 *          sequential bias correction, layer by layer in the order of the graph: a layer's means are taken behind all that was kept before it, and
 *          it is kept only if the model's outputs get closer on samples that the means were not taken from, without a loss of fidelity there
 *                                                                                                    │ still no
 *                                                                                                    ▼
 *          groups by sensitivity (error of the model's outputs when only this group is integers): the worst 1, 2, 4 … back to float until the
 *          target holds, then as few of them as a bisection finds
 *
 * Candidates run as their machine will run them where this is possible here (cpu-x86); those of other profiles with their Q/DQ pairs computed
 * in float, which rounds the same way. Held-out samples are never looked at here: the gate has them.
 * Correction never sees all layers at once: corrected in parallel, layers correct each other's error twice (a MobileNetV3 classifier fell from 88.3 to 77.7 %).
 */
#ifndef MUSTER_FORGE_QUANT_QUANT_H
#define MUSTER_FORGE_QUANT_QUANT_H

#include "forge/calib/observe.h"
#include "forge/quant/emit.h"
#include "forge/quant/plan.h"
#include "infer/fidelity.h"

struct quant_job {
    const char *model_path; /* prepared */
    const struct observation *seen;
    struct samples *samples;
    struct quant_options options;
    const struct fidelity *fidelity;
    double target; /* mean fidelity to reach on fitting samples, 0..1 */
    bool correct_bias, second_order;
    const char *work_dir, *out_path, *runtime_path;
    int (*progress)(void *arg, const char *what, size_t done, size_t total, struct err *err);
    void *arg;
};

struct quant_outcome {
    struct quant_plan plan; /* the final one: which nodes stay float, and why */
    struct unfused unfused;
    double fidelity;       /* on fitting samples */
    double plain_fidelity; /* before any correction or step back */
    size_t rounded;        /* operators whose weights were rounded by second order */
    size_t bias_tried, bias_kept;
    size_t group_count; /* of sensitivity; 0 if the search never needed it */
    struct group_sensitivity {
        int group;      /* of the plan before any step back */
        char *node;     /* its first weighted operator, else its first; owned */
        double sqnr_db; /* of the model's outputs; INFINITY: no error at all, or not measurable */
        bool reverted;  /* went back to float for it */
    } * sensitivity;    /* owned; most sensitive first */
};
/* Errors: as graph, plan, emit and lab say; whatever `progress` says. Nothing is at out_path then. */
int quant_run(const struct quant_job *job, struct quant_outcome *out, struct err *err) must_check;
void quant_outcome_fini(struct quant_outcome *outcome);
#define cleanup_quant_outcome __attribute__((cleanup(quant_outcome_fini)))

#endif
