/* The verbs, each defined in the file of its name. A new one gets a line here, a row in main.c and a file in
 * CMakeLists.txt. */
#ifndef MUSTER_CLI_VERBS_H
#define MUSTER_CLI_VERBS_H

#include "cli/cli.h"

extern const struct verb verb_keys;
extern const struct verb verb_optimize;
extern const struct verb verb_pack;
extern const struct verb verb_inspect;
extern const struct verb verb_sign;
extern const struct verb verb_verify;
extern const struct verb verb_oms;
extern const struct verb verb_grant;
extern const struct verb verb_push;
extern const struct verb verb_eval;
extern const struct verb verb_explain;
extern const struct verb verb_bench;
extern const struct verb verb_robot;
extern const struct verb verb_rollout;
extern const struct verb verb_approve;
extern const struct verb verb_hold;
extern const struct verb verb_release;
extern const struct verb verb_override;
extern const struct verb verb_rollback;
extern const struct verb verb_fallback;
extern const struct verb verb_stop;
extern const struct verb verb_reset;
extern const struct verb verb_restart;
extern const struct verb verb_service;
extern const struct verb verb_audit;
extern const struct verb verb_incident;
extern const struct verb verb_review;
extern const struct verb verb_drift;
extern const struct verb verb_tuf;

#endif
