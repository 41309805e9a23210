/* A human's command (wire/command.h) in its envelope (trust/envelope.h): signed on a workstation, carried by anybody, checked on the robot.
 *
 *     {"command": "base64 of the command's bytes", "signatures": [{"keyid": "…64 hex…", "sig": "…128 hex…"}]}
 *
 * Signed bytes:  "muster-command-v1\n" and the bytes of the command
 */
#ifndef MUSTER_TRUST_COMMAND_H
#define MUSTER_TRUST_COMMAND_H

#include "trust/envelope.h"
#include "wire/command.h"

/* Errors: INVALID, TOO_BIG. After -1 nothing is owned. The command in it is not looked at. */
int command_envelope_parse(const void *text, size_t len, struct envelope *out, struct err *err) must_check;
char *command_envelope_format(const struct envelope *envelope); /* canonical; free() it; NULL: no memory */

/* The envelope of a command with one signature; free() it. NULL with *err. */
char *command_sign(const struct command *command, const struct signing_key *key, struct err *err);

/* Reads the command and checks that its operator signed it. *out is owned by the caller after 0 (command_fini).
 * After UNTRUSTED it owns nothing, but its plain members say what the command claims to be.
 * Errors: INVALID; UNTRUSTED as envelope_check says. */
int command_open(const struct envelope *envelope, const struct keyring *operators, struct command *out,
                 struct err *err) must_check;

#endif
