#include "infer/runtime.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/proc.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <pthread.h>
#include <sys/stat.h>

/* The newest function used is RunWithBinding's family. The API grows only at its end, so an old version
 * number works with every newer library, while asking for too new a one makes the library complain on stderr.
 */
enum { API_VERSION = 12, LEVELS_UP = 5, NEWEST_NAPI = 6, OLDEST_NAPI = 3 };

#if defined(__aarch64__)
#define NPM_ARCH "arm64"
#else
#define NPM_ARCH "x64"
#endif

/* A library that others may change must not come into the process. */
static bool trustworthy(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    return (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static void *open_candidate(char *path)
{
    cleanup_free char *owned = path;
    return owned && trustworthy(owned) ? dlopen(owned, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void *open_beside(const char *dir)
{
    void *library = open_candidate(mem_printf("%s/../lib/libonnxruntime.so.1", dir));
    return library ? library : open_candidate(mem_printf("%s/../lib/muster/libonnxruntime.so.1", dir));
}

static void *open_npm(const char *root)
{
    void *library = NULL;
    for (int napi = NEWEST_NAPI; napi >= OLDEST_NAPI && !library; napi--)
        library = open_candidate(mem_printf("%s/node_modules/onnxruntime-node/bin/napi-v%d/linux/" NPM_ARCH
                                            "/libonnxruntime.so.1",
                                            root, napi));
    return library;
}

/* Cuts the last component; false when only the root is left. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static void *open_near_program(void)
{
    cleanup_free char *dir = proc_self_dir();
    if (!dir)
        return NULL;
    void *library = open_beside(dir);
    for (int level = 0; level < LEVELS_UP && !library && go_up(dir); level++)
        library = open_npm(dir);
    return library;
}

static void *open_system(void)
{
    void *library = dlopen("libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? library : dlopen("libonnxruntime.so", RTLD_NOW | RTLD_LOCAL);
}

static void *open_library(const char *path, struct err *err)
{
    const char *named = path ? path : getenv("MUSTER_ONNXRUNTIME");
    if (named && named[0]) {
        void *library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            err_set(err, ERR_UNSUPPORTED, "ONNX Runtime %s cannot be opened: %s", named, dlerror());
        return library;
    }
    void *library = open_near_program();
    if (!library)
        library = open_system();
    if (!library)
        err_set(err, ERR_UNSUPPORTED,
                "no ONNX Runtime on this machine; run scripts/deps, or set "
                "MUSTER_ONNXRUNTIME=/path/to/libonnxruntime.so.1");
    return library;
}

static int start_env(struct runtime *runtime, struct err *err)
{
    const OrtApi *api = runtime->api;
    OrtStatus *status = api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "muster", &runtime->env);
    if (!status)
        return 0;
    err_set(err, ERR_UNSUPPORTED, "ONNX Runtime does not start: %s", api->GetErrorMessage(status));
    api->ReleaseStatus(status);
    return -1;
}

static int start(const char *path, struct runtime *runtime, struct err *err)
{
    void *library = open_library(path, err);
    if (!library)
        return -1;
    const OrtApiBase *(*get_base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
    if (!get_base)
        return err_set(err, ERR_UNSUPPORTED, "this library is no ONNX Runtime: it has no OrtGetApiBase");
    str_copy(runtime->version, sizeof runtime->version, get_base()->GetVersionString());
    runtime->api = get_base()->GetApi(API_VERSION);
    if (!runtime->api)
        return err_set(err, ERR_UNSUPPORTED, "ONNX Runtime %s is too old; take 1.%d or newer",
                       runtime->version, API_VERSION);
    return start_env(runtime, err);
}

int runtime_get(const char *path, const struct runtime **out, struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct runtime runtime;
    pthread_mutex_lock(&lock);
    int result = runtime.env ? 0 : start(path, &runtime, err);
    pthread_mutex_unlock(&lock);
    *out = &runtime;
    return result;
}
