/* Finding and opening ONNX Runtime. It is never linked: a machine without it can do everything but run a
 * model.
 *
 * Places, first hit wins:
 *   1. the path the caller gives                     if that fails, nothing else is tried
 *   2. MUSTER_ONNXRUNTIME                            likewise
 *   3. beside the program: ../lib/, ../lib/muster/
 *   4. of a source tree: node_modules/onnxruntime-node/bin/napi-v(6…3)/linux/<arch>/ in one of the five
 * folders above the program
 *   5. libonnxruntime.so.1, libonnxruntime.so        wherever the dynamic linker looks
 * Files found by 3 and 4 must belong to root or to this user and be writable by nobody else.
 *
 * One runtime and one environment per process, kept until it ends; the first caller's path decides.
 */
#ifndef MUSTER_INFER_RUNTIME_H
#define MUSTER_INFER_RUNTIME_H

#include "base/err.h"

struct OrtApi;
struct OrtEnv;

struct runtime {
    const struct OrtApi *api;
    struct OrtEnv *env;
    char version[32]; /* "1.22.0" */
};

/* The library that a program in `program_dir` (NULL: this one) would open, by rules 2 to 5, for whoever has to
 * carry it somewhere; free() it. NULL: UNSUPPORTED. */
char *runtime_find(const char *program_dir, struct err *err) must_check;

/* Errors: UNSUPPORTED, with where it was looked for and how to get it. */
int runtime_get(const char *path, const struct runtime **out, struct err *err) must_check;

#endif
