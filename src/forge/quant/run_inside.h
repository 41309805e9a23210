/* What the files behind quant_run share: a run is the job, the parent's answers, and what has been found out so far.
 *
 *     run.c          the order of things            run_trial.c   one candidate: emit, run, compare
 *     run_parent.c   the parent's answers, once     bias.c, round_layers.c, search.c   the three ways to get closer
 */
#ifndef MUSTER_FORGE_QUANT_RUN_INSIDE_H
#define MUSTER_FORGE_QUANT_RUN_INSIDE_H

#include "forge/quant/quant.h"

#include <sys/types.h>

enum { RUN_MAX_COMPARED = 128, RUN_MAX_OUTPUTS = 64 };

/* Answers of the parent on the first samples, in a file without a name. */
struct parent {
    int fd;
    size_t count, output_count, largest;
    off_t *at;    /* owned; where sample i begins: its tensors, then their bytes */
    void *buffer; /* owned; of one sample */
};

struct fix { /* owned by the run; handed to quant_emit as struct quant_fix */
    char *node;
    size_t channels;
    int8_t *weights;
    float *bias_add;
};

struct run {
    const struct quant_job *job;
    size_t compared; /* the first so many of the fitting samples */
    int threads;
    bool lean;   /* candidates that are float in large part: sessions of little memory */
    double macs; /* multiply-adds of one frame in weighted operators, about */
    struct parent parent;
    char *candidate_path, *part_path;
    size_t skip_count, fix_count;
    struct quant_skip *skips; /* owned, with their texts */
    struct fix *fixes;        /* owned */
};

/* How a candidate answered. */
struct trial {
    double fidelity; /* mean */
    double
        error; /* relative square error of the outputs, mean over their rows; INFINITY if it is not finite */
};

/* ---- run.c ---- */

int run_tell(struct run *run, const char *what, size_t done, size_t total, struct err *err) must_check;
int run_skip(struct run *run, const char *node, const char *why, struct err *err) must_check;
void run_forget_skips(struct run *run, size_t keep);   /* all but the first `keep` */
size_t run_layer_count(const struct quant_plan *plan); /* weighted operators that are integers */
/* The entry of that node; made where it is missing. NULL: out of memory. */
struct fix *run_fix(struct run *run, const char *node);
struct lab_how run_candidate_how(const struct run *run);

/* ---- run_parent.c ---- */

int parent_record(struct run *run, struct err *err) must_check;
/* Outputs of sample i, borrowed until the next call. */
int parent_answer(struct parent *parent, size_t i, const struct lab_tensor **out, struct err *err) must_check;
void parent_fini(struct parent *parent);

/* ---- run_trial.c ---- */

/* Plans with these skips and writes the QDQ model. `out_plan` may be NULL. */
int trial_emit(struct run *run, const struct quant_skip *skips, size_t skip_count, const char *path,
               struct quant_plan *out_plan, struct err *err) must_check;
/* The candidate by a plan that is known already, with the fixes as they are now. */
int trial_emit_again(struct run *run, const struct quant_plan *plan, struct err *err) must_check;
/* On samples [first, first + count) of those recorded. */
int trial_compare(struct run *run, const char *path, size_t first, size_t count, struct trial *out,
                  struct err *err) must_check;
/* With the run's own skips; what does not fuse joins them, until all does. */
int trial_settle(struct run *run, struct quant_plan *out_plan, struct unfused *out_unfused,
                 struct err *err) must_check;

/* ---- bias.c, round_layers.c, search.c ---- */

/* `now`: how the candidate does; brought up to date. */
int bias_correct(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err) must_check;
int round_layers(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err) must_check;
int search_revert(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err) must_check;

#endif
