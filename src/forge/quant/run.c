#include "forge/quant/run_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/calib/gram.h"
#include "forge/calib/samples.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_THREADS = 4 };

/* ---- small things the others need ---- */

int run_tell(struct run *run, const char *what, size_t done, size_t total, struct err *err)
{
    const struct quant_job *job = run->job;
    return job->progress ? job->progress(job->arg, what, done, total, err) : 0;
}

int run_skip(struct run *run, const char *node, const char *why, struct err *err)
{
    for (size_t i = 0; i < run->skip_count; i++)
        if (str_eq(run->skips[i].node, node))
            return 0;
    struct quant_skip *skips = mem_grow(run->skips, run->skip_count + 1, sizeof *skips);
    if (!skips)
        return err_no_memory(err);
    run->skips = skips;
    struct quant_skip skip = {.node = mem_strdup(node), .why = mem_strdup(why)};
    if (!skip.node || !skip.why) {
        free((void *)(uintptr_t)skip.node);
        free((void *)(uintptr_t)skip.why);
        return err_no_memory(err);
    }
    skips[run->skip_count++] = skip;
    return 0;
}

void run_forget_skips(struct run *run, size_t keep)
{
    for (size_t i = keep; i < run->skip_count; i++) {
        free((void *)(uintptr_t)run->skips[i].node);
        free((void *)(uintptr_t)run->skips[i].why);
    }
    run->skip_count = MIN(run->skip_count, keep);
}

size_t run_layer_count(const struct quant_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->node_count; i++)
        count += plan->nodes[i].integer && plan->nodes[i].weighted;
    return count;
}

struct fix *run_fix(struct run *run, const char *node)
{
    for (size_t i = 0; i < run->fix_count; i++)
        if (str_eq(run->fixes[i].node, node))
            return &run->fixes[i];
    struct fix *fixes = mem_grow(run->fixes, run->fix_count + 1, sizeof *fixes);
    if (!fixes)
        return NULL;
    run->fixes = fixes;
    struct fix fix = {.node = mem_strdup(node)};
    if (!fix.node)
        return NULL;
    fixes[run->fix_count] = fix;
    return &fixes[run->fix_count++];
}

/* Integer kernels where this machine has the profile's; else Q/DQ as they stand, in float. */
struct lab_how run_candidate_how(const struct run *run)
{
    static const char *const in_float[][2] = {{"session.disable_quant_qdq", "1"}};
    struct lab_how how = {
        .runtime_path = run->job->runtime_path, .threads = run->threads, .level = LAB_ALL, .lean = run->lean};
#if defined(__x86_64__)
    const bool native = run->job->options.profile == PROFILE_CPU_X86;
#else
    const bool native = run->job->options.profile == PROFILE_CPU_ARM;
#endif
    if (!native) {
        how.entries = in_float;
        how.entry_count = 1;
    }
    return how;
}

/* ---- the run ---- */

static void run_fini(struct run *run)
{
    run_forget_skips(run, 0);
    for (size_t i = 0; i < run->fix_count; i++) {
        free(run->fixes[i].node);
        free(run->fixes[i].weights);
        free(run->fixes[i].bias_add);
    }
    if (run->candidate_path)
        unlink(run->candidate_path);
    if (run->part_path)
        unlink(run->part_path);
    free(run->candidate_path);
    free(run->part_path);
    free(run->skips);
    free(run->fixes);
    parent_fini(&run->parent);
}
#define cleanup_run __attribute__((cleanup(run_fini)))

/* Of one frame, about: what is not known counts as one column. */
static double macs_of(struct graph *graph, const struct observation *seen)
{
    size_t count = 0;
    double sum = 0;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    for (size_t i = 0; nodes && i < count; i++) {
        const struct graph_tensor *weights = graph_input(graph, nodes[i], 1);
        const struct observed *input =
            nodes[i]->input_count ? observation_find(seen, nodes[i]->inputs[0]) : NULL;
        struct im2col shape;
        struct err err = {0};
        if (!weights || !weights->weight)
            continue;
        bool known = input && im2col_of(graph, nodes[i], input->dims, input->dim_count, &shape, &err) == 0;
        sum += (double)onnx_weight_elements(weights->weight) * (known ? (double)im2col_columns(&shape) : 1);
    }
    return sum;
}

static int run_init(struct run *run, struct err *err)
{
    const struct quant_job *job = run->job;
    const char *profile = quant_profile_name(job->options.profile);
    run->compared = MIN(samples_calibrate(job->samples), (size_t)RUN_MAX_COMPARED);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    run->threads = (int)MIN(MAX(cores, 1), MAX_THREADS);
    run->candidate_path = mem_printf("%s/%s-candidate.onnx", job->work_dir, profile);
    run->part_path = mem_printf("%s/%s-part.onnx", job->work_dir, profile);
    if (!run->candidate_path || !run->part_path)
        return err_no_memory(err);
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(job->model_path, &graph, err) < 0)
        return -1;
    run->macs = macs_of(graph, job->seen);
    graph_free(TAKE_PTR(graph));
    return parent_record(run, err);
}

static int compare_all(struct run *run, struct trial *now, struct err *err)
{
    if (run_tell(run, "fidelity", 0, 1, err) < 0)
        return -1;
    return trial_compare(run, run->candidate_path, 0, run->compared, now, err);
}

static int improve(struct run *run, struct trial *now, struct quant_outcome *out, struct err *err)
{
    const struct quant_job *job = run->job;
    if (job->second_order && round_layers(run, now, out, err) < 0)
        return -1;
    if (now->fidelity < job->target && job->correct_bias && bias_correct(run, now, out, err) < 0)
        return -1;
    if (now->fidelity < job->target && search_revert(run, now, out, err) < 0)
        return -1;
    return 0;
}

static int go(struct run *run, struct quant_outcome *out, struct err *err)
{
    struct trial now = {0};
    if (run_init(run, err) < 0 || run_tell(run, "plan", 0, 1, err) < 0 ||
        trial_settle(run, &out->plan, &out->unfused, err) < 0 || compare_all(run, &now, err) < 0)
        return -1;
    out->plain_fidelity = now.fidelity;
    if (improve(run, &now, out, err) < 0)
        return -1;
    out->fidelity = now.fidelity;
    return file_rename(run->candidate_path, run->job->out_path, err);
}

int quant_run(const struct quant_job *job, struct quant_outcome *out, struct err *err)
{
    cleanup_run struct run run = {.job = job, .parent.fd = -1};
    *out = (struct quant_outcome){0};
    if (go(&run, out, err) == 0)
        return 0;
    quant_outcome_fini(out);
    return -1;
}

void quant_outcome_fini(struct quant_outcome *outcome)
{
    quant_plan_fini(&outcome->plan);
    for (size_t i = 0; i < outcome->group_count; i++)
        free(outcome->sensitivity[i].node);
    free(outcome->sensitivity);
    *outcome = (struct quant_outcome){0};
}
