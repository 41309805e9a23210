/* How many channels each group gives: gain is time, where it was measured, and channels. */
#include "forge/prune/prune_inside.h"
#include "forge/prune/select.h"

#include <stdlib.h>

struct options {
    double *loss, *gain, *amount;
    size_t *take;
    size_t count;
};

static void free_options(struct options *options, size_t count)
{
    for (size_t i = 0; options && i < count; i++) {
        free(options[i].loss);
        free(options[i].gain);
        free(options[i].amount);
        free(options[i].take);
    }
    free(options);
}

#define TIME_SHARE                                                                                           \
    0.9 /* of the gain; the rest is channels, so that those which save no time have some worth, too */

struct whole { /* of all groups at their most */
    double channels, saved_ns;
    double ns_per_channel; /* of those that were measured */
};

static struct whole whole_of(const struct pruner *pruner)
{
    struct whole whole = {0};
    double measured_ns = 0, measured = 0;
    for (size_t i = 0; i < pruner->part_count; i++) {
        const struct part *part = &pruner->parts[i];
        double saved_ns = part->saved_ns[part->most - 1];
        whole.channels += (double)part->most;
        measured += saved_ns >= 0 ? (double)part->most : 0;
        measured_ns += saved_ns >= 0 ? saved_ns : 0;
    }
    whole.ns_per_channel = measured > 0 ? measured_ns / measured : 0;
    whole.saved_ns = whole.ns_per_channel * whole.channels;
    return whole;
}

static double gain_of(const struct part *part, size_t take, const struct whole *whole)
{
    double channels = (double)take / whole->channels, saved_ns = part->saved_ns[take - 1];
    if (!(whole->saved_ns > 0))
        return channels;
    if (saved_ns < 0)
        saved_ns = whole->ns_per_channel * (double)take;
    return TIME_SHARE * saved_ns / whole->saved_ns + (1 - TIME_SHARE) * channels;
}

/* Nothing, or as many as leave a multiple. */
static int options_of(const struct pruner *pruner, const struct part *part, const struct whole *whole,
                      struct options *out, struct err *err)
{
    size_t multiple = (size_t)pruner->job->multiple;
    out->loss = mem_zalloc(part->most + 1, sizeof(double));
    out->gain = mem_zalloc(part->most + 1, sizeof(double));
    out->amount = mem_zalloc(part->most + 1, sizeof(double));
    out->take = mem_zalloc(part->most + 1, sizeof(size_t));
    if (!out->loss || !out->gain || !out->amount || !out->take)
        return err_no_memory(err);
    out->count = 1;
    for (size_t take = 1; take <= part->most; take++) {
        if ((part->group->count - take) % multiple)
            continue;
        out->take[out->count] = take;
        out->loss[out->count] = part->loss[take - 1];
        out->amount[out->count] = (double)take;
        out->gain[out->count++] = gain_of(part, take, whole);
    }
    return 0;
}

int budget_parts(struct pruner *pruner, struct err *err)
{
    size_t count = pruner->part_count;
    double all = 0;
    struct whole whole = whole_of(pruner);
    cleanup_free struct budget_group *groups = mem_zalloc(count, sizeof *groups);
    struct options *options = mem_zalloc(count, sizeof *options);
    int result = groups && options ? 0 : err_no_memory(err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = options_of(pruner, &pruner->parts[i], &whole, &options[i], err);
        all += (double)pruner->parts[i].group->count;
        groups[i] = (struct budget_group){.option_count = options[i].count,
                                          .loss = options[i].loss,
                                          .gain = options[i].gain,
                                          .amount = options[i].amount};
    }
    if (result == 0) {
        budget_choose(groups, count, pruner->job->ratio * all);
        for (size_t i = 0; i < count; i++)
            pruner->parts[i].take = options[i].take[groups[i].chosen];
    }
    free_options(options, count);
    return result;
}
