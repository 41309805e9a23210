/* How often an interval that is looked at after every label excludes the truth at some point, and how wide it is at the end.
 *
 *     bench-review [--runs N] [--labels N] [--json]
 *
 *   wilson      what dashboards show (Wilson, 95 %), on coins of 0.9: not made for being looked at again and again
 *   share       beta-binomial, the same coins
 *   weighted    betting: 2 % of the frames are ones that the model is unsure of, all of them are looked at and 3 of 10 are right; of the others one in
 *               fifty, 95 of 100 are right; the truth is the share over all frames
 *   rate        false alarms, one an hour, looked at before and at every one
 *
 * One JSON object; alpha is 0.05. */
#include "stats/review.h"
#include "base/mem.h"
#include "base/str.h"
#include "drift.h"
#include "usage.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>

static const double ALPHA = 0.05, UNSURE = 0.02, GOOD_UNSURE = 0.3, GOOD_SURE = 0.95, LEAST = 0.02;

struct run {
    struct stream random;
    size_t labels;
    struct review_verdicts verdicts;
    double *probability;
    uint8_t *good;
    bool missed;
    struct review_estimate last;
};

static void look(struct run *run, const struct review_estimate *estimate, double truth)
{
    run->missed |= truth < estimate->low || truth > estimate->high;
    run->last = *estimate;
}

static void wilson(size_t good, size_t count, struct review_estimate *out)
{
    const double z = 1.959963984540054;
    double n = (double)count, p = (double)good / n, middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *out = (struct review_estimate){.value = p, .low = middle - half, .high = middle + half};
}

static void run_wilson(struct run *run)
{
    struct review_estimate estimate;
    size_t good = 0;
    for (size_t i = 1; i <= run->labels; i++) {
        good += stream_uniform(&run->random) < 0.9;
        wilson(good, i, &estimate);
        look(run, &estimate, 0.9);
    }
}

static void run_share(struct run *run)
{
    struct review_estimate estimate;
    run->verdicts.least = 0;
    for (size_t i = 0; i < run->labels && !run->missed; i++) {
        run->probability[i] = LEAST;
        run->good[i] = stream_uniform(&run->random) < 0.9;
        run->verdicts.count = i + 1;
        review_share(&run->verdicts, ALPHA, &estimate);
        look(run, &estimate, 0.9);
    }
}

static void next_taken(struct run *run, size_t i)
{
    do {
        bool unsure = stream_uniform(&run->random) < UNSURE;
        run->probability[i] = unsure ? 1 : LEAST;
        run->good[i] = stream_uniform(&run->random) < (unsure ? GOOD_UNSURE : GOOD_SURE);
    } while (stream_uniform(&run->random) >= run->probability[i]);
}

static void run_weighted(struct run *run)
{
    const double truth = UNSURE * GOOD_UNSURE + (1 - UNSURE) * GOOD_SURE;
    struct review_estimate estimate;
    run->verdicts.least = LEAST;
    for (size_t i = 0; i < run->labels && !run->missed; i++) {
        next_taken(run, i);
        run->verdicts.count = i + 1;
        review_share(&run->verdicts, ALPHA, &estimate);
        look(run, &estimate, truth);
    }
}

static void run_rate(struct run *run)
{
    struct review_estimate estimate;
    double hours = 0;
    for (size_t i = 0; i < run->labels && !run->missed; i++) {
        hours -= log(stream_uniform(&run->random));
        review_rate(i, hours, ALPHA, &estimate);
        look(run, &estimate, 1);
        review_rate(i + 1, hours, ALPHA, &estimate);
        look(run, &estimate, 1);
    }
}

static const struct {
    const char *name;
    void (*go)(struct run *run);
} methods[] = {{"wilson", run_wilson}, {"share", run_share}, {"weighted", run_weighted}, {"rate", run_rate}};

static int measure(size_t method, size_t runs, size_t labels, bool json)
{
    cleanup_free double *probability = mem_zalloc(labels, sizeof *probability);
    cleanup_free uint8_t *good = mem_zalloc(labels, sizeof *good);
    size_t missed = 0;
    double width = 0, kept = 0;
    if (!probability || !good)
        return -1;
    for (size_t i = 0; i < runs; i++) {
        struct run run = {.labels = labels, .probability = probability, .good = good};
        run.verdicts = (struct review_verdicts){.probability = probability, .good = good};
        stream_init(&run.random, STREAM_IID, i + 1);
        methods[method].go(&run);
        missed += run.missed;
        width += run.missed ? 0 : run.last.high - run.last.low;
        kept += !run.missed;
    }
    double share = (double)missed / (double)runs;
    if (json)
        printf("%s\n  {\"method\": \"%s\", \"runs\": %zu, \"labels\": %zu, \"misses\": %zu, \"miss_share\": "
               "%.4f, \"width\": %.3f}",
               method ? "," : "", methods[method].name, runs, labels, missed, share, width / kept);
    else
        printf("%-10s %5zu of %zu runs exclude the truth at some point (%.1f %%); width at the end %.3f\n",
               methods[method].name, missed, runs, 100 * share, width / kept);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'r'},
                                            {"labels", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    size_t runs = 500, labels = 500;
    bool json = false;
    usage_on_help(argc, argv,
                  "usage: bench-review [--runs N] [--labels N] [--json]\n"
                  "How often intervals that are looked at after every label exclude the truth.\n"
                  "  bench-review --runs 10000 --json   # some minutes\n");
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        size_t number = c == 'r' || c == 'l' ? strtoull(optarg, NULL, 10) : 1;
        if (c == '?' || number < 1)
            return fprintf(stderr, "bench-review: see bench-review --help\n"), 2;
        json |= c == 'j';
        runs = c == 'r' ? number : runs;
        labels = c == 'l' ? number : labels;
    }
    if (json)
        printf("{\"bench\": \"review\", \"alpha\": %.2f, \"rows\": [", ALPHA);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (measure(i, runs, labels, json) < 0)
            return 1;
    if (json)
        printf("]}\n");
    return 0;
}
