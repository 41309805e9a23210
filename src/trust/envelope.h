/* Bytes that people signed, in the envelope in which they travel: commands (trust/command.h) and approvals (trust/approval.h).
 *
 *     {"MEMBER": "base64 of the bytes", "signatures": [{"keyid": "…64 hex…", "sig": "…128 hex…"}]}
 *
 * Signed bytes (domain-separated):  DOMAIN and the bytes as they stand in the envelope, Ed25519
 *
 * - base64 is that of RFC 4648 with padding and nothing else; only one spelling of the same bytes is taken.
 * - keyids in an envelope are unique; up to ENVELOPE_MAX_SIGNATURES. The bytes stand for
 *   a named person if the key of that *name* in the operators' keyring signed them. Nobody else speaks for him.
 */
#ifndef MUSTER_TRUST_ENVELOPE_H
#define MUSTER_TRUST_ENVELOPE_H

#include "base/err.h"
#include "trust/key.h"
#include "trust/keyring.h"

#include <stddef.h>
#include <stdint.h>

enum { ENVELOPE_MAX_SIGNATURES = 4 };

struct signature_item {
    char keyid[KEY_ID_SIZE];
    uint8_t sig[64];
};

struct envelope_form {  /* what travels; one constant per kind */
    const char *noun;   /* "command": the member, and what errors call it */
    const char *domain; /* "muster-command-v1\n" */
    size_t max_bytes;   /* of what is signed */
};

struct envelope {
    uint8_t *bytes; /* owned; what was signed */
    size_t len;
    size_t count;
    struct signature_item items[ENVELOPE_MAX_SIGNATURES];
};

/* Errors: INVALID, TOO_BIG. After -1 nothing is owned. What the bytes say is not looked at. */
int envelope_parse(const struct envelope_form *form, const void *text, size_t len, struct envelope *out,
                   struct err *err) must_check;
char *envelope_format(const struct envelope_form *form,
                      const struct envelope *envelope); /* canonical; free() it; NULL: no memory */
void envelope_fini(struct envelope *envelope);
#define cleanup_envelope __attribute__((cleanup(envelope_fini)))

/* The envelope of these bytes with one signature; free() it. NULL with *err. */
char *envelope_sign(const struct envelope_form *form, const void *bytes, size_t len,
                    const struct signing_key *key, struct err *err);

/* Whether the operator of this name signed it. Errors: UNTRUSTED with one of: "not signed …", "operator X is not in the keyring …",
 * "the key of operator X is revoked …", "the signature of operator X does not fit …", "not signed by the key of X …". */
int envelope_check(const struct envelope_form *form, const struct envelope *envelope,
                   const struct keyring *operators, const char *name, struct err *err) must_check;

#endif
