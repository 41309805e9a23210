/* muster robot here --run-dir DIR: the guard's own word, without a server. */
#ifndef MUSTER_CLI_ROBOT_HERE_H
#define MUSTER_CLI_ROBOT_HERE_H

#include "base/err.h"

int robot_here(int argc, char **argv, struct err *err);

#endif
