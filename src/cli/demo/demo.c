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
    const struct play *play;
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
    "usage: muster demo [warehouse|drone|fall] [--robots N] [--keep] [--json] [--chaos [--chaos-kills N] "
    "[--chaos-seed "
    "N]] [--models "
    "DIR]\n"
    "\n"
    "Starts a fleet server and N robots, each with its agent, guard, runner and robot program in processes "
    "of\n"
    "their own, and plays a story. Ends with a table; exit status 0 only if all ended as it should.\n"
    "\n"
    "  warehouse   10 mobile robots: 2.0.0 goes out in waves, 3.0.0 is bad and is thrown out by the robots "
    "themselves\n"
    "  drone       4 delivery drones behind links that break: nothing that matters is lost; models change on "
    "the pad,\n"
    "              charged, never in the air\n"
    "  fall        6 humanoids: people judge alarms; 2.0.0 has fewer false ones, 3.0.0 misses falls and is "
    "taken back\n"
    "\n"
    "      --robots N      2 to 64 robots\n"
    "      --keep          leave the fleet running at the end, with the console's address, until Ctrl-C\n"
    "      --json          the report as one JSON object on stdout, and no story\n"
    "      --chaos         kill -9 random processes while it plays\n"
    "      --chaos-kills N at least so many (20)\n"
    "      --chaos-seed N  another series of victims\n"
    "      --models DIR    where the play's models are\n"
    "\n"
    "examples:\n"
    "  muster demo\n"
    "  muster demo warehouse --keep            then open the console in a browser\n"
    "  muster demo warehouse --chaos --json\n";

static int parse(int argc, char **argv, struct options *out, struct err *err)
{
    int64_t robots = 0, seed = -1, kills = 0;
    *out = (struct options){.models = ""};
    struct operands operands = {.usage = "[warehouse|drone|fall]", .max = 1};
    const struct option_def options[] = {OPT_INT("robots", 'n', &robots, 2, STAGE_MAX_ROBOTS),
                                         OPT_FLAG("keep", 0, &out->keep),
                                         OPT_FLAG("json", 0, &out->json),
                                         OPT_FLAG("chaos", 0, &out->chaos),
                                         OPT_INT("chaos-kills", 0, &kills, 1, 10000),
                                         OPT_INT("chaos-seed", 0, &seed, 0, UINT32_MAX),
                                         OPT_TEXT("models", 'm', &out->models)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    out->play = play_find(operands.count ? operands.items[0] : "warehouse");
    if (!out->play)
        return err_set(err, ERR_USAGE, "there is no demo \"%s\"; there are: warehouse, drone, fall",
                       operands.items[0]);
    if (!out->chaos && (seed >= 0 || kills))
        return err_set(err, ERR_USAGE, "--chaos-kills and --chaos-seed go with --chaos");
    out->robots = robots ? (int)robots : out->play->robots;
    out->chaos_seed = seed >= 0 ? (uint32_t)seed : 1;
    out->chaos_kills = kills ? (int)kills : 20;
    return 0;
}

/* Plays until the story is over, the time is up or somebody pressed Ctrl-C. */
static int play(struct stage *stage, struct cast *cast, struct chaos *chaos, struct viewer *viewer,
                struct story *story, struct view *view, int64_t began_ms, struct err *err)
{
    bool more = true, quiet = false;
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
            } else if (story_step(story, view, chaos, now_ms, &more, err) < 0 ||
                       (stage->play->meanwhile && stage->play->meanwhile(stage, view, now_ms, err) < 0)) {
                return -1;
            }
        }
        if (!quiet && story_is_quiet(story)) {
            cast_end_programs(cast);
            quiet = true;
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
    const struct ending ending = {.stage = stage,
                                  .story = story,
                                  .view = view,
                                  .chaos = chaos,
                                  .story_seconds = (double)(clock_mono_ms() - began_ms) / 1000,
                                  .json = json};
    if (viewer_count_bytes(viewer, view, err) < 0)
        return -1;
    return stage->play->finish(&ending, out_good, err);
}

static int perform(struct stage *stage, struct cast *cast, const struct options *options, bool *out_good,
                   struct err *err)
{
    struct viewer *viewer = NULL;
    struct story story;
    struct chaos chaos;
    struct view view = {0};
    screen_chapter("0. %zu releases are packed and signed, a server starts, %d robots enrol",
                   stage->play->release_count, stage->robots);
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
    if (stage_open(&stage, options.play, options.robots, options.models, err) < 0)
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
