/* The terms under which a release may be installed: the `custom` of its target, so signed by the offline keys.
 *
 *     {"muster": {"kind": "release", "fleet": "warehouse-5f0c…",
 *                 "approvals": {"threshold": 2, "operators": ["alice", "bob", "carol"], "of": "plan"},     left out: none needed
 *                 "floor": "1.4.0"}}                                                                      left out: none
 *     {"muster": {"kind": "operators", "fleet": "warehouse-5f0c…"}}            target muster/operators.json: who may order and approve
 *
 * approvals  so many of the named operators have to have signed an approval (wire/approval.h) of the release ("of": "release"), or of the
 *            release within exactly this rollout plan ("of": "plan")
 * floor      from now on nothing of this name below this version, on any robot that has accepted this release: the robot's floor grows with it
 * Other members of `custom` are other tools'; inside "muster" unknown members are refused (a term that is not understood must not be ignored).
 */
#ifndef MUSTER_WIRE_TERMS_H
#define MUSTER_WIRE_TERMS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { TERMS_MAX_OPERATORS = 16 };
enum terms_kind { TERMS_RELEASE, TERMS_OPERATORS };
enum terms_scope { TERMS_OF_RELEASE, TERMS_OF_PLAN };
#define TERMS_OPERATORS_PATH "muster/operators.json"

struct terms {
    enum terms_kind kind;
    char fleet[80];
    int threshold; /* 0: no approvals needed */
    size_t operator_count;
    char operators[TERMS_MAX_OPERATORS][48];
    enum terms_scope scope;
    char floor[64]; /* "": none */
};

/* `custom` as struct tuf_target has it (NULL: REFUSED "has no terms of Muster"). Errors: INVALID. */
int terms_parse(const char *custom, struct terms *out, struct err *err) must_check;
char *
terms_format(const struct terms *terms); /* the whole custom, canonical; free() it; NULL: out of memory */

#endif
