/* How many entries a second the audit log takes with each of them on the disk before anybody is told, and how long proofs take.
 *
 *     bench-audit [--entries N] [--dir DIR] [--json]
 *
 * What musterd does without its network: the same store (SQLite, WAL, synchronous = FULL), ledger and group commit. Requests come without a
 * pause, each appends one entry of an operator's command (two robots) between enter and leave; a transaction is committed after 5 ms or
 * 500 requests, as there, sealed by the tree and with a checkpoint after 256 entries. Then proofs are made and checked in the log of N
 * entries, as the API makes them: from the store, inclusion at random places, consistency from random sizes.
 * `lone` is the other end: every entry a transaction of its own.
 *
 * One JSON object, units in the key names. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/audit/ledger.h"
#include "fleet/core/group.h"
#include "sys/file.h"
#include "trust/merkle/proof.h"
#include "usage.h"

#include <event2/event.h>
#include <getopt.h>
#include <stdlib.h>

enum { PROOFS = 1000, LONE = 200 };

struct bench {
    char dir[128];
    bool json;
    uint64_t entries;
    struct event_base *base;
    struct store *store;
    struct ledger *ledger;
    struct group *group;
    double entries_per_s, lone_entry_ms, database_mib;
    struct exphist commit_ms, inclusion_us, consistency_us, check_us;
    uint64_t commits, checkpoints;
};

static int fail(const struct err *err)
{
    fprintf(stderr, "bench-audit: %s\n", err->text);
    return 1;
}

static int seal(void *arg, struct err *err)
{
    return ledger_seal(arg, false, clock_wall_ms(), err);
}

static void settle(void *arg, bool kept)
{
    ledger_settle(arg, kept);
}

static int open_all(struct bench *bench, struct err *err)
{
    cleanup_free char *path = file_join(bench->dir, "muster.db");
    bench->base = event_base_new();
    if (!path || !bench->base)
        return err_no_memory(err);
    if (store_open_sqlite(path, &bench->store, err) < 0 ||
        ledger_open(bench->store, bench->dir, &bench->ledger, err) < 0 ||
        group_new(bench->base, bench->store, &bench->group, err) < 0)
        return -1;
    group_seal(bench->group, &(struct group_seal){.seal = seal, .settle = settle, .arg = bench->ledger});
    return 0;
}

/* What a request writes. */
static int request(struct bench *bench, struct err *err)
{
    static const char *const robots[] = {"warehouse-north-robot-17", "warehouse-north-robot-18"};
    const struct audit_entry entry = {.kind = "command",
                                      .who = "alice",
                                      .what = "hold",
                                      .why = "pallet in the way",
                                      .robots = robots,
                                      .robot_count = 2,
                                      .command = 12345,
                                      .sent_by = "operator"};
    if (group_enter(bench->group, err) < 0)
        return -1;
    if (ledger_append(bench->store, &entry, err) < 0) {
        group_cancel(bench->group);
        return -1;
    }
    return group_leave(bench->group, err);
}

static int sustain(struct bench *bench, struct err *err)
{
    int64_t start_ns = clock_mono_ns();
    for (uint64_t i = 0; i < bench->entries; i++) {
        if (request(bench, err) < 0)
            return -1;
        if ((i + 1) % GROUP_MAX_PARKED == 0 && group_flush(bench->group, err) < 0)
            return -1;
        event_base_loop(bench->base, EVLOOP_NONBLOCK); /* the 5 ms */
    }
    if (group_flush(bench->group, err) < 0)
        return -1;
    bench->entries_per_s = (double)bench->entries * 1e9 / (double)(clock_mono_ns() - start_ns);
    bench->commits = group_stats(bench->group)->commits;
    bench->commit_ms = group_stats(bench->group)->commit_ms;
    return 0;
}

static int alone(struct bench *bench, struct err *err)
{
    int64_t start_ns = clock_mono_ns();
    for (int i = 0; i < LONE; i++)
        if (request(bench, err) < 0 || group_flush(bench->group, err) < 0)
            return -1;
    bench->lone_entry_ms = (double)(clock_mono_ns() - start_ns) / 1e6 / LONE;
    return 0;
}

