/* Which groups go back to float: those that hurt the model's outputs most, as many as the target needs.
 *
 *     error(g)     of the outputs, all but group g in float; where the group cannot be integers alone:        one or two candidates per group,
 *                  error with all groups in integers - error with all but g                                   few samples
 *     k = 1, 2, 4 … worst groups back to float ─▶ target holds?     then the least k by bisection between the last two
 *                                              └▶ not with half of them: none goes back. What is half float gains nothing, and whoever asked
 *                                                 for less fidelity still gets the fast one
 */
#include "forge/quant/run_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES_MIN = 2, SAMPLES_MAX_EACH = 12 };
#define SEARCH_MACS 1e12 /* what ranking the groups may cost */
#define NO_ERROR 1e-11   /* float's own rounding */
static const char sensitive[] = "sensitivity";

struct rank {
    int group;
    double error;     /* relative square error of the outputs */
    const char *node; /* of the plan */
};

struct ranking {
    size_t count;
    struct rank *items; /* owned; worst first once sorted */
};

static void ranking_fini(struct ranking *ranking)
{
    free(ranking->items);
}
#define cleanup_ranking __attribute__((cleanup(ranking_fini)))

static bool is_member(const struct quant_node *node, int group)
{
    return node->integer && node->group == group;
}

/* Its first weighted operator, else its first; NULL: the group is empty. */
static const char *face_of(const struct quant_plan *plan, int group)
{
    const char *face = NULL;
    for (size_t i = 0; i < plan->node_count; i++) {
        if (!is_member(&plan->nodes[i], group))
            continue;
        if (plan->nodes[i].weighted)
            return plan->nodes[i].node;
        face = face ? face : plan->nodes[i].node;
    }
    return face;
}

/* Whether leaving its group out means to name this node. TensorRT's partitions are named by their weighted operators alone: the others may find
 * themselves in a neighbour's partition afterwards, which would then go too. */
static bool is_named(const struct quant_plan *plan, const struct quant_node *node)
{
    if (plan->options.profile != PROFILE_TRT || node->weighted)
        return true;
    const struct quant_node *face = quant_plan_node(plan, face_of(plan, node->group));
    return !face || !face->weighted;
}

/* ---- ranking ---- */

/* The model's error with only this group in integers, or with all but this one. */
static int measure(struct run *run, const struct quant_plan *plan, int group, bool alone, size_t samples,
                   double *out, struct err *err)
{
    cleanup_free struct quant_skip *skips = mem_zalloc(run->skip_count + plan->node_count + 1, sizeof *skips);
    struct trial trial;
    if (!skips)
        return err_no_memory(err);
    size_t count = 0;
    for (; count < run->skip_count; count++)
        skips[count] = run->skips[count];
    for (size_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].integer && (plan->nodes[i].group != group) == alone &&
            is_named(plan, &plan->nodes[i]))
            skips[count++] = (struct quant_skip){.node = plan->nodes[i].node, .why = sensitive};
    if (trial_emit(run, skips, count, run->part_path, NULL, err) < 0 ||
        trial_compare(run, run->part_path, 0, samples, &trial, err) < 0)
        return -1;
    *out = trial.error;
    return 0;
}

/* Sums and the like are integers only among others: alone they are left in float and cost nothing. What they cost is what is gained without them. */
static int measure_group(struct run *run, const struct quant_plan *plan, size_t samples, double whole,
                         struct rank *rank, struct err *err)
{
    if (measure(run, plan, rank->group, true, samples, &rank->error, err) < 0)
        return -1;
    if (rank->error > NO_ERROR)
        return 0;
    if (measure(run, plan, rank->group, false, samples, &rank->error, err) < 0)
        return -1;
    rank->error = fmax(0, whole - rank->error);
    return 0;
}

static int worst_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->error != y->error)
        return x->error > y->error ? -1 : 1;
    return x->group < y->group ? -1 : x->group > y->group;
}

static size_t rank_samples(const struct run *run, size_t groups)
{
    const double each = SEARCH_MACS / (run->macs * (double)groups + 1);
    size_t samples = (size_t)fmin(fmax(each, SAMPLES_MIN), SAMPLES_MAX_EACH);
    return MIN(samples, run->compared);
}

