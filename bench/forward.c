/* bench-forward: the log of src/robot/forward is killed, and its power is cut, a thousand times each; then the books of robot and server are compared
 * (src/robot/forward/campaign.h says how). Every count of `wrong` has to be 0; exit status 1 if one is not. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/forward/campaign.h"
#include "sys/file.h"

#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: bench-forward [--kills N] [--cuts N] [--seed N] [--dir DIR] [--json]\n"
    "  --kills N   SIGKILL at a random moment                  (1000)\n"
    "  --cuts N    power cuts, at every change of the files    (1000)\n"
    "  --dir DIR   where it lies; DIR has to be empty          (a new folder in /dev/shm)\n"
    "example: bench-forward --kills 100 --cuts 100 --json\n";

static bool take(int argc, char **argv, int *i, const char *name, const char **out)
{
    if (!str_eq(argv[*i], name) || *i + 1 >= argc)
        return false;
    *out = argv[++*i];
    return true;
}

static void progress(long done, long all)
{
    if (isatty(STDERR_FILENO) && done % 10 == 0)
        fprintf(stderr, "\r%ld of %ld lives%s", done, all, done == all ? "\n" : "");
}

static void print(const struct campaign_result *r, double seconds, bool json)
{
    static const char *const names[] = {"event", "metric", "sample"};
    printf(json ? "{\"lives\":%ld,\"kills\":%ld,\"power_cuts\":%ld,\"classes\":["
                : "%ld lives: %ld kills, %ld power cuts\n",
           r->lives, r->kills, r->cuts);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        printf(json ? "%s{\"class\":\"%s\",\"appended\":%llu,\"taken\":%llu,\"offered_again\":%llu}"
                    : "%s  %-7s %9llu appended %9llu taken %9llu offered again\n",
               json && i ? "," : "", names[i], (unsigned long long)r->appended[i],
               (unsigned long long)r->taken[i], (unsigned long long)r->offered_again[i]);
    printf(json ? "],\"gaps\":%llu,\"numbers_in_gaps\":%llu,\"merged\":%llu,\"wrong\":{\"lost\":%llu,"
                  "\"doubled\":%llu,"
                  "\"unexplained\":%llu,\"explained_twice\":%llu,\"wrong_sums\":%llu,\"new_streams\":%llu},"
                  "\"first_wrong\":\"%s\",\"duration_s\":%.1f}\n"
                : "  gaps: %llu with %llu numbers, %llu of them merged\n  lost %llu, doubled %llu, "
                  "unexplained %llu, "
                  "explained twice %llu, wrong sums %llu, new streams %llu %s\n  %.1f s\n",
           (unsigned long long)r->gaps, (unsigned long long)r->in_gaps, (unsigned long long)r->merged,
           (unsigned long long)r->lost, (unsigned long long)r->doubled, (unsigned long long)r->unexplained,
           (unsigned long long)r->explained_twice, (unsigned long long)r->wrong_sums,
           (unsigned long long)r->restarts, r->first_wrong, seconds);
}

int main(int argc, char **argv)
{
    char made[] = "/dev/shm/bench-forward-XXXXXX";
    const char *dir = NULL, *kills = "1000", *cuts = "1000", *seed = "1";
    struct campaign_result result;
    struct err err = {0};
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--help"))
            return fputs(usage, stdout), 0;
        if (str_eq(argv[i], "--json"))
            json = true;
        else if (!take(argc, argv, &i, "--kills", &kills) && !take(argc, argv, &i, "--cuts", &cuts) &&
                 !take(argc, argv, &i, "--seed", &seed) && !take(argc, argv, &i, "--dir", &dir))
            return fputs(usage, stderr), 2;
    }
    if (!dir && !mkdtemp(made))
        return perror(made), 1;
    const struct campaign_options options = {.dir = dir ? dir : made,
                                             .kills = strtol(kills, NULL, 10),
                                             .cuts = strtol(cuts, NULL, 10),
                                             .seed = strtoull(seed, NULL, 10),
                                             .progress = progress};
    int64_t start_ms = clock_mono_ms();
    int rc = campaign_run(&options, &result, &err);
    struct err ignored = {0};
    if (!dir && file_remove_tree(made, &ignored) < 0)
        fprintf(stderr, "bench-forward: %s\n", ignored.text);
    if (rc < 0)
        return fprintf(stderr, "bench-forward: %s\n", err.text), 1;
    print(&result, (double)(clock_mono_ms() - start_ms) / 1000, json);
    return result.lost + result.doubled + result.unexplained + result.explained_twice + result.wrong_sums +
                       result.restarts >
                   0
               ? 1
               : 0;
}
