#include "forge/optimize/flow.h"

#include "base/clock.h"
#include "base/str.h"
#include "forge/optimize/report.h"
#include "infer/runtime.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void flow_fini(struct flow *flow)
{
    samples_free(flow->samples);
    state_fini(&flow->state);
    target_free_parts(&flow->target);
}
#define cleanup_flow __attribute__((cleanup(flow_fini)))

/* ---- before anything is written ---- */

static int check_job(const struct optimize_job *job, struct err *err)
{
    bool any = false;
    for (int i = 0; i < PROFILE_COUNT; i++)
        any = any || job->profiles[i];
    if (!any)
        return err_set(err, ERR_USAGE, "no profile is asked for");
    if (!(job->max_drop > 0 && job->max_drop < 1))
        return err_set(err, ERR_USAGE, "the drop in fidelity that is allowed must be above 0 and below 1");
    if (!(job->prune >= 0 && job->prune < 1))
        return err_set(err, ERR_USAGE, "the share of channels to prune must be from 0 to below 1");
    if (job->sparse && !job->profiles[PROFILE_TRT])
        return err_set(err, ERR_USAGE, "2:4 sparsity is for the trt profile");
    return 0;
}

static int check_folder(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "samples in %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "samples: %s is no folder", path);
    return 0;
}

struct probe {
    const char *path;
    struct { /* shared */
        char version[32];
    } * found;
};

static int probe_work(void *arg, struct apart *self, struct err *err)
{
    struct probe *probe = arg;
    const struct runtime *runtime = NULL;
    if (runtime_get(probe->path, &runtime, err) < 0)
        return -1;
    str_copy(probe->found->version, sizeof probe->found->version, runtime->version);
    return 0;
}

/* This process itself never loads the runtime. */
static int probe_runtime(struct flow *flow, struct err *err)
{
    struct probe probe = {.path = flow->job->runtime_path, .found = apart_memory(sizeof *probe.found)};
    if (!probe.found)
        return err_no_memory(err);
    const struct apart_job job = {.work = probe_work, .work_arg = &probe};
    int result = apart_run(&job, err);
    snprintf(flow->report->runtime, sizeof flow->report->runtime, "onnxruntime %s", probe.found->version);
    apart_memory_free(probe.found, sizeof *probe.found);
    return result;
}

static int read_target(struct flow *flow, struct err *err)
{
    struct optimize_report *report = flow->report;
    if (check_job(flow->job, err) < 0 || target_read(flow->job, &flow->target, err) < 0 ||
        check_folder(flow->job->calib_dir, err) < 0 || probe_runtime(flow, err) < 0)
        return -1;
    const char *slash = strrchr(flow->target.model_path, '/');
    str_copy(report->model, sizeof report->model, slash ? slash + 1 : flow->target.model_path);
    struct digest_text digest = digest_format(&flow->target.file);
    str_copy(report->model_digest, sizeof report->model_digest, digest.text);
    processor_look(&flow->processor);
    str_copy(report->machine, sizeof report->machine, flow->processor.machine);
    str_copy(report->processor, sizeof report->processor, flow->processor.name);
    report->parameters = flow->target.parameters;
    return 0;
}

/* ---- samples ---- */

struct folder {
    const char *dir;
    struct hash *hash;
    int depth;
    struct err *err;
};

static int hash_folder(const char *dir, struct hash *hash, int depth, struct err *err);

static int hash_entry(const char *name, void *arg)
{
    const struct folder *folder = arg;
    cleanup_free char *path = file_join(folder->dir, name);
    struct stat st;
    struct digest digest;
    if (!path)
        return err_no_memory(folder->err);
    if (stat(path, &st) < 0)
        return err_errno(folder->err, "%s", path);
    hash_update(folder->hash, name, strlen(name) + 1);
    if (S_ISDIR(st.st_mode))
        return folder->depth ? hash_folder(path, folder->hash, folder->depth - 1, folder->err) : 0;
    if (!S_ISREG(st.st_mode))
        return 0;
    if (hash_file(path, &digest, NULL, folder->err) < 0)
        return -1;
    hash_update(folder->hash, digest.bytes, sizeof digest.bytes);
    return 0;
}

