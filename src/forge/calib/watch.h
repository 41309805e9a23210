/* A model whose inner tensors are looked at while it runs, over samples.
 *
 *     model ──a Watch node (infer/lab.h) behind each of `names`──▶ temporary model beside it ──▶ one lean session ──▶ see(which, tensor)
 *
 * All of them in one run, each as soon as it is there and before the runtime frees it: memory is that of a plain run, whatever their
 * number and sizes. Nothing is optimized (LAB_PLAIN), so each tensor is there as the file has it, and the same for any set of names.
 */
#ifndef MUSTER_FORGE_CALIB_WATCH_H
#define MUSTER_FORGE_CALIB_WATCH_H

#include "base/err.h"
#include "base/mem.h"
#include "forge/calib/samples.h"
#include "infer/lab.h"

struct watched;

/* `names`: computed tensors or inputs of the graph, borrowed until close. `watch.see` gets their index; `watch.count` is set here. The model's folder must be writable.
 * Errors: NOT_FOUND for an unknown name; as graph_open, graph_save and lab_open. */
int watched_open(const char *model_path, const char *const *names, size_t name_count, struct lab_watch watch,
                 const char *runtime_path, struct watched **out, struct err *err) must_check;
void watched_close(struct watched *watched); /* the temporary model goes, too */
MUSTER_CLEANUP(struct watched *, watched_close)
#define cleanup_watched __attribute__((cleanup(watched_closep)))

/* Runs sample i once. The error line names the sample. */
int watched_run(struct watched *watched, struct samples *samples, size_t i, struct err *err) must_check;

#endif
