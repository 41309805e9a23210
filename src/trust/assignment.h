/* The director signs an assignment (wire/assignment.h): with keys of musterd that root's x-muster names. Checked by trust/admission.h. */
#ifndef MUSTER_TRUST_ASSIGNMENT_H
#define MUSTER_TRUST_ASSIGNMENT_H

#include "trust/tuf/signer.h"
#include "wire/assignment.h"

/* The envelope with a signature by each of the keys; free() it. NULL with *err: INVALID for what a robot would not take. */
char *assignment_sign(const struct assignment *assignment, const struct tuf_signer *const *signers,
                      size_t count, struct err *err);

#endif
