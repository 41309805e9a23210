/* A human's command (wire/command.h) in its envelope: signed on a workstation, carried by anybody, checked on the robot.
 *
 * Signed bytes (domain-separated):  "muster-command-v1\n" and the bytes of the command, as they stand in the envelope
 * Envelope, JSON:
 *     {"command": "base64 of the command's bytes", "signatures": [{"keyid": "…64 hex…", "sig": "…128 hex…"}]}
 *
 * - base64 is that of RFC 4648 with padding and nothing else; only one spelling of the same bytes is taken.
 * - keyids in an envelope are unique; up to COMMAND_MAX_SIGNATURES. The keyring's threshold does not count here: a command
 *   stands if the key whose *name* in the operators' keyring is `operator` signed it. Nobody else speaks for him.
 */
#ifndef MUSTER_TRUST_COMMAND_H
#define MUSTER_TRUST_COMMAND_H

#include "base/err.h"
#include "trust/key.h"
#include "trust/keyring.h"
#include "trust/signature.h"
#include "wire/command.h"

#include <stddef.h>
#include <stdint.h>

enum { COMMAND_MAX_SIGNATURES = 4, COMMAND_MAX_ENVELOPE_BYTES = 132 << 10 };

struct command_envelope {
    uint8_t *bytes; /* of the command; owned */
    size_t len;
    size_t count;
    struct signature_item items[COMMAND_MAX_SIGNATURES];
};

/* Errors: INVALID, TOO_BIG. After -1 nothing is owned. The command in it is not looked at. */
int command_envelope_parse(const void *text, size_t len, struct command_envelope *out,
                           struct err *err) must_check;
char *
command_envelope_format(const struct command_envelope *envelope); /* canonical; free() it; NULL: no memory */
void command_envelope_fini(struct command_envelope *envelope);
#define cleanup_command_envelope __attribute__((cleanup(command_envelope_fini)))

/* The envelope of a command with one signature; free() it. NULL with *err. */
char *command_sign(const struct command *command, const struct signing_key *key, struct err *err);

/* Reads the command and checks that its operator signed it. *out is owned by the caller after 0 (command_fini).
 * After UNTRUSTED it owns nothing, but its plain members say what the command claims to be.
 * Errors: INVALID; UNTRUSTED with one of: "not signed …", "operator X is not in the keyring …", "the key of X is revoked",
 * "not signed by X …", "the signature of X does not fit …". */
int command_open(const struct command_envelope *envelope, const struct keyring *operators,
                 struct command *out, struct err *err) must_check;

#endif
