/* Whether the numbers of a profile can be. Private to profile.c. */
#ifndef MUSTER_WIRE_PROFILE_CHECK_H
#define MUSTER_WIRE_PROFILE_CHECK_H

#include "wire/profile.h"

int profile_check(const struct profile *profile, struct err *err) must_check; /* INVALID */

#endif
