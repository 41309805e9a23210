#include "cli/demo/demo.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/report.h"
#include "cli/demo/screen.h"
#include "cli/demo/tool.h"
#include "sys/file.h"

#include <getopt.h>
#include <signal.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 400, TICK_US = 50000, CHAOS_KILLS = 20 };

struct options {
    int robots;
    bool keep, json, chaos;
    uint32_t chaos_seed;
    const char *models;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void usage(FILE *out)
{
    fputs("usage: muster demo [warehouse] [--robots N] [--keep] [--json] [--chaos [--chaos-seed N]] [--models DIR]\n"
          "\n"
          "Starts a fleet server and N robots (10), each with its agent, guard, runner and robot program in processes of\n"
          "their own, and plays a story: release 1.0.0 goes to everybody, 2.0.0 goes out in waves, 3.0.0 is bad and is\n"
          "thrown out by the robots themselves. Ends with a table; exit status 0 if all ended as it should.\n"
          "\n"
          "  --robots N      2 to 64 robots\n"
          "  --keep          leave the fleet running at the end, with the console's address, until Ctrl-C\n"
          "  --json          the report as one JSON object on stdout, nothing else\n"
          "  --chaos         kill -9 random processes while it plays, at least 20\n"
          "  --chaos-seed N  another series of victims\n"
          "  --models DIR    where detector-1.0.0, -2.0.0 and -3.0.0 are\n"
          "\n"
          "examples:\n"
          "  muster demo\n"
          "  muster demo warehouse --keep            then open the console in a browser\n"
          "  muster demo warehouse --chaos --json\n",
          out);
}

static int parse(int argc, char **argv, struct options *out)
{
    static const struct option flags[] = {
        {"robots", required_argument, NULL, 'n'}, {"keep", no_argument, NULL, 'k'},
        {"json", no_argument, NULL, 'j'},         {"chaos", no_argument, NULL, 'c'},
        {"chaos-seed", required_argument, NULL, 's'}, {"models", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},         {0}};
    uint64_t number;
    *out = (struct options){.robots = 10, .chaos_seed = 1, .models = ""};
    optind = 1;
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        switch (flag) {
        case 'n':
            if (!str_to_u64(optarg, &number) || number < 2 || number > STAGE_MAX_ROBOTS) {
                fprintf(stderr, "muster demo: --robots takes a number from 2 to %d\n", STAGE_MAX_ROBOTS);
                return 2;
            }
            out->robots = (int)number;
            break;
        case 's':
            if (!str_to_u64(optarg, &number)) {
                fprintf(stderr, "muster demo: --chaos-seed takes a number\n");
                return 2;
            }
            out->chaos_seed = (uint32_t)number;
            break;
        case 'k':
            out->keep = true;
            break;
        case 'j':
            out->json = true;
            break;
        case 'c':
            out->chaos = true;
            break;
        case 'm':
            out->models = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc && !str_eq(argv[optind], "warehouse")) {
        fprintf(stderr, "muster demo: there is no demo \"%s\"; there is: warehouse\n", argv[optind]);
        return 2;
    }
    return -1;
}

static int make_releases(const struct stage *stage, struct err *err)
{
    const char *keys = stage_path(stage, "keys");
    if (tool_run(stage, true, TOOL_ARGS("keys", "init", "--dir", keys), NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < STAGE_RELEASES; i++) {
        char yaml[2 * STAGE_PATH];
        snprintf(yaml, sizeof yaml, "%s/detector-%s/release.yaml", stage->models, stage_versions[i]);
        const char *dir = stage_path(stage, "releases/%s", stage_versions[i]);
        if (tool_run(stage, true, TOOL_ARGS("pack", yaml, "-o", dir), NULL, err) < 0 ||
            tool_run(stage, true, TOOL_ARGS("sign", dir, "--keys", keys), NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int open_server(struct stage *stage, struct cast *cast, struct err *err)
{
    if (tool_run_program(stage, "musterd",
                         TOOL_ARGS("init", "--dir", stage_path(stage, "server"), "--hosts", "127.0.0.1,localhost",
                                   "--token-file", stage_path(stage, "token")),
                         err) < 0 ||
        stage_read_token(stage, err) < 0 || cast_start_server(cast, err) < 0)
        return -1;
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        if (tool_run(stage, true, TOOL_ARGS("push", stage_path(stage, "releases/%s", stage_versions[i])), NULL, err) < 0)
            return -1;
    return 0;
}

static int enrol_robots(struct stage *stage, struct cast *cast, struct err *err)
{
    screen_note("%d robots come up: agent, guard, runner and robot program each in a process of its own", stage->robots);
    for (int i = 0; i < stage->robots; i++) {
        cleanup_buf struct buf token = BUF_INIT(4096);
        char label[32];
        const char *file = stage_path(stage, "%s/token", stage_robot(i));
        snprintf(label, sizeof label, "site=%s", stage_site(i));
        if (tool_run(stage, i == 0,
                     TOOL_ARGS("robot", "enroll-token", "--robot", stage_robot(i), "--label", label, "-o", file), NULL,
                     err) < 0 ||
            cast_start_robot(cast, i, file, err) < 0)
            return -1;
    }
    return 0;
}

/* Plays until the story is over, the time is up or somebody pressed Ctrl-C. */
static int play(struct stage *stage, struct cast *cast, struct chaos *chaos, struct viewer *viewer, struct story *story,
                struct view *view, int64_t began_ms, struct err *err)
{
    bool more = true;
    int64_t look_at_ms = 0;
    while (more && !interrupted) {
        cast_tend(cast);
        chaos_step(chaos, cast);
        int64_t now_ms = clock_mono_ms();
        if (now_ms >= look_at_ms) {
            struct err unreachable = {0};
            look_at_ms = now_ms + LOOK_EVERY_MS;
            if (viewer_look(viewer, view, &unreachable) < 0) {
                if (!chaos->on)
                    return err_set(err, unreachable.code, "the fleet server does not answer: %s", unreachable.text);
            } else if (story_step(story, view, chaos, now_ms, &more, err) < 0) {
                return -1;
            }
        }
        screen_fleet(view, chaos, now_ms - began_ms);
        usleep(TICK_US);
    }
    return interrupted ? err_set(err, ERR_CONFLICT, "interrupted") : 0;
}

static void stay(struct stage *stage, struct cast *cast, struct chaos *chaos, struct viewer *viewer, struct view *view,
                 int64_t began_ms)
{
    fprintf(stderr, "\nThe fleet goes on. Console: http://127.0.0.1:%u/#token=%s\n", stage->console_port, stage->token);
    fprintf(stderr, "On the command line: export MUSTER_SERVER=https://127.0.0.1:%u MUSTER_TOKEN=%s MUSTER_CA=%s\n",
            stage->operator_port, stage->token, stage_path(stage, "server/ca.pem"));
    fprintf(stderr, "Ctrl-C ends it and removes %s.\n", stage->dir);
    chaos->on = false;
    while (!interrupted) {
        struct err ignored = {0};
        cast_tend(cast);
        if (viewer_look(viewer, view, &ignored) == 0)
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
    screen_chapter("0. Three releases are packed and signed, a server starts, %d robots enrol", stage->robots);
    if (make_releases(stage, err) < 0 || open_server(stage, cast, err) < 0 || viewer_new(stage, &viewer, err) < 0)
        return -1;
    int64_t began_ms = clock_mono_ms();
    story_init(&story, stage);
    chaos_init(&chaos, options->chaos, options->chaos_seed, CHAOS_KILLS);
    int rc = enrol_robots(stage, cast, err);
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

int demo_main(int argc, char **argv)
{
    struct options options;
    struct stage stage;
    struct cast *cast = NULL;
    struct err err = {0};
    bool good = false;
    int status = parse(argc, argv, &options);
    if (status >= 0)
        return status;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    screen_init(options.json);
    if (stage_open(&stage, options.robots, options.models, &err) < 0) {
        fprintf(stderr, "muster demo: %s\n", err.text);
        return err_exit_status(err.code);
    }
    int rc = cast_new(&stage, &cast, &err);
    if (rc == 0)
        rc = perform(&stage, cast, &options, &good, &err);
    cast_end(cast);
    if (rc == 0 || interrupted)
        stage_remove(&stage);
    if (rc < 0)
        fprintf(stderr, "muster demo: %s\n", err.text);
    return rc < 0 ? (interrupted ? 130 : err_exit_status(err.code)) : good ? 0 : 1;
}
