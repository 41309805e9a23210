/* bench-attack [--runs N] [--seed S] [--json] [--check]: random attacks by who owns the server and all its online keys (bench/attack.h).
 *
 * Each run has a world, a robot and an attack of its own, all from its seed; a run that the judge objects to prints the seed and its moves. Runs are
 * done in child processes, a batch each, so that a crash is a count and not the end. */
#include "bench/attack.h"

#include "base/clock.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json_stream.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 50, MAX_MOVES = 4 };

struct counts {
    uint64_t runs, installs, attacks_installed, bad_bytes, bad_installs, went_back, unnamed, unrecovered,
        crashes;
    uint64_t refusals[TRUST_RULE_COUNT], made[64];
};

struct run {
    struct world world;
    struct robot robot;
    struct server server;
    int floor; /* the highest that the terms of what was installed have set; -1: none */
    const struct move *moves[MAX_MOVES];
    size_t move_count;
    unsigned seed;
};

/* ---- the judge ---- */

static const struct truth *truth_of(const struct world *world, const struct digest *digest)
{
    for (size_t i = 0; i < world->count; i++)
        if (digest_equal(&world->releases[i].digest, digest))
            return &world->releases[i];
    return NULL;
}

static int bits(unsigned set)
{
    int count = 0;
    for (; set; set >>= 1)
        count += set & 1;
    return count;
}

static bool approved(const struct truth *release)
{
    const struct terms *terms = &release->terms;
    if (terms->threshold == 0)
        return true;
    if (terms->scope == TERMS_OF_RELEASE)
        return bits(release->approved | release->planned) >= terms->threshold ||
               bits(release->approved) >= terms->threshold;
    return bits(release->planned) >= terms->threshold && strstr(release->plan, "\"r1\"");
}

static int minor_of(const char *version)
{
    int minor = -1;
    return sscanf(version, "1.%d.0", &minor) == 1 ? minor : -1;
}

/* Why it should not have been installed; NULL: it may. */
static const char *objection(struct run *run, const struct digest *installed)
{
    const struct truth *release = truth_of(&run->world, installed);
    if (!release)
        return "never released to this fleet";
    if (release->withdrawn)
        return "taken back by the offline keys";
    if (!approved(release))
        return "not approved by as many as its terms ask for";
    if (minor_of(release->version) < run->floor)
        return "below the robot's floor";
    run->floor = MAX(run->floor, minor_of(release->terms.floor));
    return NULL;
}

static void complain(const struct run *run, const char *what)
{
    fprintf(stderr, "bench-attack: seed %u: %s; moves:", run->seed, what);
    for (size_t i = 0; i < run->move_count; i++)
        fprintf(stderr, " %s", run->moves[i]->name);
    fputc('\n', stderr);
}

/* ---- one run ---- */

static void refused(struct counts *counts, const struct run *run, const struct err *err)
{
    enum trust_rule rule = trust_rule_of(err->text);
    counts->refusals[rule]++;
    if (rule != TRUST_RULE_NONE)
        return;
    counts->unnamed++;
    complain(run, err->text);
}

static void try_and_judge(struct run *run, struct counts *counts, bool attacked)
{
    struct err err = {0};
    struct digest installed;
    uint64_t accepted = run->robot.accepted;
    int64_t targets = robot_targets_version(&run->robot, &run->world);
    int rc = robot_try(&run->robot, &run->server, &installed, &err);
    if (rc < 0)
        refused(counts, run, &err);
    if (rc == 1) {
        const char *wrong = objection(run, &installed);
        counts->installs++;
        counts->attacks_installed += attacked;
        counts->bad_installs += wrong != NULL;
        counts->bad_bytes += wrong ? run->server.blob_len : 0;
        if (wrong)
            complain(run, wrong);
    }
    if (run->robot.accepted < accepted || robot_targets_version(&run->robot, &run->world) < targets) {
        counts->went_back++;
        complain(run, "what the robot trusts went back");
    }
}

/* The robot comes from somewhere in its fleet's history. */
static void live_honestly(struct run *run, struct counts *counts)
{
    unsigned days = draw(&run->world, (unsigned)run->world.count + 1);
    for (unsigned i = 0; i < days; i++) {
        const struct truth *release = &run->world.releases[i];
        server_honest(&run->server, &run->world, release);
        try_and_judge(run, counts, false);
        server_fini(&run->server);
        world_next_day(&run->world);
    }
}

static void attack(struct run *run, struct counts *counts)
{
    const struct truth *release = &run->world.releases[run->world.count - 1];
    server_honest(&run->server, &run->world, release);
    run->move_count =
        1 + (draw(&run->world, 2) ? 0 : draw(&run->world, MAX_MOVES)); /* many spoil each other */
    for (size_t i = 0; i < run->move_count; i++) {
        size_t which = draw(&run->world, (unsigned)move_count);
        run->moves[i] = &moves[which];
        counts->made[which]++;
        run->moves[i]->make(&run->server, &run->robot);
    }
    for (int i = 0; i < 2; i++) /* what was kept from the first time must not help the second */
        try_and_judge(run, counts, true);
    server_fini(&run->server);
}

