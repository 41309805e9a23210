#include "sim/robot/verb.h"
#include "base/mem.h"
#include "base/str.h"
#include "sim/robot/drones.h"
#include "sim/robot/falls.h"
#include "sim/robot/play.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "usage: muster-sim robot --run-dir DIR [options]\n"
    "\n"
    "Plays the program of one robot: camera frames in, checked results or the safe state out.\n"
    "\n"
    "  --run-dir DIR         where this robot's muster-guard listens (it may come later, and go)\n"
    "  --seed N --site S     which robot, which site (default 1, 0)\n"
    "  --world W             warehouse (default); fall: a humanoid that walks, works, and now and then "
    "falls\n"
    "                        drone: flies rounds from its pad, is busy in the air\n"
    "  --speed X             fall: its world goes so much faster than the clock (default 1)\n"
    "  --imu stuck           fall: its vertical accelerometer tells the same number for ever\n"
    "  --board DIR           drone: shows its battery below DIR/sys, for muster-agent --board-root DIR\n"
    "  --camera SOURCE       images:DIR or video:FILE, over and over, instead of the rendered warehouse\n"
    "  --fps F               frames per second, 0.1 to 1000 (default 10)\n"
    "  --deadline-ms N       a result is of use for so long (default 100)\n"
    "  --log FILE            append what came back as JSON lines (sim/robot/LOG.md)\n"
    "  --dock-period-ms N    how often it stands at the reference station,\n"
    "  --dock-ms N           and for how long (default 4000 of every 15000)\n"
    "  --frames N            stop after so many (default: on SIGTERM)\n"
    "\n"
    "examples:\n"
    "  muster-sim robot --run-dir /run/muster --seed 7 --site 2 --fps 10 --log robot.jsonl\n"
    "  muster-sim robot --run-dir /run/muster --camera video:walk.mp4\n"
    "  muster-sim robot --run-dir /run/muster --world fall --seed 3 --speed 5 --log robot.jsonl\n";

static const struct world_kind {
    const char *name;
    int (*play)(const struct play_options *options, const volatile sig_atomic_t *stop, struct err *err);
} worlds[] = {{"warehouse", play_robot}, {"fall", play_falls}, {"drone", play_drone}};

static const struct world_kind *find_world(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(worlds); i++)
        if (str_eq(worlds[i].name, name))
            return &worlds[i];
    return NULL;
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = 1;
}

static bool take_number(const char *text, uint64_t most, uint64_t *out)
{
    return str_to_u64(text, out) && *out <= most;
}

static bool take(struct play_options *out, int opt)
{
    uint64_t number = 0;
    bool ok = true;
    if (opt == 'd')
        out->run_dir = optarg;
    else if (opt == 'l')
        out->log_path = optarg;
    else if (opt == 'c')
        out->camera = optarg;
    else if (opt == 'b')
        out->board = optarg;
    else if (opt == 'w')
        out->world = optarg;
    else if (opt == 'x')
        ok = str_to_double(optarg, &out->speed) && out->speed >= 0.1 && out->speed <= 100;
    else if (opt == 'i')
        ok = out->stuck = str_eq(optarg, "stuck");
    else if (opt == 's')
        ok = str_to_u64(optarg, &out->seed);
    else if (opt == 'n')
        ok = str_to_u64(optarg, &out->frames);
    else if (opt == 'f')
        ok = str_to_double(optarg, &out->fps) && out->fps >= 0.1 && out->fps <= 1000;
    else
        ok = opt != '?' && take_number(optarg, 3600000, &number);
    if (opt == 'S')
        out->site = (int)number;
    else if (opt == 'D')
        out->deadline_ms = (uint32_t)number;
    else if (opt == 'p')
        out->dock_period_ms = (int)number;
    else if (opt == 'm')
        out->dock_ms = (int)number;
    return ok;
}

static bool parse(int argc, char **argv, struct play_options *out)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 's'},
        {"site", required_argument, NULL, 'S'},
        {"fps", required_argument, NULL, 'f'},
        {"deadline-ms", required_argument, NULL, 'D'},
        {"log", required_argument, NULL, 'l'},
        {"dock-period-ms", required_argument, NULL, 'p'},
        {"dock-ms", required_argument, NULL, 'm'},
        {"frames", required_argument, NULL, 'n'},
        {"camera", required_argument, NULL, 'c'},
        {"board", required_argument, NULL, 'b'},
        {"world", required_argument, NULL, 'w'},
        {"speed", required_argument, NULL, 'x'},
        {"imu", required_argument, NULL, 'i'},
        {0},
    };
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(out, opt);
    if (out->dock_period_ms && !out->dock_ms)
        out->dock_ms = 4000;
    else if (out->dock_ms && !out->dock_period_ms)
        out->dock_period_ms = 15000;
    return ok && optind == argc && out->run_dir && find_world(out->world);
}

int robot_verb(int argc, char **argv)
{
    struct play_options options = {
        .seed = 1, .fps = 10, .deadline_ms = 100, .speed = 1, .world = "warehouse"};
    struct err err = {0};
    if (argc >= 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")))
        return fputs(help, stdout) < 0;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "muster-sim robot: %s; see muster-sim robot --help\n",
                options.run_dir ? "an option or a value is wrong" : "--run-dir is missing");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (find_world(options.world)->play(&options, &stop, &err) == 0)
        return 0;
    fprintf(stderr, "muster-sim robot: %s\n", err.text);
    return err_exit_status(err.code);
}
