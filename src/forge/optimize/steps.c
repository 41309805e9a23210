/* The first steps: a model that the others understand, and what its tensors are like. */
#include "forge/optimize/flow.h"

#include "base/str.h"
#include "forge/calib/observe.h"
#include "forge/graph/graph.h"
#include "forge/optimize/prepare.h"
#include "forge/precision/half.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

/* ---- prepare ---- */

static const char prepared[] = OPTIMIZE_WORK "/prepared.onnx";

static int prepare_work(void *arg, struct apart *self, struct err *err)
{
    struct flow *flow = arg;
    cleanup_free char *out = flow_path(flow, prepared);
    if (!out)
        return err_no_memory(err);
    return prepare_model(flow->target.work_path, flow->target.fixed, flow->target.fixed_count, out,
                         flow->job->runtime_path, err);
}

static struct digest fixed_key(const struct flow *flow, struct digest key)
{
    for (size_t i = 0; i < flow->target.fixed_count; i++) {
        const struct optimize_fixed *fixed = &flow->target.fixed[i];
        key = flow_key(&key, "fixed %s", fixed->input);
        for (size_t k = 0; k < fixed->dim_count; k++)
            key = flow_key(&key, "%lld", (long long)fixed->dims[k]);
    }
    return key;
}

int steps_prepare(struct flow *flow, struct err *err)
{
    struct flow_step step = {.name = "prepare",
                             .title = "reading and folding the model",
                             .share = SHARE_PREPARE,
                             .files = {prepared},
                             .work = prepare_work,
                             .arg = flow};
    step.key = fixed_key(flow, flow_key(&flow->target.digest, "muster %s runtime %s", flow->report->version,
                                        flow->report->runtime));
    flow->key = step.key;
    flow->model = prepared;
    return flow_do(flow, &step, err);
}

/* ---- observe ---- */

struct observe_task {
    struct flow *flow;
    const char *model, *seen;
};

static int tell(void *self, size_t done, size_t total, struct err *err)
{
    return apart_tell(self, "", done, total, err);
}

static int add_names(const char **names, size_t count, const char ***all, size_t *all_count, struct err *err)
{
    const char **grown = names ? mem_grow(*all, *all_count + count + 1, sizeof *grown) : NULL;
    if (!grown)
        return err_no_memory(err);
    *all = grown;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0; /* names of one graph are interned: equal ones are the same pointer */
        while (k < *all_count && grown[k] != names[i])
            k++;
        if (k == *all_count)
            grown[(*all_count)++] = names[i];
    }
    return 0;
}

/* All that any profile may ask for, so that one observation serves all and another choice of profiles needs no other. */
static int list_tensors(struct graph *graph, const char ***out, size_t *out_count, struct err *err)
{
    size_t count = 0;
    cleanup_free const char **plan = quant_plan_tensors(graph, &count);
    if (add_names(plan, count, out, out_count, err) < 0)
        return -1;
    cleanup_free const char **half = half_tensors(graph, &count);
    return add_names(half, count, out, out_count, err);
}

static int observe_work(void *arg, struct apart *self, struct err *err)
{
    const struct observe_task *task = arg;
    struct flow *flow = task->flow;
    cleanup_free char *model = flow_path(flow, task->model);
    cleanup_free char *seen = flow_path(flow, task->seen);
    cleanup_free const char **names = NULL;
    cleanup_observation struct observation observation = {0};
    cleanup_graph struct graph *graph = NULL;
    size_t count = 0;
    if (!model || !seen)
        return err_no_memory(err);
    if (graph_open(model, &graph, err) < 0 ||
        observe_shapes(model, graph, flow->samples, flow->job->runtime_path, err) < 0 ||
        list_tensors(graph, &names, &count, err) < 0)
        return -1;
    const struct observe_options options = {
        .runtime_path = flow->job->runtime_path, .progress = tell, .arg = self};
    if (observe(model, names, count, flow->samples, &options, &observation, err) < 0)
        return -1;
    return observation_save(&observation, seen, err);
}

int steps_observe(struct flow *flow, const char *model, const char *seen, const char *name, struct err *err)
{
    struct observe_task task = {.flow = flow, .model = model, .seen = seen};
    struct flow_step step = {.name = name,
                             .title = "looking at the samples",
                             .share = SHARE_OBSERVE,
                             .files = {seen},
                             .work = observe_work,
                             .arg = &task};
    struct digest_text samples = digest_format(&flow->samples_digest);
    step.key = flow_key(&flow->key, "%s samples %s", name, samples.text);
    flow->key = step.key;
    flow->seen = seen;
    return flow_do(flow, &step, err);
}
