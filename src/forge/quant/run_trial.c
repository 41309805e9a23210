#include "forge/quant/run_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/calib/samples.h"

#include <math.h>
#include <string.h>

enum { MAX_ROWS = 4096, MAX_SETTLE = 8 };
#define QUIET_ROW 1e-8 /* of the mean row's power: a row that says nothing */
#define ROW_SUM_SLACK 0.01
#define LEAST_PROBABILITY 1e-9

/* ---- emitting ---- */

static size_t emit_fixes(const struct run *run, struct quant_fix *out)
{
    for (size_t i = 0; i < run->fix_count; i++)
        out[i] = (struct quant_fix){
            .node = run->fixes[i].node, .weights = run->fixes[i].weights, .bias_add = run->fixes[i].bias_add};
    return run->fix_count;
}

static int emit_opened(struct run *run, struct graph *graph, const struct quant_plan *plan, const char *path,
                       struct err *err)
{
    cleanup_free struct quant_fix *fixes = mem_zalloc(run->fix_count + 1, sizeof *fixes);
    if (!fixes)
        return err_no_memory(err);
    if (quant_emit(graph, plan, fixes, emit_fixes(run, fixes), err) < 0)
        return -1;
    return graph_save(graph, path, err);
}

int trial_emit(struct run *run, const struct quant_skip *skips, size_t skip_count, const char *path,
               struct quant_plan *out_plan, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_quant_plan struct quant_plan plan = {0};
    if (graph_open(run->job->model_path, &graph, err) < 0 ||
        quant_plan_make(graph, run->job->seen, &run->job->options, skips, skip_count, &plan, err) < 0 ||
        emit_opened(run, graph, &plan, path, err) < 0)
        return -1;
    if (out_plan) {
        quant_plan_fini(out_plan);
        *out_plan = plan;
        plan = (struct quant_plan){0};
    }
    return 0;
}

int trial_emit_again(struct run *run, const struct quant_plan *plan, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    if (graph_open(run->job->model_path, &graph, err) < 0)
        return -1;
    return emit_opened(run, graph, plan, run->candidate_path, err);
}

/* ---- comparing ---- */

/* Square error and power per row of one output; rows are its second dimension, so that boxes in pixels do not hide scores. */
struct rows {
    size_t count;
    double *error, *power; /* owned */
};

struct tally {
    size_t output_count;
    struct rows *outputs; /* owned */
    double fidelity;
    size_t samples;
    bool finite;
};

static void tally_fini(struct tally *tally)
{
    for (size_t k = 0; tally->outputs && k < tally->output_count; k++) {
        free(tally->outputs[k].error);
        free(tally->outputs[k].power);
    }
    free(tally->outputs);
    *tally = (struct tally){0};
}
#define cleanup_tally __attribute__((cleanup(tally_fini)))

static size_t rows_of(const struct lab_tensor *tensor)
{
    bool many = tensor->dim_count >= 3 && tensor->dims[1] > 0 && tensor->dims[1] <= MAX_ROWS;
    return many ? (size_t)tensor->dims[1] : 1;
}

static int tally_init(struct tally *tally, const struct lab_tensor *parent, size_t count, struct err *err)
{
    tally->finite = true;
    tally->output_count = count;
    tally->outputs = mem_zalloc(count + 1, sizeof *tally->outputs);
    if (!tally->outputs)
        return err_no_memory(err);
    for (size_t k = 0; k < count; k++) {
        struct rows *rows = &tally->outputs[k];
        rows->count = rows_of(&parent[k]);
        rows->error = mem_zalloc(rows->count, sizeof *rows->error);
        rows->power = mem_zalloc(rows->count, sizeof *rows->power);
        if (!rows->error || !rows->power)
            return err_no_memory(err);
    }
    return 0;
}

static void add_row(struct rows *rows, size_t row, const float *a, const float *b, size_t count)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        error += d * d;
        power += (double)a[i] * (double)a[i];
    }
    rows->error[row] += error;
    rows->power[row] += power;
}

/* Rows of probabilities become what the softmax was made of, up to a constant per row: most of them are 0 or 1 as they are, and a few undecided
 * ones would be all the error. In place of `p`; rows that do not add up to 1 stay. */
static void to_logits(float *p, size_t count, size_t row)
{
    for (size_t at = 0; at + row <= count; at += row) {
        double sum = 0, mean = 0;
        for (size_t i = 0; i < row; i++)
            sum += (double)p[at + i];
        if (!(fabs(sum - 1) < ROW_SUM_SLACK))
            continue;
        for (size_t i = 0; i < row; i++)
            mean += log(fmax((double)p[at + i], LEAST_PROBABILITY)) / (double)row;
        for (size_t i = 0; i < row; i++)
            p[at + i] = (float)(log(fmax((double)p[at + i], LEAST_PROBABILITY)) - mean);
    }
}

/* Outputs of both as they are compared: owned copies. */
static int logits_of(const struct lab_tensor *tensor, struct lab_tensor *out, float **out_data,
                     struct err *err)
{
    const size_t row = tensor->dim_count ? (size_t)tensor->dims[tensor->dim_count - 1] : 1;
    *out = *tensor;
    *out_data = mem_dup(tensor->data, tensor->bytes);
    if (!*out_data)
        return err_no_memory(err);
    if (row >= 2)
        to_logits(*out_data, tensor->bytes / sizeof **out_data, row);
    out->data = *out_data;
    return 0;
}

