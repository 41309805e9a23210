/* What every bench does with --help: usage and an example on stdout, exit status 0. */
#ifndef MUSTER_BENCH_USAGE_H
#define MUSTER_BENCH_USAGE_H

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

static inline void usage_on_help(int argc, char **argv, const char *usage)
{
    for (int i = 1; i < argc; i++)
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
            fputs(usage, stdout);
            exit(0);
        }
}

#endif
