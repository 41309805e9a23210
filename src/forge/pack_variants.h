/* The variants of a release are tried on the packing machine before anything is written: private to pack*.c.
 *
 *     tensors of the file == those of the release ─▶ what its weights are made of ─▶ run on the golden frames ─▶ promise
 *
 *     promised = min(measured - PACK_MARGIN, what the optimizer proved on held-out samples), in thousandths
 *
 * The margin is for other processors and versions of the runtime. What agrees with the model to less than PACK_MIN_FIDELITY is REFUSED: it would be
 * another model. So is a variant that this machine cannot run, unless the optimizer has measured it.
 */
#ifndef MUSTER_FORGE_PACK_VARIANTS_H
#define MUSTER_FORGE_PACK_VARIANTS_H

#include "base/buf.h"
#include "forge/recipe.h"

#define PACK_MARGIN 0.05
#define PACK_MIN_FIDELITY 0.75

/* Fills in recipe->release.variants. `golden`: golden.bin as it was just made; `paths`: the files of recipe->variants, with the tap. */
int pack_try_variants(struct recipe *recipe, const char *const paths[RELEASE_MAX_VARIANTS],
                      const char *runtime_path, const struct buf *golden, struct err *err) must_check;

#endif
