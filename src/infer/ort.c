#include "infer/ort.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <sys/mman.h>

/* "Load model from /path failed:why" → "why": the caller names the file. */
static const char *reason(const char *message)
{
    static const char mark[] = " failed:";
    const char *found = str_starts(message, "Load model from ") ? strstr(message, mark) : NULL;
    return found ? found + strlen(mark) : message;
}

/* The library's texts have line breaks. */
int ort_fail(const OrtApi *api, OrtStatus *status, enum err_code code, const char *what, struct err *err)
{
    if (!status)
        return 0;
    char text[160];
    str_copy(text, sizeof text, reason(api->GetErrorMessage(status)));
    api->ReleaseStatus(status);
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    return err_set(err, code, "%s: %s", what, text);
}

static int set_entries(const OrtApi *api, OrtSessionOptions *options, const char *const (*entries)[2],
                       size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (ort_fail(api, api->AddSessionConfigEntry(options, entries[i][0], entries[i][1]), ERR_INTERNAL,
                     entries[i][0], err))
            return -1;
    return 0;
}

static int set_config(const OrtApi *api, OrtSessionOptions *options, const struct backend_load *load,
                      struct err *err)
{
    const char *const always[][2] = {
        {"session.intra_op.allow_spinning", load->spin ? "1" : "0"},
        {"session.inter_op.allow_spinning", "0"},
        {"session.set_denormal_as_zero", "1"},
        {"session.use_env_allocators", "1"},
        {"session.use_device_allocator_for_initializers", "1"},
    };
    const char *const derived[][2] = {
        {"session.load_model_format", "ORT"},
        {"session.use_ort_model_bytes_directly", "1"},
        {"session.use_ort_model_bytes_for_initializers", "1"},
    };
    if (set_entries(api, options, always, ARRAY_LEN(always), err) < 0)
        return -1;
    return load->derived ? set_entries(api, options, derived, ARRAY_LEN(derived), err) : 0;
}

static int set_options(const OrtApi *api, OrtSessionOptions *options, const struct backend_load *load,
                       struct err *err)
{
    /* A derived file is optimized already, an engine even more. */
    bool done = load->derived || load->provider == PROVIDER_TENSORRT;
    GraphOptimizationLevel level = done ? ORT_DISABLE_ALL : ORT_ENABLE_ALL;
    if (ort_fail(api, api->SetIntraOpNumThreads(options, load->threads), ERR_INVALID, "threads", err) ||
        ort_fail(api, api->SetInterOpNumThreads(options, 1), ERR_INTERNAL, "threads", err) ||
        ort_fail(api, api->SetSessionExecutionMode(options, ORT_SEQUENTIAL), ERR_INTERNAL, "execution mode",
                 err) ||
        ort_fail(api, api->SetSessionGraphOptimizationLevel(options, level), ERR_INTERNAL, "optimization",
                 err))
        return -1;
    if (ort_set_provider(api, options, load->provider, err) < 0)
        return -1;
    return set_config(api, options, load, err);
}

/* Pages of the cache, shared by all processes that map the file; now, not during a frame. */
static void read_ahead(const struct file_map *map)
{
    void *start = (void *)(uintptr_t)map->data;
    if (map->size && madvise(start, map->size, MADV_POPULATE_READ) < 0)
        (void)madvise(start, map->size, MADV_WILLNEED); /* before Linux 5.14 */
}

/* Weights that the kernels have packed into a form of their own are not read again; those that they use as they are come back with the
 * warm-up. The pages stay in the cache of the kernel either way. */
static void let_go(const struct file_map *map)
{
    (void)madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
}

static int open_session(struct backend_model *model, const struct backend_load *load,
                        const OrtSessionOptions *options, struct err *err)
{
    static const char what[] = "the model does not load";
    const OrtApi *api = model->api;
    OrtEnv *env = model->runtime->env;
    if (load->model)
        return ort_fail(
            api, api->CreateSessionFromArray(env, load->model, load->model_size, options, &model->session),
            ERR_REFUSED, what, err);
    if (!load->derived)
        return ort_fail(api, api->CreateSession(env, load->model_path, options, &model->session), ERR_REFUSED,
                        what, err);
    if (file_map(load->model_path, &model->derived, err) < 0)
        return -1;
    read_ahead(&model->derived);
    if (ort_fail(api,
                 api->CreateSessionFromArray(env, model->derived.data, model->derived.size, options,
                                             &model->session),
                 ERR_REFUSED, what, err))
        return -1;
    let_go(&model->derived);
    return 0;
}

static int create_session(struct backend_model *model, const struct backend_load *load, struct err *err)
{
    const OrtApi *api = model->api;
    OrtSessionOptions *options = NULL;
    if (ort_fail(api, api->CreateSessionOptions(&options), ERR_NO_MEMORY, "session options", err))
        return -1;
    int result = set_options(api, options, load, err);
    if (result == 0)
        result = open_session(model, load, options, err);
    api->ReleaseSessionOptions(options);
    return result;
}

