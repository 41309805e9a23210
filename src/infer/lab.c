#include "infer/lab_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

/* ---- options ---- */

static const GraphOptimizationLevel levels[] = {
    [LAB_PLAIN] = ORT_DISABLE_ALL,
    [LAB_BASIC] = ORT_ENABLE_BASIC,
    [LAB_EXTENDED] = ORT_ENABLE_EXTENDED,
    [LAB_ALL] = ORT_ENABLE_ALL,
};

typedef const char *const entry[2];

static int add_entries(const OrtApi *api, OrtSessionOptions *options, entry *entries, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (ort_fail(api, api->AddSessionConfigEntry(options, entries[i][0], entries[i][1]), ERR_INTERNAL,
                     entries[i][0], err))
            return -1;
    return 0;
}

/* As ort.c's sessions for robots, or as small as can be. */
static int set_memory(const OrtApi *api, OrtSessionOptions *options, bool lean, struct err *err)
{
    static const char *const always[][2] = {
        {"session.intra_op.allow_spinning", "0"},
        {"session.inter_op.allow_spinning", "0"},
        {"session.set_denormal_as_zero", "1"},
        {"session.use_device_allocator_for_initializers", "1"},
    };
    static const char *const as_robots[][2] = {{"session.use_env_allocators", "1"}};
    static const char *const as_little[][2] = {{"session.disable_prepacking", "1"}};
    if (add_entries(api, options, always, ARRAY_LEN(always), err) < 0)
        return -1;
    if (!lean)
        return add_entries(api, options, as_robots, ARRAY_LEN(as_robots), err);
    if (ort_fail(api, api->DisableCpuMemArena(options), ERR_INTERNAL, "arena", err) ||
        ort_fail(api, api->DisableMemPattern(options), ERR_INTERNAL, "memory pattern", err))
        return -1;
    return add_entries(api, options, as_little, ARRAY_LEN(as_little), err);
}

static int set_options(const OrtApi *api, OrtSessionOptions *options, const struct lab_how *how,
                       struct err *err)
{
    if (ort_fail(api, api->SetIntraOpNumThreads(options, how->threads > 0 ? how->threads : 1), ERR_INVALID,
                 "threads", err) ||
        ort_fail(api, api->SetInterOpNumThreads(options, 1), ERR_INTERNAL, "threads", err) ||
        ort_fail(api, api->SetSessionExecutionMode(options, ORT_SEQUENTIAL), ERR_INTERNAL, "execution mode",
                 err) ||
        ort_fail(api, api->SetSessionGraphOptimizationLevel(options, levels[how->level]), ERR_INTERNAL,
                 "optimization", err))
        return -1;
    if (how->dump_path && ort_fail(api, api->SetOptimizedModelFilePath(options, how->dump_path), ERR_INTERNAL,
                                   how->dump_path, err))
        return -1;
    if (set_memory(api, options, how->lean, err) < 0)
        return -1;
    return add_entries(api, options, how->entries, how->entry_count, err);
}

/* ---- opening ---- */

/* An operator that the runtime does not have is told by a code where no kernel is found, by text where it is not even known. */
static bool lacks_operator(const OrtApi *api, const OrtStatus *status)
{
    static const char *const signs[] = {"No Op registered for", "is not a registered function/op"};
    if (api->GetErrorCode(status) == ORT_NOT_IMPLEMENTED)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (strstr(api->GetErrorMessage(status), signs[i]))
            return true;
    return false;
}

static enum err_code code_of(const OrtApi *api, const OrtStatus *status)
{
    if (api->GetErrorCode(status) == ORT_NO_SUCHFILE)
        return ERR_NOT_FOUND;
    return lacks_operator(api, status) ? ERR_UNSUPPORTED : ERR_REFUSED;
}

