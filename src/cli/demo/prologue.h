/* What comes before the story: keys are made, releases are packed and signed, a server starts, robots enrol. */
#ifndef MUSTER_CLI_DEMO_PROLOGUE_H
#define MUSTER_CLI_DEMO_PROLOGUE_H

#include "cli/demo/cast.h"

/* The server's directory, the fleet's offline keys, an operator's key, and the three detectors packed and signed
 * below DIR/releases. */
int prologue_releases(struct stage *stage, struct err *err) must_check;
/* musterd with all three releases. */
int prologue_server(struct stage *stage, struct cast *cast, struct err *err) must_check;
/* One robot: token, agent and, if wanted, its robot program. */
int prologue_robot(struct stage *stage, struct cast *cast, int robot, bool with_program,
                   struct err *err) must_check;

#endif
