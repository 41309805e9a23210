/* The content key of a sealed release, wrapped for one robot's device key (P-256), and unwrapped there. The document is wire/grant.h's.
 *
 *     ephemeral key pair ─┐
 *     robot's public key ─┴─ ECDH ─▶ HKDF-SHA256, info = "muster-grant-v1" | ephemeral point | recipient | release | key id | robot ─▶ AES-256 key wrap
 *
 * A grant is bound to its release, robot and key by the info: moved to another line it does not unwrap. Who forges one (anybody can, who knows a
 * public key) gives the robot a content key that does not fit the key id of the weights, which the release keys have signed: it is refused here.
 */
#ifndef MUSTER_TRUST_SEAL_GRANT_H
#define MUSTER_TRUST_SEAL_GRANT_H

#include "base/mem.h"
#include "trust/seal/seal.h"
#include "wire/grant.h"

/* Who is given it: the public key of a PEM certificate or of a PEM public key. */
struct recipient;
int recipient_from_pem(const void *pem, size_t len, struct recipient **out, struct err *err) must_check;
/* The same of a certificate that a server shows: issued by this CA (PEM) for this robot. That it has expired is no matter: what counts is whose key
 * it is. Errors: UNTRUSTED. */
int recipient_from_certificate(const void *pem, size_t len, const void *ca_pem, size_t ca_len,
                               const char *robot, struct recipient **out, struct err *err) must_check;
void recipient_free(struct recipient *recipient);
MUSTER_CLEANUP(struct recipient *, recipient_free)
#define cleanup_recipient __attribute__((cleanup(recipient_freep)))
void recipient_digest(const struct recipient *recipient, struct digest *out); /* as csr_read has it */

/* Fills in `out`; grants' release and key id are part of it. Errors: UNSUPPORTED for a key that is not on P-256. */
int grant_wrap(const struct grants *grants, const char *robot, const struct recipient *recipient,
               const struct seal_key *key, struct grant *out, struct err *err) must_check;
/* With the robot's private key, a PEM file. Errors: NOT_FOUND: nothing for this robot; UNTRUSTED: for another key, or it does not unwrap;
 * UNSUPPORTED: the key is in a TPM (sys/device_key.h). */
int grant_unwrap(const struct grants *grants, const char *robot, const char *key_path, struct seal_key *out,
                 struct err *err) must_check;

#endif