static void tally_output(struct tally *tally, size_t k, const struct lab_tensor *parent,
                         const struct lab_tensor *candidate)
{
    struct rows *rows = &tally->outputs[k];
    if (parent->dtype != DTYPE_FLOAT32)
        return;
    if (parent->bytes != candidate->bytes || rows_of(parent) != rows->count || parent->bytes == 0) {
        tally->finite = tally->finite && parent->bytes == candidate->bytes;
        return;
    }
    /* [1, rows, rest]: batches beyond the first go through the same rows */
    const float *a = parent->data, *b = candidate->data;
    size_t outer = rows->count > 1 ? (size_t)parent->dims[0] : 1;
    size_t inner = parent->bytes / sizeof *a / outer / rows->count;
    for (size_t i = 0; i < outer * rows->count; i++)
        add_row(rows, i % rows->count, a + i * inner, b + i * inner, inner);
}

static int tally_one(const struct run *run, struct tally *tally, size_t k, const struct lab_tensor *parent,
                     const struct lab_tensor *candidate, struct err *err)
{
    cleanup_free float *parent_data = NULL, *candidate_data = NULL;
    struct lab_tensor a = *parent, b = *candidate;
    if (run->job->fidelity->kind == FIDELITY_CLASSES && parent->dtype == DTYPE_FLOAT32 &&
        candidate->dtype == DTYPE_FLOAT32 && parent->bytes && candidate->bytes &&
        (logits_of(parent, &a, &parent_data, err) < 0 || logits_of(candidate, &b, &candidate_data, err) < 0))
        return -1;
    tally_output(tally, k, &a, &b);
    return 0;
}

static double rows_error(const struct rows *rows)
{
    double power = 0, sum = 0;
    for (size_t r = 0; r < rows->count; r++)
        power += rows->power[r];
    const double least = power / (double)rows->count * QUIET_ROW;
    size_t counted = 0;
    for (size_t r = 0; r < rows->count; r++) {
        if (rows->power[r] <= least && rows->error[r] <= least)
            continue;
        sum += rows->error[r] / fmax(rows->power[r], fmax(least, 1e-30));
        counted++;
    }
    return counted ? sum / (double)counted : 0;
}

static struct trial tally_end(const struct tally *tally)
{
    struct trial trial = {.fidelity = tally->samples ? tally->fidelity / (double)tally->samples : 1};
    for (size_t k = 0; k < tally->output_count; k++)
        trial.error += rows_error(&tally->outputs[k]) / (double)tally->output_count;
    if (!tally->finite || !isfinite(trial.error))
        trial.error = (double)INFINITY;
    return trial;
}

static int compare_one(struct run *run, struct lab *lab, size_t i, struct tally *tally, struct err *err)
{
    const struct lab_tensor *inputs = NULL, *parent = NULL;
    struct lab_tensor outputs[RUN_MAX_OUTPUTS];
    if (samples_load(run->job->samples, i, &inputs, err) < 0 ||
        lab_run(lab, inputs, NULL, 0, outputs, err) < 0 || parent_answer(&run->parent, i, &parent, err) < 0)
        return -1;
    if (!tally->outputs && tally_init(tally, parent, run->parent.output_count, err) < 0)
        return -1;
    tally->fidelity += fidelity_of(run->job->fidelity, parent, outputs);
    tally->samples++;
    for (size_t k = 0; k < tally->output_count; k++)
        if (tally_one(run, tally, k, &parent[k], &outputs[k], err) < 0)
            return -1;
    return 0;
}

int trial_compare(struct run *run, const char *path, size_t first, size_t count, struct trial *out,
                  struct err *err)
{
    const struct lab_how how = run_candidate_how(run);
    cleanup_lab struct lab *lab = NULL;
    cleanup_tally struct tally tally = {0};
    if (lab_open(path, NULL, 0, &how, &lab, err) < 0)
        return -1;
    if (lab_output_count(lab) != run->parent.output_count)
        return err_set(err, ERR_INTERNAL, "%s: has other outputs than the model", path);
    for (size_t i = first; i < first + count && i < run->parent.count; i++)
        if (compare_one(run, lab, i, &tally, err) < 0)
            return -1;
    *out = tally_end(&tally);
    return 0;
}

/* ---- until everything fuses ---- */

/* "Conv conv_17", maybe cut short, ─▶ conv_17 stays float. */
static int skip_unfused(struct run *run, const struct quant_plan *plan, const struct unfused *unfused,
                        struct err *err)
{
    for (size_t i = 0; i < unfused->name_count; i++) {
        const char *space = strchr(unfused->names[i], ' ');
        for (size_t k = 0; space && k < plan->node_count; k++) {
            const struct quant_node *node = &plan->nodes[k];
            if (node->weighted && node->integer && str_starts(node->node, space + 1) &&
                run_skip(run, node->node, "does not fuse", err) < 0)
                return -1;
        }
    }
    return 0;
}

int trial_settle(struct run *run, struct quant_plan *out_plan, struct unfused *out_unfused, struct err *err)
{
    const struct quant_job *job = run->job;
    for (int round = 0;; round++) {
        *out_unfused = (struct unfused){0};
        if (trial_emit(run, run->skips, run->skip_count, run->candidate_path, out_plan, err) < 0)
            return -1;
        if (job->options.profile == PROFILE_TRT)
            return 0;
        if (quant_count_unfused(run->candidate_path, out_plan, job->work_dir, job->runtime_path, out_unfused,
                                err) < 0)
            return -1;
        const size_t known = run->skip_count;
        if (out_unfused->unfused == 0 || round == MAX_SETTLE)
            return 0;
        if (skip_unfused(run, out_plan, out_unfused, err) < 0)
            return -1;
        if (run->skip_count == known) /* nothing that a name would help with: the caller sees the count */
            return 0;
    }
}
