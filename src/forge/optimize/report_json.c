#include "base/str.h"
#include "forge/optimize/report.h"
#include "sys/file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What paths are relative to; NULL: they stay so. */
struct place {
    const char *out, *model;
};
static const struct place nowhere = {0};

static void put_path(struct json_writer *w, const struct place *place, const char *key, const char *path)
{
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s%s%s", place->out ? place->out : "", place->out ? "/" : "", path);
    if (path[0])
        jsonw_text(w, key, whole);
    else
        jsonw_nothing(w, key);
}

static void put_known(struct json_writer *w, const char *key, uint64_t bytes)
{
    if (bytes)
        jsonw_u64(w, key, bytes);
    else
        jsonw_nothing(w, key);
}

static void put_excluded(struct json_writer *w, const struct optimize_profile *profile)
{
    jsonw_array(w, "excluded");
    for (size_t i = 0; i < profile->excluded_count; i++) {
        jsonw_object(w, NULL);
        jsonw_text(w, "node", profile->excluded[i].node);
        jsonw_text(w, "op", profile->excluded[i].op);
        jsonw_text(w, "reason", profile->excluded[i].why);
        jsonw_close(w);
    }
    jsonw_close(w);
}

static void put_sensitivity(struct json_writer *w, const struct optimize_profile *profile)
{
    jsonw_array(w, "sensitivity");
    for (size_t i = 0; i < profile->sensitivity_count; i++) {
        jsonw_object(w, NULL);
        jsonw_text(w, "node", profile->sensitivity[i].node);
        jsonw_real(w, "sqnr_db", profile->sensitivity[i].sqnr_db);
        jsonw_close(w);
    }
    jsonw_close(w);
}

static void put_attempts(struct json_writer *w, const struct place *place,
                         const struct optimize_profile *profile)
{
    jsonw_array(w, "attempts");
    for (size_t i = 0; i < profile->attempt_count; i++) {
        const struct optimize_attempt *attempt = &profile->attempts[i];
        jsonw_object(w, NULL);
        jsonw_text(w, "precision", attempt->precision);
        jsonw_boolean(w, "promoted", attempt->promoted);
        jsonw_text(w, "reason", attempt->reason);
        put_path(w, place, "path", attempt->path);
        jsonw_close(w);
    }
    jsonw_close(w);
}

static void put_measured(struct json_writer *w, const struct optimize_profile *profile)
{
    const struct gate_answer *gate = &profile->gate;
    put_known(w, "size_bytes", profile->size_bytes);
    put_known(w, "parent_size_bytes", profile->parent_size_bytes);
    jsonw_real(w, "latency_p50_ms", gate->candidate_p50_ms);
    jsonw_real(w, "parent_latency_p50_ms", gate->parent_p50_ms);
    jsonw_real(w, "latency_p99_ms", gate->candidate_p99_ms);
    jsonw_real(w, "parent_latency_p99_ms", gate->parent_p99_ms);
    jsonw_real(w, "speedup", gate->speedup);
    jsonw_real(w, "faster_share", gate->faster_share);
    jsonw_real(w, "faster_share_lower", gate->faster_share_lower);
    put_known(w, "peak_memory_bytes", profile->peak_memory_bytes);
    put_known(w, "parent_peak_memory_bytes", profile->parent_peak_memory_bytes);
    jsonw_real(w, "fidelity", gate->fidelity);
    jsonw_real(w, "fidelity_lower", gate->fidelity_lower);
    jsonw_real(w, "fitting_fidelity", profile->fitting_fidelity);
}

