/* One profile: its candidates, the gate, and where what comes out is put. */
#include "forge/optimize/flow.h"

#include "base/str.h"
#include "forge/optimize/report.h"
#include "sys/file.h"

#include <string.h>

/* Files of a profile, below OUT. A candidate is built under the name that it will have, since large models name their data. */
struct places {
    char built[64], rehearsal[64], facts[64], result[64], final[64], refused[64];
};

static void name_places(const char *profile, const char *precision, struct places *out)
{
    snprintf(out->built, sizeof out->built, OPTIMIZE_WORK "/new/%s.onnx", profile);
    snprintf(out->rehearsal, sizeof out->rehearsal, OPTIMIZE_WORK "/%s-rehearsal.onnx", profile);
    snprintf(out->facts, sizeof out->facts, OPTIMIZE_WORK "/%s-facts.json", profile);
    snprintf(out->result, sizeof out->result, OPTIMIZE_WORK "/%s.json", profile);
    snprintf(out->final, sizeof out->final, "%s.onnx", profile);
    snprintf(out->refused, sizeof out->refused, OPTIMIZE_REFUSED "/%s/%s.onnx", precision, profile);
}

static int save(struct flow *flow, const struct optimize_profile *profile, const char *below_out,
                struct err *err)
{
    cleanup_free char *path = flow_path(flow, below_out);
    return path ? report_save_profile(profile, path, err) : err_no_memory(err);
}

static int load(struct flow *flow, const char *below_out, struct optimize_profile *out, struct err *err)
{
    cleanup_free char *path = flow_path(flow, below_out);
    return path ? report_load_profile(path, out, err) : err_no_memory(err);
}

static int make_dir(struct flow *flow, const char *below_out, struct err *err)
{
    cleanup_free char *path = flow_path(flow, below_out);
    if (!path)
        return err_no_memory(err);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    return file_make_dirs(path, 0755, err);
}

/* ---- one candidate ---- */

/* What a form is made of. 1: this model has no such form; the facts say why. */
static int find_source(struct flow *flow, struct candidate_task *task, struct optimize_profile *facts,
                       struct err *err)
{
    task->source = flow->model;
    task->seen = flow->seen;
    if (task->form.sparse && steps_sparse(flow, &task->source, &task->seen, err) < 0)
        return -1;
    if (task->source)
        return 0;
    optimize_profile_init(facts, quant_profile_name(task->profile));
    str_copy(facts->precision, sizeof facts->precision, candidate_name(&task->form));
    str_copy(facts->reason, sizeof facts->reason, "no operator has inputs enough for 2:4 sparse weights");
    return 1;
}

static int build(struct flow *flow, enum quant_profile profile, const struct candidate_form *form,
                 const struct places *places, struct optimize_profile *facts, struct err *err)
{
    struct candidate_task task = {.flow = flow,
                                  .profile = profile,
                                  .form = *form,
                                  .model = places->built,
                                  .rehearsal = places->rehearsal,
                                  .facts = places->facts};
    const struct apart_job job = {
        .work = candidate_build, .work_arg = &task, .progress = flow_tell, .arg = flow};
    if (make_dir(flow, places->built, err) < 0 || flow_remove(flow, places->facts, err) < 0 ||
        flow_remove(flow, places->rehearsal, err) < 0)
        return -1;
    int none = find_source(flow, &task, facts, err);
    if (none != 0)
        return none < 0 ? -1 : 0;
    flow->step = quant_profile_name(profile);
    if (apart_run(&job, err) < 0)
        return -1;
    return load(flow, places->facts, facts, err);
}

/* What cannot be said by latencies: operators that were to be integers and are not. */
static bool structure_holds(struct optimize_profile *facts)
{
    if (facts->reason[0]) /* it could not be built */
        return false;
    if (facts->unfused == 0)
        return true;
    snprintf(facts->reason, sizeof facts->reason,
             "%zu of %zu weighted operators do not fuse in ONNX Runtime and were not excluded",
             facts->unfused, facts->weighted);
    return false;
}

static int judge(struct flow *flow, const struct places *places, struct optimize_profile *facts,
                 struct err *err)
{
    uint64_t memory[2];
    ticker_end(&flow->ticker);
    ticker_begin(&flow->ticker, SHARE_JUDGE);
    bool rehearsed = !facts->measured_here && flow_model_bytes(flow, places->rehearsal) > 0;
    if (flow_judge(flow, rehearsed ? places->rehearsal : places->built, facts->measured_here, &facts->gate,
                   memory, err) < 0)
        return -1;
    facts->promoted = facts->gate.promoted;
    facts->parent_peak_memory_bytes = memory[0];
    facts->peak_memory_bytes = memory[1];
    str_copy(facts->reason, sizeof facts->reason, facts->gate.reason);
    size_t len = strlen(facts->reason);
    if (facts->promoted && !facts->measured_here)
        snprintf(facts->reason + len, sizeof facts->reason - len,
                 "; latency is measured on the robot before activation");
    return flow_remove(flow, places->rehearsal, err);
}