/* Whatever was done, the offline keys bring the robot back without anybody touching it. */
static void recover(struct run *run, struct counts *counts)
{
    struct err err = {0};
    struct digest installed;
    run->move_count = MIN(run->move_count, (size_t)MAX_MOVES);
    run->world.now_s = MAX(run->world.now_s, run->robot.time_floor_s);
    world_recover(&run->world);
    server_honest(&run->server, &run->world, &run->world.releases[run->world.count - 1]);
    if (robot_try(&run->robot, &run->server, &installed, &err) != 1) {
        counts->unrecovered++;
        complain(run, err.text);
    }
    server_fini(&run->server);
}

static void one_run(unsigned seed, struct store *store, struct counts *counts)
{
    struct run run = {.seed = seed, .floor = -1};
    world_init(&run.world, seed);
    robot_init(&run.robot, &run.world, store);
    live_honestly(&run, counts);
    attack(&run, counts);
    recover(&run, counts);
    if (tuf_mock_error(run.world.mock)->code != ERR_NONE) {
        complain(&run, tuf_mock_error(run.world.mock)->text);
        counts->unnamed++;
    }
    counts->runs++;
    robot_fini(&run.robot);
    world_fini(&run.world);
}

/* ---- batches ---- */

static void child(unsigned seed, unsigned count, int fd)
{
    struct counts counts = {0};
    struct err err = {0};
    char dir[] = "/dev/shm/bench-attack-XXXXXX";
    bool recovered;
    struct store *store = NULL;
    if (!mkdtemp(dir) || store_open(dir, &store, &recovered, &err) < 0) {
        fprintf(stderr, "bench-attack: %s\n", err.text);
        _exit(1);
    }
    for (unsigned i = 0; i < count; i++)
        one_run(seed + i, store, &counts);
    store_free(store);
    if (file_remove_tree(dir, &err) < 0 || write(fd, &counts, sizeof counts) != (ssize_t)sizeof counts)
        _exit(1);
    _exit(0);
}

static void add(struct counts *sum, const struct counts *part)
{
    const uint64_t *from = (const uint64_t *)part;
    uint64_t *to = (uint64_t *)sum;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

static void batch(unsigned seed, unsigned count, struct counts *sum)
{
    int pipes[2], status = 0;
    struct counts part = {0};
    if (pipe(pipes) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0)
        child(seed, count, pipes[1]);
    close(pipes[1]);
    bool whole = read(pipes[0], &part, sizeof part) == (ssize_t)sizeof part;
    close(pipes[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0 || !whole) {
        sum->crashes++;
        fprintf(stderr, "bench-attack: the runs from seed %u on ended with status %#x\n", seed,
                (unsigned)status);
        return;
    }
    add(sum, &part);
}

/* ---- report ---- */

static void write_report(struct json_writer *w, const struct counts *counts, unsigned seed, double seconds)
{
    jsonw_object(w, NULL);
    jsonw_u64(w, "runs", counts->runs);
    jsonw_u64(w, "seed", seed);
    jsonw_u64(w, "bad_bytes_installed", counts->bad_bytes);
    jsonw_u64(w, "bad_installs", counts->bad_installs);
    jsonw_u64(w, "trust_went_back", counts->went_back);
    jsonw_u64(w, "crashes", counts->crashes);
    jsonw_u64(w, "refusals_without_a_rule", counts->unnamed);
    jsonw_u64(w, "not_recovered", counts->unrecovered);
    jsonw_u64(w, "rightful_installs", counts->installs - counts->bad_installs);
    jsonw_u64(w, "rightful_installs_under_attack", counts->attacks_installed);
    jsonw_real(w, "seconds", seconds);
    jsonw_object(w, "refusals");
    for (int rule = 1; rule < TRUST_RULE_COUNT; rule++)
        jsonw_u64(w, trust_rule_name((enum trust_rule)rule), counts->refusals[rule]);
    jsonw_close(w);
    jsonw_object(w, "moves");
    for (size_t i = 0; i < move_count; i++)
        jsonw_u64(w, moves[i].name, counts->made[i]);
    jsonw_close(w);
    jsonw_close(w);
}

static bool sound(const struct counts *counts, unsigned runs)
{
    return counts->runs == runs && counts->bad_bytes == 0 && counts->bad_installs == 0 &&
           counts->went_back == 0 && counts->crashes == 0 && counts->unnamed == 0 && counts->unrecovered == 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"runs", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},       {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {0}};
    uint64_t runs = 10000, seed = 1;
    bool check = false;
    struct counts sum = {0};
    for (int got; (got = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (got == 'c')
            check = true;
        if ((got == 'n' && !str_to_u64(optarg, &runs)) || (got == 's' && !str_to_u64(optarg, &seed)) ||
            got == 'h' || got == '?') {
            puts("usage: bench-attack [--runs N] [--seed S] [--json] [--check]");
            return got == 'h' ? 0 : 2;
        }
    }
    int64_t began_ms = clock_mono_ms();
    for (unsigned done = 0; done < runs; done += BATCH)
        batch((unsigned)seed + done, MIN((unsigned)runs - done, (unsigned)BATCH), &sum);
    struct err err = {0};
    struct json_writer w;
    jsonw_init_indented(&w);
    write_report(&w, &sum, (unsigned)seed, (double)(clock_mono_ms() - began_ms) / 1000);
    cleanup_free char *text = jsonw_take(&w, &err);
    puts(text ? text : err.text);
    return check && !sound(&sum, (unsigned)runs) ? 1 : 0;
}
