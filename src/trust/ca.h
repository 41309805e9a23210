/* The device CA of a fleet server, certificate requests, and certificates (X.509 v3, EC P-256, OpenSSL).
 *
 * A robot makes its key itself and never gives it away; the server signs a request (CSR) for exactly one
 * robot id: subject CN = robot id (whatever the CSR says), URI SAN "urn:muster:robot:<id>", client
 * authentication only. */
#ifndef MUSTER_TRUST_CA_H
#define MUSTER_TRUST_CA_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CERT_SERIAL_SIZE 48

enum {
    CERT_BACKDATE_S = 300
}; /* certificates begin so long before they are issued: for robots whose clocks are a little slow */

/* Creates DIR/ca.pem, DIR/ca.key, DIR/server.pem, DIR/server.key (server certificate for `hosts`,
 * comma-separated DNS names and IP addresses) where they are missing. Existing ones are kept. */
int ca_init(const char *dir, const char *hosts, int64_t now_s, struct err *err) must_check;

/* Signs a PEM CSR. *out_pem: the certificate (free() it); out_serial: upper-case hex.
 * Errors: INVALID if the CSR is malformed or its self-signature does not hold (proof of possession). */
int ca_sign_csr(const char *dir, const char *csr_pem, size_t csr_len, const char *robot_id, int64_t valid_s,
                int64_t now_s, char **out_pem, char out_serial[CERT_SERIAL_SIZE], struct err *err) must_check;

/* What a PEM CSR asks for, its self-signature checked: the common name, and the SHA-256 of the public key
 * (DER SubjectPublicKeyInfo), by which the same robot is known again. Errors: INVALID. */
int csr_read(const char *csr_pem, size_t csr_len, char *out_common_name, size_t name_size,
             struct digest *out_key, struct err *err) must_check;

/* Makes a P-256 key (0600; kept if it exists) and a PEM CSR for it; free() *out_csr_pem. */
int csr_make(const char *key_path, const char *common_name, char **out_csr_pem, struct err *err) must_check;

/* The same, with a key that is made in this machine's TPM 2.0 (sys/device_key.h) if there is none. Errors: UNSUPPORTED without one. */
int csr_make_in_tpm(const char *key_path, const char *common_name, char **out_csr_pem,
                    struct err *err) must_check;

/* The same for the key that is there. Errors: as file_read; INVALID. */
int csr_remake(const char *key_path, const char *common_name, char **out_csr_pem, struct err *err) must_check;

/* Whether a certificate is one that this CA issued for a client of that name and for this key, whenever: dates are not looked at.
 * Errors: UNTRUSTED with what is wrong; as file_read; INVALID. */
int cert_check(const char *ca_path, const char *cert_path, const char *key_path, const char *name,
               struct err *err) must_check;

/* notBefore/notAfter of a PEM certificate, or of a file of one, Unix seconds. */
int cert_validity_pem(const char *pem, size_t len, int64_t *out_from_s, int64_t *out_until_s,
                      struct err *err) must_check;
int cert_validity(const char *cert_path, int64_t *out_from_s, int64_t *out_until_s,
                  struct err *err) must_check;

/* One-time tokens: 32 bytes from the system, as hex. The server keeps only their digest. */
#define TOKEN_SIZE 65
int token_make(char out[TOKEN_SIZE], struct err *err) must_check;
struct digest token_digest(const char *token);

#endif
