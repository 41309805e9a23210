/* What `muster explain` answers, for people and for programs. */
#ifndef MUSTER_CLI_EXPLAIN_SAY_H
#define MUSTER_CLI_EXPLAIN_SAY_H

#include "base/digest.h"
#include "cli/incident_file.h"
#include "forge/explain/explain.h"
#include "wire/decision.h"

struct explain_said {
    const struct subject *subject;
    const struct explanation *explanation;
    struct digest release, model;          /* release zero: not a packed one */
    const char *frame;                     /* its path */
    const struct incident_frame *incident; /* NULL: the path is the frame itself */
    const char *overlay;                   /* where the picture went; NULL: nowhere */
    uint64_t seed;
    int passes;
};

int explain_say_json(const struct explain_said *said, struct err *err) must_check;
void explain_say_text(const struct explain_said *said);
void explain_say_decision(const struct decision *decision);

/* muster explain decision FILE.json|NUMBER; argv[0] is "decision". */
int explain_decision(int argc, char **argv, struct err *err) must_check;

#endif
