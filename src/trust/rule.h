/* A refusal names its rule: "[timestamp.rollback] version 3 is older than 5, which is trusted". The name comes first in the error's text, so
 * that it survives reports, logs and the way over the network, and can be counted. */
#ifndef MUSTER_TRUST_RULE_H
#define MUSTER_TRUST_RULE_H

#include "base/err.h"

enum trust_rule {
    TRUST_RULE_NONE,
#define TRUST_RULE(id, name, source, what) TRUST_##id,
#include "trust/rules.def"
#undef TRUST_RULE
    TRUST_RULE_COUNT
};

/* Sets UNTRUSTED "[name] …". Returns -1. */
int trust_refuse(struct err *err, enum trust_rule rule, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The rule anywhere in a text ("release r: [target.hash] …"); NONE if there is none. */
enum trust_rule trust_rule_of(const char *text);
const char *trust_rule_name(enum trust_rule rule);   /* "timestamp.rollback" */
const char *trust_rule_source(enum trust_rule rule); /* "5.4.3" */
const char *trust_rule_what(enum trust_rule rule);

#endif
