/* 2:4 sparse weights, for the trt profile: a model of its own, with its own ranges. */
#include "forge/optimize/flow.h"

#include "forge/prune/prune.h"

#include <stdlib.h>

static const char sparse[] = OPTIMIZE_WORK "/sparse.onnx";
static const char observed[] = OPTIMIZE_WORK "/sparse-observed.bin";

static int sparse_work(void *arg, struct apart *self, struct err *err)
{
    const struct flow *flow = arg;
    cleanup_free char *model = flow_path(flow, flow->model);
    cleanup_free char *work = flow_path(flow, OPTIMIZE_WORK);
    cleanup_free char *out = flow_path(flow, sparse);
    struct sparsity_outcome outcome = {0};
    if (!model || !work || !out)
        return err_no_memory(err);
    if (prune_sparsify(model, flow->samples, work, out, flow->job->runtime_path, &outcome, err) < 0)
        return -1;
    return outcome.sparse ? 0 : err_set(err, ERR_UNSUPPORTED, "no operator can be sparse");
}

/* Within the profile's share: progress is the profile's. What all profiles are made of stays as it is. */
int steps_sparse(struct flow *flow, const char **out_model, const char **out_seen, struct err *err)
{
    const struct flow before = *flow;
    struct flow_step step = {.name = "sparse",
                             .title = "trt: sparse weights",
                             .key = flow_key(&flow->key, "2:4"),
                             .files = {sparse},
                             .work = sparse_work,
                             .arg = flow};
    *out_model = *out_seen = NULL;
    int result = flow_do(flow, &step, err);
    if (result < 0 && err->code == ERR_UNSUPPORTED) {
        *err = (struct err){0};
        flow->ticker = before.ticker;
        return 0;
    }
    if (result == 0) {
        flow->key = step.key;
        result = steps_observe(flow, sparse, observed, "observe-sparse", err);
    }
    flow->key = before.key;
    flow->model = before.model;
    flow->seen = before.seen;
    flow->ticker = before.ticker;
    *out_model = sparse;
    *out_seen = observed;
    return result;
}