/* ---- proofs ---- */

static uint64_t random_below(uint64_t *state, uint64_t end)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % end;
}

static int one_inclusion(struct bench *bench, uint64_t index, uint64_t size, const struct digest *root,
                         struct err *err)
{
    struct merkle_source source = ledger_source(bench->ledger);
    struct merkle_proof proof;
    struct digest leaf;
    int64_t start_ns = clock_mono_ns();
    if (merkle_prove_inclusion(&source, index, size, &proof, err) < 0)
        return -1;
    int64_t made_ns = clock_mono_ns();
    if (source.read(source.arg, 0, index, 1, &leaf, err) < 0)
        return -1;
    int64_t read_ns = clock_mono_ns();
    if (!merkle_check_inclusion(&leaf, index, size, root, &proof))
        return err_set(err, ERR_INTERNAL, "the proof of entry %llu does not hold",
                       (unsigned long long)index + 1);
    exphist_add(&bench->inclusion_us, (double)(made_ns - start_ns) / 1e3, 1);
    exphist_add(&bench->check_us, (double)(clock_mono_ns() - read_ns) / 1e3, 1);
    return 0;
}

static int one_consistency(struct bench *bench, uint64_t before, uint64_t size, const struct digest *root,
                           struct err *err)
{
    struct merkle_source source = ledger_source(bench->ledger);
    struct merkle_proof proof;
    struct merkle_tree tree;
    int64_t start_ns = clock_mono_ns();
    if (merkle_prove_consistency(&source, before, size, &proof, err) < 0)
        return -1;
    exphist_add(&bench->consistency_us, (double)(clock_mono_ns() - start_ns) / 1e3, 1);
    if (merkle_restore(&source, before, &tree, err) < 0)
        return -1;
    struct digest known = merkle_root(&tree);
    if (!merkle_check_consistency(before, &known, size, root, &proof))
        return err_set(err, ERR_INTERNAL, "the proof from %llu does not hold", (unsigned long long)before);
    return 0;
}

static int prove(struct bench *bench, struct err *err)
{
    struct checkpoint newest;
    uint64_t state = 88172645463325252u;
    const char *text = ledger_checkpoint(bench->ledger);
    if (checkpoint_open(text, strlen(text), ledger_key(bench->ledger), 1, &newest, err) < 0)
        return -1;
    for (int i = 0; i < PROOFS; i++)
        if (one_inclusion(bench, random_below(&state, newest.size), newest.size, &newest.root, err) < 0 ||
            one_consistency(bench, 1 + random_below(&state, newest.size), newest.size, &newest.root, err) < 0)
            return -1;
    return 0;
}

/* ---- saying it ---- */

static int count_one(const struct audit_checkpoint_row *row, void *arg)
{
    uint64_t *count = arg;
    (void)row;
    ++*count;
    return 0;
}

