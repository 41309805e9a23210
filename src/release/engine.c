#include "release/engine.h"

const struct oci_descriptor *engine_of(const struct image *image)
{
    return oci_layer(&image->manifest, OCI_MANIFEST_TYPE, NULL);
}

int engine_unpack(const struct image *image, const char *engines, char **out, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "engine");
}
