/* The attempts of hostile.c, in two tables. An attempt returns what the kernel said: below 0 is denied. */
#ifndef MUSTER_ROBOT_JAIL_HOSTILE_H
#define MUSTER_ROBOT_JAIL_HOSTILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ATTEMPT(name, expression)                                                                            \
    static long name(void)                                                                                   \
    {                                                                                                        \
        return (expression);                                                                                 \
    }

struct attempt {
    const char *name;
    long (*try)(void);
};

/* What the attempts are after; hostile.c fills it in from the command line. */
struct prey {
    pid_t victim; /* stands for the guard */
    const char *secret, *host_socket, *other;
    uint16_t port;
    int sealed; /* a region of the host's that it was given to read; -1: none */
};
extern struct prey prey;

extern const struct attempt attempts_on_files[]; /* files, mounts, namespaces; ends with a NULL name */
extern const struct attempt attempts_to_reach[]; /* network, processes, rights, the kernel, shared memory */

#endif
