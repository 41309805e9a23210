/* How many channels each group gives. */
#include "forge/prune/prune_inside.h"
#include "forge/prune/select.h"

#include <stdlib.h>

struct options {
    double *loss, *gain;
    size_t *take;
    size_t count;
};

static void free_options(struct options *options, size_t count)
{
    for (size_t i = 0; options && i < count; i++) {
        free(options[i].loss);
        free(options[i].gain);
        free(options[i].take);
    }
    free(options);
}

/* Nothing, or as many as leave a multiple. */
static int options_of(const struct pruner *pruner, const struct part *part, struct options *out,
                      struct err *err)
{
    size_t multiple = (size_t)pruner->job->multiple;
    out->loss = mem_zalloc(part->most + 1, sizeof(double));
    out->gain = mem_zalloc(part->most + 1, sizeof(double));
    out->take = mem_zalloc(part->most + 1, sizeof(size_t));
    if (!out->loss || !out->gain || !out->take)
        return err_no_memory(err);
    out->count = 1;
    for (size_t take = 1; take <= part->most; take++) {
        if ((part->group->count - take) % multiple)
            continue;
        out->take[out->count] = take;
        out->loss[out->count] = part->loss[take - 1];
        out->gain[out->count++] = part->gain[take - 1];
    }
    return 0;
}

int budget_parts(struct pruner *pruner, struct err *err)
{
    size_t count = pruner->part_count;
    double all = 0;
    cleanup_free struct budget_group *groups = mem_zalloc(count, sizeof *groups);
    struct options *options = mem_zalloc(count, sizeof *options);
    int result = groups && options ? 0 : err_no_memory(err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = options_of(pruner, &pruner->parts[i], &options[i], err);
        all += (double)pruner->parts[i].group->count;
        groups[i] = (struct budget_group){
            .option_count = options[i].count, .loss = options[i].loss, .gain = options[i].gain};
    }
    if (result == 0) {
        budget_choose(groups, count, pruner->job->ratio * all);
        for (size_t i = 0; i < count; i++)
            pruner->parts[i].take = options[i].take[groups[i].chosen];
    }
    free_options(options, count);
    return result;
}
