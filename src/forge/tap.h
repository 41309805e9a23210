/* A tensor inside of a model made an output (release.json "tap"): what a robot that watches looks at, without running anything twice.
 *
 *     model.onnx ─▶ "/model/9/act/Mul_output_0" is an output too ─▶ run once: its shape ─▶ written, with the shape, to memory
 *
 * Nothing else changes: same nodes, same weights, same other outputs. A model that has this output already stays the file it is.
 */
#ifndef MUSTER_FORGE_TAP_H
#define MUSTER_FORGE_TAP_H

#include "base/err.h"
#include "wire/release.h"

struct tapped {
    int fd;        /* of the model with the tap, in memory; -1: it is the file */
    char path[32]; /* /proc/self/fd/…, good in this process while it is open; "": it is the file */
    struct tensor_spec spec; /* of the tap */
};

/* `release` tells the inputs; `known` (or NULL) is the tap of the model that this is a variant of: then nothing is run. Errors: REFUSED without a tensor of that name (with one that is there), for one that is no float32 feature map,
 * or a model that does not run; those of lab_open. */
int tapped_open(const char *model_path, const char *name, const struct release *release,
                const struct tensor_spec *known, const char *runtime_path, struct tapped *out,
                struct err *err) must_check;
void tapped_close(struct tapped *tapped);
#define cleanup_tapped __attribute__((cleanup(tapped_close)))

/* The release with its tap: the last of the outputs. Errors: REFUSED if there is no room for one more. */
int tap_release(const struct tensor_spec *spec, struct release *release, struct err *err) must_check;

#endif
