/* A verb of `muster review` that has a file of its own. */
#ifndef MUSTER_CLI_REVIEW_H
#define MUSTER_CLI_REVIEW_H

#include "base/err.h"

int review_accuracy_run(int argc, char **argv, struct err *err);

#endif
