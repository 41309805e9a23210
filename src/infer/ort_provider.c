/* Sessions on accelerators, through the C API's string options, so that any version of the runtime takes them. */
#include "infer/ort.h"

#include "base/mem.h"

static int append_cuda(const OrtApi *api, OrtSessionOptions *options, struct err *err)
{
    /* Memory as it is asked for: on Jetsons it is the robot's. */
    static const char *const keys[] = {"device_id", "arena_extend_strategy", "cudnn_conv_algo_search"};
    static const char *const values[] = {"0", "kSameAsRequested", "HEURISTIC"};
    static const char what[] = "CUDA";
    OrtCUDAProviderOptionsV2 *cuda = NULL;
    if (ort_fail(api, api->CreateCUDAProviderOptions(&cuda), ERR_UNSUPPORTED, what, err))
        return -1;
    int result = ort_fail(api, api->UpdateCUDAProviderOptions(cuda, keys, values, ARRAY_LEN(keys)),
                          ERR_UNSUPPORTED, what, err);
    if (result == 0)
        result = ort_fail(api, api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda),
                          ERR_UNSUPPORTED, what, err);
    api->ReleaseCUDAProviderOptions(cuda);
    return result;
}

static int append_tensorrt(const OrtApi *api, OrtSessionOptions *options, const char *const *keys,
                           const char *const *values, size_t count, struct err *err)
{
    static const char what[] = "TensorRT";
    OrtTensorRTProviderOptionsV2 *tensorrt = NULL;
    if (ort_fail(api, api->CreateTensorRTProviderOptions(&tensorrt), ERR_UNSUPPORTED, what, err))
        return -1;
    int result = ort_fail(api, api->UpdateTensorRTProviderOptions(tensorrt, keys, values, count),
                          ERR_UNSUPPORTED, what, err);
    if (result == 0)
        result = ort_fail(api, api->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt),
                          ERR_UNSUPPORTED, what, err);
    api->ReleaseTensorRTProviderOptions(tensorrt);
    return result;
}

int ort_set_provider(const OrtApi *api, OrtSessionOptions *options, enum provider provider, struct err *err)
{
    static const char *const keys[] = {"device_id", "trt_engine_cache_enable"};
    static const char *const values[] = {"0", "0"}; /* the engine is in the model */
    if (provider == PROVIDER_CUDA)
        return append_cuda(api, options, err);
    if (provider == PROVIDER_TENSORRT)
        return append_tensorrt(api, options, keys, values, ARRAY_LEN(keys), err);
    return 0;
}

static int write_engine(const OrtApi *api, const OrtEnv *env, OrtSessionOptions *options,
                        const char *model_path, const char *out_path, int level, int workspace_mib,
                        struct err *err)
{
    char effort[8], workspace[24];
    snprintf(effort, sizeof effort, "%d", level);
    snprintf(workspace, sizeof workspace, "%llu", (unsigned long long)workspace_mib << 20);
    const char *const keys[] = {"device_id",
                                "trt_builder_optimization_level",
                                "trt_max_workspace_size",
                                "trt_dump_ep_context_model",
                                "trt_ep_context_file_path",
                                "trt_ep_context_embed_mode"};
    const char *const values[] = {"0", effort, workspace, "1", out_path, "1"};
    OrtSession *session = NULL;
    if (append_tensorrt(api, options, keys, values, ARRAY_LEN(keys), err) < 0 ||
        ort_fail(api, api->CreateSession(env, model_path, options, &session), ERR_REFUSED,
                 "TensorRT does not take the model", err))
        return -1;
    api->ReleaseSession(session);
    return 0;
}

int ort_write_engine(const char *runtime_path, const char *model_path, const char *out_path, int level,
                     int workspace_mib, struct err *err)
{
    const struct runtime *runtime = NULL;
    OrtSessionOptions *options = NULL;
    if (runtime_get(runtime_path, &runtime, err) < 0)
        return -1;
    const OrtApi *api = runtime->api;
    if (ort_fail(api, api->CreateSessionOptions(&options), ERR_NO_MEMORY, "session options", err))
        return -1;
    int result = write_engine(api, runtime->env, options, model_path, out_path, level, workspace_mib, err);
    api->ReleaseSessionOptions(options);
    return result;
}
