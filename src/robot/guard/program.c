/* muster-guard as a program: its command line, its end. */
#include "base/log.h"
#include "base/str.h"
#include "robot/guard/guard.h"

#include <getopt.h>
#include <unistd.h>

static const char usage[] =
    "usage: muster-guard --run-dir DIR [--state-dir DIR] [options]\n"
    "Checks every result before a robot program may see it; falls back or says \"safe state\" otherwise.\n"
    "  --run-dir DIR       where guard.sock is made; one guard per directory\n"
    "  --state-dir DIR     where guard.latch is kept: what a human or a fault stopped stays stopped over a "
    "restart of\n"
    "                      guard and robot. Without it nothing latched outlives the guard\n"
    "  --realtime          real-time priority and locked memory, as far as allowed\n"
    "  --spin              looks for results all the time while frames come, for a core that is free to "
    "burn\n"
    "  --runner-user UIDS  uids, with commas, that may run runners (and be nothing else) beside the guard's "
    "own\n"
    "  --hang-frames N     a runner that leaves N frames (default 10) and\n"
    "  --hang-ms N         N milliseconds (default 1000) without any result is killed\n"
    "  --version\n"
    "Example:\n"
    "  muster-guard --run-dir /run/muster --state-dir /var/lib/muster --realtime --runner-user 65534\n";

static bool number(const char *text, uint32_t *out)
{
    uint64_t value;
    if (!str_to_u64(text, &value) || value < 1 || value > 1000000)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool users(const char *text, struct guard_options *out)
{
    char list[96];
    if (!str_copy(list, sizeof list, text))
        return false;
    for (char *from = list, *comma; from; from = comma) {
        uint64_t uid;
        comma = strchr(from, ',');
        if (comma)
            *comma++ = 0;
        if (!str_to_u64(from, &uid) || uid >= UINT32_MAX || out->runner_user_count == GUARD_MAX_RUNNER_USERS)
            return false;
        if (uid != geteuid()) /* our own may be runners in any case */
            out->runner_users[out->runner_user_count++] = (uint32_t)uid;
    }
    return true;
}

/* 0 go on, else exit with that status - 1. */
static int parse(int argc, char **argv, struct guard_options *out)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'},
        {"hang-frames", required_argument, NULL, 'f'},
        {"hang-ms", required_argument, NULL, 'm'},
        {"state-dir", required_argument, NULL, 's'},
        {"runner-user", required_argument, NULL, 'u'},
        {"realtime", no_argument, NULL, 'r'},
        {"spin", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == 'd')
            out->run_dir = optarg;
        else if (opt == 's')
            out->state_dir = optarg;
        else if (opt == 'u')
            ok = users(optarg, out);
        else if (opt == 'r')
            out->realtime = true;
        else if (opt == 'p')
            out->spin = true;
        else if (opt == 'f')
            ok = number(optarg, &out->hang_frames);
        else if (opt == 'm')
            ok = number(optarg, &out->hang_ms);
        else if (opt == 'h')
            return fputs(usage, stdout), 1;
        else if (opt == 'v')
            return puts("muster-guard " MUSTER_VERSION), 1;
        else
            ok = false;
    }
    if (ok && out->run_dir && optind == argc)
        return 0;
    fprintf(stderr, "muster-guard: %s; see muster-guard --help\n",
            out->run_dir ? "an option or a value is wrong" : "--run-dir is missing");
    return 3;
}

int guard_main(int argc, char **argv)
{
    struct guard_options options = {0};
    struct guard *guard = NULL;
    struct err err = {0};
    int done = parse(argc, argv, &options);
    if (done)
        return done - 1;
    log_init("guard");
    if (guard_open(&options, &guard, &err) < 0 || guard_run(guard, &err) < 0) {
        log_error("%s", err.text);
        return err_exit_status(err.code);
    }
    guard_close(guard);
    return 0;
}
