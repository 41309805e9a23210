/* Which of the providers that a release names runs it here: the first that this machine can use and that takes the model.
 *
 *     tensorrt   only from the derived cache (tensorrt.h): building an engine takes minutes, and a robot waits for nobody
 *     cuda       at once
 *     cpu        always
 *
 * Degraded is what runs on something else than the first provider whose *hardware* is here. A robot that never had a GPU is as good
 * as it will ever be: it is not degraded.
 */
#ifndef MUSTER_INFER_PROVIDERS_H
#define MUSTER_INFER_PROVIDERS_H

#include "infer/machine.h"

struct providers {
    enum provider used;
    char degraded[160]; /* "no tensorrt: the engine is not built yet"; "": as good as it gets */
};

/* Loads the model with one provider. Errors: whatever keeps it from that; all is as before then. */
typedef int providers_load(void *self, enum provider provider, struct err *err);

/* `skip`: a bit for each provider that is not to be tried, because it was tried. Errors: those of the last one, the CPU. */
int providers_pick(const struct release *release, const struct machine *machine, unsigned skip,
                   providers_load *load, void *self, struct providers *out, struct err *err) must_check;

#endif
