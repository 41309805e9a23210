/* The processes of a demo, tended as a service manager would: whatever dies is started again.
 *
 * The server, the agents and the robot programs are children of the demo. Guards and runners belong to their
 * agents and outlive them on purpose; the demo is their subreaper, so that nothing is left behind at the end.
 */
#ifndef MUSTER_CLI_DEMO_CAST_H
#define MUSTER_CLI_DEMO_CAST_H

#include "cli/demo/stage.h"

#include <sys/types.h>

enum actor_kind {
    ACTOR_SERVER,
    ACTOR_AGENT,
    ACTOR_PROGRAM,
    ACTOR_LINK,
    ACTOR_GUARD,
    ACTOR_RUNNER,
    ACTOR_KIND_COUNT
};

struct cast;

/* Adds to the arguments of a process; for plays. */
void args_pair(struct actor_args *args, const char *flag, const char *value);
void args_number(struct actor_args *args, const char *flag, long long value);

int cast_new(struct stage *stage, struct cast **out, struct err *err) must_check;
/* Starts the server and waits until it has said its ports (≤ 20 s). */
int cast_start_server(struct cast *cast, struct err *err) must_check;
/* Starts the agent of a robot; `token_file` holds its enrolment token. */
int cast_start_agent(struct cast *cast, int robot, const char *token_file, struct err *err) must_check;
/* Starts its robot program: from then on there are frames. */
int cast_start_program(struct cast *cast, int robot, struct err *err) must_check;
/* Ends all robot programs for good. */
void cast_end_programs(struct cast *cast);
/* Reaps and restarts; call it a few times a second. Errors: a process that cannot be started, or that ends by
 * itself again and again as soon as it is started. */
int cast_tend(struct cast *cast, struct err *err) must_check;
/* A process of this kind at random (`random` is any number); 0 if there is none now. *out_name: "r03's
 * runner". */
pid_t cast_pick(struct cast *cast, enum actor_kind kind, uint32_t random, const char **out_name);
/* Stops everything, politely, then with SIGKILL; frees. */
void cast_end(struct cast *cast);

#endif