static void put_profile(struct json_writer *w, const struct place *place,
                        const struct optimize_profile *profile)
{
    jsonw_object(w, NULL);
    jsonw_text(w, "profile", profile->profile);
    jsonw_text(w, "precision", profile->precision);
    jsonw_boolean(w, "promoted", profile->promoted);
    jsonw_boolean(w, "measured_here", profile->measured_here);
    jsonw_text(w, "reason", profile->reason);
    jsonw_u64(w, "unfused", profile->unfused);
    jsonw_u64(w, "weighted", profile->weighted);
    jsonw_u64(w, "integer", profile->integer);
    put_excluded(w, profile);
    put_measured(w, profile);
    jsonw_u64(w, "bias_tried", profile->bias_tried);
    jsonw_u64(w, "bias_kept", profile->bias_kept);
    jsonw_u64(w, "half_nodes", profile->half_nodes);
    jsonw_u64(w, "casts", profile->casts);
    if (profile->path[0] || !place->model)
        put_path(w, place, "path", profile->path);
    else
        jsonw_text(w, "path", place->model);
    put_path(w, place, "candidate", profile->candidate);
    put_sensitivity(w, profile);
    put_attempts(w, place, profile);
    jsonw_close(w);
}

void report_write_profile(struct json_writer *w, const struct optimize_profile *profile)
{
    put_profile(w, &nowhere, profile);
}

static void put_pruning(struct json_writer *w, const char *key, const struct optimize_pruning *pruning)
{
    if (!pruning->asked) {
        jsonw_nothing(w, key);
        return;
    }
    jsonw_object(w, key);
    jsonw_boolean(w, "done", pruning->done);
    jsonw_text(w, "reason", pruning->reason);
    jsonw_real(w, "ratio", pruning->ratio);
    jsonw_u64(w, "groups", pruning->group_count);
    jsonw_u64(w, "channels", pruning->channels);
    jsonw_u64(w, "removed", pruning->removed);
    jsonw_u64(w, "parameters", pruning->parameters);
    jsonw_u64(w, "parameters_left", pruning->parameters_left);
    jsonw_close(w);
}

static int save(struct json_writer *w, const char *path, struct err *err)
{
    cleanup_free char *text = jsonw_take(w, err);
    return text ? file_replace(path, text, strlen(text), 0644, err) : -1;
}

int report_save_profile(const struct optimize_profile *profile, const char *path, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    report_write_profile(&w, profile);
    return save(&w, path, err);
}

int report_save_pruning(const struct optimize_pruning *pruning, const char *path, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    put_pruning(&w, NULL, pruning);
    return save(&w, path, err);
}

static void put_report(struct json_writer *w, const struct place *place, const struct optimize_report *report)
{
    jsonw_object(w, NULL);
    jsonw_i64(w, "schema", 1);
    jsonw_text(w, "muster", report->version);
    jsonw_text(w, "model", report->model);
    jsonw_text(w, "model_digest", report->model_digest);
    jsonw_u64(w, "parameters", report->parameters);
    jsonw_text(w, "runtime", report->runtime);
    jsonw_text(w, "machine", report->machine);
    jsonw_text(w, "processor", report->processor);
    jsonw_u64(w, "samples", report->samples);
    jsonw_u64(w, "fitting", report->fitting);
    jsonw_u64(w, "held_out", report->held_out);
    jsonw_text(w, "fidelity_kind", report->fidelity_kind);
    jsonw_real(w, "max_drop", report->max_drop);
    jsonw_real(w, "confidence", 1 - GATE_ALPHA);
    jsonw_real(w, "seconds", report->seconds);
    jsonw_u64(w, "peak_rss_bytes", report->peak_rss_bytes);
    put_pruning(w, "pruning", &report->pruning);
    jsonw_array(w, "profiles");
    for (size_t i = 0; i < report->profile_count; i++)
        put_profile(w, place, &report->profiles[i]);
    jsonw_close(w);
    jsonw_close(w);
}

void report_write_json(struct json_writer *w, const struct optimize_report *report)
{
    put_report(w, &nowhere, report);
}

void report_write_json_here(struct json_writer *w, const struct optimize_report *report)
{
    const struct place place = {.out = report->out_path, .model = report->model_path};
    put_report(w, &place, report);
}
