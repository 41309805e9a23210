/* muster-estop: see robot/estop/mirror.h. */
#include "base/log.h"
#include "base/str.h"
#include "robot/estop/mirror.h"

#include <getopt.h>
#include <signal.h>

static const char usage[] =
    "usage: muster-estop --run-dir DIR --chip /dev/gpiochip0 --line 17 [options]\n"
    "       muster-estop --run-dir DIR --value /sys/class/gpio/gpio17/value [options]\n"
    "Mirrors a hardware emergency stop into the guard: while it is pressed, and until a human resets and "
    "restarts after\n"
    "its release, every answer is the safe state. It is no emergency stop itself: that one acts without "
    "software.\n"
    "  --run-dir DIR      where the guard's socket is\n"
    "  --chip DEVICE      GPIO character device, with\n"
    "  --line N           the line on it\n"
    "  --value FILE       or the value of a line that was exported in sysfs (kernels before 5.10)\n"
    "  --active-low       pressed is low; without it pressed is high (a normally closed contact to ground)\n"
    "  --bias up|down|none  pull of the line where the chip has one (up)\n"
    "  --reread-ms N      the level is read again without any edge (100)\n"
    "  --release-ms N     it must have read released for so long (50)\n"
    "SIGTERM ends it, which the guard takes for a pressed stop.\n"
    "Example:\n"
    "  muster-estop --run-dir /run/muster --chip /dev/gpiochip0 --line 17\n";

static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    return str_to_u64(text, out) && *out <= max;
}

static bool bias(const char *text, enum line_bias *out)
{
    static const char *const words[] = {
        [LINE_BIAS_NONE] = "none", [LINE_BIAS_PULL_UP] = "up", [LINE_BIAS_PULL_DOWN] = "down"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(text, words[i]))
            continue;
        *out = (enum line_bias)i;
        return true;
    }
    return false;
}

struct flags {
    struct line_options line;
    struct mirror_options mirror;
    bool line_given, help;
};

static bool take(struct flags *flags, int opt, const char *arg)
{
    uint64_t value = 0;
    switch (opt) {
    case 'd':
        flags->mirror.run_dir = arg;
        return true;
    case 'c':
        flags->line.chip = arg;
        return true;
    case 'v':
        flags->line.value = arg;
        return true;
    case 'l':
        flags->line_given = number(arg, 65535, &value);
        flags->line.offset = (uint32_t)value;
        return flags->line_given;
    case 'a':
        return flags->line.active_low = true;
    case 'b':
        return bias(arg, &flags->line.bias);
    case 'r':
        flags->mirror.reread_ms = number(arg, 10000, &value) && value ? (int64_t)value : 0;
        return value != 0 && flags->mirror.reread_ms != 0;
    case 'e':
        flags->mirror.release_ms = -1;
        if (number(arg, 10000, &value))
            flags->mirror.release_ms = (int64_t)value;
        return flags->mirror.release_ms >= 0;
    case 'h':
        return flags->help = true;
    default:
        return false;
    }
}

static int parse(int argc, char **argv, struct flags *flags, struct err *err)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'},
        {"chip", required_argument, NULL, 'c'},
        {"line", required_argument, NULL, 'l'},
        {"value", required_argument, NULL, 'v'},
        {"active-low", no_argument, NULL, 'a'},
        {"bias", required_argument, NULL, 'b'},
        {"reread-ms", required_argument, NULL, 'r'},
        {"release-ms", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    opterr = 0;
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take(flags, opt, optarg))
            return err_set(err, ERR_USAGE, "%s: unknown, or its value is wrong; see muster-estop --help",
                           argv[optind - 1]);
    if (flags->help)
        return 0;
    if (optind < argc || !flags->mirror.run_dir)
        return err_set(err, ERR_USAGE, "--run-dir DIR is wanted, and no operand; see muster-estop --help");
    if (flags->line.chip && !flags->line_given)
        return err_set(err, ERR_USAGE, "--chip wants --line N");
    return 0;
}

static int run(struct flags *flags, struct err *err)
{
    cleanup_line struct line *line = NULL;
    const struct sigaction action = {.sa_handler = on_signal};
    if (line_open(&flags->line, &line, err) < 0)
        return -1;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    flags->mirror.line = line;
    flags->mirror.stop = &stop;
    return mirror_run(&flags->mirror, err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct flags flags = {.line.bias = LINE_BIAS_PULL_UP, .mirror = {.reread_ms = 100, .release_ms = 50}};
    log_init("muster-estop");
    int rc = parse(argc, argv, &flags, &err);
    if (rc == 0 && flags.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (rc == 0)
        rc = run(&flags, &err);
    if (rc == 0)
        return 0;
    fprintf(stderr, "muster-estop: %s\n", err.text);
    return err_exit_status(err.code);
}
