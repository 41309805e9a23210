/* Walls that this robot could not put up, for people: "network namespace, memory cgroup (RLIMIT_DATA instead)". */
#ifndef MUSTER_ROBOT_JAIL_MISSING_H
#define MUSTER_ROBOT_JAIL_MISSING_H

struct missing {
    char text[400]; /* "": nothing is missing */
};

void missing_add(struct missing *missing, const char *what);

#endif
