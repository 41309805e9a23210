/* Private to this room. */
#ifndef MUSTER_TRUST_OMS_INSIDE_H
#define MUSTER_TRUST_OMS_INSIDE_H

#include "trust/oms/oms.h"

#include <openssl/evp.h>

struct oms_key {
    EVP_PKEY *pkey;
    const EVP_MD *digest; /* that goes with the curve */
    const char *curve;
    char hint[65];
};

struct digest oms_root(const struct oms_statement *statement); /* of the resources in their order */

#endif
