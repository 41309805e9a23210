/* One run of optimize, inside: what its steps share. optimize.c goes through them, steps.c works, profile.c makes and judges candidates. */
#ifndef MUSTER_FORGE_OPTIMIZE_FLOW_H
#define MUSTER_FORGE_OPTIMIZE_FLOW_H

#include "base/buf.h"
#include "forge/optimize/apart.h"
#include "forge/optimize/optimize.h"
#include "forge/optimize/processor.h"
#include "forge/optimize/state.h"
#include "forge/optimize/target.h"
#include "forge/optimize/ticker.h"

/* How much of the whole a step is, roughly, in seconds for a model of some megabytes: only progress depends on it. */
#define SHARE_PREPARE 2.0
#define SHARE_LOOK 1.0
#define SHARE_OBSERVE 10.0
#define SHARE_PRUNE 30.0
#define SHARE_BUILD 15.0
#define SHARE_JUDGE 12.0

struct flow {
    const struct optimize_job *job;
    struct optimize_report *report;
    struct optimize_target target;
    struct processor processor;
    struct state state;
    struct samples *samples;
    struct digest samples_digest;
    struct fidelity fidelity;
    struct ticker ticker;
    const char *step;         /* what is done now, for people */
    bool made_out, made_work; /* they were not there before */
    const char
        *model; /* what candidates are made of: WORK/prepared.onnx, or WORK/pruned-prepared.onnx. Below OUT */
    const char *seen;  /* its ranges */
    struct digest key; /* of all that these two depend on */
};

/* ---- small things ---- */

char *flow_path(const struct flow *flow, const char *below_out); /* NULL: out of memory; free() it */
/* Progress of the step at work; a progress function for everybody. */
int flow_tell(void *flow, const char *what, size_t done, size_t total, struct err *err);
/* SHA-256 of the key before and a line. */
struct digest flow_key(const struct digest *before, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Runs work(flow) in a process of its own as a step of `share`; it is done already if the state says so. */
struct flow_step {
    const char *name;  /* in the state */
    const char *title; /* for people */
    double share;
    struct digest key;
    const char *files[STATE_MAX_FILES]; /* that it makes, below OUT */
    int (*work)(void *arg, struct apart *self, struct err *err);
    void *arg;
};
int flow_do(struct flow *flow, const struct flow_step *step, struct err *err) must_check;
/* Moves a whole model (with its external data, if any) from WORK to its place; both below OUT. */
int flow_publish(struct flow *flow, const char *from, const char *to, struct err *err) must_check;
int flow_remove(struct flow *flow, const char *below_out,
                struct err *err) must_check; /* likewise; a missing one is fine */
uint64_t flow_model_bytes(const struct flow *flow,
                          const char *below_out); /* with external data; 0: not there */
/* Fidelity kind and the like: one run of the model that was given. */
int flow_look(struct flow *flow, struct err *err) must_check;
int flow_judge(struct flow *flow, const char *candidate, bool latency, struct gate_answer *out,
               uint64_t out_memory[2], struct err *err) must_check;

/* ---- steps.c ---- */

int steps_prepare(struct flow *flow, struct err *err) must_check;
int steps_observe(struct flow *flow, const char *model, const char *seen, const char *name,
                  struct err *err) must_check;

/* ---- prune_step.c ---- */

/* Prunes, judges, and goes on with what was promoted: adds the profile "fp32" to the report. */
int steps_prune(struct flow *flow, struct err *err) must_check;

/* ---- sparse_step.c ---- */

/* The model with 2:4 sparse weights, and its ranges. *out_model: below OUT; NULL if no operator of it can be sparse. */
int steps_sparse(struct flow *flow, const char **out_model, const char **out_seen,
                 struct err *err) must_check;

/* ---- profile.c ---- */

int profile_run(struct flow *flow, enum quant_profile profile, struct optimize_profile *out,
                struct err *err) must_check;

/* ---- candidate.c ---- */

enum candidate_kind { CANDIDATE_INT8, CANDIDATE_HALF, CANDIDATE_MIXED };
struct candidate_form {
    enum candidate_kind kind;
    bool sparse; /* of the model with 2:4 sparse weights */
};
const char *
candidate_name(const struct candidate_form *form); /* "int8", "fp16", "int8+fp16", "int8+fp16-2of4" … */
/* Which ones this profile gets, in their order. At most OPTIMIZE_MAX_ATTEMPTS. */
size_t candidate_list(const struct optimize_job *job, enum quant_profile profile, struct candidate_form *out);

struct candidate_task {
    struct flow *flow;
    enum quant_profile profile;
    struct candidate_form form;
    const char *source, *seen; /* what it is made of, below OUT: a prepared model, its ranges */
    /* Where to, below OUT: the model, its rehearsal (of integers with float16), what is to be told of it (report_save_profile). */
    const char *model, *rehearsal, *facts;
};
/* A copy of it that this machine's runtime computes as TensorRT would (rehearse.c). */
int candidate_rehearse(const char *model, const char *out, struct err *err) must_check;
/* Work for apart_run, arg: struct candidate_task. Errors: UNSUPPORTED where this model has no such form, in words for the report. */
int candidate_build(void *task, struct apart *self, struct err *err) must_check;

#endif
