#include "cli/operate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/verbs.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static const char help[] =
    "usage: muster hold|release|override|rollback|fallback|stop|reset|restart|service ROBOT… [options]\n"
    "       muster VERB --select LABEL=VALUE… [options]\n"
    "       muster VERB --local --run-dir DIR [options]\n"
    "\n"
    "  hold      the safe state, until release\n"
    "  fallback  the fallback release answers, until release\n"
    "  override  you are in control and no model is: a lease, good for --ttl seconds. --hold-open renews it "
    "until ^C,\n"
    "            for one robot at a time. A lease that is not renewed ends in the safe stop\n"
    "  release   ends hold and fallback; ends your override, after which restart is needed\n"
    "  rollback  back to the previous release, now; what ran is blocked on that robot\n"
    "  stop      protective stop, latched (it is no emergency stop): two acts lead out of it, reset, then "
    "restart\n"
    "  reset     acknowledges a stop or the end of service; starts nothing\n"
    "  restart   lets the models answer again\n"
    "  service   maintenance of a robot on hold, or reset after a stop; reset, then restart, lead out of it\n"
    "\n"
    "The command names its robots and is signed with your own key; each robot checks the signature, and "
    "refuses what\n"
    "is late, was seen before or is not signed by an operator it knows.\n"
    "\n"
    "  -l, --select LABEL=VALUE  robots by label; several: all must hold. Asks before more than one (not for "
    "stop)\n"
    "  -r, --reason TEXT         why; it stands in the audit log\n"
    "  -k, --key FILE            your key (MUSTER_OPERATOR_KEY); made by muster keys operator NAME\n"
    "      --as NAME             your name in the robots' keyring (default: the key's file name)\n"
    "      --ttl SECONDS         override: how long without a renewal (5; 0.2 to 60)\n"
    "      --hold-open           override: renew until ^C, then release\n"
    "      --lease N             the lease you hold, where it is not known from the server\n"
    "      --expires SECONDS     robots that hear of it later refuse it (30; up to 300)\n"
    "  -y, --yes                 do not ask\n"
    "      --no-wait             do not wait for what became of it\n"
    "      --json                what became of it, as JSON\n"
    "      --local --run-dir DIR talk to the guard of this robot itself; --as says who you are\n"
    "\n" CLIENT_HELP "\n"
    "examples:\n"
    "  muster stop --select site=north --reason \"smoke in aisle 4\" --key alice.key\n"
    "  muster override r7 --hold-open --reason \"pallet in the way\" --key alice.key\n"
    "  muster reset r7 --key alice.key && muster restart r7 --key alice.key\n"
    "  muster hold --local --run-dir /run/muster --as \"shift lead\" --reason \"cleaning\"\n"
    "\n"
    "An unknown ROBOT: nothing is ordered; but stop reaches the others, and then says which it did not "
    "find.\n"
    "exit status: 0 every robot obeyed, 1 some did not answer in time, 3 some refused, 4 some are unknown\n";

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void operate_catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool operate_interrupted(void)
{
    return interrupted != 0;
}

bool operate_sleep_ms(int64_t ms)
{
    int64_t until_ns = clock_mono_ns() + ms * 1000000;
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    while (!interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    return !interrupted;
}

static int check(const struct operate *operate, struct err *err)
{
    if (operate->ttl_s < 0.2 || operate->ttl_s > 60)
        return err_set(err, ERR_USAGE, "--ttl: must be from 0.2 to 60 seconds");
    if (operate->expires_s < 0.1 || operate->expires_s > COMMAND_MAX_LIFE_MS / 1000.0)
        return err_set(err, ERR_USAGE, "--expires: must be from 0.1 to 300 seconds");
    if (operate->hold_open && operate->verb != COMMAND_OVERRIDE)
        return err_set(err, ERR_USAGE, "--hold-open: only an override is held open");
    if (operate->hold_open && (operate->no_wait || operate->json))
        return err_set(err, ERR_USAGE, "--hold-open: goes with neither --no-wait nor --json");
    if (strlen(operate->reason) >= sizeof((struct command){0}).reason || !operate->reason[0])
        return err_set(err, ERR_USAGE, "--reason: up to 111 bytes, and not empty");
    if (operate->local != (operate->run_dir != NULL))
        return err_set(err, ERR_USAGE, "--local and --run-dir DIR go together");
    if (operate->local && (operate->robots.count || operate->select.count))
        return err_set(err, ERR_USAGE, "--local is this robot; name no other");
    if (!operate->local && operate->robots.count == 0 && operate->select.count == 0)
        return err_set(err, ERR_USAGE, "which robots? Name them, or give --select LABEL=VALUE");
    return 0;
}

_Static_assert((int)COMMAND_MAX_ROBOTS <= (int)OPERANDS_MAX, "each may be named");

static int run(int argc, char **argv, struct err *err)
{
    bool wait = false;
    struct operate operate = {.robots = {.usage = "ROBOT", .max = COMMAND_MAX_ROBOTS},
                              .reason = "no reason given",
                              .ttl_s = 5,
                              .expires_s = 30};
    const struct option_def options[] = {
        CLIENT_OPTIONS(operate.where),
        OPT_LIST("select", 'l', &operate.select),
        OPT_TEXT("reason", 'r', &operate.reason),
        OPT_TEXT("key", 'k', &operate.key),
        OPT_TEXT("as", 0, &operate.as),
        OPT_DOUBLE("ttl", 0, &operate.ttl_s),
        OPT_FLAG("hold-open", 0, &operate.hold_open),
        OPT_INT("lease", 0, &operate.lease, 1, INT64_MAX),
        OPT_DOUBLE("expires", 0, &operate.expires_s),
        OPT_FLAG("yes", 'y', &operate.yes),
        OPT_FLAG("wait", 0, &wait), /* what is done anyway */
        OPT_FLAG("no-wait", 0, &operate.no_wait),
        OPT_FLAG("json", 0, &operate.json),
        OPT_FLAG("local", 0, &operate.local),
        OPT_TEXT("run-dir", 0, &operate.run_dir),
    };
    if (!command_verb_parse(argv[0], &operate.verb))
        return err_set(err, ERR_INTERNAL, "no such verb: %s", argv[0]);
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operate.robots, err) < 0 ||
        check(&operate, err) < 0)
        return -1;
    return operate.local ? operate_local(&operate, err) : operate_remote(&operate, err);
}

#define VERB(word, text)                                                                                     \
    const struct verb verb_##word = {.name = #word, .summary = (text), .help = help, .run = run}

VERB(hold, "robots take the safe state until release");
VERB(release, "end hold, fallback or your override");
VERB(override, "take control of a robot, with a lease");
VERB(rollback, "robots go back to the previous release now");
VERB(fallback, "the fallback release answers until release");
VERB(stop, "protective stop, latched");
VERB(reset, "acknowledge a stop; starts nothing");
VERB(restart, "let the models answer again, after a reset");
VERB(service, "maintenance, until reset");