static void say(const struct bench *bench)
{
    if (!bench->json) {
        printf("%.0f entries/s over %llu entries, each on the disk before it is acknowledged\n",
               bench->entries_per_s, (unsigned long long)bench->entries);
        printf(
            "commit: p50 %.2f ms, p99 %.2f ms (%.0f entries each, %llu checkpoints); a lone entry %.2f ms\n",
            exphist_quantile(&bench->commit_ms, 0.5), exphist_quantile(&bench->commit_ms, 0.99),
            (double)bench->entries / (double)bench->commits, (unsigned long long)bench->checkpoints,
            bench->lone_entry_ms);
        printf("proofs: inclusion p50 %.0f us, p99 %.0f us (checked in %.0f us); consistency p50 %.0f us, "
               "p99 %.0f us\n",
               exphist_quantile(&bench->inclusion_us, 0.5), exphist_quantile(&bench->inclusion_us, 0.99),
               exphist_quantile(&bench->check_us, 0.5), exphist_quantile(&bench->consistency_us, 0.5),
               exphist_quantile(&bench->consistency_us, 0.99));
        return;
    }
    printf("{\"entries\": %llu, \"entries_per_s\": %.0f, \"entries_per_commit\": %.1f, \"commits\": %llu, "
           "\"checkpoints\": %llu, "
           "\"commit_p50_ms\": %.3f, \"commit_p99_ms\": %.3f, \"lone_entry_ms\": %.3f, "
           "\"inclusion_proof_p50_us\": %.1f, "
           "\"inclusion_proof_p99_us\": %.1f, \"inclusion_check_p50_us\": %.1f, "
           "\"consistency_proof_p50_us\": %.1f, "
           "\"consistency_proof_p99_us\": %.1f, \"proofs\": %d, \"database_mib\": %.1f, \"durable\": true}\n",
           (unsigned long long)bench->entries, bench->entries_per_s,
           (double)bench->entries / (double)bench->commits, (unsigned long long)bench->commits,
           (unsigned long long)bench->checkpoints, exphist_quantile(&bench->commit_ms, 0.5),
           exphist_quantile(&bench->commit_ms, 0.99), bench->lone_entry_ms,
           exphist_quantile(&bench->inclusion_us, 0.5), exphist_quantile(&bench->inclusion_us, 0.99),
           exphist_quantile(&bench->check_us, 0.5), exphist_quantile(&bench->consistency_us, 0.5),
           exphist_quantile(&bench->consistency_us, 0.99), PROOFS, bench->database_mib);
}

static int run(struct bench *bench, struct err *err)
{
    cleanup_free char *path = file_join(bench->dir, "muster.db");
    struct exphist *hists[] = {&bench->inclusion_us, &bench->consistency_us, &bench->check_us};
    for (size_t i = 0; i < ARRAY_LEN(hists); i++)
        exphist_init(hists[i]);
    if (!path)
        return err_no_memory(err);
    if (open_all(bench, err) < 0 || sustain(bench, err) < 0 || prove(bench, err) < 0 ||
        alone(bench, err) < 0 ||
        bench->store->ops->audit_checkpoint_after(bench->store, 0, INT64_MAX, count_one, &bench->checkpoints,
                                                  err) < 0)
        return -1;
    uint64_t bytes = 0;
    if (file_size(path, &bytes, err) < 0)
        return -1;
    bench->database_mib = (double)bytes / (1 << 20);
    return 0;
}

static void close_all(struct bench *bench)
{
    group_free(bench->group);
    ledger_free(bench->ledger);
    store_free(bench->store);
    if (bench->base)
        event_base_free(bench->base);
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "usage: bench-audit [--entries N] [--dir DIR] [--json]\n"
        "\n"
        "Entries a second that the audit log takes durably (group commit as in musterd, without its "
        "network), and proofs in a log of N\n"
        "entries (default 1000000). DIR: where the database lies (default /var/tmp: a disk, not memory).\n"
        "\n"
        "example: bench-audit --json | jq .entries_per_s\n";
    static const struct option options[] = {{"entries", required_argument, NULL, 'n'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    struct bench bench = {.entries = 1000000};
    struct err err = {0}, ignored = {0};
    const char *parent = "/var/tmp";
    usage_on_help(argc, argv, usage);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (option == 'j')
            bench.json = true;
        else if (option == 'd')
            parent = optarg;
        else if (option != 'n' || !str_to_u64(optarg, &bench.entries) || bench.entries < 1000)
            return fputs(usage, stderr), 2;
    snprintf(bench.dir, sizeof bench.dir, "%s/muster-audit-XXXXXX", parent);
    if (!mkdtemp(bench.dir))
        return err_errno(&err, "%s", parent), fail(&err);
    int rc = run(&bench, &err) < 0 ? fail(&err) : 0;
    if (rc == 0)
        say(&bench);
    close_all(&bench);
    if (file_remove_tree(bench.dir, &ignored) < 0)
        fail(&ignored);
    return rc;
}
