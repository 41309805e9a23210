/* bench-faults: every way in which a part of the robot may fail or lie, done to the real guard, again and again, with a look
 * at what the robot program gets then, in which state the guard is and how long it took (docs/faults.md).
 *
 * The parts and the world that they live in are drawn in bench/faults.h. Crashes and hangs are most of the injections; the
 * share of each case is in its row. Times are of this machine as it is: measure on a quiet one. */
#include "bench/faults.h"
#include "base/clock.h"
#include "base/str.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>

static const char usage[] =
    "usage: bench-faults [--injections N] [--only NAME] [--json] [--states-only]\n"
    "       bench-faults --list [--markdown]\n"
    "Injects faults into the robot's programs and looks at what the robot gets then.\n"
    "  --injections N   over all cases, at least one of each (default 10000)\n"
    "  --only NAME      only cases whose name begins so\n"
    "  --states-only    exit status 1 only if an answer or a state was wrong; without it also if a case was "
    "slower than "
    "its bound\n"
    "  --list           the table of cases, without doing anything; --markdown as docs/faults.md has it\n"
    "Example:\n"
    "  bench-faults --only runner_ --injections 500\n";

struct arguments {
    int64_t injections;
    const char *only;
    bool json, list, markdown, states_only, help;
    const char *pose_dir;
    int64_t pose_role;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static const struct group *const groups[] = {&faults_crash, &faults_hang,  &faults_lies,   &faults_frames,
                                             &faults_peers, &faults_hello, &faults_orders, &faults_human,
                                             &faults_latch, &faults_real};

/* All rows that are wanted, and how often each. */
static int plan(const struct arguments *args, struct campaign *out, struct err *err)
{
    size_t count = 0, share = 0;
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        count += groups[g]->count;
    out->tallies = mem_zalloc(count, sizeof *out->tallies);
    if (!out->tallies)
        return err_no_memory(err);
    for (size_t g = 0; g < ARRAY_LEN(groups); g++)
        for (size_t i = 0; i < groups[g]->count; i++) {
            const struct fault_case *row = &groups[g]->cases[i];
            if (args->only && !str_starts(row->name, args->only))
                continue;
            out->tallies[out->count++].row = row;
            share += row->share;
        }
    if (out->count == 0)
        return err_set(err, ERR_NOT_FOUND, "no case begins with \"%s\": see bench-faults --list", args->only);
    for (size_t i = 0; i < out->count; i++) {
        struct tally *tally = &out->tallies[i];
        double times = (double)args->injections * tally->row->share / (double)share;
        tally->times = MAX((size_t)ceil(times), (size_t)1);
        tally->us = mem_zalloc(tally->times, sizeof tally->us[0]);
        if (!tally->us)
            return err_no_memory(err);
    }
    return 0;
}

static void inject(struct world *world, struct tally *tally)
{
    struct sight seen = {0};
    struct ctl_status status = {.state = GUARD_STATE_COUNT};
    tally->row->inject(world, tally->row, &seen);
    if (!seen.impossible[0] && !seen.wrong[0] && world->agent >= 0)
        (void)!status_get(world, &status, &seen);
    tally_note(tally, &seen, (enum guard_state)status.state);
}

static void progress(const struct campaign *campaign, size_t at, size_t done)
{
    const struct tally *tally = &campaign->tallies[at];
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%zu of %zu  %s  %zu of %zu", at + 1, campaign->count, tally->row->name, done,
                tally->times);
}

static void run(struct world *world, struct campaign *campaign)
{
    int64_t begun_ms = clock_mono_ms();
    for (size_t i = 0; i < campaign->count; i++) {
        struct tally *tally = &campaign->tallies[i];
        for (size_t n = 0; n < tally->times && !interrupted && tally->impossible == 0; n++) {
            progress(campaign, i, n);
            inject(world, tally);
        }
    }
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    campaign->took_s = (double)(clock_mono_ms() - begun_ms) / 1000;
}

/* What faults_hello.c starts under another name. */
static int pose(const struct arguments *args)
{
    struct err err = {0};
    int fd = -1;
    return ctl_connect(args->pose_dir, (enum ctl_role)args->pose_role, &fd, &err) == 0 ? 0
                                                                                       : 10 + (int)err.code;
}

static bool take(struct arguments *args, int opt)
{
    if (opt == 'n')
        return str_to_i64(optarg, &args->injections) && args->injections >= 1 && args->injections <= 1000000;
    if (opt == 'o')
        args->only = optarg;
    else if (opt == 'P')
        args->pose_dir = optarg;
    else if (opt == 'j')
        args->json = true;
    else if (opt == 's')
        args->states_only = true;
    else if (opt == 'l')
        args->list = true;
    else if (opt == 'm')
        args->markdown = true;
    else if (opt == 'h')
        args->help = true;
    return opt != '?';
}

static bool parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {{"injections", required_argument, NULL, 'n'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"states-only", no_argument, NULL, 's'},
                                            {"list", no_argument, NULL, 'l'},
                                            {"markdown", no_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"pose", required_argument, NULL, 'P'},
                                            {0}};
    bool ok = true;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(args, opt);
    if (args->pose_dir)
        return ok && optind + 1 == argc && str_to_i64(argv[optind], &args->pose_role);
    return ok && optind == argc;
}

static int carry_out(const struct arguments *args, struct campaign *campaign, struct err *err)
{
    static struct world world;
    int rc = plan(args, campaign, err);
    if (rc == 0 && args->list) {
        report_list(campaign, args->markdown);
        return 0;
    }
    if (rc == 0)
        rc = world_open(&world, err);
    if (rc == 0) {
        campaign->niced = world.niced;
        run(&world, campaign);
        (args->json ? report_json : report_text)(campaign);
    }
    world_close(&world);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments args = {.injections = 10000};
    struct campaign campaign = {0};
    struct err err = {0};
    const struct sigaction action = {.sa_handler = on_signal};
    if (!parse(argc, argv, &args) || args.help) {
        fputs(usage, args.help ? stdout : stderr);
        return args.help ? 0 : err_exit_status(ERR_USAGE);
    }
    if (args.pose_dir)
        return pose(&args);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int rc = carry_out(&args, &campaign, &err);
    if (rc < 0)
        fprintf(stderr, "bench-faults: %s\n", err.text);
    size_t bad = args.list ? 0 : campaign_bad(&campaign, args.states_only);
    for (size_t i = 0; campaign.tallies && i < campaign.count; i++)
        free(campaign.tallies[i].us);
    free(campaign.tallies);
    return rc < 0 ? err_exit_status(err.code) : interrupted ? 128 + interrupted : bad ? 1 : 0;
}
