/* What bench-stop is made of: a real musterd, and robots of a real muster-agent and muster-guard each, whose robot programs
 * (libmuster) live in the bench's own process, a thread each.
 *
 *     stop_fleet.c   starts and ends them, and sends signed commands
 *     stop.c         the measurement
 */
#ifndef MUSTER_BENCH_STOP_H
#define MUSTER_BENCH_STOP_H

#include "base/err.h"
#include "muster/muster.h"
#include "sys/fetch.h"
#include "trust/key.h"
#include "wire/command.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { STOP_MAX_ROBOTS = 256 };

struct stop_robot {
    char id[16], run_dir[128];
    pid_t agent;
    int observer; /* the guard tells its state here; -1: not connected */
    struct muster *program;
    pthread_t thread;            /* the robot program's; 0: not started */
    int64_t period_ns, phase_ns; /* of its frames */
    _Atomic uint32_t state;      /* as the guard said last */
    _Atomic int64_t stopped_ns;  /* when it said SAFE_STOP in this round; 0: not yet */
    _Atomic int64_t safe_ns;     /* the first safe verdict of this round; 0: none yet */
};

struct stop_fleet {
    char dir[64];        /* the server's, on a disk */
    char robots_dir[64]; /* the robots', in memory: each of them has a disk of its own */
    char bin[256], token[80], server[64], operators[64];
    pid_t musterd;
    struct signing_key *key;
    struct fetch *fetch;
    size_t count;
    struct stop_robot robots[STOP_MAX_ROBOTS];
};

/* All up: every robot's program is attached, its guard in STANDBY, its agent's question held by the server. */
int stop_fleet_open(struct stop_fleet *fleet, size_t robots, struct err *err) must_check;
void stop_fleet_close(struct stop_fleet *fleet);

/* One command for all robots, signed and sent as the CLI does it: over a connection of its own. */
int stop_fleet_order(struct stop_fleet *fleet, enum command_verb verb, struct err *err) must_check;

#endif
