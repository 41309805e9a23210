/* muster-recorder: see robot/recorder/recorder.h. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/recorder.h"

#include <getopt.h>

static const char usage[] =
    "usage: muster-recorder --run-dir DIR --state-dir DIR [options]\n"
    "       muster-recorder --run-dir DIR --trigger TEXT\n"
    "The robot's black box: keeps the last seconds of frames, verdicts and states in memory, and seals them "
    "around an\n"
    "event into STATE_DIR/incidents/ID.mcap. muster-agent starts it. The second form records an event by "
    "hand.\n"
    "  --run-dir DIR         where muster-guard listens\n"
    "  --state-dir DIR       incidents/ is made there; device.key and device.pem there sign\n"
    "  --memory MIB          for what is kept (default 32)\n"
    "  --before-ms N         what was before the event (15000)\n"
    "  --after-ms N          and after it (10000)\n"
    "  --longest-ms N        of an event whose triggers go on (40000, from the first one)\n"
    "  --frame-rate N        frames kept per second, at most (30)\n"
    "  --frame-side PIXELS   of a kept picture, at most (640)\n"
    "  --quality N           of its JPEG, 1 to 100 (70)\n"
    "  --cpu-percent X       of one core, while nothing happens (1.5); five times as much after a trigger\n"
    "  --interventions N     of the guard within 10 s are an event (10); -1: never\n"
    "  --keep N              events kept (64), the least grave and oldest go first\n"
    "  --keep-mib N          for all of them (512)\n"
    "  --trigger TEXT        records an event now: says TEXT to the recorder of --run-dir and ends\n"
    "  --version\n"
    "examples:\n"
    "  muster-recorder --run-dir /run/muster --state-dir /var/lib/muster\n"
    "  muster-recorder --run-dir /run/muster --trigger \"it braked for nothing\"\n"
    "  kill -USR1 $(pidof muster-recorder)\n";

static const struct number_option {
    const char *name;
    size_t offset;
    int64_t min, max;
} numbers[] = {
    {"memory", offsetof(struct recorder_options, memory_mib), 1, 4096},
    {"before-ms", offsetof(struct recorder_options, before_ms), 1, 600000},
    {"after-ms", offsetof(struct recorder_options, after_ms), 1, 600000},
    {"longest-ms", offsetof(struct recorder_options, longest_ms), 1, 600000},
    {"frame-rate", offsetof(struct recorder_options, frame_rate), 1, 1000},
    {"frame-side", offsetof(struct recorder_options, frame_side), 16, 8192},
    {"quality", offsetof(struct recorder_options, quality), 1, 100},
    {"interventions", offsetof(struct recorder_options, interventions), -1, 64},
    {"keep", offsetof(struct recorder_options, keep), 1, 500},
    {"keep-mib", offsetof(struct recorder_options, keep_mib), 1, 1 << 20},
};

enum { OPT_NUMBER = 256 };

static bool take_number(struct recorder_options *options, size_t index, const char *text)
{
    const struct number_option *number = &numbers[index];
    int64_t value;
    if (!str_to_i64(text, &value) || value < number->min || value > number->max)
        return false;
    memcpy((char *)options + number->offset, &value, sizeof value);
    return true;
}

static bool take_percent(struct recorder_options *options, const char *text)
{
    return str_to_double(text, &options->cpu_percent) && options->cpu_percent > 0 &&
           options->cpu_percent <= 100;
}

struct arguments {
    struct recorder_options options;
    const char *trigger;
    bool bad, answered;
};

static void take_option(struct arguments *args, int opt)
{
    if (opt >= OPT_NUMBER)
        args->bad |= !take_number(&args->options, (size_t)(opt - OPT_NUMBER), optarg);
    else if (opt == 'd')
        args->options.run_dir = optarg;
    else if (opt == 's')
        args->options.state_dir = optarg;
    else if (opt == 't')
        args->trigger = optarg;
    else if (opt == 'c')
        args->bad |= !take_percent(&args->options, optarg);
    else if (opt == 'h' || opt == 'v')
        args->answered = fputs(opt == 'h' ? usage : "muster-recorder " MUSTER_VERSION "\n", stdout) >= 0;
    else
        args->bad = true;
}

static void parse(int argc, char **argv, struct arguments *args)
{
    struct option table[ARRAY_LEN(numbers) + 7] = {
        {"run-dir", required_argument, NULL, 'd'}, {"state-dir", required_argument, NULL, 's'},
        {"trigger", required_argument, NULL, 't'}, {"cpu-percent", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},          {"version", no_argument, NULL, 'v'},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        table[6 + i] = (struct option){numbers[i].name, required_argument, NULL, OPT_NUMBER + (int)i};
    for (int opt; !args->answered && (opt = getopt_long(argc, argv, "", table, NULL)) != -1;)
        take_option(args, opt);
    args->bad |= optind != argc || !args->options.run_dir || (!args->trigger && !args->options.state_dir);
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    struct err err = {0};
    parse(argc, argv, &args);
    if (args.answered)
        return 0;
    if (args.bad) {
        fputs("muster-recorder: an option is missing or wrong; see muster-recorder --help\n", stderr);
        return err_exit_status(ERR_USAGE);
    }
    log_init("recorder");
    if (!args.trigger)
        log_never_wait();
    int done = args.trigger ? recorder_trigger(args.options.run_dir, args.trigger, &err)
                            : recorder_run(&args.options, &err);
    if (done == 0)
        return 0;
    if (args.trigger)
        fprintf(stderr, "muster-recorder: %s\n", err.text);
    else
        log_error("%s", err.text);
    return err_exit_status(err.code);
}
