/* From a prepared float model to the best integer model of one profile: plan, emit, look at what fused, correct, take back what hurts.
 *
 *     plan ─▶ emit ─▶ unfused? ─▶ their groups stay float ─▶ fidelity on the fitting samples ≥ target? ─▶ done
 *                                                            │ no
 *                                                            ▼
 *          sequential bias correction (kept per layer only if the output gets closer) ─▶ second-order rounding, if asked for
 *                                                            │ still no
 *                                                            ▼
 *          groups by sensitivity (error of the model's outputs when only this group is integers), the worst back to float, again
 *
 * Held-out samples are never looked at here: the gate has them.
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
    double fidelity; /* on fitting samples */
    size_t bias_tried, bias_kept;
    size_t group_count;
    struct group_sensitivity {
        int group;
        const char *node; /* of the plan */
        double sqnr_db;   /* of the model's outputs; INFINITY: not measurable */
    } * sensitivity;      /* owned; most sensitive first; NULL if the search never needed it */
};
int quant_run(const struct quant_job *job, struct quant_outcome *out, struct err *err) must_check;
void quant_outcome_fini(struct quant_outcome *outcome);
#define cleanup_quant_outcome __attribute__((cleanup(quant_outcome_fini)))

#endif
