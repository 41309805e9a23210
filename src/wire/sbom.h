/* The bill of materials of a release: CycloneDX 1.6, JSON.
 *
 *     {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:…", "version": 1,
 *      "metadata": {"timestamp", "tools": {"components": [muster]},
 *                   "component": {"type": "machine-learning-model", "bom-ref": "release", name, version, hashes: of the weights,
 *                                 "modelCard": {"modelParameters": {"task", "inputs": [{"format"}], "outputs", "datasets": [{"ref"}]}}}},
 *      "components": [{"type": "framework" | "library" | "application" | "data" | "file" | "machine-learning-model", "bom-ref", name, version, hashes, properties}],
 *      "dependencies": [{"ref": "release", "dependsOn": […]}]}
 *
 * Equal contents give equal bytes (json_write.h): no clock, no random number. The serial number is made of the document's own hash.
 */
#ifndef MUSTER_WIRE_SBOM_H
#define MUSTER_WIRE_SBOM_H

#include "base/digest.h"
#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>

#define SBOM_TYPE "application/vnd.cyclonedx+json"

enum sbom_kind { SBOM_FRAMEWORK, SBOM_LIBRARY, SBOM_APPLICATION, SBOM_DATA, SBOM_FILE, SBOM_MODEL };

struct sbom_component {
    enum sbom_kind kind;
    char *name;           /* owned */
    char *version;        /* owned; "": not known */
    char *role;           /* owned; what it is there for, for people */
    struct digest digest; /* zero: not known */
};

struct sbom {
    const struct release *release;
    const char *created;      /* RFC 3339 */
    const char *tool_version; /* Muster's */
    const char
        *model_signer; /* fingerprint of the key that signed the model before it was packed; "": nobody */
    bool sealed;       /* the weights' digest is that of the encrypted file */
    struct digest weights;
    size_t count;
    struct sbom_component *components; /* owned */
};

int sbom_add(struct sbom *sbom, enum sbom_kind kind, const char *name, const char *version, const char *role,
             const struct digest *digest, struct err *err) must_check;
void sbom_fini(struct sbom *sbom);
#define cleanup_sbom __attribute__((cleanup(sbom_fini)))

/* `identity`: 16 bytes for the serial number; NULL: it is left out (to hash the rest). free() it; NULL: out of memory. */
char *sbom_format(const struct sbom *sbom, const uint8_t identity[16]);

#endif
