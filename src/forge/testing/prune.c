/* forge-prune: prunes by each of the ways that can be compared; for benches.
 *
 *     forge-prune MODEL.onnx SAMPLES OUT.onnx RATIO second-order|magnitude-rebuilt|magnitude
 *
 * MODEL is prepared (forge-run writes OUT/model.onnx). Every sample is for fitting.
 */
#include "forge/prune/prune.h"
#include "base/mem.h"
#include "base/str.h"
#include "forge/bench.h"

#include <stdlib.h>

static const struct way {
    const char *name;
    enum prune_how how;
} ways[] = {
    {"second-order", PRUNE_OBS}, {"magnitude-rebuilt", PRUNE_MAGNITUDE_LS}, {"magnitude", PRUNE_MAGNITUDE}};

static int run(char **argv, enum prune_how how, struct err *err)
{
    static struct release release;
    cleanup_samples struct samples *samples = NULL;
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    if (bench_release_of(argv[1], &release, err) < 0 || samples_open(argv[2], &release, &samples, err) < 0)
        return -1;
    const struct prune_job job = {.model_path = argv[1],
                                  .samples = samples,
                                  .ratio = strtod(argv[4], NULL),
                                  .multiple = 8,
                                  .how = how,
                                  .work_dir = "/tmp",
                                  .out_path = argv[3]};
    if (prune_run(&job, &outcome, err) < 0)
        return -1;
    printf("%zu of %zu channels removed, %llu of %llu parameters left\n", outcome.removed, outcome.channels,
           (unsigned long long)outcome.parameters_left, (unsigned long long)outcome.parameters);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    for (size_t i = 0; argc == 6 && i < ARRAY_LEN(ways); i++)
        if (str_eq(argv[5], ways[i].name)) {
            if (run(argv, ways[i].how, &err) == 0)
                return 0;
            fprintf(stderr, "forge-prune: %s\n", err.text);
            return 1;
        }
    fputs("usage: forge-prune MODEL.onnx SAMPLES OUT.onnx RATIO second-order|magnitude-rebuilt|magnitude\n",
          stderr);
    return 2;
}
