/* Which weights a release has, and what of a release a machine uses. */
#include "base/mem.h"
#include "base/str.h"
#include "release/engine.h"
#include "release/image.h"

const char *image_this_machine(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "";
#endif
}

static bool is_weights(const struct oci_descriptor *layer)
{
    return str_eq(layer->media_type, MODELPACK_WEIGHT_TYPE) || str_eq(layer->media_type, MUSTER_SEALED_TYPE);
}

static bool is_engine(const struct oci_descriptor *layer)
{
    return str_eq(layer->media_type, OCI_MANIFEST_TYPE) || str_eq(layer->media_type, OCI_IMAGE_CONFIG_TYPE) ||
           str_eq(layer->media_type, OCI_IMAGE_LAYER_TYPE);
}

static const char *architecture_of(const char *machine)
{
    return str_eq(machine, "x86_64") ? "amd64" : str_eq(machine, "aarch64") ? "arm64" : machine;
}

/* What is made for one kind of machine says for which. */
bool image_uses_layer(const struct image_use *use, const struct oci_descriptor *layer)
{
    const char *variant = layer->variant;
    if (!use || !variant[0])
        return true;
    if (is_engine(layer))
        return str_eq(variant, architecture_of(use->machine));
    if (!is_weights(layer) && !str_eq(layer->media_type, MUSTER_TIMING_TYPE))
        return true;
    if (str_eq(variant, VARIANT_TRT))
        return use->tensorrt;
    const char *own = variant_of_machine(use->machine);
    return str_eq(variant, VARIANT_PARENT) || (own && str_eq(variant, own));
}

bool image_is_sealed(const struct image *image)
{
    return oci_layer(&image->manifest, MUSTER_SEALED_TYPE, NULL) != NULL;
}

const struct oci_descriptor *image_weights(const struct image *image, const char *variant)
{
    for (size_t i = 0; i < image->manifest.layer_count; i++) {
        const struct oci_descriptor *layer = &image->manifest.layers[i];
        if (is_weights(layer) && str_eq(layer->variant, variant))
            return layer;
    }
    return NULL;
}

static int not_found(const struct image *image, const char *variant, struct err *err)
{
    char known[80] = VARIANT_PARENT;
    size_t used = strlen(known);
    for (size_t i = 0; i < image->release.variant_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, ", %s", image->release.variants[i].name);
    return err_set(err, ERR_NOT_FOUND, "the release has no weights \"%.32s\"; it has %s", variant, known);
}

static int weights_path(const struct image *image, const char *variant, bool sealed, char **out,
                        struct err *err)
{
    const struct oci_descriptor *layer = image_weights(image, variant);
    if (!layer)
        return not_found(image, variant, err);
    if (sealed != str_eq(layer->media_type, MUSTER_SEALED_TYPE))
        return err_set(err, ERR_REFUSED,
                       sealed
                           ? "the weights are not sealed"
                           : "the weights are sealed; only robots that they were granted to can load them");
    *out = image_blob_path(image->dir, &layer->digest);
    return *out ? 0 : err_no_memory(err);
}

int image_variant_path(const struct image *image, const char *variant, char **out, struct err *err)
{
    return weights_path(image, variant, false, out, err);
}

int image_model_path(const struct image *image, char **out, struct err *err)
{
    return weights_path(image, VARIANT_PARENT, false, out, err);
}

int image_sealed_path(const struct image *image, const char *variant, char **out, struct err *err)
{
    return weights_path(image, variant, true, out, err);
}
