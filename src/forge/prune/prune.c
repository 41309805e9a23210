#include "forge/prune/prune_inside.h"

#include "base/str.h"
#include "forge/calib/observe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int pruner_step(struct pruner *pruner, const char *what, struct err *err)
{
    const struct prune_job *job = pruner->job;
    size_t done = pruner->steps_done++;
    return job->progress ? job->progress(job->arg, what, done, MAX(pruner->steps, pruner->steps_done), err)
                         : 0;
}

static void pruner_fini(struct pruner *pruner)
{
    for (size_t i = 0; i < pruner->part_count; i++) {
        free(pruner->parts[i].order);
        free(pruner->parts[i].loss);
        free(pruner->parts[i].saved_ns);
    }
    free(pruner->parts);
    free(pruner->consumers);
    free(pruner->gone);
    free(pruner->why);
    couple_free(pruner->couple);
    graph_free(pruner->graph);
    if (pruner->work_path)
        unlink(pruner->work_path);
    free(pruner->work_path);
    if (pruner->feed.targets >= 0)
        close(pruner->feed.targets);
}

/* ---- what can give ---- */

/* Sets why[g] if the group cannot. */
static int try_group(struct pruner *pruner, size_t g, struct err *err)
{
    const struct channel_group *group = couple_group(pruner->couple, g);
    const struct prune_job *job = pruner->job;
    struct part *part = &pruner->parts[pruner->part_count];
    size_t least = (size_t)job->multiple;
    char *why = pruner->why[g];
    if (group->why || group->count < 2 * least) {
        snprintf(why, sizeof *pruner->why, "%s", group->why ? group->why : "too few channels");
        return 0;
    }
    *part = (struct part){.group = group, .consumers = pruner->consumers + pruner->consumer_count};
    for (size_t i = 0; i < group->consumer_count; i++) {
        struct err reason = {0};
        if (consumer_of(pruner->graph, &group->consumers[i], samples_calibrate(job->samples),
                        &part->consumers[i], &reason) < 0) {
            snprintf(why, sizeof *pruner->why, "%.90s", reason.text);
            return 0;
        }
    }
    part->most = group->count - least;
    part->order = mem_zalloc(group->count, sizeof *part->order);
    part->loss = mem_zalloc(group->count, sizeof *part->loss);
    part->saved_ns = mem_zalloc(group->count, sizeof *part->saved_ns);
    pruner->part_count++;
    pruner->consumer_count += group->consumer_count;
    return part->order && part->loss && part->saved_ns ? 0 : err_no_memory(err);
}

static int find_parts(struct pruner *pruner, struct err *err)
{
    size_t groups = couple_group_count(pruner->couple), consumers = 0;
    for (size_t g = 0; g < groups; g++)
        consumers += couple_group(pruner->couple, g)->consumer_count;
    pruner->parts = mem_zalloc(groups + 1, sizeof *pruner->parts);
    pruner->why = mem_zalloc(groups + 1, sizeof *pruner->why);
    pruner->consumers = mem_zalloc(consumers + 1, sizeof *pruner->consumers);
    pruner->gone = mem_zalloc(couple_numbers(pruner->couple) + 1, sizeof *pruner->gone);
    if (!pruner->parts || !pruner->why || !pruner->consumers || !pruner->gone)
        return err_no_memory(err);
    for (size_t g = 0; g < groups; g++)
        if (try_group(pruner, g, err) < 0)
            return -1;
    pruner->steps = 1 + 2 * pruner->part_count;
    return 0;
}

static int nothing_to_prune(const struct pruner *pruner, struct err *err)
{
    size_t groups = couple_group_count(pruner->couple);
    return err_set(err, ERR_UNSUPPORTED, "no channels can be pruned: %s",
                   groups ? pruner->why[0] : "no convolutions or products with constant weights");
}