static int create_session(struct lab *lab, const OrtEnv *env, const char *path, const void *bytes,
                          size_t size, const OrtSessionOptions *options, struct err *err)
{
    const OrtApi *api = lab->api;
    OrtStatus *status = path ? api->CreateSession(env, path, options, &lab->session)
                             : api->CreateSessionFromArray(env, bytes, size, options, &lab->session);
    return status ? ort_fail(api, status, code_of(api, status), "the model does not load", err) : 0;
}

static int open_session(struct lab *lab, const OrtEnv *env, const char *path, const void *bytes, size_t size,
                        const struct lab_how *how, struct err *err)
{
    const OrtApi *api = lab->api;
    OrtSessionOptions *options = NULL;
    if (ort_fail(api, api->CreateSessionOptions(&options), ERR_NO_MEMORY, "session options", err))
        return -1;
    int result = set_options(api, options, how, err);
    if (result == 0)
        result = lab_add_watch(lab, options, &how->watch, err);
    if (result == 0)
        result = create_session(lab, env, path, bytes, size, options, err);
    api->ReleaseSessionOptions(options);
    return result;
}

/* ---- what the session takes and gives ---- */

struct questions {
    OrtStatus *(*count)(const OrtSession *, size_t *);
    OrtStatus *(*name)(const OrtSession *, size_t, OrtAllocator *, char **);
    OrtStatus *(*type)(const OrtSession *, size_t, OrtTypeInfo **);
};

