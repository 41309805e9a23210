/* Which robots may open a sealed release: the content key, wrapped for each of them. One document for a release, named by the offline
 * targets (path muster/grants/NAME/VERSION.json), so that nobody but the release keys can say who is in it.
 *
 *     {"schema": 1, "fleet": "warehouse-5f0c…", "release": "sha256:…", "key": "…64 hex…",
 *      "robots": [{"robot": "r1", "recipient": "…64 hex…", "ephemeral": "…base64, 65 bytes…", "wrapped": "…base64, 40 bytes…"}]}
 *
 * key        the key id of the sealed weights (wire/sealed.h)
 * recipient  SHA-256 of the robot's public key (DER SubjectPublicKeyInfo): the one of its certificate
 * ephemeral  the sender's point on P-256 (SEC 1, uncompressed); wrapped: the content key, see trust/seal/grant.h
 * Robots are sorted, each once. Strict: unknown members are refused.
 */
#ifndef MUSTER_WIRE_GRANT_H
#define MUSTER_WIRE_GRANT_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum {
    GRANTS_MAX_ROBOTS = 10000,
    GRANT_POINT_BYTES = 65,
    GRANT_WRAPPED_BYTES = 40,
    GRANTS_MAX_BYTES = 4 << 20
};
#define GRANTS_PATH_PREFIX "muster/grants/"

struct grant {
    char robot[64];
    struct digest recipient;
    uint8_t ephemeral[GRANT_POINT_BYTES];
    uint8_t wrapped[GRANT_WRAPPED_BYTES];
};

struct grants {
    char fleet[80];
    struct digest release; /* of the manifest */
    uint8_t key_id[32];
    size_t count;
    struct grant *robots; /* owned */
};

/* Errors: INVALID, TOO_BIG. After -1 nothing is owned. */
int grants_parse(const void *text, size_t len, struct grants *out, struct err *err) must_check;
char *grants_format(const struct grants *grants); /* canonical; free() it; NULL: out of memory */
void grants_fini(struct grants *grants);
#define cleanup_grants __attribute__((cleanup(grants_fini)))

/* Adds one, or replaces the robot's. Errors: TOO_BIG. */
int grants_put(struct grants *grants, const struct grant *grant, struct err *err) must_check;
void grants_remove(struct grants *grants, const char *robot);                    /* fine if it has none */
const struct grant *grants_find(const struct grants *grants, const char *robot); /* or NULL */
/* "muster/grants/detector/2.0.0.json" */
void grants_path(const char *name, const char *version, char out[192]);

#endif
