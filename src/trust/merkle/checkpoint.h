/* A checkpoint: how long a log is and what its root is, signed (C2SP tlog-checkpoint in a C2SP signed note, Ed25519).
 *
 *     muster.audit/5f0c9a…          origin: which log                       ┐
 *     1234                          size                                    │ the signed text, with the line feed of its last line
 *     rR6c…=                        root, base64                            ┘ (further lines before the blank one are allowed and signed)
 *
 *     — muster.audit/5f0c9a… AbCd…=   name of the key (our logs': the origin), base64 of its 4 bytes of key hash and the 64 of the signature
 *
 * The key hash is the first 4 bytes of SHA-256(name ‖ 0x0a ‖ 0x01 ‖ public key). Lines of unknown keys are ignored: somebody else's
 * witness may have signed too.
 *
 * A verifier key as text, for this and other tools: "name+5f0c9a11+base64(0x01 ‖ public key)". */
#ifndef MUSTER_TRUST_MERKLE_CHECKPOINT_H
#define MUSTER_TRUST_MERKLE_CHECKPOINT_H

#include "base/digest.h"
#include "base/err.h"
#include "trust/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHECKPOINT_ORIGIN_SIZE = 96,
    CHECKPOINT_MAX_BYTES = 16384,
    CHECKPOINT_KEY_SIZE = CHECKPOINT_ORIGIN_SIZE + 64
};

struct checkpoint {
    char origin[CHECKPOINT_ORIGIN_SIZE]; /* visible, no blank, no + */
    uint64_t size;
    struct digest root;
};

/* free() it. The key is called as the origin. */
int checkpoint_sign(const struct checkpoint *checkpoint, const struct signing_key *key, char **out,
                    struct err *err) must_check;

/* Form only, nothing is believed. Errors: INVALID. */
int checkpoint_parse(const void *text, size_t len, struct checkpoint *out, struct err *err) must_check;

/* The same, and signed by one of these keys under the name of its origin. Errors: INVALID; UNTRUSTED if none of them signed it. */
int checkpoint_open(const void *text, size_t len, const struct public_key *keys, size_t count,
                    struct checkpoint *out, struct err *err) must_check;

void checkpoint_key_format(const char *origin, const struct public_key *key, char out[CHECKPOINT_KEY_SIZE]);
int checkpoint_key_parse(const char *text, char out_origin[CHECKPOINT_ORIGIN_SIZE], struct public_key *out,
                         struct err *err) must_check; /* INVALID */

#endif
