/* A named operator's approval (wire/approval.h) in its envelope (trust/envelope.h): signed with his own key, carried by the server, checked by
 * each robot.
 *
 *     {"approval": "base64 of the approval's bytes", "signatures": [{"keyid": "…64 hex…", "sig": "…128 hex…"}]}
 *
 * Signed bytes:  "muster-approval-v1\n" and the bytes of the approval
 */
#ifndef MUSTER_TRUST_APPROVAL_H
#define MUSTER_TRUST_APPROVAL_H

#include "trust/envelope.h"
#include "wire/approval.h"

/* Errors: INVALID, TOO_BIG. After -1 nothing is owned. The approval in it is not looked at. */
int approval_envelope_parse(const void *text, size_t len, struct envelope *out, struct err *err) must_check;
char *approval_envelope_format(const struct envelope *envelope); /* canonical; free() it; NULL: no memory */

/* The envelope of an approval with one signature; free() it. NULL with *err. */
char *approval_sign(const struct approval *approval, const struct signing_key *key, struct err *err);

/* Reads the approval and checks that its operator signed it; whether it is timely, and for what is to be installed, is trust/admission.h.
 * After UNTRUSTED *out says what the approval claims to be. Errors: INVALID; UNTRUSTED as envelope_check says. */
int approval_open(const struct envelope *envelope, const struct keyring *operators, struct approval *out,
                  struct err *err) must_check;

#endif
