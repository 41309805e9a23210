/* What a robot gets for GET /api/v1/director?after=N&wait=S: what it is assigned, and what people approved of it.
 *
 *     {"assignment": {envelope of wire/assignment.h}, "approvals": [{envelope of trust/approval.h}, …]}
 *
 * N is the version of the last assignment that the robot has dealt with; 0 asks for the present one in any case. The server holds the question for S
 * seconds while there is no newer one, and then answers 204. Nothing here is believed: the envelopes are handed on as they came, in canonical text.
 */
#ifndef MUSTER_WIRE_DIRECTOR_H
#define MUSTER_WIRE_DIRECTOR_H

#include "wire/assignment.h"

enum { DIRECTOR_MAX_BYTES = 192 << 10 };

struct director_answer {
    char *assignment; /* owned, as all here */
    size_t approval_count;
    char *approvals[ASSIGNMENT_MAX_APPROVALS];
};

int director_answer_parse(const void *text, size_t len, struct director_answer *out,
                          struct err *err) must_check;
void director_answer_fini(struct director_answer *answer);
#define cleanup_director_answer __attribute__((cleanup(director_answer_fini)))

/* From envelopes as they are; free() it; NULL: out of memory. */
char *director_answer_format(const char *assignment, const char *const *approvals, size_t count);

#endif
