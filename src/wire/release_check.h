/* The pieces of release_check; private to it. Each names the member that is wrong. */
#ifndef MUSTER_WIRE_RELEASE_CHECK_H
#define MUSTER_WIRE_RELEASE_CHECK_H

#include "wire/release.h"

int release_wrong(struct err *err, const char *what, const char *why);
/* In [min, max]; NaN is in no range. */
int release_in_range(const char *what, double value, double min, double max, struct err *err) must_check;
int release_is_positive(const char *what, double value, double max, struct err *err) must_check;

int release_check_decoder(const struct release *release, struct err *err) must_check;
int release_check_state(const struct release *release, struct err *err) must_check;
int release_check_tap(const struct release *release, struct err *err) must_check;
int release_check_frame(const struct release *release, struct err *err) must_check;
int release_check_variants(const struct release *release, struct err *err) must_check;
int release_check_result(const struct release *release, struct err *err) must_check;

#endif
