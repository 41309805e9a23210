/* Pruning, between what all profiles share and the profiles: the pruned model passes the gate, or the model stays whole. */
#include "forge/optimize/flow.h"

#include "base/str.h"
#include "forge/optimize/prepare.h"
#include "forge/optimize/report.h"
#include "forge/prune/prune.h"
#include "sys/file.h"

#include <string.h>

static const char built[] = OPTIMIZE_WORK "/new/fp32.onnx";
static const char final[] = OPTIMIZE_PROFILE_FP32 ".onnx";
static const char refused[] = OPTIMIZE_REFUSED "/pruned/fp32.onnx";
static const char result_file[] = OPTIMIZE_WORK "/fp32.json";
static const char numbers_file[] = OPTIMIZE_WORK "/pruning.json";
static const char prepared[] = OPTIMIZE_WORK "/pruned-prepared.onnx";
static const char observed[] = OPTIMIZE_WORK "/pruned-observed.bin";

struct prune_task {
    struct flow *flow;
    struct optimize_pruning *numbers; /* shared */
};

static int prune_work(void *arg, struct apart *self, struct err *err)
{
    const struct prune_task *task = arg;
    const struct flow *flow = task->flow;
    cleanup_free char *model = flow_path(flow, flow->model);
    cleanup_free char *work = flow_path(flow, OPTIMIZE_WORK);
    cleanup_free char *out = flow_path(flow, built);
    cleanup_prune_outcome struct prune_outcome outcome = {0};
    if (!model || !work || !out)
        return err_no_memory(err);
    const struct prune_job job = {.model_path = model,
                                  .samples = flow->samples,
                                  .ratio = flow->job->prune,
                                  .multiple = 8,
                                  .how = PRUNE_OBS,
                                  .latency_table = true,
                                  .work_dir = work,
                                  .out_path = out,
                                  .runtime_path = flow->job->runtime_path,
                                  .progress = apart_tell,
                                  .arg = self};
    if (prune_run(&job, &outcome, err) < 0)
        return -1;
    task->numbers->group_count = outcome.group_count;
    task->numbers->channels = outcome.channels;
    task->numbers->removed = outcome.removed;
    task->numbers->parameters = outcome.parameters;
    task->numbers->parameters_left = outcome.parameters_left;
    return 0;
}

/* 1: this model cannot be pruned; why is told. */
static int prune(struct flow *flow, struct optimize_pruning *out, struct err *err)
{
    struct prune_task task = {.flow = flow, .numbers = apart_memory(sizeof *task.numbers)};
    if (!task.numbers)
        return err_no_memory(err);
    *task.numbers = *out;
    const struct apart_job job = {.work = prune_work, .work_arg = &task, .progress = flow_tell, .arg = flow};
    int result = apart_run(&job, err);
    *out = *task.numbers;
    apart_memory_free(task.numbers, sizeof *task.numbers);
    if (result == 0 || err->code != ERR_UNSUPPORTED)
        return result;
    str_copy(out->reason, sizeof out->reason, err->text);
    *err = (struct err){0};
    return 1;
}

/* ---- the gate ---- */

static int make_dir(struct flow *flow, const char *below_out, struct err *err)
{
    cleanup_free char *path = flow_path(flow, below_out);
    return path ? file_make_dirs(path, 0755, err) : err_no_memory(err);
}

static int judge(struct flow *flow, struct optimize_profile *out, struct err *err)
{
    uint64_t memory[2];
    ticker_end(&flow->ticker);
    ticker_begin(&flow->ticker, SHARE_JUDGE);
    out->measured_here = true; /* float models are for every machine: this one will do */
    out->size_bytes = flow_model_bytes(flow, built);
    out->parent_size_bytes = flow->target.size_bytes;
    if (flow_judge(flow, built, true, &out->gate, memory, err) < 0)
        return -1;
    out->parent_peak_memory_bytes = memory[0];
    out->peak_memory_bytes = memory[1];
    out->promoted = out->gate.promoted;
    str_copy(out->reason, sizeof out->reason, out->gate.reason);
    const char *to = out->promoted ? final : refused;
    str_copy(out->promoted ? out->path : out->candidate, sizeof out->path, to);
    if (!out->promoted && make_dir(flow, OPTIMIZE_REFUSED "/pruned", err) < 0)
        return -1;
    return flow_publish(flow, built, to, err);
}

