/* Structured pruning without labels and without fine-tuning: whole channels go, what they did is taken over by those that stay.
 *
 *     coupled groups (union-find over the graph: Conv out, depthwise in = out, elementwise, squeeze-excite, Concat offsets, residual Adds)
 *        ─▶ per group: Gram matrix of the consumer's im2col input, from the model as pruned so far
 *        ─▶ second-order loss of removing channel k: tr(W_kᵀ [H⁻¹]_kk⁻¹ W_k); remove, update H⁻¹ and W          (OBS; SPA, arXiv 2403.18955)
 *        ─▶ ridge least squares of the consumer's weights and bias against the ORIGINAL model's output            (He 2017's target)
 *     how many channels each group gives: bisection on one loss-per-latency ratio with a measured latency table    (multiples of 8)
 *
 * Groups tied through residual chains are pruned only where every member is known. What is not understood is left alone.
 */
#ifndef MUSTER_FORGE_PRUNE_PRUNE_H
#define MUSTER_FORGE_PRUNE_PRUNE_H

#include "forge/calib/samples.h"
#include "infer/fidelity.h"

enum prune_how { PRUNE_OBS, PRUNE_MAGNITUDE_LS, PRUNE_MAGNITUDE }; /* the last two to compare with */

struct prune_job {
    const char *model_path; /* prepared */
    struct samples *samples;
    double ratio; /* of the channels of all prunable groups, 0..0.9 */
    int multiple; /* channels left are a multiple of this; 8 */
    enum prune_how how;
    bool latency_table; /* budget by measured latency; else by count alone */
    const char *work_dir, *out_path, *runtime_path;
    int (*progress)(void *arg, const char *what, size_t done, size_t total, struct err *err);
    void *arg;
};

struct prune_outcome {
    size_t group_count;       /* also those left alone */
    size_t channels, removed; /* of all groups that could give */
    uint64_t parameters, parameters_left;
    struct prune_group {
        char node[128]; /* the Conv that makes the channels */
        char why[96];   /* it was left alone; "" for one that could give */
        size_t channels, left;
        double
            loss; /* of the consumers' outputs after reconstruction: squared error over variance, the worst one's, on fitting samples */
    } * groups;   /* owned */
};

/* Errors: UNSUPPORTED with the reason if nothing can be pruned. */
int prune_run(const struct prune_job *job, struct prune_outcome *out, struct err *err) must_check;
void prune_outcome_fini(struct prune_outcome *outcome);
#define cleanup_prune_outcome __attribute__((cleanup(prune_outcome_fini)))

/* 2:4 sparsity: of every 4 inputs 2 weights are zero, chosen and compensated by the same second order; for the trt profile. Only operators whose
 * inputs per group are a multiple of 4 and ≥ 32; others stay dense. */
struct sparsity_outcome {
    size_t weighted, sparse;
};
int prune_sparsify(const char *model_path, struct samples *samples, const char *work_dir,
                   const char *out_path, const char *runtime_path, struct sparsity_outcome *out,
                   struct err *err) must_check;

#endif
