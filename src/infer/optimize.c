#include "infer/optimize.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/ort.h"
#include "infer/pipeline_inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* ---- what the result depends on ---- */

static bool names_processor(const char *line)
{
    static const char *const fields[] = {"model name", "flags", "Features", "CPU implementer", "CPU part"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_starts(line, fields[i]))
            return true;
    return false;
}

/* Of the first processor: the machine's instruction sets. */
static int put_processor(struct buf *out, struct err *err)
{
    char line[8192];
    cleanup_file FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return err_errno(err, "/proc/cpuinfo");
    while (fgets(line, sizeof line, file) && line[0] != '\n')
        if (names_processor(line) && buf_puts(out, line, err) < 0)
            return -1;
    return 0;
}

static int key(void *arg, struct buf *out, struct err *err)
{
    const struct optimizer *self = arg;
    const struct runtime *runtime = NULL;
    struct utsname machine;
    if (runtime_get(self->runtime_path, &runtime, err) < 0)
        return -1;
    if (uname(&machine) < 0)
        return err_errno(err, "uname");
    if (buf_printf(out, err, "onnxruntime %s, all optimizations, %s\n", runtime->version, machine.machine) <
        0)
        return -1;
    return put_processor(out, err);
}

/* ---- building ---- */

static int write_optimized(const OrtApi *api, const OrtEnv *env, OrtSessionOptions *options,
                           const char *model_path, const char *out_path, struct err *err)
{
    static const char what[] = "the model does not load";
    OrtSession *session = NULL;
    if (ort_fail(api, api->SetIntraOpNumThreads(options, 1), ERR_INTERNAL, what, err) ||
        ort_fail(api, api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL), ERR_INTERNAL, what,
                 err) ||
        ort_fail(api, api->AddSessionConfigEntry(options, "session.save_model_format", "ORT"), ERR_INTERNAL,
                 what, err) ||
        ort_fail(api, api->SetOptimizedModelFilePath(options, out_path), ERR_INTERNAL, what, err) ||
        ort_fail(api, api->CreateSession(env, model_path, options, &session), ERR_REFUSED, what, err))
        return -1;
    api->ReleaseSession(session);
    return 0;
}

int optimize_model(const char *runtime_path, const char *model_path, const char *out_path, struct err *err)
{
    const struct runtime *runtime = NULL;
    OrtSessionOptions *options = NULL;
    if (runtime_get(runtime_path, &runtime, err) < 0)
        return -1;
    const OrtApi *api = runtime->api;
    if (ort_fail(api, api->CreateSessionOptions(&options), ERR_NO_MEMORY, "session options", err))
        return -1;
    int result = write_optimized(api, runtime->env, options, model_path, out_path, err);
    api->ReleaseSessionOptions(options);
    return result;
}

static int build(void *arg, const char *source, const char *target, struct err *err)
{
    const struct optimizer *self = arg;
    return optimize_model(self->runtime_path, source, target, err);
}

static int verify(void *arg, const char *target, struct err *err)
{
    const struct optimizer *self = arg;
    struct pipeline *pipeline = NULL;
    if (pipeline_open_derived(target, self->release, self->runtime_path, &pipeline, err) < 0)
        return -1;
    int result = pipeline_self_test(pipeline, self->golden, self->release->golden_tolerance, err);
    pipeline_close(pipeline);
    return result;
}

struct derived_builder optimize_builder(struct optimizer *self)
{
    return (struct derived_builder){
        .name = "onnxruntime-cpu", .self = self, .key = key, .build = build, .verify = verify};
}