static int rank_groups(struct run *run, const struct quant_plan *plan, struct ranking *out, struct err *err)
{
    out->items = mem_zalloc((size_t)plan->group_count + 1, sizeof *out->items);
    if (!out->items)
        return err_no_memory(err);
    for (int group = 0; group < plan->group_count; group++) {
        const char *face = face_of(plan, group);
        if (face)
            out->items[out->count++] = (struct rank){.group = group, .node = face};
    }
    const size_t samples = rank_samples(run, out->count);
    struct trial whole;
    if (trial_compare(run, run->candidate_path, 0, samples, &whole, err) < 0)
        return -1;
    for (size_t i = 0; i < out->count; i++)
        if (run_tell(run, "sensitivity", i, out->count, err) < 0 ||
            measure_group(run, plan, samples, whole.error, &out->items[i], err) < 0)
            return -1;
    qsort(out->items, out->count, sizeof *out->items, worst_first);
    return 0;
}

static int report(const struct ranking *ranking, struct quant_outcome *out, struct err *err)
{
    out->sensitivity = mem_zalloc(ranking->count + 1, sizeof *out->sensitivity);
    if (!out->sensitivity)
        return err_no_memory(err);
    for (size_t i = 0; i < ranking->count; i++) {
        const struct rank *rank = &ranking->items[i];
        struct group_sensitivity *to = &out->sensitivity[i];
        to->group = rank->group;
        to->sqnr_db = rank->error > 0 ? -10 * log10(rank->error) : (double)INFINITY;
        to->node = mem_strdup(rank->node);
        if (!to->node)
            return err_no_memory(err);
        out->group_count++;
    }
    return 0;
}

/* ---- going back ---- */

struct revert {
    struct run *run;
    const struct quant_plan *plan; /* that of the ranking */
    const struct ranking *ranking;
    size_t fixed_skips; /* those that were there before */
    struct quant_outcome *out;
};

static int without_worst(struct revert *revert, size_t worst, struct trial *out, struct err *err)
{
    struct run *run = revert->run;
    run_forget_skips(run, revert->fixed_skips);
    for (size_t k = 0; k < worst; k++)
        for (size_t i = 0; i < revert->plan->node_count; i++)
            if (is_member(&revert->plan->nodes[i], revert->ranking->items[k].group) &&
                is_named(revert->plan, &revert->plan->nodes[i]) &&
                run_skip(run, revert->plan->nodes[i].node, sensitive, err) < 0)
                return -1;
    if (run_tell(run, "groups back to float", worst, revert->ranking->count, err) < 0 ||
        trial_settle(run, &revert->out->plan, &revert->out->unfused, err) < 0)
        return -1;
    return trial_compare(run, run->candidate_path, 0, run->compared, out, err);
}

static int go_back(struct revert *revert, struct trial *now, size_t *out_worst, struct err *err)
{
    const double target = revert->run->job->target;
    const size_t most = (revert->ranking->count + 1) / 2;
    size_t fails = 0, holds = 0, last = 0;
    for (size_t k = 1; holds == 0 && fails < most; k *= 2) {
        last = MIN(k, most);
        if (without_worst(revert, last, now, err) < 0)
            return -1;
        *(now->fidelity >= target ? &holds : &fails) = last;
    }
    while (holds > fails + 1) {
        struct trial trial;
        size_t middle = fails + (holds - fails) / 2;
        last = middle;
        if (without_worst(revert, middle, &trial, err) < 0)
            return -1;
        *(trial.fidelity >= target ? &holds : &fails) = middle;
        if (trial.fidelity >= target)
            *now = trial;
    }
    *out_worst = holds;
    return last == *out_worst ? 0 : without_worst(revert, *out_worst, now, err);
}

int search_revert(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err)
{
    cleanup_ranking struct ranking ranking = {0};
    cleanup_quant_plan struct quant_plan plan = out->plan;
    out->plan = (struct quant_plan){0};
    run->lean = true;
    if (rank_groups(run, &plan, &ranking, err) < 0 || report(&ranking, out, err) < 0)
        return -1;
    struct revert revert = {
        .run = run, .plan = &plan, .ranking = &ranking, .fixed_skips = run->skip_count, .out = out};
    size_t worst = 0;
    if (go_back(&revert, now, &worst, err) < 0)
        return -1;
    for (size_t i = 0; i < worst; i++)
        out->sensitivity[i].reverted = true;
    return 0;
}
