/* Private keys as PEM, wherever they are:
 *
 *     -----BEGIN PRIVATE KEY-----        the key itself (PKCS#8, without a passphrase)
 *     -----BEGIN TSS2 PRIVATE KEY-----   a key of this machine's TPM 2.0, wrapped by it: of no use anywhere else
 *
 * A TPM's key is used through OpenSSL's provider "tpm2" (package tpm2-openssl), which is loaded only when there is one, into a library context of its
 * own: nothing but the signature comes out of the TPM. Digests, random numbers, key exchange and the checking of others stay where they are
 * (with the provider among the defaults OpenSSL would ask the TPM for those as well, and fail). What callers get is an ordinary EC key whose signing method asks the TPM: for TLS, requests
 * and recordings the same as any other. It signs; it cannot agree on secrets (ECDH), so models cannot be sealed to it.
 *
 * Which TPM: TPM2OPENSSL_TCTI, else what tpm2-tss finds; /dev/tpmrm0 is right. A signature takes the TPM some 10 to 200 ms, once per new connection.
 * One thread. */
#ifndef MUSTER_SYS_DEVICE_KEY_H
#define MUSTER_SYS_DEVICE_KEY_H

#include "base/err.h"

#include <stddef.h>

struct evp_pkey_st; /* EVP_PKEY */

/* NULL: the reason is in OpenSSL's queue (sys/ossl.h). EVP_PKEY_free it. */
struct evp_pkey_st *device_key_from_pem(const char *pem, size_t len);

/* Makes a P-256 key in the TPM; free() *out_pem. Errors: UNSUPPORTED without a TPM or its provider. */
int device_key_make_in_tpm(char **out_pem, struct err *err) must_check;

#endif
