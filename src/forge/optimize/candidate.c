/* Building one candidate, in a process of its own: integers, float16, or both. */
#include "forge/optimize/flow.h"

#include "base/str.h"
#include "forge/calib/observe.h"
#include "forge/graph/graph.h"
#include "forge/optimize/report.h"
#include "forge/precision/half.h"
#include "forge/quant/quant.h"
#include "forge/trt/placement.h"
#include "stats/bound.h"

#include <math.h>

/* Of the allowed drop, how much the fitting samples may show: the rest is for the distance between a mean and its lower bound. */
#define FITTING_SHARE 0.3
#define FITTING_SHARE_VALUES 0.5 /* no sample disagrees as a whole: the mean is known better */
/* A search for more would take everything back to float where samples are few. */
#define FITTING_MOST 0.985

const char *candidate_name(const struct candidate_form *form)
{
    static const char *const names[][2] = {[CANDIDATE_INT8] = {"int8", "int8-2of4"},
                                           [CANDIDATE_HALF] = {"fp16", "fp16-2of4"},
                                           [CANDIDATE_MIXED] = {"int8+fp16", "int8+fp16-2of4"}};
    return names[form->kind][form->sparse];
}

size_t candidate_list(const struct optimize_job *job, enum quant_profile profile, struct candidate_form *out)
{
    bool trt = profile == PROFILE_TRT, neither = !job->int8 && !job->half, both = job->int8 && job->half;
    enum candidate_kind first = CANDIDATE_HALF;
    size_t count = 0;
    if (trt && (neither || both))
        first = CANDIDATE_MIXED;
    else if (job->int8 || neither)
        first = CANDIDATE_INT8;
    if (trt && job->sparse)
        out[count++] = (struct candidate_form){first, true};
    out[count++] = (struct candidate_form){first, false};
    if (first != CANDIDATE_HALF && (job->half || (trt && neither)))
        out[count++] = (struct candidate_form){CANDIDATE_HALF, false};
    return count;
}

/* ---- integers ---- */

/* The mean that is wanted on fitting samples, so that the bound on the held-out ones has a fair chance. More samples are what makes the bound
 * tighter; taking operators back to float is not: that would make a slow model out of a small folder. */
static double fitting_target(const struct flow *flow)
{
    double share = flow->fidelity.kind == FIDELITY_VALUES ? FITTING_SHARE_VALUES : FITTING_SHARE;
    return fmin(1 - share * flow->job->max_drop, FITTING_MOST);
}

static int tell_plan(const struct quant_plan *plan, struct optimize_profile *facts, struct err *err)
{
    facts->excluded = mem_zalloc(plan->node_count + 1, sizeof *facts->excluded);
    if (!facts->excluded)
        return err_no_memory(err);
    for (size_t i = 0; i < plan->node_count; i++) {
        const struct quant_node *node = &plan->nodes[i];
        facts->weighted += node->weighted;
        facts->integer += node->weighted && node->integer;
        if (node->integer)
            continue;
        struct optimize_excluded *excluded = &facts->excluded[facts->excluded_count++];
        str_copy(excluded->node, sizeof excluded->node, node->node);
        str_copy(excluded->op, sizeof excluded->op, node->op);
        str_copy(excluded->why, sizeof excluded->why, node->why ? node->why : "not chosen");
    }
    return 0;
}

static int tell_outcome(const struct quant_outcome *outcome, struct optimize_profile *facts, struct err *err)
{
    if (tell_plan(&outcome->plan, facts, err) < 0)
        return -1;
    facts->unfused = outcome->unfused.unfused;
    facts->fitting_fidelity = outcome->fidelity;
    facts->bias_tried = outcome->bias_tried;
    facts->bias_kept = outcome->bias_kept;
    facts->sensitivity = mem_zalloc(outcome->group_count + 1, sizeof *facts->sensitivity);
    if (!facts->sensitivity)
        return err_no_memory(err);
    for (size_t i = 0; i < outcome->group_count; i++) {
        struct optimize_sensitivity *item = &facts->sensitivity[facts->sensitivity_count++];
        str_copy(item->node, sizeof item->node, outcome->sensitivity[i].node);
        item->sqnr_db = isfinite(outcome->sensitivity[i].sqnr_db) ? outcome->sensitivity[i].sqnr_db : NAN;
    }
    return 0;
}

struct paths {
    char *model, *seen, *work, *out, *rehearsal, *facts; /* owned */
};

static void paths_fini(struct paths *paths)
{
    free(paths->model);
    free(paths->seen);
    free(paths->work);
    free(paths->out);
    free(paths->rehearsal);
    free(paths->facts);
}
#define cleanup_paths __attribute__((cleanup(paths_fini)))

