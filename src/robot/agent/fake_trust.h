/* For the tests of the agent's trust: the part of the played fleet server that holds a TUF repository (trust/tuf/testing/mock.h) and signs as its
 * director. Everything can be right, and everything can be wrong. One per process, beside fake_fleet.h.
 *
 *     struct made one = fleet_make("1.0.0");
 *     trust_release(&one, NULL);                   // into the offline targets, with the plainest terms
 *     trust_assign(&one, NULL);                    // by the director, to r1
 *
 * A test that edits the repository does so between trust_enter and trust_leave: the server answers from other threads. */
#ifndef MUSTER_ROBOT_AGENT_FAKE_TRUST_H
#define MUSTER_ROBOT_AGENT_FAKE_TRUST_H

#include "robot/agent/fake_fleet.h"
#include "trust/key.h"
#include "trust/tuf/testing/mock.h"
#include "wire/approval.h"
#include "wire/assignment.h"
#include "wire/terms.h"

enum { TRUST_DAY_S = 86400 };
#define TRUST_FLEET "warehouse"

void trust_start(const char *root_path); /* writes the first root there, and extends the fleet server */
void trust_stop(void);
struct tuf_mock *trust_enter(void); /* locked */
void trust_leave(void);

/* A new key for the role ("root", "timestamp" …, "director") in the next root; the old one is gone. What hangs on it is signed anew. */
void trust_rotate(const char *role);

/* `change` NULL: terms of this fleet without conditions. */
void trust_release(const struct made *made, void (*change)(struct terms *terms));
void trust_release_custom(const struct made *made, const char *custom); /* NULL: none */
/* Whom the offline keys name: into the targets, and its bytes among the blobs. */
void trust_operators(const char *const *names, struct signing_key *const *keys, size_t count);

/* Both keys want it: into the targets with the plainest terms, and assigned. */
void trust_want(const struct made *made, bool rollback);

/* The next assignment: as `change` wants it (NULL: as it should be). `made` NULL: nothing is to run. */
void trust_assign(const struct made *made, void (*change)(struct assignment *assignment));
void trust_assign_forged(const struct made *made); /* signed by a thief */
void trust_renew(void);                            /* what is assigned, once more, with the next number */
void trust_say(const char *answer);                /* these bytes instead; NULL: no more */
char *trust_answer(void);                          /* what the server says now; free() it */
uint64_t trust_version(void);                      /* of the last assignment */

void trust_approve(const struct made *made, const char *who, const struct signing_key *key,
                   void (*change)(struct approval *approval)); /* added to the answer */
void trust_no_approvals(void);
struct digest trust_plan(const struct made *made, const char *robot); /* its bytes among the blobs */

/* How the next `times` answers for this file of metadata misbehave: FLEET_ENDLESS, FLEET_STALLS, or an HTTP status. */
void trust_fault(const char *name, int status, int times);
unsigned trust_requests(const char *name); /* of metadata, or "director" */
void trust_outage(bool on);                /* 503 for everything of this part */

#endif
