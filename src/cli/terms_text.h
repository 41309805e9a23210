/* The terms of a release (wire/terms.h) as people write and read them: --approvals 2:alice,bob,carol[:plan], --floor 1.4.0. */
#ifndef MUSTER_CLI_TERMS_TEXT_H
#define MUSTER_CLI_TERMS_TEXT_H

#include "base/err.h"
#include "trust/keyring.h"
#include "wire/json_stream.h"
#include "wire/terms.h"

/* "2:alice,bob,carol" or "…:plan", where the rollout's plan is to be approved, too. Whoever may approve is in the ring. Errors: USAGE, REFUSED. */
int terms_read_approvals(const char *text, const struct keyring *operators, struct terms *out,
                         struct err *err) must_check;

void terms_print(const struct terms *terms);
void terms_write(struct json_writer *w, const char *key, const struct terms *terms);

#endif
