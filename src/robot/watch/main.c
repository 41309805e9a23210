/* muster-watch: see robot/watch/watch.h. */
#include "base/log.h"
#include "base/str.h"
#include "robot/watch/watch.h"

#include <getopt.h>
#include <signal.h>

static const char usage[] =
    "usage: muster-watch --run-dir DIR --state-dir DIR [options]\n"
    "       muster-watch --run-dir DIR --look | --acknowledge\n"
    "Notices on the robot that a model goes wrong: holds the signals of every frame against the release's "
    "reference\n"
    "profile, adds up windows for telemetry, explains what the guard did, and chooses frames that people "
    "should see.\n"
    "What it has to say goes to RUN_DIR/watch/, from where muster-agent takes it. muster-agent starts it.\n"
    "  --run-dir DIR         where muster-guard listens\n"
    "  --state-dir DIR       what is learned is kept in watch/ there\n"
    "  --store-dir DIR       where releases are found (STATE_DIR/store); may be given several times\n"
    "  --window-s N          of telemetry (60)\n"
    "  --block-s N           of drift: the mean of so many seconds is judged (60)\n"
    "  --contexts N          parts of a day, each with its own expectations (8)\n"
    "  --burn-in N           blocks of each part that are learned from before they are judged (60)\n"
    "  --fleet-robots N      the alarm budget is for so many robots (100):\n"
    "  --false-alarms X      at most so many false alarms in all of them in 90 days (1)\n"
    "  --audit X             probability that a frame is taken as a random audit, at most (0.0005)\n"
    "  --samples X           times as many frames for people as by default (1: about 50 an hour)\n"
    "  --board-root DIR      /proc and /sys of a recorded board, for tests\n"
    "  --look                the next frame is one for people: tells the one of --run-dir, and ends\n"
    "  --acknowledge         its alarms were seen: likewise\n"
    "  --version\n"
    "examples:\n"
    "  muster-watch --run-dir /run/muster --state-dir /var/lib/muster\n"
    "  muster-watch --run-dir /run/muster --look\n";

static struct watch_options options;
static int signal_to_send;
static bool answered;

enum { OPT_NUMBER = 256 };

static bool take_text(const char *text, const char **out)
{
    *out = text;
    return text[0] != 0;
}

static bool take_store(const char *text)
{
    struct catalog *catalog = &options.catalog;
    return catalog->count < CATALOG_STORES && take_text(text, &catalog->stores[catalog->count++]);
}

static const struct number {
    const char *name;
    double min, max;
    enum { U32, SECONDS, REAL } type;
    size_t offset;
} numbers[] = {
    {"window-s", 0.1, 86400, SECONDS, offsetof(struct core_options, window_ms)},
    {"block-s", 0.1, 86400, SECONDS, offsetof(struct core_options, block_ms)},
    {"contexts", 1, 24, U32, offsetof(struct core_options, contexts)},
    {"burn-in", 1, 100000, U32, offsetof(struct core_options, burn_in)},
    {"fleet-robots", 1, 1e6, REAL, offsetof(struct core_options, robots)},
    {"false-alarms", 1e-6, 1e6, REAL, offsetof(struct core_options, alarms)},
    {"audit", 1e-9, 1, REAL, offsetof(struct core_options, choice.audit)},
    {"samples", 1e-3, 1e3, REAL, offsetof(struct core_options, choice.scale)},
};

static bool take_number(const struct number *number, const char *text)
{
    double value;
    char *at = (char *)&options.core + number->offset;
    if (!str_to_double(text, &value) || value < number->min || value > number->max)
        return false;
    if (number->type == REAL)
        memcpy(at, &value, sizeof value);
    else if (number->type == SECONDS)
        memcpy(at, &(int64_t){(int64_t)(value * 1e3)}, sizeof(int64_t));
    else
        memcpy(at, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    return number->type != U32 || value == (double)(uint32_t)value;
}

static bool take_option(int opt)
{
    if (opt >= OPT_NUMBER)
        return take_number(&numbers[opt - OPT_NUMBER], optarg);
    switch (opt) {
    case 'd':
        return take_text(optarg, &options.run_dir);
    case 's':
        return take_text(optarg, &options.state_dir);
    case 'b':
        return take_text(optarg, &options.board_root);
    case 'S':
        return take_store(optarg);
    case 'l':
        signal_to_send = SIGUSR1;
        return true;
    case 'a':
        signal_to_send = SIGUSR2;
        return true;
    case 'h':
    case 'v':
        answered = true;
        return fputs(opt == 'h' ? usage : "muster-watch " MUSTER_VERSION "\n", stdout) >= 0;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv)
{
    static const struct option fixed[] = {
        {"run-dir", required_argument, NULL, 'd'},
        {"state-dir", required_argument, NULL, 's'},
        {"store-dir", required_argument, NULL, 'S'},
        {"board-root", required_argument, NULL, 'b'},
        {"look", no_argument, NULL, 'l'},
        {"acknowledge", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
    };
    struct option table[ARRAY_LEN(fixed) + ARRAY_LEN(numbers) + 1] = {0};
    memcpy(table, fixed, sizeof fixed);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        table[ARRAY_LEN(fixed) + i] =
            (struct option){numbers[i].name, required_argument, NULL, OPT_NUMBER + (int)i};
    for (int opt; !answered && (opt = getopt_long(argc, argv, "", table, NULL)) != -1;)
        if (!take_option(opt))
            return false;
    if (answered)
        return true;
    uint32_t contexts = options.core.contexts ? options.core.contexts : 8;
    return optind == argc && options.run_dir && (signal_to_send || options.state_dir) && 24 % contexts == 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (!parse(argc, argv)) {
        fputs("muster-watch: an option is missing or wrong; see muster-watch --help\n", stderr);
        return err_exit_status(ERR_USAGE);
    }
    if (answered)
        return 0;
    if (signal_to_send) {
        if (watch_signal(options.run_dir, signal_to_send, &err) == 0)
            return 0;
        fprintf(stderr, "muster-watch: %s\n", err.text);
        return err_exit_status(err.code);
    }
    log_init("watch");
    log_never_wait();
    if (watch_run(&options, &err) == 0)
        return 0;
    log_error("%s", err.text);
    return err_exit_status(err.code);
}
