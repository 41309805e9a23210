#include "sim/frames/verb.h"

#include "base/str.h"
#include "sim/frames/frames.h"

#include <getopt.h>

static const char help[] =
    "usage: muster-sim frames [options] -o DIR | --raw FILE\n"
    "\n"
    "Renders labelled frames of the warehouse, or of what a drone sees below it. The same options give the "
    "same bytes on every machine.\n"
    "\n"
    "  --seed N       which warehouse and which scenes (default 1)\n"
    "  --world W      warehouse (default) or drone, which has no sites and no dock\n"
    "  --site S|all   0 north, 1 harbour, 2 cold, 3 annex (default all: in turn)\n"
    "  --count N      how many frames (default 100)\n"
    "  --sequence     one drive per site, in order, instead of independent scenes\n"
    "  --every MS     time between the frames of a drive (default 100)\n"
    "  --dock         of a drive only the frames at the reference station\n"
    "  --light X      1: normal              (default: as it comes)\n"
    "  --noise X      0..64 steps of 1/255   (default: as it comes)\n"
    "  --blur X       0 sharp .. 4           (default: as it comes)\n"
    "  -o DIR         PNG files and annotations.json (COCO detection format)\n"
    "  --raw FILE     one file for training (format: sim/frames/raw.h)\n"
    "\n"
    "examples:\n"
    "  muster-sim frames --seed 900001 --count 200 -o unseen       then: muster eval RELEASE --data unseen\n"
    "  muster-sim frames --sequence --site 1 --count 150 -o drive\n"
    "  muster-sim frames --seed 1 --count 10000 --raw train.raw\n";

struct request {
    struct frames_plan plan;
    const char *dir, *raw;
    bool help;
};

enum {
    OPT_SEED = 1000,
    OPT_SITE,
    OPT_WORLD,
    OPT_COUNT,
    OPT_SEQUENCE,
    OPT_EVERY,
    OPT_DOCK,
    OPT_LIGHT,
    OPT_NOISE,
    OPT_BLUR,
    OPT_RAW
};

static const struct option options[] = {{"seed", required_argument, NULL, OPT_SEED},
                                        {"site", required_argument, NULL, OPT_SITE},
                                        {"world", required_argument, NULL, OPT_WORLD},
                                        {"count", required_argument, NULL, OPT_COUNT},
                                        {"sequence", no_argument, NULL, OPT_SEQUENCE},
                                        {"every", required_argument, NULL, OPT_EVERY},
                                        {"dock", no_argument, NULL, OPT_DOCK},
                                        {"light", required_argument, NULL, OPT_LIGHT},
                                        {"noise", required_argument, NULL, OPT_NOISE},
                                        {"blur", required_argument, NULL, OPT_BLUR},
                                        {"raw", required_argument, NULL, OPT_RAW},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

static int whole(const char *text, int low, int high, int *out)
{
    uint64_t value;

    if (!str_to_u64(text, &value) || value < (uint64_t)low || value > (uint64_t)high)
        return -1;
    *out = (int)value;
    return 0;
}

static int amount(const char *text, float high, float *out)
{
    double value;

    if (!str_to_double(text, &value) || value < 0 || value > (double)high)
        return -1;
    *out = (float)value;
    return 0;
}

static int set_site(const char *text, int *out)
{
    if (str_eq(text, "all")) {
        *out = FRAMES_ALL_SITES;
        return 0;
    }
    return whole(text, 0, world_site_count() - 1, out);
}

static int set_world(const char *text, bool *out_drone)
{
    *out_drone = str_eq(text, "drone");
    return *out_drone || str_eq(text, "warehouse") ? 0 : -1;
}

/* 0, or -1 if the value does not do. */
static int set(struct request *request, int option, const char *value)
{
    struct frames_plan *plan = &request->plan;

    switch (option) {
    case OPT_SEED:
        return str_to_u64(value, &plan->seed) ? 0 : -1;
    case OPT_SITE:
        return set_site(value, &plan->site);
    case OPT_WORLD:
        return set_world(value, &plan->drone);
    case OPT_COUNT:
        return whole(value, 1, FRAMES_MAX, &plan->count);
    case OPT_EVERY:
        return whole(value, 1, 60000, &plan->every_ms);
    case OPT_LIGHT:
        return amount(value, 10, &plan->sensor.light);
    case OPT_NOISE:
        return amount(value, 64, &plan->sensor.noise);
    case OPT_BLUR:
        return amount(value, 4, &plan->sensor.blur);
    case OPT_DOCK:
        plan->dock_only = true;
        plan->sequence = true;
        return 0;
    case OPT_SEQUENCE:
        plan->sequence = true;
        return 0;
    case OPT_RAW:
        request->raw = value;
        return 0;
    case 'o':
        request->dir = value;
        return 0;
    case 'h':
        request->help = true;
        return 0;
    default:
        return -1;
    }
}

static int parse(int argc, char **argv, struct request *request, struct err *err)
{
    int option;

    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1)
        if (set(request, option, optarg) < 0)
            return err_set(err, ERR_USAGE,
                           "'%s' is no option or not a possible value; see muster-sim frames --help",
                           argv[optind - 1]);
    if (request->help)
        return 0;
    if (optind < argc)
        return err_set(err, ERR_USAGE, "'%s' is too much; see muster-sim frames --help", argv[optind]);
    if (!request->dir == !request->raw)
        return err_set(err, ERR_USAGE, "give either -o DIR or --raw FILE; see muster-sim frames --help");
    return 0;
}

static int carry_out(const struct request *request, struct err *err)
{
    if (request->help) {
        fputs(help, stdout);
        return 0;
    }
    return request->raw ? frames_write_raw(&request->plan, request->raw, err)
                        : frames_write_dir(&request->plan, request->dir, err);
}

int frames_verb(int argc, char **argv)
{
    struct request request = {.plan = {.seed = 1,
                                       .site = FRAMES_ALL_SITES,
                                       .count = 100,
                                       .every_ms = 100,
                                       .sensor = {.light = -1, .noise = -1, .blur = -1}}};
    struct err err = {0};

    if (parse(argc, argv, &request, &err) < 0 || carry_out(&request, &err) < 0) {
        fprintf(stderr, "muster-sim frames: %s\n", err.text);
        return err_exit_status(err.code);
    }
    return 0;
}