static int work_on(struct flow *flow, struct optimize_pruning *pruning, struct optimize_profile *out,
                   struct err *err)
{
    if (make_dir(flow, OPTIMIZE_WORK "/new", err) < 0 || flow_remove(flow, final, err) < 0)
        return -1;
    int result = prune(flow, pruning, err);
    if (result != 0) {
        str_copy(out->reason, sizeof out->reason, pruning->reason);
        return result < 0 ? -1 : 0;
    }
    if (judge(flow, out, err) < 0)
        return -1;
    pruning->done = out->promoted;
    str_copy(pruning->reason, sizeof pruning->reason, out->reason);
    return 0;
}

/* ---- remembered ---- */

static int remember(struct flow *flow, const struct digest *key, const struct optimize_pruning *pruning,
                    const struct optimize_profile *profile, struct err *err)
{
    cleanup_free char *result = flow_path(flow, result_file);
    cleanup_free char *numbers = flow_path(flow, numbers_file);
    if (!result || !numbers)
        return err_no_memory(err);
    if (report_save_profile(profile, result, err) < 0 || report_save_pruning(pruning, numbers, err) < 0)
        return -1;
    const char *const files[] = {result_file, numbers_file, profile->path, profile->candidate};
    return state_record(&flow->state, OPTIMIZE_PROFILE_FP32, key, files, ARRAY_LEN(files), err);
}

static int recall(struct flow *flow, struct optimize_pruning *pruning, struct optimize_profile *profile,
                  struct err *err)
{
    cleanup_free char *result = flow_path(flow, result_file);
    cleanup_free char *numbers = flow_path(flow, numbers_file);
    if (!result || !numbers)
        return err_no_memory(err);
    if (report_load_profile(result, profile, err) < 0)
        return -1;
    return report_load_pruning(numbers, pruning, err);
}

static int decide(struct flow *flow, const struct digest *key, struct optimize_profile *out, struct err *err)
{
    struct optimize_pruning *pruning = &flow->report->pruning;
    if (state_done(&flow->state, OPTIMIZE_PROFILE_FP32, key))
        return recall(flow, pruning, out, err);
    optimize_profile_init(out, OPTIMIZE_PROFILE_FP32);
    if (state_forget(&flow->state, OPTIMIZE_PROFILE_FP32, err) < 0 || work_on(flow, pruning, out, err) < 0)
        return -1;
    return remember(flow, key, pruning, out, err);
}

/* ---- going on with the pruned model ---- */

static int prepare_work(void *arg, struct apart *self, struct err *err)
{
    const struct flow *flow = arg;
    cleanup_free char *model = flow_path(flow, final);
    cleanup_free char *out = flow_path(flow, prepared);
    if (!model || !out)
        return err_no_memory(err);
    return prepare_model(model, NULL, 0, out, flow->job->runtime_path, err);
}

static int go_on(struct flow *flow, struct err *err)
{
    struct flow_step step = {.name = "prepare-pruned",
                             .title = "reading the pruned model",
                             .share = SHARE_PREPARE,
                             .key = flow->key,
                             .files = {prepared},
                             .work = prepare_work,
                             .arg = flow};
    flow->model = prepared;
    if (flow_do(flow, &step, err) < 0)
        return -1;
    return steps_observe(flow, prepared, observed, "observe-pruned", err);
}

int steps_prune(struct flow *flow, struct err *err)
{
    const struct optimize_job *job = flow->job;
    struct optimize_pruning *pruning = &flow->report->pruning;
    struct optimize_profile *out = &flow->report->profiles[flow->report->profile_count++];
    *pruning = (struct optimize_pruning){.asked = true, .ratio = job->prune};
    flow->step = "pruning";
    struct digest key =
        flow_key(&flow->key, "prune %.9g drop %.9g rounds %d kind %d outputs %zu processor %s %s", job->prune,
                 job->max_drop, job->rounds, (int)flow->fidelity.kind, flow->fidelity.output_count,
                 flow->processor.machine, flow->processor.name);
    const double goal = ticker_goal(&flow->ticker, SHARE_PRUNE + SHARE_JUDGE);
    ticker_begin(&flow->ticker, SHARE_PRUNE);
    if (decide(flow, &key, out, err) < 0)
        return -1;
    ticker_reach(&flow->ticker, goal);
    if (!pruning->done)
        return 0;
    flow->key = key;
    return go_on(flow, err);
}
