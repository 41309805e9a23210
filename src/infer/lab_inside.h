/* The inside of a lab, shared by lab.c and lab_run.c. */
#ifndef MUSTER_INFER_LAB_INSIDE_H
#define MUSTER_INFER_LAB_INSIDE_H

#include "infer/lab.h"
#include "infer/ort.h"

#include <onnxruntime_c_api.h>

struct lab_side {
    size_t count;
    struct lab_value *values; /* the names are owned */
    const char **names;       /* the same pointers, as Run() wants them */
};

/* What lab_time measures: RunWithBinding() over memory that stays where it is, as on robots. */
struct lab_bench {
    OrtIoBinding *io;   /* NULL: not made yet */
    OrtValue **values;  /* inputs, then those outputs whose shapes are fixed; NULL where they are not */
    void **memory;      /* of `values`, owned */
    size_t value_count; /* room in both */
};

/* The operator of struct lab_watch. Outlives the session. */
struct lab_watcher {
    OrtCustomOp op; /* first: the runtime hands this one back */
    const OrtApi *api;
    OrtCustomOpDomain *domain;
    struct lab_watch watch;
};

struct lab {
    const OrtApi *api;
    OrtSession *session;
    OrtRunOptions *run_options;
    OrtMemoryInfo *memory;
    struct lab_watcher watcher;
    struct lab_side inputs, outputs;
    OrtValue **results;      /* of the last run; outputs.count */
    OrtValue **given;        /* inputs of a run; inputs.count */
    const char **wanted;     /* names of a run; outputs.count */
    struct lab_bench timing; /* of lab_time */
};

/* Nothing to do where nobody watches. */
int lab_add_watch(struct lab *lab, OrtSessionOptions *options, const struct lab_watch *watch,
                  struct err *err) must_check;

/* What an OrtValue holds. Errors: UNSUPPORTED. */
int lab_borrow(const OrtApi *api, const char *name, const OrtValue *value, struct lab_tensor *out,
               struct err *err) must_check;

void lab_forget_results(struct lab *lab);
void lab_forget_bench(struct lab *lab);

#endif
