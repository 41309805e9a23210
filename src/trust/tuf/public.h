/* What verifying and signing share. Private to trust/tuf. */
#ifndef MUSTER_TRUST_TUF_PUBLIC_H
#define MUSTER_TRUST_TUF_PUBLIC_H

#include "wire/tuf/metadata.h"

#include <openssl/evp.h>

enum tuf_scheme
tuf_pkey_scheme(const EVP_PKEY *pkey); /* RSA: PSS; UNKNOWN for curves, sizes and types that we do not take */
bool tuf_pkey_padding(EVP_PKEY_CTX *ctx, enum tuf_scheme scheme, int salt_len); /* of the RSA schemes */

#endif
