/* A release's signature: an envelope beside the manifest, over the manifest's digest and size.
 *
 * Signed bytes (domain-separated, ASCII):  "muster-release-v1\n" "sha256:<64 hex>\n" "<size in decimal>\n"
 * Envelope, JSON:
 *     {"schema": 1, "digest": "sha256:…", "size": 1234,
 *      "signatures": [{"keyid": "…", "sig": "…128 hex…"}]}
 * keyids in an envelope are unique (TUF 1.0.34 section 4.2.1 has the same rule, for the same reason: a
 * threshold). */
#ifndef MUSTER_TRUST_SIGNATURE_H
#define MUSTER_TRUST_SIGNATURE_H

#include "base/digest.h"
#include "base/err.h"
#include "trust/key.h"
#include "trust/keyring.h"

#include <stddef.h>
#include <stdint.h>

struct signature_item {
    char keyid[KEY_ID_SIZE];
    uint8_t sig[64];
};

struct signature_envelope {
    struct digest digest;
    uint64_t size; /* bytes of the manifest */
    size_t count;
    struct signature_item items[16];
};

int signature_parse(const char *text, size_t len, struct signature_envelope *out, struct err *err) must_check;
char *signature_format(const struct signature_envelope *envelope); /* stable JSON; free() it */

/* Adds a signature; a signature by the same key is replaced. */
int signature_add(struct signature_envelope *envelope, const struct signing_key *key,
                  struct err *err) must_check;

/* Holds if at least ring->threshold distinct, known, not revoked keys signed exactly this digest and size.
 * Errors: UNTRUSTED with one of: "not signed", "key <id> is unknown …", "key <id> (<name>) is revoked …",
 * "signature of key <id> does not fit the manifest …", "n of m signatures …". */
int signature_verify(const struct signature_envelope *envelope, const struct digest *digest, uint64_t size,
                     const struct keyring *ring, struct err *err) must_check;

#endif
