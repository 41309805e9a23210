/* May this release be rolled out now? What the offline keys say of it (fleet/authority) and who approved it, as each robot will judge it.
 *
 *     the targets name it, with this digest, for this fleet ──┐
 *     so many of the named operators approved it, or the plan ┴─▶ nothing is withheld
 *
 * Robots judge again for themselves (trust/admission.h); the server only does not start what they would refuse.
 */
#ifndef MUSTER_FLEET_ENGINE_CONSENT_H
#define MUSTER_FLEET_ENGINE_CONSENT_H

#include "base/digest.h"
#include "base/err.h"
#include "fleet/core/fleet.h"
#include "trust/keyring.h"
#include "wire/terms.h"

#include <stdbool.h>

enum { CONSENT_WHY_SIZE = 160 };

struct consent {
    bool published; /* the targets name it, so that its terms are known */
    struct terms terms;
    int have; /* approvals that count */
    char from[TERMS_MAX_OPERATORS][48];
    char why[CONSENT_WHY_SIZE]; /* why it is withheld; "": it is not */
    bool withdrawn;             /* withheld, and not for want of approvals */
};

/* `plan` zero: none. Errors: NOT_FOUND for a release that is not known, and what keeps from knowing. */
int consent_ask(struct fleet *fleet, const struct digest *release, const struct digest *plan,
                struct consent *out, struct err *err) must_check;

/* Who may order and approve: what the targets publish, else the file of --operators. NOT_FOUND if there is neither. */
int consent_operators(struct fleet *fleet, struct keyring *out, struct err *err) must_check;

#endif
