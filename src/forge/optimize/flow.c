#include "forge/optimize/flow.h"

#include "base/str.h"
#include "infer/lab.h"
#include "infer/runtime.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

char *flow_path(const struct flow *flow, const char *below_out)
{
    return file_join(flow->job->out_dir, below_out);
}

int flow_tell(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    struct flow *flow = arg;
    const struct optimize_job *job = flow->job;
    char line[128];
    snprintf(line, sizeof line, what[0] ? "%s: %s" : "%s", flow->step, what);
    return job->progress
               ? job->progress(job->arg, line, ticker_at(&flow->ticker, done, total), TICKER_MAX, err)
               : 0;
}

struct digest flow_key(const struct digest *before, const char *fmt, ...)
{
    char line[1024];
    size_t used = sizeof before->bytes;
    memcpy(line, before->bytes, used);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + used, sizeof line - used, fmt, args);
    va_end(args);
    return hash_bytes(line, MIN(used + (size_t)MAX(more, 0), sizeof line - 1));
}

/* ---- a step ---- */

/* Of a process that died nobody knows what it was at. */
static int run_apart(const struct flow *flow, const struct apart_job *job, struct err *err)
{
    if (apart_run(job, err) == 0)
        return 0;
    return str_starts(err->text, "its process ") ? err_prefix(err, "%s", flow->step) : -1;
}

int flow_do(struct flow *flow, const struct flow_step *step, struct err *err)
{
    flow->step = step->title;
    ticker_begin(&flow->ticker, step->share);
    if (!state_done(&flow->state, step->name, &step->key)) {
        const struct apart_job job = {
            .work = step->work, .work_arg = step->arg, .progress = flow_tell, .arg = flow};
        if (state_forget(&flow->state, step->name, err) < 0 || flow_tell(flow, "", 0, 1, err) < 0 ||
            run_apart(flow, &job, err) < 0)
            return -1;
        const char *files[STATE_MAX_FILES];
        for (size_t i = 0; i < STATE_MAX_FILES; i++)
            files[i] = step->files[i] ? step->files[i] : "";
        if (state_record(&flow->state, step->name, &step->key, files, STATE_MAX_FILES, err) < 0)
            return -1;
    }
    ticker_end(&flow->ticker);
    return flow_tell(flow, "", 0, 1, err);
}

/* ---- models as files ---- */

static char *data_of(const struct flow *flow, const char *below_out)
{
    cleanup_free char *path = flow_path(flow, below_out);
    return path ? mem_printf("%s.data", path) : NULL;
}

/* The weights first: a model is never there without them. Names stay, since the model says its data's. */
int flow_publish(struct flow *flow, const char *from, const char *to, struct err *err)
{
    cleanup_free char *source = flow_path(flow, from);
    cleanup_free char *target = flow_path(flow, to);
    cleanup_free char *source_data = data_of(flow, from);
    cleanup_free char *target_data = data_of(flow, to);
    if (!source || !target || !source_data || !target_data)
        return err_no_memory(err);
    if (file_exists(source_data) && file_rename(source_data, target_data, err) < 0)
        return -1;
    return file_rename(source, target, err);
}

int flow_remove(struct flow *flow, const char *below_out, struct err *err)
{
    cleanup_free char *path = flow_path(flow, below_out);
    cleanup_free char *data = data_of(flow, below_out);
    if (!path || !data)
        return err_no_memory(err);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, "%s", path);
    if (unlink(data) < 0 && errno != ENOENT)
        return err_errno(err, "%s", data);
    return 0;
}

uint64_t flow_model_bytes(const struct flow *flow, const char *below_out)
{
    cleanup_free char *path = flow_path(flow, below_out);
    cleanup_free char *data = data_of(flow, below_out);
    uint64_t bytes = 0, more = 0;
    struct err ignored = {0};
    if (!path || !data || file_size(path, &bytes, &ignored) < 0)
        return 0;
    if (file_exists(data) && file_size(data, &more, &ignored) < 0)
        more = 0;
    return bytes + more;
}

/* ---- one look at the model that was given ---- */

struct look {
    struct flow *flow;
    struct glance { /* shared */
        enum fidelity_kind kind;
        size_t output_count;
    } * glance;
};

static int look_work(void *arg, struct apart *self, struct err *err)
{
    struct look *look = arg;
    struct flow *flow = look->flow;
    cleanup_lab struct lab *lab = NULL;
    const struct lab_how how = {
        .runtime_path = flow->job->runtime_path, .threads = 1, .level = LAB_BASIC, .lean = true};
    const struct lab_tensor *inputs = NULL;
    if (lab_open(flow->target.work_path, NULL, 0, &how, &lab, err) < 0 ||
        samples_load(flow->samples, 0, &inputs, err) < 0)
        return -1;
    size_t count = lab_output_count(lab);
    cleanup_free struct lab_tensor *outputs = mem_zalloc(count + 1, sizeof *outputs);
    if (!outputs)
        return err_no_memory(err);
    if (lab_run(lab, inputs, NULL, 0, outputs, err) < 0)
        return -1;
    const size_t answers =
        count - (flow->target.tap[0] ? 1 : 0); /* the tap is the last one, and answers nothing */
    struct fidelity fidelity = fidelity_for(&flow->target.release, outputs, answers);
    *look->glance = (struct glance){.kind = fidelity.kind, .output_count = fidelity.output_count};
    return 0;
}

int flow_look(struct flow *flow, struct err *err)
{
    struct look look = {.flow = flow, .glance = apart_memory(sizeof *look.glance)};
    if (!look.glance)
        return err_no_memory(err);
    const struct apart_job job = {.work = look_work, .work_arg = &look, .progress = flow_tell, .arg = flow};
    flow->step = "looking at the model's answers";
    ticker_begin(&flow->ticker, SHARE_LOOK);
    int result = run_apart(flow, &job, err);
    ticker_end(&flow->ticker);
    flow->fidelity = (struct fidelity){.kind = look.glance->kind,
                                       .release = &flow->target.release,
                                       .output_count = look.glance->output_count};
    apart_memory_free(look.glance, sizeof *look.glance);
    str_copy(flow->report->fidelity_kind, sizeof flow->report->fidelity_kind,
             fidelity_kind_name(flow->fidelity.kind));
    return result;
}

int flow_judge(struct flow *flow, const char *candidate, bool latency, struct gate_answer *out,
               uint64_t out_memory[2], struct err *err)
{
    cleanup_free char *path = flow_path(flow, candidate);
    if (!path)
        return err_no_memory(err);
    const struct optimize_contest contest = {.parent_path = flow->target.work_path,
                                             .candidate_path = path,
                                             .runtime_path = flow->job->runtime_path,
                                             .samples = flow->samples,
                                             .fidelity = &flow->fidelity,
                                             .max_drop = flow->job->max_drop,
                                             .rounds = flow->job->rounds,
                                             .latency = latency,
                                             .progress = flow_tell,
                                             .arg = flow};
    return optimize_judge(&contest, out, out_memory, err);
}
