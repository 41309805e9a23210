/* muster optimize: one float32 model and a folder of unlabelled samples become one model per profile, each measured against its parent.
 *
 *     MODEL.onnx | release.yaml
 *        └▶ prepare   shapes fixed, opset upgraded, constants and BatchNormalization folded (ONNX Runtime, basic), unique names   WORK/prepared.onnx
 *            └▶ observe   ranges of all tensors that a plan may ask for                                                         WORK/observed.bin
 *                └▶ prune (if asked for): then the pruned model is prepared and observed; its gate is against the original         WORK/pruned.onnx
 *                    └▶ per profile: candidates (int8, fp16) ─▶ gate against the parent ─▶ OUT/<profile>.onnx  or refused, and why
 *                        └▶ OUT/report.json, OUT/report.html
 *
 * Interrupted at any point and started again with the same arguments it goes on: a step is done if its file is there under the key of everything that
 * it depends on (WORK/state.json). Nothing is in OUT but whole files; a refused candidate lies in OUT/refused/.
 */
#ifndef MUSTER_FORGE_OPTIMIZE_OPTIMIZE_H
#define MUSTER_FORGE_OPTIMIZE_OPTIMIZE_H

#include "forge/prune/prune.h"
#include "forge/quant/quant.h"
#include "stats/gate.h"

enum { OPTIMIZE_MAX_FIXED = 8 };

struct optimize_job {
    const char *model; /* ONNX file or release.yaml */
    const char *calib_dir, *out_dir;
    const char *runtime_path;
    bool profiles[PROFILE_COUNT];
    bool int8, half;   /* neither: int8 for all, float16 besides for trt */
    double prune;      /* share of channels; 0: none */
    bool sparse;       /* 2:4, trt only */
    bool second_order; /* rounding by second order */
    double max_drop;   /* fidelity's lower bound must be ≥ 1 - max_drop */
    int rounds;        /* pairs of the latency gate */
    size_t fixed_count;
    struct optimize_fixed { /* --shape NAME=1,3,256,256 for inputs with open dimensions */
        char input[128];
        size_t dim_count;
        int64_t dims[RELEASE_MAX_DIMS];
    } fixed[OPTIMIZE_MAX_FIXED];
    int (*progress)(void *arg, const char *step, size_t done, size_t total,
                    struct err *err); /* -1: interrupted */
    void *arg;
};

struct optimize_profile {
    char profile[16];   /* "cpu-x86" */
    char precision[16]; /* "int8", "fp16", "int8+fp16", "fp32" where nothing was promoted */
    bool promoted;
    bool
        measured_here; /* the latency gate ran: this machine is of the profile's kind; else the robot's runs it */
    char reason[200];
    struct quant_outcome quant;
    struct gate_answer gate;
    uint64_t size_bytes, parent_size_bytes, peak_memory_bytes, parent_peak_memory_bytes;
    char path
        [256]; /* what this profile should run: the candidate, or the parent if it was refused; relative to OUT */
    char candidate[256]; /* the refused one; "" if promoted */
};

struct optimize_report {
    char model[128], fidelity_kind[16];
    size_t samples, fitting, held_out;
    uint64_t parameters;
    double max_drop, seconds;
    uint64_t peak_rss_bytes;
    char runtime[64], machine[64], processor[128];
    bool pruned;
    struct prune_outcome prune;
    struct gate_answer prune_gate;
    size_t profile_count;
    struct optimize_profile profiles[PROFILE_COUNT];
};

int optimize_run(const struct optimize_job *job, struct optimize_report *out, struct err *err) must_check;
void optimize_report_fini(struct optimize_report *report);

/* Measures one candidate against its parent and judges it: what optimize_run does for each, and what tests offer bad ones to. */
struct optimize_contest {
    const char *parent_path, *candidate_path, *runtime_path;
    struct samples *samples; /* the held-out ones are used */
    const struct fidelity *fidelity;
    double max_drop;
    int rounds;
    bool latency;
};
int optimize_judge(const struct optimize_contest *contest, struct gate_answer *out, uint64_t out_memory[2],
                   struct err *err) must_check;

#endif