static int describe(const OrtApi *api, const OrtTypeInfo *type, struct lab_value *out, struct err *err)
{
    const OrtTensorTypeAndShapeInfo *info = NULL; /* lives in `type` */
    ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t count = 0;
    if (ort_fail(api, api->CastTypeInfoToTensorInfo(type, &info), ERR_REFUSED, out->name, err))
        return -1;
    if (!info)
        return 0; /* a sequence, a map: dtype stays 0 */
    if (ort_fail(api, api->GetTensorElementType(info, &dtype), ERR_REFUSED, out->name, err) ||
        ort_fail(api, api->GetDimensionsCount(info, &count), ERR_REFUSED, out->name, err))
        return -1;
    if (count > RELEASE_MAX_DIMS || tensor_element_bytes((enum tensor_dtype)dtype) == 0)
        return 0;
    out->dtype = (enum tensor_dtype)dtype;
    out->dim_count = count;
    if (ort_fail(api, api->GetDimensions(info, out->dims, count), ERR_REFUSED, out->name, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (out->dims[i] < 0)
            out->dims[i] = -1;
    return 0;
}

static int read_name(const struct lab *lab, const struct questions *ask, size_t i, const char **out,
                     struct err *err)
{
    const OrtApi *api = lab->api;
    OrtAllocator *allocator = NULL;
    char *found = NULL;
    if (ort_fail(api, api->GetAllocatorWithDefaultOptions(&allocator), ERR_INTERNAL, "allocator", err) ||
        ort_fail(api, ask->name(lab->session, i, allocator, &found), ERR_REFUSED, "name", err))
        return -1;
    *out = mem_strdup(found);
    if (ort_fail(api, api->AllocatorFree(allocator, found), ERR_INTERNAL, "allocator", err))
        return -1;
    return *out ? 0 : err_no_memory(err);
}

static int read_value(const struct lab *lab, const struct questions *ask, size_t i, struct lab_value *out,
                      struct err *err)
{
    OrtTypeInfo *type = NULL;
    if (read_name(lab, ask, i, &out->name, err) < 0 ||
        ort_fail(lab->api, ask->type(lab->session, i, &type), ERR_REFUSED, out->name, err))
        return -1;
    int result = describe(lab->api, type, out, err);
    lab->api->ReleaseTypeInfo(type);
    return result;
}

static int read_side(const struct lab *lab, const struct questions *ask, struct lab_side *out,
                     struct err *err)
{
    size_t count = 0;
    if (ort_fail(lab->api, ask->count(lab->session, &count), ERR_REFUSED, "session", err))
        return -1;
    out->values = mem_zalloc(count + 1, sizeof *out->values);
    out->names = mem_zalloc(count + 1, sizeof *out->names);
    if (!out->values || !out->names)
        return err_no_memory(err);
    for (; out->count < count; out->count++) {
        struct lab_value *value = &out->values[out->count];
        int result = read_value(lab, ask, out->count, value, err);
        out->names[out->count] = value->name;
        if (result < 0) {
            free((char *)(uintptr_t)value->name);
            return -1;
        }
    }
    return 0;
}

static void free_side(struct lab_side *side)
{
    for (size_t i = 0; i < side->count; i++)
        free((char *)(uintptr_t)side->names[i]);
    free(side->values);
    free(side->names);
}

static int read_sides(struct lab *lab, struct err *err)
{
    const OrtApi *api = lab->api;
    const struct questions inputs = {api->SessionGetInputCount, api->SessionGetInputName,
                                     api->SessionGetInputTypeInfo};
    const struct questions outputs = {api->SessionGetOutputCount, api->SessionGetOutputName,
                                      api->SessionGetOutputTypeInfo};
    if (read_side(lab, &inputs, &lab->inputs, err) < 0)
        return -1;
    return read_side(lab, &outputs, &lab->outputs, err);
}

static int make_room(struct lab *lab, struct err *err)
{
    const OrtApi *api = lab->api;
    lab->results = mem_zalloc(lab->outputs.count + 1, sizeof *lab->results);
    lab->given = mem_zalloc(lab->inputs.count + 1, sizeof *lab->given);
    lab->wanted = mem_zalloc(lab->outputs.count + 1, sizeof *lab->wanted);
    if (!lab->results || !lab->given || !lab->wanted)
        return err_no_memory(err);
    if (ort_fail(api, api->CreateRunOptions(&lab->run_options), ERR_NO_MEMORY, "run options", err))
        return -1;
    return ort_fail(api, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &lab->memory),
                    ERR_NO_MEMORY, "memory", err);
}

/* ---- the door ---- */

int lab_open(const char *path, const void *bytes, size_t size, const struct lab_how *how, struct lab **out,
             struct err *err)
{
    const struct runtime *runtime = NULL;
    if (runtime_get(how->runtime_path, &runtime, err) < 0)
        return -1;
    cleanup_lab struct lab *lab = mem_zalloc(1, sizeof *lab);
    if (!lab)
        return err_no_memory(err);
    lab->api = runtime->api;
    if (open_session(lab, runtime->env, path, bytes, size, how, err) < 0 || read_sides(lab, err) < 0 ||
        make_room(lab, err) < 0)
        return path ? err_prefix(err, "%s", path) : -1;
    *out = TAKE_PTR(lab);
    return 0;
}

void lab_close(struct lab *lab)
{
    if (!lab)
        return;
    const OrtApi *api = lab->api;
    if (lab->results)
        lab_forget_results(lab);
    lab_forget_bench(lab);
    if (lab->memory)
        api->ReleaseMemoryInfo(lab->memory);
    if (lab->run_options)
        api->ReleaseRunOptions(lab->run_options);
    if (lab->session)
        api->ReleaseSession(lab->session);
    if (lab->watcher.domain)
        api->ReleaseCustomOpDomain(lab->watcher.domain);
    free_side(&lab->inputs);
    free_side(&lab->outputs);
    free(lab->results);
    free(lab->given);
    free(lab->wanted);
    free(lab);
}

size_t lab_input_count(const struct lab *lab)
{
    return lab->inputs.count;
}

size_t lab_output_count(const struct lab *lab)
{
    return lab->outputs.count;
}

const struct lab_value *lab_input(const struct lab *lab, size_t i)
{
    return &lab->inputs.values[i];
}

const struct lab_value *lab_output(const struct lab *lab, size_t i)
{
    return &lab->outputs.values[i];
}

int lab_dump(const char *path, const struct lab_how *how, struct err *err)
{
    struct lab *lab = NULL;
    if (lab_open(path, NULL, 0, how, &lab, err) < 0)
        return -1;
    lab_close(lab);
    return 0;
}
