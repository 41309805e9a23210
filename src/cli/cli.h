/* The command line: verbs, and what they have in common.
 *
 * One file per verb, one row per verb in main.c. A verb file looks like this:
 *
 *     static int run(int argc, char **argv, struct err *err)
 *     {
 *         struct verify_flags {...} flags = {0};
 *         struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
 *         const struct option_def options[] = {OPT_FLAG("json", 0, &flags.json), OPT_TEXT("root", 'r', &flags.root)};
 *         if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
 *             return -1;
 *         ...
 *     }
 *     const struct verb verb_verify = {.name = "verify", .summary = "…", .help = "usage: …", .run = run};
 *
 * - Answers go to stdout, and nothing else does; `--json` is one JSON document there (output.h).
 * - An error is one line on stderr, written by main: "muster verify: cause; remedy". The exit status follows
 * from its code (0 done, 1 failed, 2 usage, 3 refused, 4 not found, 5 unreachable).
 * - Progress is shown on a terminal only (progress_*), on stderr.
 * - `muster VERB --help` prints the verb's help, which shows examples.
 */
#ifndef MUSTER_CLI_CLI_H
#define MUSTER_CLI_CLI_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verb {
    const char *name;
    const char *summary; /* one line in `muster --help` */
    const char *help;    /* what `muster VERB --help` prints; NULL: the verb answers --help itself */
    /* argv[0] is the verb ("push", "robot show"). 0: done. -1: *err says why not. Above 0: that exit status,
     * everything has been said. */
    int (*run)(int argc, char **argv, struct err *err);
};

/* Runs argv[0]'s verb of a table; for the whole program and for verbs that have verbs ("keys init"). `what`
 * names the table in errors ("muster", "muster keys"). Errors: USAGE naming what there is, with the nearest
 * word for a slip of the pen. */
int verb_dispatch(const struct verb *table, size_t count, const char *what, int argc, char **argv,
                  struct err *err) must_check;

/* ---- options ---- */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_DOUBLE, OPTION_LIST };

struct option_list { /* an option that may be given several times */
    size_t count;
    const char *items[16];
};

struct option_def {
    const char *name; /* "output" for --output */
    char letter;      /* 'o' for -o; 0: none */
    enum option_kind kind;
    void *out; /* bool *, const char **, int64_t *, double *, struct option_list *; untouched if not given */
    int64_t min, max; /* of OPTION_INT */
};

#define OPT_FLAG(long_name, short_name, target)                                                              \
    {                                                                                                        \
        .name = (long_name), .letter = (short_name), .kind = OPTION_FLAG, .out = (bool *)(target)            \
    }
#define OPT_TEXT(long_name, short_name, target)                                                              \
    {                                                                                                        \
        .name = (long_name), .letter = (short_name), .kind = OPTION_TEXT, .out = (const char **)(target)     \
    }
#define OPT_INT(long_name, short_name, target, low, high)                                                    \
    {                                                                                                        \
        .name = (long_name), .letter = (short_name), .kind = OPTION_INT, .out = (int64_t *)(target),         \
        .min = (low), .max = (high)                                                                          \
    }
#define OPT_DOUBLE(long_name, short_name, target)                                                            \
    {                                                                                                        \
        .name = (long_name), .letter = (short_name), .kind = OPTION_DOUBLE, .out = (double *)(target)        \
    }
#define OPT_LIST(long_name, short_name, target)                                                              \
    {                                                                                                        \
        .name = (long_name), .letter = (short_name), .kind = OPTION_LIST,                                    \
        .out = (struct option_list *)(target)                                                                \
    }

enum { OPERANDS_MAX = 1024 };

struct operands {      /* what is no option */
    const char *usage; /* "RELEASE", for errors */
    size_t min, max;   /* max ≤ OPERANDS_MAX */
    size_t count;
    const char *items[OPERANDS_MAX];
};

/* Options and operands in any order; "--" ends the options. Errors: USAGE. */
int options_parse(int argc, char **argv, const struct option_def *defs, size_t count,
                  struct operands *operands, struct err *err) must_check;

/* ---- progress: a line on stderr that is drawn over, on a terminal only ---- */

void progress_show(const char *what, uint64_t done, uint64_t total);
void progress_clear(void);

#endif
