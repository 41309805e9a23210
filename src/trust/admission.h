/* May this robot install what it is assigned? The one decision in which both keys meet: what the offline keys released, and what the director
 * assigned to this robot. Pure but for the mathematics of signatures: no file, no clock, no network; agent, tests and bench/attack call the same code.
 *
 *     assignment (director key of root) ──┐
 *     offline targets chain (tuf/update) ─┼──▶ admission ──▶ admitted: digest, size, name, version; or a refusal that names its rule
 *     terms, approvals, plan, operators ──┘
 *
 * In two steps, since the robot looks for the target between them:
 *   admission_assignment   is it for me, newer than what I accepted, in time, and does the director's threshold hold?
 *   admission_target       do the offline targets name exactly these bytes, for this fleet, under terms that are met?
 */
#ifndef MUSTER_TRUST_ADMISSION_H
#define MUSTER_TRUST_ADMISSION_H

#include "base/err.h"
#include "trust/keyring.h"
#include "trust/rule.h"
#include "wire/assignment.h"
#include "wire/tuf/metadata.h"

#include <stddef.h>
#include <stdint.h>

/* By how much a robot's clock may be behind that of whoever issued something. What a thief of the director's key postdates is no use to him. */
enum { ADMISSION_SKEW_S = 24 * 3600 };

struct admission_robot { /* what the robot knows by itself */
    const char *robot;
    const struct tuf_root *root; /* trusted */
    uint64_t accepted;           /* highest assignment version accepted; persisted before it is acted upon */
    int64_t now_s;
    const char *floor;                          /* lowest version of that name; "": none */
    const char *running_name, *running_version; /* "": nothing runs */
    const struct digest *
        kept; /* releases that it runs or keeps to go back to: their approvals held when they came, and still count
                                  though they have expired, so that a fleet can always go back */
    size_t kept_count;
    const struct keyring *operators; /* NULL: none are known; then no approval holds */
};

/* Equal to `accepted` is fine (it is asked again after a restart), lower is [assignment.rollback]. */
int admission_assignment(const struct admission_robot *robot, const struct assignment_envelope *envelope,
                         struct err *err) must_check;

struct text_span { /* an envelope, as it came */
    const char *text;
    size_t len;
};
struct admission_evidence {
    const struct assignment *assignment;
    /* what the offline chain says of assignment->path; NULL: nothing, [targets.unknown] */
    const struct tuf_target *target;
    size_t approval_count; /* those beyond ASSIGNMENT_MAX_APPROVALS are not looked at */
    const struct text_span *approvals;
    const void *plan; /* bytes of the plan, if assignment->plan is not zero; NULL: not there */
    size_t plan_len;
};
/* *out_floor: the robot's new floor for this name, never lower than the old one ("" if the terms set none). The order of the checks is fixed, so
 * that a refusal names the first rule that does not hold:
 *   targets.unknown, assignment.target, release.terms, release.fleet, release.floor, release.older, plan.other, approvals.forged / missing */
int admission_target(const struct admission_robot *robot, const struct admission_evidence *evidence,
                     char out_floor[64], struct err *err) must_check;

#endif
