/* What a release is made of, for those who have to know: a CycloneDX bill of materials (wire/sbom.h), a layer of the release.
 *
 * Components: the weights and where they come from, the documents and golden data that lie beside them, ONNX Runtime as what runs the model
 * (in the release if it carries an engine, else as what computed the golden outputs), and every file of the engine by its hash. Versions of
 * single libraries are not known here: their hashes are.
 */
#ifndef MUSTER_FORGE_SBOM_H
#define MUSTER_FORGE_SBOM_H

#include "base/err.h"
#include "wire/oci.h"
#include "wire/sbom.h"

/* "onnxruntime 1.22.0 cpu" is what `backend` looks like. */
int sbom_add_backend(struct sbom *sbom, const char *backend, bool in_release, struct err *err) must_check;
/* The layers so far, but for the weights and the engine's archive. */
int sbom_add_layers(struct sbom *sbom, const struct oci_manifest *manifest, struct err *err) must_check;
/* A file of the engine: struct engine_options.file. `arg` is the sbom. */
int sbom_add_engine_file(void *arg, const char *name, const struct digest *digest,
                         struct err *err) must_check;
/* The document with its serial number; free() it. */
int sbom_write(const struct sbom *sbom, char **out, struct err *err) must_check;

#endif
