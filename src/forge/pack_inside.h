/* What the packer takes together before it writes. Private to pack*.c. */
#ifndef MUSTER_FORGE_PACK_INSIDE_H
#define MUSTER_FORGE_PACK_INSIDE_H

#include "base/buf.h"
#include "forge/pack.h"
#include "forge/recipe.h"
#include "forge/tap.h"

/* What goes into the release: the files as they are, or with the tap, in memory. */
struct pack_models {
    const char *path, *variants[RELEASE_MAX_VARIANTS];
    struct tapped tapped, tapped_variants[RELEASE_MAX_VARIANTS];
};

#define NO_PACK_MODELS                                                                                       \
    {                                                                                                        \
        .tapped = {.fd = -1}, .tapped_variants = { {.fd = -1}, {.fd = -1}, {.fd = -1} }                      \
    }
_Static_assert(RELEASE_MAX_VARIANTS == 3, "one closed file each in NO_PACK_MODELS");

void pack_models_fini(struct pack_models *models);
#define cleanup_pack_models __attribute__((cleanup(pack_models_fini)))

/* The file against the yaml. */
int pack_check_model(const struct recipe *recipe, struct err *err) must_check;
/* With the tap that the yaml asks for; the release gets it as an output. Variants in the order of recipe->variants. */
int pack_open_models(struct recipe *recipe, const char *runtime_path, struct pack_models *out,
                     struct err *err) must_check;
/* *out stays empty where the yaml wants none. */
int pack_get_profile(const struct recipe *recipe, const char *model, const struct pack_options *options,
                     struct buf *out, struct err *err) must_check;

#endif