static int create_rest(struct backend_model *model, struct err *err)
{
    const OrtApi *api = model->api;
    if (ort_fail(api, api->CreateRunOptions(&model->run_options), ERR_NO_MEMORY, "run options", err))
        return -1;
    return ort_fail(api, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &model->memory),
                    ERR_NO_MEMORY, "memory", err);
}

static void ort_unload(struct backend_model *model)
{
    const OrtApi *api = model->api;
    ort_drop(model, 0);
    free(model->bindings);
    if (model->memory)
        api->ReleaseMemoryInfo(model->memory);
    if (model->run_options)
        api->ReleaseRunOptions(model->run_options);
    if (model->session)
        api->ReleaseSession(model->session);
    file_unmap(&model->derived);
    free(model);
}

static void name_tensors(struct backend_model *model)
{
    for (size_t i = 0; i < model->input_count; i++)
        model->input_names[i] = model->inputs[i].name;
    for (size_t i = 0; i < model->output_count; i++)
        model->output_names[i] = model->outputs[i].name;
}

static int ort_load(const struct backend_load *load, struct backend_model **out, struct err *err)
{
    const struct runtime *runtime = NULL;
    if (runtime_get(load->runtime_path, &runtime, err) < 0)
        return -1;
    struct backend_model *model = mem_zalloc(1, sizeof *model);
    if (!model)
        return err_no_memory(err);
    *model = (struct backend_model){.runtime = runtime,
                                    .api = runtime->api,
                                    .inputs = load->inputs,
                                    .outputs = load->outputs,
                                    .provider = load->provider,
                                    .elsewhere = load->elsewhere,
                                    .input_count = load->input_count,
                                    .output_count = load->output_count};
    if (load->provider_version)
        str_copy(model->provider_version, sizeof model->provider_version, load->provider_version);
    name_tensors(model);
    int64_t start_ns = clock_mono_ns();
    if (create_session(model, load, err) < 0 || ort_check_tensors(model, err) < 0 ||
        create_rest(model, err) < 0) {
        ort_unload(model);
        return -1;
    }
    model->load_ns = clock_mono_ns() - start_ns;
    *out = model;
    return 0;
}

static OrtStatus *run_elsewhere(const struct backend_model *model, const struct ort_binding *bound)
{
    const OrtValue *inputs[RELEASE_MAX_TENSORS];
    OrtValue *outputs[RELEASE_MAX_TENSORS];
    for (size_t i = 0; i < model->input_count; i++)
        inputs[i] = bound->values[i];
    for (size_t i = 0; i < model->output_count; i++)
        outputs[i] = bound->values[model->input_count + i];
    return model->api->Run(model->session, model->run_options, model->input_names, inputs, model->input_count,
                           model->output_names, model->output_count, outputs);
}

static int ort_run(struct backend_model *model, size_t binding, struct err *err)
{
    const struct ort_binding *bound = &model->bindings[binding];
    model->runs++;
    OrtStatus *status = model->elsewhere
                            ? run_elsewhere(model, bound)
                            : model->api->RunWithBinding(model->session, model->run_options, bound->io);
    return ort_fail(model->api, status, ERR_INTERNAL, "the model does not run", err);
}

static int ort_warm(struct backend_model *model, size_t binding, int runs, struct err *err)
{
    for (int i = 0; i < runs; i++) {
        if (ort_run(model, binding, err) < 0) {
            err->code = ERR_REFUSED;
            return -1;
        }
    }
    return 0;
}

static void forget(const OrtApi *api, OrtStatus *status)
{
    if (status)
        api->ReleaseStatus(status);
}

static void ort_terminate(struct backend_model *model)
{
    forget(model->api, model->api->RunOptionsSetTerminate(model->run_options));
}

/* Options that have said "terminate" once are better not used again. */
static void ort_renew(struct backend_model *model)
{
    const OrtApi *api = model->api;
    OrtRunOptions *fresh = NULL;
    OrtStatus *status = api->CreateRunOptions(&fresh);
    if (status) {
        api->ReleaseStatus(status);
        forget(api, api->RunOptionsUnsetTerminate(model->run_options));
        return;
    }
    api->ReleaseRunOptions(model->run_options);
    model->run_options = fresh;
}

static void ort_stats(const struct backend_model *model, struct backend_stats *out)
{
    *out = (struct backend_stats){.runs = model->runs, .load_ns = model->load_ns};
    snprintf(out->description, sizeof out->description, "onnxruntime %.24s %s%s%s", model->runtime->version,
             provider_name(model->provider), model->provider_version[0] ? " " : "", model->provider_version);
}

const struct backend ort_backend = {
    .name = "onnxruntime",
    .load = ort_load,
    .bind = ort_bind,
    .drop = ort_drop,
    .warm = ort_warm,
    .run = ort_run,
    .terminate = ort_terminate,
    .renew = ort_renew,
    .stats = ort_stats,
    .unload = ort_unload,
};
