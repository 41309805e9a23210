/* Who an operator is: a name and rights, found out from the request. Private to fleet/api.
 *
 * Each source of identities looks at the bearer token and says whose it is, or that it is none of its own; the first that knows it decides.
 * Today there is one, the tokens in the store. A verifier of signed tokens (OpenID Connect) would be another row of the table in identity.c,
 * mapping a claim to grants; nothing else would change.
 */
#ifndef MUSTER_FLEET_API_IDENTITY_H
#define MUSTER_FLEET_API_IDENTITY_H

#include "base/err.h"
#include "fleet/core/fleet.h"
#include "fleet/rights/rights.h"

struct identity {
    char name[API_ID_SIZE];
    struct rights rights;
};

/* Errors: DENIED (unknown, expired, ended); those of the store. */
int identity_of(struct fleet *fleet, const char *bearer, int64_t now_ms, struct identity *out,
                struct err *err) must_check;

#endif
