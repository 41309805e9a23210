/* Profiles as they were written by report_json.c, read back; and their memory. */
#include "base/mem.h"
#include "base/str.h"
#include "forge/optimize/report.h"
#include "sys/file.h"
#include "wire/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROFILE_MAX_BYTES = 4 << 20, MAX_ITEMS = 20000 };

/* ---- memory ---- */

void optimize_profile_init(struct optimize_profile *profile, const char *name)
{
    const struct gate_question nothing = {0};
    *profile = (struct optimize_profile){.precision = "fp32", .fitting_fidelity = NAN};
    str_copy(profile->profile, sizeof profile->profile, name);
    gate_judge(&nothing, &profile->gate);
}

void optimize_profile_fini(struct optimize_profile *profile)
{
    free(profile->excluded);
    free(profile->sensitivity);
    *profile = (struct optimize_profile){0};
}

void optimize_report_fini(struct optimize_report *report)
{
    for (size_t i = 0; i < report->profile_count; i++)
        optimize_profile_fini(&report->profiles[i]);
    report->profile_count = 0;
    free(report->model_path);
    free(report->out_path);
    report->model_path = report->out_path = NULL;
}

/* ---- members ---- */

static double get_real(struct json_at at, const char *key)
{
    double value = NAN;
    if (!json_has_null(at, key))
        json_get_double(at, key, -1e300, 1e300, &value);
    return value;
}

static uint64_t get_u64(struct json_at at, const char *key)
{
    uint64_t value = 0;
    if (!json_has_null(at, key))
        json_get_u64(at, key, INT64_MAX, &value);
    return value;
}

/* A file of ours below OUT; null is "". */
static void get_path(struct json_at at, const char *key, char *out, size_t size)
{
    if (json_has_null(at, key))
        return;
    json_get_line(at, key, out, size);
    if (!str_is_safe_path(out))
        json_fail(at, "%s leads out", key);
}

static void get_text(struct json_at at, const char *key, char *out, size_t size)
{
    json_get_string(at, key, out, size);
}

static void get_excluded(struct json_at at, struct optimize_profile *out)
{
    struct json_at list = json_list(at, "excluded", MAX_ITEMS, &out->excluded_count);
    out->excluded = mem_zalloc(out->excluded_count + 1, sizeof *out->excluded);
    if (!out->excluded) {
        out->excluded_count = 0;
        json_fail(at, "out of memory");
    }
    for (size_t i = 0; i < out->excluded_count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        get_text(item, "node", out->excluded[i].node, sizeof out->excluded[i].node);
        get_text(item, "op", out->excluded[i].op, sizeof out->excluded[i].op);
        get_text(item, "reason", out->excluded[i].why, sizeof out->excluded[i].why);
    }
}

static void get_sensitivity(struct json_at at, struct optimize_profile *out)
{
    struct json_at list = json_list(at, "sensitivity", MAX_ITEMS, &out->sensitivity_count);
    out->sensitivity = mem_zalloc(out->sensitivity_count + 1, sizeof *out->sensitivity);
    if (!out->sensitivity) {
        out->sensitivity_count = 0;
        json_fail(at, "out of memory");
    }
    for (size_t i = 0; i < out->sensitivity_count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        get_text(item, "node", out->sensitivity[i].node, sizeof out->sensitivity[i].node);
        out->sensitivity[i].sqnr_db = get_real(item, "sqnr_db");
    }
}

static void get_attempts(struct json_at at, struct optimize_profile *out)
{
    struct json_at list = json_list(at, "attempts", OPTIMIZE_MAX_ATTEMPTS, &out->attempt_count);
    for (size_t i = 0; i < out->attempt_count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        struct optimize_attempt *attempt = &out->attempts[i];
        get_text(item, "precision", attempt->precision, sizeof attempt->precision);
        json_get_bool(item, "promoted", &attempt->promoted);
        get_text(item, "reason", attempt->reason, sizeof attempt->reason);
        get_path(item, "path", attempt->path, sizeof attempt->path);
    }
}

static void get_measured(struct json_at at, struct optimize_profile *out)
{
    struct gate_answer *gate = &out->gate;
    out->size_bytes = get_u64(at, "size_bytes");
    out->parent_size_bytes = get_u64(at, "parent_size_bytes");
    gate->candidate_p50_ms = get_real(at, "latency_p50_ms");
    gate->parent_p50_ms = get_real(at, "parent_latency_p50_ms");
    gate->candidate_p99_ms = get_real(at, "latency_p99_ms");
    gate->parent_p99_ms = get_real(at, "parent_latency_p99_ms");
    gate->speedup = get_real(at, "speedup");
    gate->faster_share = get_real(at, "faster_share");
    gate->faster_share_lower = get_real(at, "faster_share_lower");
    out->peak_memory_bytes = get_u64(at, "peak_memory_bytes");
    out->parent_peak_memory_bytes = get_u64(at, "parent_peak_memory_bytes");
    gate->fidelity = get_real(at, "fidelity");
    gate->fidelity_lower = get_real(at, "fidelity_lower");
    out->fitting_fidelity = get_real(at, "fitting_fidelity");
}

static void get_profile(struct json_at at, struct optimize_profile *out)
{
    get_text(at, "profile", out->profile, sizeof out->profile);
    get_text(at, "precision", out->precision, sizeof out->precision);
    json_get_bool(at, "promoted", &out->promoted);
    json_get_bool(at, "measured_here", &out->measured_here);
    get_text(at, "reason", out->reason, sizeof out->reason);
    out->gate.promoted = out->promoted;
    out->unfused = get_u64(at, "unfused");
    out->weighted = get_u64(at, "weighted");
    out->integer = get_u64(at, "integer");
    get_excluded(at, out);
    get_measured(at, out);
    out->bias_tried = get_u64(at, "bias_tried");
    out->bias_kept = get_u64(at, "bias_kept");
    out->half_nodes = get_u64(at, "half_nodes");
    out->casts = get_u64(at, "casts");
    get_path(at, "path", out->path, sizeof out->path);
    get_path(at, "candidate", out->candidate, sizeof out->candidate);
    get_sensitivity(at, out);
    get_attempts(at, out);
}

int report_read_profile(const char *name, const void *text, size_t len, struct optimize_profile *out,
                        struct err *err)
{
    struct json_reader reader;
    optimize_profile_init(out, "");
    if (json_read(&reader, name, text, len, err) < 0)
        return -1;
    get_profile(json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    optimize_profile_fini(out);
    return -1;
}

int report_load_profile(const char *path, struct optimize_profile *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(PROFILE_MAX_BYTES);
    if (file_read(path, &text, err) < 0)
        return -1;
    return report_read_profile(path, buf_text(&text), text.len, out, err);
}

int report_load_pruning(const char *path, struct optimize_pruning *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(PROFILE_MAX_BYTES);
    struct json_reader reader;
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, buf_text(&text), text.len, err) < 0)
        return -1;
    struct json_at at = json_root(&reader);
    *out = (struct optimize_pruning){.asked = true, .ratio = get_real(at, "ratio")};
    json_get_bool(at, "done", &out->done);
    get_text(at, "reason", out->reason, sizeof out->reason);
    out->group_count = get_u64(at, "groups");
    out->channels = get_u64(at, "channels");
    out->removed = get_u64(at, "removed");
    out->parameters = get_u64(at, "parameters");
    out->parameters_left = get_u64(at, "parameters_left");
    return json_finish(&reader, err);
}