static int hash_folder(const char *dir, struct hash *hash, int depth, struct err *err)
{
    struct folder folder = {.dir = dir, .hash = hash, .depth = depth, .err = err};
    if (file_list(dir, hash_entry, &folder, err) < 0)
        return -1;
    return err->code == ERR_NONE ? 0 : -1;
}

/* Contents, and how they are read: preprocessing is part of what the samples are. */
static int digest_samples(struct flow *flow, struct err *err)
{
    const struct optimize_guess *guess = &flow->job->guess;
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        return err_no_memory(err);
    if (hash_folder(flow->job->calib_dir, hash, 1, err) < 0)
        return -1;
    struct digest digest = hash_finish(hash);
    flow->samples_digest = flow_key(&digest, "mean %s std %s scale %.9g bgr %d stretch %d task %s",
                                    guess->mean ? guess->mean : "", guess->std ? guess->std : "",
                                    guess->scale, guess->bgr, guess->stretch, guess->task ? guess->task : "");
    return 0;
}

static int open_samples(struct flow *flow, struct err *err)
{
    struct optimize_report *report = flow->report;
    const struct lab_tensor *first = NULL;
    cleanup_free char *prepared = flow_path(flow, flow->model);
    if (!prepared)
        return err_no_memory(err);
    if (target_describe(flow->job, prepared, &flow->target, err) < 0 ||
        samples_open(flow->job->calib_dir, &flow->target.release, &flow->samples, err) < 0 ||
        samples_load(flow->samples, 0, &first, err) < 0 || digest_samples(flow, err) < 0)
        return -1;
    report->samples = samples_count(flow->samples);
    report->fitting = samples_calibrate(flow->samples);
    report->held_out = MIN(report->samples - report->fitting, (size_t)OPTIMIZE_MAX_HELD);
    if (report->held_out == 0)
        return err_set(err, ERR_REFUSED,
                       "%s: %zu sample; some have to be held out to judge what comes out, give 64 or more",
                       flow->job->calib_dir, report->samples);
    return 0;
}

/* ---- OUT ---- */

static int make_out(struct flow *flow, int *out_lock, struct err *err)
{
    cleanup_free char *work = flow_path(flow, OPTIMIZE_WORK);
    cleanup_free char *lock = flow_path(flow, OPTIMIZE_WORK "/lock");
    if (!work || !lock)
        return err_no_memory(err);
    flow->made_out = !file_exists(flow->job->out_dir);
    flow->made_work = !file_exists(work);
    if (file_make_dirs(work, 0755, err) < 0)
        return -1;
    if (file_lock(lock, out_lock, err) < 0)
        return err->code == ERR_BUSY
                   ? err_set(err, ERR_BUSY, "%s: another optimize is at work there", flow->job->out_dir)
                   : -1;
    return state_open(flow->job->out_dir, &flow->state, err);
}

/* The samples must be the same after the work as before it. */
static int check_apart(const struct flow *flow, struct err *err)
{
    cleanup_free char *calib = realpath(flow->job->calib_dir, NULL);
    cleanup_free char *out = realpath(flow->job->out_dir, NULL);
    if (!calib || !out)
        return err_errno(err, "%s", calib ? flow->job->out_dir : flow->job->calib_dir);
    size_t len = strlen(calib);
    if (!str_starts(out, calib) || (out[len] != '/' && out[len] != '\0'))
        return 0;
    return err_set(err, ERR_USAGE, "-o %s lies in the folder of the samples: choose another",
                   flow->job->out_dir);
}

/* The model or the samples were not understood: as if nobody had been here. */
static void unmake_out(const struct flow *flow)
{
    cleanup_free char *work = flow_path(flow, OPTIMIZE_WORK);
    struct err ignored = {0};
    if (!flow->made_work || !work)
        return;
    (void)!file_remove_tree(work, &ignored);
    if (flow->made_out)
        rmdir(flow->job->out_dir);
}

/* What earlier runs of other arguments said is not true of what is made now. */
static int remove_reports(struct flow *flow, struct err *err)
{
    if (flow_remove(flow, "report.json", err) < 0)
        return -1;
    return flow_remove(flow, "report.html", err);
}