static int paths_init(const struct candidate_task *task, struct paths *out, struct err *err)
{
    const struct flow *flow = task->flow;
    *out = (struct paths){.model = flow_path(flow, task->source),
                          .seen = flow_path(flow, task->seen),
                          .work = flow_path(flow, OPTIMIZE_WORK),
                          .out = flow_path(flow, task->model),
                          .rehearsal = flow_path(flow, task->rehearsal),
                          .facts = flow_path(flow, task->facts)};
    return out->model && out->seen && out->work && out->out && out->rehearsal && out->facts
               ? 0
               : err_no_memory(err);
}

static int build_integers(const struct candidate_task *task, const struct paths *paths,
                          const struct observation *seen, struct apart *self, struct optimize_profile *facts,
                          struct err *err)
{
    const struct flow *flow = task->flow;
    cleanup_quant_outcome struct quant_outcome outcome = {0};
    const struct quant_job job = {
        .model_path = paths->model,
        .seen = seen,
        .samples = flow->samples,
        .options = {.profile = task->profile,
                    .weight_bits = processor_weight_bits(&flow->processor, task->profile)},
        .fidelity = &flow->fidelity,
        .target = fitting_target(flow),
        .correct_bias = true,
        .second_order = flow->job->second_order,
        .work_dir = paths->work,
        .out_path = paths->out,
        .runtime_path = flow->job->runtime_path,
        .progress = apart_tell,
        .arg = self};
    if (quant_run(&job, &outcome, err) < 0 || tell_outcome(&outcome, facts, err) < 0)
        return -1;
    if (facts->integer == 0)
        return err_set(err, ERR_UNSUPPORTED, "no operator could become integers; \"excluded\" says why");
    return 0;
}

/* ---- float16 ---- */

static int build_half(const char *from, const struct paths *paths, const struct observation *seen,
                      const struct flow *flow, struct optimize_profile *facts, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    struct half_outcome half = {0};
    if (graph_open(from, &graph, err) < 0 ||
        observe_shapes(from, graph, flow->samples, flow->job->runtime_path, err) < 0 ||
        half_convert(graph, seen, &half, err) < 0 || graph_save(graph, paths->out, err) < 0)
        return -1;
    facts->half_nodes = half.half;
    facts->casts = half.casts;
    if (half.half == 0)
        return err_set(err, ERR_UNSUPPORTED, "no operator could become float16");
    return 0;
}

/* The rules of TensorRT, looked at once more in what was really written. */
static int check_placement(const struct paths *paths, struct err *err)
{
    cleanup_graph struct graph *graph = NULL;
    cleanup_free struct trt_findings *findings = mem_zalloc(1, sizeof *findings);
    if (!findings)
        return err_no_memory(err);
    if (graph_open(paths->out, &graph, err) < 0 || trt_check(graph, findings, err) < 0)
        return -1;
    if (trt_explain(findings, err) == 0)
        return 0;
    err->code = ERR_UNSUPPORTED; /* a candidate less, no failure */
    return -1;
}

static int build(const struct candidate_task *task, const struct paths *paths, struct apart *self,
                 struct optimize_profile *facts, struct err *err)
{
    cleanup_observation struct observation seen = {0};
    if (observation_load(paths->seen, &seen, err) < 0)
        return -1;
    const char *from = paths->model;
    if (task->form.kind != CANDIDATE_HALF) {
        if (build_integers(task, paths, &seen, self, facts, err) < 0)
            return -1;
        from = paths->out;
    }
    if (task->form.kind != CANDIDATE_INT8 && build_half(from, paths, &seen, task->flow, facts, err) < 0)
        return -1;
    if (task->profile == PROFILE_TRT && task->form.kind != CANDIDATE_HALF && check_placement(paths, err) < 0)
        return -1;
    return task->form.kind == CANDIDATE_MIXED ? candidate_rehearse(paths->out, paths->rehearsal, err) : 0;
}

/* What is known is told also of one that could not be built: why, and what was excluded. */
int candidate_build(void *arg, struct apart *self, struct err *err)
{
    const struct candidate_task *task = arg;
    cleanup_paths struct paths paths = {0};
    struct optimize_profile facts;
    optimize_profile_init(&facts, quant_profile_name(task->profile));
    str_copy(facts.precision, sizeof facts.precision, candidate_name(&task->form));
    if (paths_init(task, &paths, err) < 0)
        return -1;
    int result = build(task, &paths, self, &facts, err);
    if (result == 0 || err->code == ERR_UNSUPPORTED) {
        str_copy(facts.reason, sizeof facts.reason, result < 0 ? err->text : "");
        result = report_save_profile(&facts, paths.facts, err);
    }
    optimize_profile_fini(&facts);
    return result;
}
