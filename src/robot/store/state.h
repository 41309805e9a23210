/* What a robot knows of its own releases: the install machine's state (robot/decide/install.h) as
 * STATE_DIR/state.json.
 *
 *   {"schema": 1, "phase": "probation",
 *    "current":   {"release": "sha256:…", "manifest_size": 1234, "generation": 4, "name": "detector",
 * "version": "2.0.0"}, "previous":  {…}, "candidate": {…},                     absent where empty
 *    "next_generation": 5, "assignment_counter": 7, "rollback": false, "probation_since_ms": 1767225600000,
 *    "committed_ms": 1767225000000, "previous_cold": false, "gap": false,     all three may be missing: 0 and false
 *    "blocked": {"release": "sha256:…", "counter": 6, "reason": "p99 71 ms over the budget of 40 ms …"},
 *    "floor": "1.0.0",                                       never anything older, whoever says so; "" for
 * none
 *    "trust": {"accepted": 7, "director": "sha256:…", "admitted": "sha256:…", "rollback": false, "refused": "sha256:…",     may be missing
 *              "floors": [{"name": "detector", "version": "1.4.0"}]}}
 *
 * The file is replaced as a whole after every step of the machine, so a cut at any instruction leaves the
 * state before or after the step, and the machine can repeat every step. */
#ifndef MUSTER_ROBOT_STORE_STATE_H
#define MUSTER_ROBOT_STORE_STATE_H

#include "base/err.h"
#include "robot/decide/install.h"

#include <stddef.h>

enum { ROBOT_REASON_SIZE = 160, ROBOT_MAX_FLOORS = 32 };

/* What this robot holds against the director (trust/admission.h). */
struct robot_trust {
    uint64_t accepted; /* highest version of an assignment that was accepted; 0: none */
    struct digest
        director; /* of the keys under which they were counted; zero: none. With other keys the count begins anew */
    struct digest admitted; /* the release that was admitted last: no other one is fetched; zero: none */
    bool rollback;          /* ... and that it was assigned as a rollback */
    struct digest refused;  /* key of the refusal that was reported last; zero: none */
    size_t floor_count;     /* by the terms of releases that were admitted; a floor only rises */
    struct robot_floor {
        char name[64], version[64];
    } floors[ROBOT_MAX_FLOORS];
};

struct robot_state {
    struct install install;
    char blocked_reason[ROBOT_REASON_SIZE]; /* why install.blocked is blocked; "" if nothing is */
    char floor[64];                         /* version; "" for none */
    struct robot_trust trust;
};

void robot_state_init(struct robot_state *state);
/* Errors: CORRUPT if the state contradicts itself (install_valid), INVALID if it is not such a document. */
int robot_state_parse(const void *text, size_t len, struct robot_state *out, struct err *err) must_check;
char *robot_state_format(const struct robot_state *state); /* free() it; NULL: out of memory */

/* The lowest version of this name that may be installed: by `floor` or by terms; "" for none. */
const char *robot_state_floor(const struct robot_state *state, const char *name);
/* False: there is no place for the floor of another name. A lower one than stands changes nothing. */
bool robot_trust_raise_floor(struct robot_trust *trust, const char *name, const char *version);

#endif