static int write_file(const struct flow *flow, const char *name, const char *text, struct err *err)
{
    cleanup_free char *path = flow_path(flow, name);
    if (!path)
        return err_no_memory(err);
    return file_replace(path, text, strlen(text), 0644, err);
}

static int write_reports(struct flow *flow, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    cleanup_buf struct buf html = BUF_INIT(16 << 20);
    jsonw_init_indented(&w);
    report_write_json(&w, flow->report);
    cleanup_free char *json = jsonw_take(&w, err);
    if (!json || report_write_html(flow->report, &html, err) < 0)
        return -1;
    if (write_file(flow, "report.html", buf_text(&html), err) < 0)
        return -1;
    return write_file(flow, "report.json", json, err); /* last: who finds it finds everything */
}

/* ---- the way ---- */

static void plan_shares(struct flow *flow)
{
    const struct optimize_job *job = flow->job;
    ticker_add(&flow->ticker, SHARE_PREPARE + SHARE_LOOK + SHARE_OBSERVE);
    if (job->prune > 0)
        ticker_add(&flow->ticker, SHARE_PRUNE + SHARE_JUDGE + SHARE_PREPARE + SHARE_OBSERVE);
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (job->profiles[i])
            ticker_add(&flow->ticker, SHARE_BUILD + SHARE_JUDGE);
}

static int expose_tap(struct flow *flow, struct err *err)
{
    cleanup_free char *path = flow_path(flow, OPTIMIZE_WORK "/tapped.onnx");
    return path ? target_expose(&flow->target, path, err) : err_no_memory(err);
}

/* All that can be wrong with what was given comes out here. What a later run may do better (disk, memory, ^C) leaves the work where it is. */
static int understand(struct flow *flow, struct err *err)
{
    if (check_apart(flow, err) < 0 || expose_tap(flow, err) < 0 || steps_prepare(flow, err) < 0 ||
        open_samples(flow, err) < 0) {
        unmake_out(flow);
        return -1;
    }
    if (remove_reports(flow, err) < 0)
        return -1;
    if (flow_look(flow, err) < 0 ||
        steps_observe(flow, flow->model, OPTIMIZE_WORK "/observed.bin", "observe", err) < 0) {
        if (!err_retryable(err->code))
            unmake_out(flow);
        return -1;
    }
    return 0;
}

static int go_through(struct flow *flow, struct err *err)
{
    struct optimize_report *report = flow->report;
    if (flow->job->prune > 0 && steps_prune(flow, err) < 0)
        return -1;
    for (enum quant_profile profile = 0; profile < PROFILE_COUNT; profile++)
        if (flow->job->profiles[profile] &&
            profile_run(flow, profile, &report->profiles[report->profile_count++], err) < 0)
            return -1;
    return 0;
}

static uint64_t peak_rss(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return (uint64_t)MAX(self.ru_maxrss, children.ru_maxrss) * 1024;
}

static int find_paths(struct flow *flow, struct err *err)
{
    flow->report->model_path = realpath(flow->target.model_path, NULL);
    if (!flow->report->model_path)
        return err_errno(err, "%s", flow->target.model_path);
    flow->report->out_path = realpath(flow->job->out_dir, NULL);
    return flow->report->out_path ? 0 : err_errno(err, "%s", flow->job->out_dir);
}

static int run(struct flow *flow, struct err *err)
{
    int64_t began_ms = clock_mono_ms();
    cleanup_close int lock = -1;
    if (read_target(flow, err) < 0 || make_out(flow, &lock, err) < 0)
        return -1;
    plan_shares(flow);
    if (understand(flow, err) < 0 || go_through(flow, err) < 0)
        return -1;
    flow->report->seconds = (double)(clock_mono_ms() - began_ms) / 1000;
    flow->report->peak_rss_bytes = peak_rss();
    if (find_paths(flow, err) < 0)
        return -1;
    return write_reports(flow, err);
}

int optimize_run(const struct optimize_job *job, struct optimize_report *out, struct err *err)
{
    cleanup_flow struct flow flow = {.job = job, .report = out, .step = ""};
    *out = (struct optimize_report){.max_drop = job->max_drop, .version = MUSTER_VERSION};
    return run(&flow, err);
}
