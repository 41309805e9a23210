/* Finds the guards and runners of a demo in /proc by their command line. */
#ifndef MUSTER_CLI_DEMO_PROCS_H
#define MUSTER_CLI_DEMO_PROCS_H

#include <stddef.h>
#include <sys/types.h>

struct procs_found {
    pid_t pid;
    char robot[16]; /* the part of its --run-dir behind the demo's folder: "r03" */
};

/* Live processes whose program is called `program` and whose arguments name something below `dir`. */
size_t procs_find(const char *program, const char *dir, struct procs_found *out, size_t max);

#endif
