/* Runs muster's own commands, the ones a user would type, and shows them. */
#ifndef MUSTER_CLI_DEMO_TOOL_H
#define MUSTER_CLI_DEMO_TOOL_H

#include "base/buf.h"
#include "cli/demo/stage.h"

/* `args` without the program, NULL-terminated. Runs `muster args…` with the operator's credentials in the
 * environment. A command that cannot reach the server (exit 5) is repeated for up to 60 s: the server may
 * just be restarting. Errors: the command's own last line. `out` (stdout) may be NULL. */
int tool_run(const struct stage *stage, bool show, const char *const *args, struct buf *out,
             struct err *err) must_check;
/* The same for another program of the house, without retries. */
int tool_run_program(const struct stage *stage, const char *program, const char *const *args,
                     struct err *err) must_check;

#define TOOL_ARGS(...)                                                                                       \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

#endif
