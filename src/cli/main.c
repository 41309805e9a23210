/* muster: the command line. See cli.h; one row here per verb. */
#include "cli/cli.h"
#include "cli/demo/demo.h"
#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"

#include <signal.h>

static void help(const struct verb *verbs, size_t count)
{
    puts("usage: muster COMMAND …      muster COMMAND --help explains a command and shows examples\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
    puts("\n  --version  the version of this program\n"
         "\nexit status: 0 done, 1 failed, 2 usage, 3 refused by policy or verification, 4 not found, 5 "
         "unreachable");
}

int main(int argc, char **argv)
{
    const struct verb verbs[] = {
        verb_demo,     verb_keys,     verb_optimize, verb_pack,    verb_inspect, verb_sign,
        verb_verify,   verb_oms,      verb_grant,    verb_push,    verb_eval,    verb_explain,
        verb_bench,    verb_robot,    verb_rollout,  verb_approve, verb_hold,    verb_release,
        verb_override, verb_rollback, verb_fallback, verb_stop,    verb_reset,   verb_restart,
        verb_service,  verb_audit,    verb_incident, verb_review,  verb_drift,   verb_tuf,
    };
    char *asked[] = {argv[0], argc > 2 ? argv[2] : NULL, (char *)"--help", NULL};
    if (argc > 2 && str_eq(argv[1], "help")) { /* muster help VERB: muster VERB --help */
        argc = 3;
        argv = asked;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of the write, not a death */
    if (argc < 2 || str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
        help(verbs, ARRAY_LEN(verbs));
        return argc < 2 ? err_exit_status(ERR_USAGE) : 0;
    }
    if (str_eq(argv[1], "--version")) {
        puts("muster " MUSTER_VERSION);
        return 0;
    }
    struct err err = {0};
    int result = verb_dispatch(verbs, ARRAY_LEN(verbs), "muster", argc - 1, argv + 1, &err);
    progress_clear();
    if (result == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        result = err_set(&err, ERR_IO, "standard output did not take everything; is its disk full?");
    if (result >= 0)
        return result;
    fprintf(stderr, "muster %s: %s\n", argv[1], err.text);
    return err_exit_status(err.code);
}
