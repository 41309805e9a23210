/* A named operator's word that a release may be installed. Signed with his own key, carried by the server, checked by each robot.
 *
 *     {"schema": 1, "fleet": "warehouse-5f0c…", "release": "sha256:…", "name": "detector", "version": "2.0.0",
 *      "plan": "sha256:…" or null, "operator": "alice", "reason": "reviewed on site", "issued_ms": …, "expires_ms": …}
 *
 * plan       the approval is for this rollout plan only; null: for the release, in any rollout
 * expires_ms at most 30 days after issued_ms; a robot counts it while it has not expired when it is to be installed
 * Envelope: {"approval": "base64 of exactly these bytes", "signatures": [{"keyid", "sig"}]}; Ed25519 over "muster-approval-v1\n" and the bytes.
 */
#ifndef MUSTER_WIRE_APPROVAL_H
#define MUSTER_WIRE_APPROVAL_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define APPROVAL_MAX_LIFE_MS (30LL * 24 * 3600 * 1000)

struct approval {
    char fleet[80];
    struct digest release;
    char name[64], version[64];
    struct digest plan; /* zero: null */
    char operator_name[48];
    char reason[112]; /* one line, not empty */
    int64_t issued_ms, expires_ms;
};

int approval_parse(const void *text, size_t len, struct approval *out, struct err *err) must_check;
char *approval_format(const struct approval *approval); /* canonical; free() it; NULL: out of memory */

#endif
