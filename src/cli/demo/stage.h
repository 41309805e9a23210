/* Where a demo takes place: one folder with everything in it, and the names of the actors.
 *
 *   DIR/keys/        the fleet's offline keys       DIR/releases/V/   packed and signed releases
 *   DIR/operators/   the key of operator "demo"     DIR/token         his word to the server
 *   DIR/server/      musterd's data                 DIR/log/NAME.log  what each process said
 *   DIR/r01/state/   an agent's state               DIR/r01/run/      its guard's socket
 *   DIR/r01/frames.jsonl                            what its robot program saw
 */
#ifndef MUSTER_CLI_DEMO_STAGE_H
#define MUSTER_CLI_DEMO_STAGE_H

#include "base/err.h"
#include "cli/demo/play.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STAGE_MAX_ROBOTS = 64, STAGE_RELEASES = 3, STAGE_PATH = 256 };

struct stage {
    const struct play *play;
    char dir[64];         /* short: a guard's socket path must fit into 108 bytes */
    char bin[STAGE_PATH]; /* where muster, musterd, muster-agent … are */
    char models[STAGE_PATH];
    char rollouts[STAGE_PATH]; /* rollout-N.yaml */
    int robots;
    uint16_t
        link_ports[STAGE_MAX_ROBOTS]; /* where each robot finds its fleet, if its link is bad; 0: not yet */
    uint16_t robot_port, operator_port, console_port; /* 0 until the server said them */
    char token[80];                                   /* the operator's */
};

/* Makes the folder and finds programs and models. Errors: NOT_FOUND naming what is missing. */
int stage_open(struct stage *stage, const struct play *play, int robots, const char *models,
               struct err *err) must_check;
void stage_remove(const struct stage *stage);

/* "DIR/fmt…" in one of eight static buffers in turn: for argument lists, not to be kept. */
const char *stage_path(const struct stage *stage, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *stage_program(const struct stage *stage, const char *name);
const char *stage_robot(int index); /* 0 → "r01" */
const char *stage_site(int index);  /* "north", "south", … in turn */
int stage_site_number(int index);
int stage_read_ports(struct stage *stage, struct err *err) must_check;
int stage_read_token(struct stage *stage, struct err *err) must_check;

#endif
