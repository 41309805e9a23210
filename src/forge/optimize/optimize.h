/* muster optimize: one float32 model and a folder of unlabelled samples become one model per profile, each measured against its parent.
 *
 *     MODEL.onnx | release.yaml
 *        └▶ prepare   shapes fixed, opset upgraded, constants and BatchNormalization folded (ONNX Runtime, basic), unique names   WORK/prepared.onnx
 *            └▶ observe   ranges of all tensors that a plan may ask for                                                         WORK/observed.bin
 *                └▶ prune (if asked for): gate against the original; then the pruned model is observed        WORK/pruned.onnx, OUT/fp32.onnx
 *                    └▶ per profile: candidates, the smallest first ─▶ gate against the original ─▶ OUT/<profile>.onnx  or refused, and why
 *                        └▶ OUT/report.json, OUT/report.html
 *
 *     candidates of a profile     cpu-x86, cpu-arm      trt
 *     nothing said                int8                  int8+fp16, then fp16
 *     --int8                      int8                  int8
 *     --fp16                      fp16                  fp16
 *     both                        int8, then fp16       int8+fp16, then fp16           the next one is built only if the one before was refused
 *
 * Interrupted at any point and started again with the same arguments it goes on: a step is done if its file is there, unchanged, under the key of
 * everything that it depends on (WORK/state.json, state.h). Nothing is in OUT but whole files; refused candidates lie in OUT/refused/. Each step
 * works in a process of its own (apart.h).
 */
#ifndef MUSTER_FORGE_OPTIMIZE_OPTIMIZE_H
#define MUSTER_FORGE_OPTIMIZE_OPTIMIZE_H

#include "forge/calib/samples.h"
#include "forge/quant/plan.h"
#include "infer/fidelity.h"
#include "stats/gate.h"

#define OPTIMIZE_WORK ".work" /* below OUT */
#define OPTIMIZE_REFUSED "refused"
#define OPTIMIZE_MAX_DROP 0.1
#define OPTIMIZE_PROFILE_FP32 "fp32" /* the name under which a pruned float model is reported */
enum {
    OPTIMIZE_MAX_FIXED = 8,
    OPTIMIZE_ROUNDS = 200,
    OPTIMIZE_MAX_PROFILES = PROFILE_COUNT + 1, /* and the pruned one */
    OPTIMIZE_MAX_ATTEMPTS = 3
};

/* What a bare ONNX file does not say of itself; nothing is set: a guess (forge/bench.h). Not together with release.yaml. */
struct optimize_guess {
    const char
        *task; /* "detection", "classification", "timeseries", "raw"; NULL: what the outputs look like */
    const char *mean, *std; /* "0.485,0.456,0.406"; NULL: 0 and 1 */
    double scale;           /* 0: 1/255 */
    bool bgr, stretch;
};

struct optimize_job {
    const char *model; /* ONNX file or release.yaml */
    const char *calib_dir, *out_dir;
    const char *runtime_path;
    struct optimize_guess guess;
    bool profiles[PROFILE_COUNT];
    bool int8, half;
    double prune;      /* share of channels; 0: none */
    bool sparse;       /* 2:4, trt only */
    bool second_order; /* rounding by second order */
    double max_drop;   /* fidelity's lower bound must be ≥ 1 - max_drop */
    int rounds;        /* pairs of the latency gate, at most; slow models get fewer */
    size_t fixed_count;
    struct optimize_fixed { /* --shape NAME=1,3,256,256 for inputs with open dimensions */
        char input[128];
        size_t dim_count;
        int64_t dims[RELEASE_MAX_DIMS];
    } fixed[OPTIMIZE_MAX_FIXED];
    /* Of the whole: `done` of `total`, never less than before. -1 stops the work; NULL: nobody looks. */
    int (*progress)(void *arg, const char *step, size_t done, size_t total, struct err *err);
    void *arg;
};

struct optimize_excluded { /* an operator that could have been integers and is not */
    char node[128], op[32], why[128];
};
struct optimize_sensitivity {
    char node[128];
    double sqnr_db; /* of the model's outputs if only this group is integers; NaN: not measurable */
};
struct optimize_attempt { /* one candidate */
    char precision[16];
    bool promoted;
    char reason[200];
    char path[64]; /* relative to OUT; "" if it could not be built */
};

struct optimize_profile {
    char profile[16];   /* "cpu-x86" */
    char precision[16]; /* "int8", "fp16", "int8+fp16"; "fp32" where nothing was promoted */
    bool promoted;
    bool
        measured_here; /* latency and memory were judged: this machine is of the profile's kind; else the robot does it */
    char reason[200];
    struct gate_answer gate; /* of the promoted candidate, else of the first */
    size_t weighted, integer, unfused;
    size_t excluded_count, sensitivity_count;
    struct optimize_excluded *excluded; /* owned */
    struct optimize_sensitivity
        *sensitivity;        /* owned; the worst first; empty where the search never needed it */
    double fitting_fidelity; /* NaN: not measured */
    size_t bias_tried, bias_kept;
    size_t half_nodes, casts;
    uint64_t size_bytes, parent_size_bytes, peak_memory_bytes, parent_peak_memory_bytes; /* 0: not measured */
    char path[64];      /* what this profile should run, relative to OUT; "": the model that was given */
    char candidate[64]; /* the refused one; "" if promoted */
    size_t attempt_count;
    struct optimize_attempt attempts[OPTIMIZE_MAX_ATTEMPTS];
};

struct optimize_pruning {
    bool asked, done; /* done: the pruned model was promoted and the profiles are made of it */
    double ratio;
    char reason[200];
    size_t group_count, channels, removed;
    uint64_t parameters, parameters_left;
};

struct optimize_report {
    char model[128], model_digest[80], fidelity_kind[16];
    char *model_path, *out_path; /* owned; absolute: for who goes on from here, not for report.json */
    size_t samples, fitting, held_out;
    uint64_t parameters;
    double max_drop, seconds;
    uint64_t peak_rss_bytes;
    char runtime[64], machine[64], processor[128], version[32];
    struct optimize_pruning pruning;
    size_t profile_count;
    struct optimize_profile profiles[OPTIMIZE_MAX_PROFILES];
};

/* Errors: as prepare_model, samples_open, observe, quant_run; USAGE for what does not go together. Before the model has been read and understood
 * nothing is written. `out` is to be finished also after -1. */
int optimize_run(const struct optimize_job *job, struct optimize_report *out, struct err *err) must_check;
void optimize_report_fini(struct optimize_report *report);
#define cleanup_optimize_report __attribute__((cleanup(optimize_report_fini)))

/* Measures one candidate against its parent and judges it: what optimize_run does for each, and what tests offer bad ones to. */
struct optimize_contest {
    const char *parent_path, *candidate_path, *runtime_path;
    struct samples *samples; /* the held-out ones are used, at most OPTIMIZE_MAX_HELD */
    const struct fidelity *fidelity;
    double max_drop;
    int rounds;
    bool latency;                                                                             /* and memory */
    int (*progress)(void *arg, const char *what, size_t done, size_t total, struct err *err); /* NULL: none */
    void *arg;
};
enum { OPTIMIZE_MAX_HELD = 1024 };

/* A candidate that does not load, has other inputs or outputs, crashes or hangs is refused by the answer. Errors: what hinders the measuring itself:
 * the parent does not run, a sample cannot be read, the progress function said stop. */
int optimize_judge(const struct optimize_contest *contest, struct gate_answer *out, uint64_t out_memory[2],
                   struct err *err) must_check;

#endif