static int open_model(struct pruner *pruner, struct err *err)
{
    const struct prune_job *job = pruner->job;
    pruner->work_path = mem_printf("%s/prune-work.onnx", job->work_dir);
    if (!pruner->work_path)
        return err_no_memory(err);
    pruner->feed = (struct feed){.samples = job->samples,
                                 .original_path = job->model_path,
                                 .work_dir = job->work_dir,
                                 .runtime_path = job->runtime_path,
                                 .targets = open(job->work_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    if (pruner->feed.targets < 0)
        return err_errno(err, "%s", job->work_dir);
    if (graph_open(job->model_path, &pruner->graph, err) < 0 ||
        observe_shapes(job->model_path, pruner->graph, job->samples, job->runtime_path, err) < 0)
        return -1;
    return couple_find(pruner->graph, &pruner->couple, err);
}

/* ---- the outcome ---- */

static uint64_t parameters_of(struct graph *graph)
{
    const struct onnx_graph *tree = onnx_model_graph(graph_model(graph));
    uint64_t sum = 0;
    for (size_t i = 0; i < tree->weight_count; i++)
        if (!tree->weights[i]->removed && tree->weights[i]->dtype == DTYPE_FLOAT32)
            sum += onnx_weight_elements(tree->weights[i]);
    return sum;
}

static const struct part *part_for(const struct pruner *pruner, const struct channel_group *group)
{
    for (size_t i = 0; i < pruner->part_count; i++)
        if (pruner->parts[i].group == group)
            return &pruner->parts[i];
    return NULL;
}

static int fill_groups(const struct pruner *pruner, struct prune_outcome *out, struct err *err)
{
    out->group_count = couple_group_count(pruner->couple);
    out->groups = mem_zalloc(out->group_count, sizeof *out->groups);
    if (!out->groups)
        return err_no_memory(err);
    for (size_t g = 0; g < out->group_count; g++) {
        const struct channel_group *group = couple_group(pruner->couple, g);
        const struct part *part = part_for(pruner, group);
        struct prune_group *to = &out->groups[g];
        snprintf(to->node, sizeof to->node, "%s", group->node);
        snprintf(to->why, sizeof to->why, "%s", pruner->why[g]);
        to->channels = to->left = group->count;
        if (part) {
            to->left -= part->take;
            to->loss = part->error;
            out->channels += group->count;
            out->removed += part->take;
        }
    }
    return 0;
}

void prune_outcome_fini(struct prune_outcome *outcome)
{
    free(outcome->groups);
    *outcome = (struct prune_outcome){0};
}

/* ---- the run ---- */

static int check_job(const struct prune_job *job, struct err *err)
{
    if (!(job->ratio >= 0 && job->ratio <= 0.9))
        return err_set(err, ERR_INVALID, "a share of %g channels cannot be pruned; 0 to 0.9 can", job->ratio);
    if (job->multiple < 1)
        return err_set(err, ERR_INVALID, "channels cannot be left in multiples of %d", job->multiple);
    if (!samples_calibrate(job->samples))
        return err_set(err, ERR_INVALID, "no samples to fit to; give some more");
    return 0;
}

static int prune_parts(struct pruner *pruner, struct err *err)
{
    if (pruner_step(pruner, "what the model says", err) < 0 ||
        targets_make(&pruner->feed, pruner->consumers, pruner->consumer_count, err) < 0)
        return -1;
    for (size_t i = 0; i < pruner->part_count; i++)
        if (pruner_step(pruner, "what channels are worth", err) < 0 ||
            rank_part(pruner, &pruner->parts[i], pruner->parts[i].most, pruner->job->model_path, err) < 0 ||
            (pruner->job->latency_table && table_part(pruner, &pruner->parts[i], err) < 0))
            return -1;
    if (budget_parts(pruner, err) < 0)
        return -1;
    for (size_t i = 0; i < pruner->part_count; i++) {
        struct part *part = &pruner->parts[i];
        if (pruner_step(pruner, "pruning", err) < 0)
            return -1;
        if (!part->take)
            continue;
        if (graph_save(pruner->graph, pruner->work_path, err) < 0 ||
            rank_part(pruner, part, part->take, pruner->work_path, err) < 0 ||
            rebuild_part(pruner, part, err) < 0)
            return err_prefix(err, "%s", part->group->node);
    }
    return 0;
}

int prune_run(const struct prune_job *job, struct prune_outcome *out, struct err *err)
{
    *out = (struct prune_outcome){0};
    __attribute__((cleanup(pruner_fini))) struct pruner pruner = {.job = job, .feed.targets = -1};
    if (check_job(job, err) < 0 || open_model(&pruner, err) < 0 || find_parts(&pruner, err) < 0)
        return -1;
    if (!pruner.part_count)
        return nothing_to_prune(&pruner, err);
    out->parameters = parameters_of(pruner.graph);
    if (prune_parts(&pruner, err) < 0 || fill_groups(&pruner, out, err) < 0 ||
        couple_cut(pruner.couple, pruner.gone, err) < 0 || graph_save(pruner.graph, job->out_path, err) < 0) {
        prune_outcome_fini(out);
        return -1;
    }
    out->parameters_left = parameters_of(pruner.graph);
    return 0;
}