static int put_away(struct flow *flow, const struct places *places, struct optimize_profile *facts,
                    struct err *err)
{
    facts->size_bytes = flow_model_bytes(flow, places->built);
    if (facts->size_bytes == 0)
        return 0; /* nothing was built */
    if (facts->promoted) {
        str_copy(facts->path, sizeof facts->path, places->final);
        return flow_publish(flow, places->built, places->final, err);
    }
    str_copy(facts->candidate, sizeof facts->candidate, places->refused);
    if (make_dir(flow, places->refused, err) < 0)
        return -1;
    return flow_publish(flow, places->built, places->refused, err);
}

static int try_one(struct flow *flow, enum quant_profile profile, const struct candidate_form *form,
                   struct optimize_profile *facts, struct err *err)
{
    struct places places;
    name_places(quant_profile_name(profile), candidate_name(form), &places);
    if (flow_remove(flow, places.built, err) < 0 || build(flow, profile, form, &places, facts, err) < 0)
        return -1;
    facts->measured_here = processor_fits(&flow->processor, profile);
    facts->parent_size_bytes = flow->target.size_bytes;
    if (structure_holds(facts) && judge(flow, &places, facts, err) < 0)
        return -1;
    return put_away(flow, &places, facts, err);
}

/* ---- the profile ---- */

static void note(struct optimize_profile *out, const struct optimize_profile *tried)
{
    struct optimize_attempt *attempt = &out->attempts[out->attempt_count++];
    attempt->promoted = tried->promoted;
    str_copy(attempt->precision, sizeof attempt->precision, tried->precision);
    str_copy(attempt->reason, sizeof attempt->reason, tried->reason);
    str_copy(attempt->path, sizeof attempt->path, tried->promoted ? tried->path : tried->candidate);
}

/* The profile tells of the promoted candidate, and of the first one if none was. */
static void adopt(struct optimize_profile *out, struct optimize_profile *tried)
{
    if (out->attempt_count > 0 && !tried->promoted) {
        note(out, tried);
        optimize_profile_fini(tried);
        return;
    }
    size_t before = out->attempt_count;
    struct optimize_attempt attempts[OPTIMIZE_MAX_ATTEMPTS];
    memcpy(attempts, out->attempts, sizeof attempts);
    optimize_profile_fini(out);
    *out = *tried;
    memcpy(out->attempts, attempts, sizeof attempts);
    out->attempt_count = before;
    note(out, tried);
}

static void settle(const struct flow *flow, struct optimize_profile *out)
{
    if (out->promoted)
        return;
    str_copy(out->precision, sizeof out->precision, "fp32");
    if (flow->report->pruning.done) /* the pruned model has passed the gate, too */
        str_copy(out->path, sizeof out->path, OPTIMIZE_PROFILE_FP32 ".onnx");
}

static int try_all(struct flow *flow, enum quant_profile profile, struct optimize_profile *out,
                   struct err *err)
{
    struct candidate_form forms[OPTIMIZE_MAX_ATTEMPTS];
    size_t count = candidate_list(flow->job, profile, forms);
    cleanup_free char *final = mem_printf("%s.onnx", quant_profile_name(profile));
    if (!final)
        return err_no_memory(err);
    if (flow_remove(flow, final, err) < 0)
        return -1;
    optimize_profile_init(out, quant_profile_name(profile));
    for (size_t i = 0; i < count && !out->promoted; i++) {
        struct optimize_profile tried;
        if (try_one(flow, profile, &forms[i], &tried, err) < 0)
            return -1;
        adopt(out, &tried);
    }
    settle(flow, out);
    return 0;
}

static struct digest key_of(const struct flow *flow, enum quant_profile profile)
{
    const struct optimize_job *job = flow->job;
    struct digest key =
        flow_key(&flow->key, "%s int8 %d half %d second order %d sparse %d", quant_profile_name(profile),
                 job->int8, job->half, job->second_order, job->sparse);
    return flow_key(&key, "drop %.9g rounds %d kind %d outputs %zu processor %s %s vnni %d", job->max_drop,
                    job->rounds, (int)flow->fidelity.kind, flow->fidelity.output_count,
                    flow->processor.machine, flow->processor.name, flow->processor.vnni);
}

int profile_run(struct flow *flow, enum quant_profile profile, struct optimize_profile *out, struct err *err)
{
    const char *name = quant_profile_name(profile);
    struct digest key = key_of(flow, profile);
    struct places places;
    name_places(name, "", &places);
    flow->step = name;
    const double goal = ticker_goal(&flow->ticker, SHARE_BUILD + SHARE_JUDGE);
    ticker_begin(&flow->ticker, SHARE_BUILD);
    if (state_done(&flow->state, name, &key)) {
        if (load(flow, places.result, out, err) < 0)
            return -1;
    } else {
        if (state_forget(&flow->state, name, err) < 0 || try_all(flow, profile, out, err) < 0 ||
            save(flow, out, places.result, err) < 0)
            return -1;
        const char *const files[] = {places.result, out->promoted ? out->path : "", out->candidate};
        if (state_record(&flow->state, name, &key, files, ARRAY_LEN(files), err) < 0)
            return -1;
    }
    ticker_reach(&flow->ticker, goal);
    return flow_tell(flow, "", 0, 1, err);
}
