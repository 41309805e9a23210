#include "cli/demo/demo.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/prologue.h"
#include "cli/demo/report.h"
#include "cli/demo/screen.h"

#include <signal.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 400, TICK_US = 50000 };

struct options {
    int robots;
    bool keep, json, chaos;
    uint32_t chaos_seed;
    int chaos_kills;
    const char *models;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static const char help[] =
    "usage: muster demo [warehouse] [--robots N] [--keep] [--json] [--chaos [--chaos-kills N] [--chaos-seed "
    "N]] [--models "
    "DIR]\n"
    "\n"
    "Starts a fleet server and N robots (10), each with its agent, guard, runner and robot program in "
    "processes of\n"
    "their own, and plays a story: release 1.0.0 goes to everybody, 2.0.0 goes out in waves, 3.0.0 is bad "
    "and is\n"
    "thrown out by the robots themselves. Ends with a table; exit status 0 only if all ended as it should.\n"
    "\n"
    "      --robots N      2 to 64 robots\n"
    "      --keep          leave the fleet running at the end, with the console's address, until Ctrl-C\n"
    "      --json          the report as one JSON object on stdout, and no story\n"
    "      --chaos         kill -9 random processes while it plays\n"
    "      --chaos-kills N at least so many (20)\n"
    "      --chaos-seed N  another series of victims\n"
    "      --models DIR    where detector-1.0.0, -2.0.0 and -3.0.0 are\n"
    "\n"
    "examples:\n"
    "  muster demo\n"
    "  muster demo warehouse --keep            then open the console in a browser\n"
    "  muster demo warehouse --chaos --json\n";

static int parse(int argc, char **argv, struct options *out, struct err *err)
{
    int64_t robots = 10, seed = -1, kills = 0;
    *out = (struct options){.models = ""};
    struct operands operands = {.usage = "[warehouse]", .max = 1};
    const struct option_def options[] = {OPT_INT("robots", 'n', &robots, 2, STAGE_MAX_ROBOTS),
                                         OPT_FLAG("keep", 0, &out->keep),
                                         OPT_FLAG("json", 0, &out->json),
                                         OPT_FLAG("chaos", 0, &out->chaos),
                                         OPT_INT("chaos-kills", 0, &kills, 1, 10000),
                                         OPT_INT("chaos-seed", 0, &seed, 0, UINT32_MAX),
                                         OPT_TEXT("models", 'm', &out->models)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (operands.count && !str_eq(operands.items[0], "warehouse"))
        return err_set(err, ERR_USAGE, "there is no demo \"%s\"; there is: warehouse", operands.items[0]);
    if (!out->chaos && (seed >= 0 || kills))
        return err_set(err, ERR_USAGE, "--chaos-kills and --chaos-seed go with --chaos");
    out->robots = (int)robots;
    out->chaos_seed = seed >= 0 ? (uint32_t)seed : 1;
    out->chaos_kills = kills ? (int)kills : 20;
    return 0;
}

/* Plays until the story is over, the time is up or somebody pressed Ctrl-C. */
static int play(struct stage *stage, struct cast *cast, struct chaos *chaos, struct viewer *viewer,
                struct story *story, struct view *view, int64_t began_ms, struct err *err)
{
    bool more = true;
    int64_t look_at_ms = 0;
    while (more && !interrupted) {
        if (cast_tend(cast, err) < 0)
            return -1;
        chaos_step(chaos, cast);
        int64_t now_ms = clock_mono_ms();
        if (now_ms >= look_at_ms) {
            struct err unreachable = {0};
            look_at_ms = now_ms + LOOK_EVERY_MS;
            if (viewer_look(viewer, view, &unreachable) < 0) {
                if (!chaos->on)
                    return err_set(err, unreachable.code, "the fleet server does not answer: %s",
                                   unreachable.text);
            } else if (story_step(story, view, chaos, now_ms, &more, err) < 0) {
                return -1;
            }
        }
        screen_fleet(view, chaos, now_ms - began_ms);
        usleep(TICK_US);
    }
    return interrupted ? err_set(err, ERR_CONFLICT, "interrupted") : 0;
}

static void stay(struct stage *stage, struct cast *cast, struct chaos *chaos, struct viewer *viewer,
                 struct view *view, int64_t began_ms)
{
    fprintf(stderr, "\nThe fleet goes on. Console: http://127.0.0.1:%u/#token=%s\n", stage->console_port,
            stage->token);
    fprintf(stderr,
            "On the command line: export MUSTER_SERVER=https://127.0.0.1:%u MUSTER_TOKEN=%s MUSTER_CA=%s\n",
            stage->operator_port, stage->token, stage_path(stage, "server/ca.pem"));
    fprintf(stderr, "As an operator: muster hold r01 --key %s --reason \"to see it\"\n",
            stage_path(stage, "operators/demo.key"));
    fprintf(stderr, "Ctrl-C ends it and removes %s.\n", stage->dir);
    chaos->on = false;
    while (!interrupted) {
        struct err err = {0};
        if (cast_tend(cast, &err) < 0)
            fprintf(stderr, "muster demo: %s\n", err.text);
        if (viewer_look(viewer, view, &err) == 0)
            screen_fleet(view, chaos, clock_mono_ms() - began_ms);
        usleep(10 * TICK_US);
    }
}

static int finish(struct stage *stage, struct viewer *viewer, struct story *story, struct view *view,
                  struct chaos *chaos, bool json, int64_t began_ms, bool *out_good, struct err *err)
{
    struct tally tally;
    struct report report;
    double seconds = (double)(clock_mono_ms() - began_ms) / 1000;
    if (viewer_count_bytes(viewer, view, err) < 0 || tally_read(stage, view, &tally, err) < 0)
        return -1;
    report_make(stage, story, view, chaos, &tally, seconds, &report);
    tally_fini(&tally);
    *out_good = report_good(&report);
    if (json)
        return report_print_json(&report, err);
    report_print_table(&report, story);
    fflush(stdout);
    return 0;
}

static int perform(struct stage *stage, struct cast *cast, const struct options *options, bool *out_good,
                   struct err *err)
{
    struct viewer *viewer = NULL;
    struct story story;
    struct chaos chaos;
    struct view view = {0};
    screen_chapter("0. Three releases are packed and signed, a server starts, %d robots enrol",
                   stage->robots);
    if (prologue_releases(stage, err) < 0 || prologue_server(stage, cast, err) < 0 ||
        viewer_new(stage, &viewer, err) < 0)
        return -1;
    int64_t began_ms = clock_mono_ms();
    story_init(&story, stage);
    chaos_init(&chaos, options->chaos, options->chaos_seed, options->chaos_kills);
    screen_note("%d robots come up: agent, guard, runner and robot program each in a process of its own",
                stage->robots);
    int rc = 0;
    for (int i = 0; rc == 0 && i < stage->robots; i++)
        rc = prologue_robot(stage, cast, i, true, err);
    if (rc == 0)
        rc = play(stage, cast, &chaos, viewer, &story, &view, began_ms, err);
    screen_done();
    if (rc == 0)
        rc = finish(stage, viewer, &story, &view, &chaos, options->json, began_ms, out_good, err);
    if (rc == 0 && options->keep)
        stay(stage, cast, &chaos, viewer, &view, began_ms);
    viewer_free(viewer);
    return rc;
}

static int run(int argc, char **argv, struct err *err)
{
    struct options options;
    struct stage stage;
    struct cast *cast = NULL;
    bool good = false;
    if (parse(argc, argv, &options, err) < 0)
        return -1;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    screen_init(options.json);
    if (stage_open(&stage, options.robots, options.models, err) < 0)
        return -1;
    int rc = cast_new(&stage, &cast, err);
    if (rc == 0)
        rc = perform(&stage, cast, &options, &good, err);
    cast_end(cast);
    if (rc == 0 || interrupted)
        stage_remove(&stage);
    if (interrupted)
        return rc < 0 ? 128 + interrupted : 0;
    return rc < 0 ? -1 : good ? 0 : 1;
}

const struct verb verb_demo = {.name = "demo",
                               .summary = "a whole fleet on this machine, the story played through",
                               .help = help,
                               .run = run};
