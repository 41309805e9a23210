/* What a robot knows of its own releases: the install machine's state (robot/decide/install.h) as
 * STATE_DIR/state.json.
 *
 *   {"schema": 1, "phase": "probation",
 *    "current":   {"release": "sha256:…", "manifest_size": 1234, "generation": 4, "name": "detector",
 * "version": "2.0.0"}, "previous":  {…}, "candidate": {…},                     absent where empty
 *    "next_generation": 5, "assignment_counter": 7, "rollback": false, "probation_since_ms": 1767225600000,
 *    "committed_ms": 1767225000000, "previous_cold": false, "gap": false,     all three may be missing: 0 and false
 *    "blocked": {"release": "sha256:…", "counter": 6, "reason": "p99 71 ms over the budget of 40 ms …"},
 *    "floor": "1.0.0"}                                       never anything older, whoever says so; "" for
 * none
 *
 * The file is replaced as a whole after every step of the machine, so a cut at any instruction leaves the
 * state before or after the step, and the machine can repeat every step. */
#ifndef MUSTER_ROBOT_STORE_STATE_H
#define MUSTER_ROBOT_STORE_STATE_H

#include "base/err.h"
#include "robot/decide/install.h"

#include <stddef.h>

enum { ROBOT_REASON_SIZE = 160 };

struct robot_state {
    struct install install;
    char blocked_reason[ROBOT_REASON_SIZE]; /* why install.blocked is blocked; "" if nothing is */
    char floor[64];                         /* version; "" for none */
};

void robot_state_init(struct robot_state *state);
/* Errors: CORRUPT if the state contradicts itself (install_valid), INVALID if it is not such a document. */
int robot_state_parse(const void *text, size_t len, struct robot_state *out, struct err *err) must_check;
char *robot_state_format(const struct robot_state *state); /* free() it; NULL: out of memory */

#endif
