#include "forge/sbom.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/engine.h"
#include "sys/hash.h"

int sbom_add_backend(struct sbom *sbom, const char *backend, bool in_release, struct err *err)
{
    char name[64], version[64] = "";
    str_copy(name, sizeof name, backend);
    char *space = strchr(name, ' ');
    if (space) {
        *space = '\0';
        str_copy(version, sizeof version, space + 1);
        version[strcspn(version, " ")] = '\0';
    }
    return sbom_add(sbom, SBOM_FRAMEWORK, name, version,
                    in_release ? "runs the model, carried along"
                               : "computed the golden outputs; the robot has its own",
                    NULL, err);
}

static bool is_weights(const struct oci_descriptor *layer)
{
    return str_eq(layer->media_type, MODELPACK_WEIGHT_TYPE) || str_eq(layer->media_type, MUSTER_SEALED_TYPE);
}

static bool is_engine(const struct oci_descriptor *layer)
{
    return str_eq(layer->media_type, OCI_IMAGE_LAYER_TYPE) ||
           str_eq(layer->media_type, OCI_IMAGE_CONFIG_TYPE) || str_eq(layer->media_type, OCI_MANIFEST_TYPE);
}

/* The model itself is what the document is about, and the engine is listed by its files. */
static int add_layer(struct sbom *sbom, const struct oci_descriptor *layer, struct err *err)
{
    if (is_engine(layer) || (is_weights(layer) && str_eq(layer->variant, VARIANT_PARENT)))
        return 0;
    if (is_weights(layer)) {
        const struct release_variant *variant = release_variant(sbom->release, layer->variant);
        char role[64];
        snprintf(role, sizeof role, "the model for %s, %s", layer->variant,
                 variant ? precision_name(variant->precision) : "unknown");
        return sbom_add(sbom, SBOM_MODEL, layer->filepath, "", role, &layer->digest, err);
    }
    if (str_eq(layer->media_type, MUSTER_GOLDEN_TYPE))
        return sbom_add(sbom, SBOM_DATA, layer->filepath, "", "golden inputs and the outputs they must give",
                        &layer->digest, err);
    if (str_eq(layer->media_type, MUSTER_PROFILE_TYPE))
        return sbom_add(sbom, SBOM_DATA, layer->filepath, "", "reference profile for drift", &layer->digest,
                        err);
    bool contract = str_eq(layer->media_type, MUSTER_RELEASE_TYPE);
    return sbom_add(sbom, SBOM_FILE, layer->filepath, "",
                    contract ? "what the release promises and needs" : "document", &layer->digest, err);
}

int sbom_add_layers(struct sbom *sbom, const struct oci_manifest *manifest, struct err *err)
{
    for (size_t i = 0; i < manifest->layer_count; i++)
        if (add_layer(sbom, &manifest->layers[i], err) < 0)
            return -1;
    return 0;
}

int sbom_add_engine_file(void *arg, const char *name, const struct digest *digest, struct err *err)
{
    cleanup_free char *path = mem_printf("engine/%s", name);
    if (!path)
        return err_no_memory(err);
    bool program = str_eq(name, ENGINE_PROGRAM + 1);
    return sbom_add(arg, program ? SBOM_APPLICATION : SBOM_LIBRARY, path, "", "engine", digest, err);
}

int sbom_write(const struct sbom *sbom, char **out, struct err *err)
{
    cleanup_free char *nameless = sbom_format(sbom, NULL);
    if (!nameless)
        return err_no_memory(err);
    struct digest identity = hash_bytes(nameless, strlen(nameless));
    *out = sbom_format(sbom, identity.bytes);
    return *out ? 0 : err_no_memory(err);
}
