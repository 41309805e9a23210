/* Any ONNX model under ONNX Runtime, for the workbench: any inputs and outputs, any number of them, graphs dumped after optimization.
 * What robots run goes through pipeline.h; this page is for whoever builds and measures models (forge).
 *
 *     lab_open(path | bytes, how) ─▶ lab_input(i), lab_output(i): names, types, shapes ─▶ lab_run ─▶ outputs, borrowed until the next run
 *
 * Sequential, on the CPU provider. Not thread-safe per lab.
 */
#ifndef MUSTER_INFER_LAB_H
#define MUSTER_INFER_LAB_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_level { LAB_PLAIN, LAB_BASIC, LAB_EXTENDED, LAB_ALL }; /* ONNX Runtime's graph optimization levels */

struct lab_tensor {
    enum tensor_dtype dtype;
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS];
    const void *data; /* row-major */
    size_t bytes;
};

/* Looks at tensors inside of the model while it runs, one after the other, as the runtime makes and frees them: no memory beside what the
 * run takes anyway, one run for all of them. A node of domain "muster", operator "Watch", with the attribute `which`, one input of any
 * type and one empty float32 output that is an output of the graph, calls `see` each time that it is reached. */
#define LAB_WATCH_DOMAIN "muster"
#define LAB_WATCH_OP "Watch"
struct lab_watch {
    size_t
        count; /* of what is watched: nodes that say a `which` beyond it are none of ours, and are passed over */
    void (*see)(void *arg, size_t which, const struct lab_tensor *tensor); /* dtype 0: nothing to be read */
    void *arg;
};

struct lab_how {
    const char *runtime_path; /* NULL: see runtime.h */
    int threads;              /* 0: 1 */
    enum lab_level level;
    const char *dump_path; /* the optimized graph is written here, as ONNX; NULL: not */
    bool lean; /* as little memory as can be: no arena, no memory pattern, no prepacked weights; slower */
    struct lab_watch watch;          /* `see` NULL: the model has no such nodes */
    size_t entry_count;              /* session configuration */
    const char *const (*entries)[2]; /* {"session.qdqisint8allowed", "1"} */
};

struct lab_value {
    const char *name;
    enum tensor_dtype
        dtype; /* 0: no tensor, of strings, or of more dimensions than fit: cannot be given or wanted */
    size_t dim_count;
    int64_t dims[RELEASE_MAX_DIMS]; /* -1: open */
};

struct lab;

/* Exactly one of `path` and `bytes` (borrowed during the call). Errors: UNSUPPORTED without a runtime or for an operator that it lacks;
 * NOT_FOUND; REFUSED with the runtime's reason if the model does not load. */
int lab_open(const char *path, const void *bytes, size_t size, const struct lab_how *how, struct lab **out,
             struct err *err) must_check;
void lab_close(struct lab *lab);
MUSTER_CLEANUP(struct lab *, lab_close)
#define cleanup_lab __attribute__((cleanup(lab_closep)))

size_t lab_input_count(const struct lab *lab);
size_t lab_output_count(const struct lab *lab);
const struct lab_value *lab_input(const struct lab *lab, size_t i);
const struct lab_value *lab_output(const struct lab *lab, size_t i);

/* `inputs` in the order of lab_input. `wanted`: indices of outputs, NULL: all; outputs[k] belongs to wanted[k].
 * Errors: REFUSED with the runtime's reason. */
int lab_run(struct lab *lab, const struct lab_tensor *inputs, const size_t *wanted, size_t wanted_count,
            struct lab_tensor *outputs, struct err *err) must_check;
/* The same under the clock, over memory that is bound once, as on robots: *out_ns is of the run alone. Outputs are thrown away. All calls want
 * inputs of the same shapes. */
int lab_time(struct lab *lab, const struct lab_tensor *inputs, int64_t *out_ns, struct err *err) must_check;

/* dump_path's work alone: loads, optimizes, writes. */
int lab_dump(const char *path, const struct lab_how *how, struct err *err) must_check;

#endif
