#include "infer/runtime.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/proc.h"

#include <dlfcn.h>
#include <link.h>
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
    struct stat st, root = {0}; /* in a user namespace root's files have another number: that of "/" */
    if (stat("/", &root) < 0 || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    return (st.st_uid == root.st_uid || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* The path if there is a library that may be opened, else NULL; it is given up in both cases. */
static char *candidate(char *path)
{
    cleanup_free char *owned = path;
    return owned && trustworthy(owned) ? TAKE_PTR(owned) : NULL;
}

static char *find_beside(const char *dir)
{
    char *found = candidate(mem_printf("%s/../lib/libonnxruntime.so.1", dir));
    return found ? found : candidate(mem_printf("%s/../lib/muster/libonnxruntime.so.1", dir));
}

static char *find_npm(const char *root)
{
    char *found = NULL;
    for (int napi = NEWEST_NAPI; napi >= OLDEST_NAPI && !found; napi--)
        found = candidate(mem_printf("%s/node_modules/onnxruntime-node/bin/napi-v%d/linux/" NPM_ARCH
                                     "/libonnxruntime.so.1",
                                     root, napi));
    return found;
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

static char *find_near(const char *program_dir)
{
    cleanup_free char *dir = program_dir ? mem_strdup(program_dir) : proc_self_dir();
    if (!dir)
        return NULL;
    char *found = find_beside(dir);
    for (int level = 0; level < LEVELS_UP && !found && go_up(dir); level++)
        found = find_npm(dir);
    return found;
}

static void *open_system(void)
{
    void *library = dlopen("libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? library : dlopen("libonnxruntime.so", RTLD_NOW | RTLD_LOCAL);
}

static const char *named_path(const char *path)
{
    const char *named = path ? path : getenv("MUSTER_ONNXRUNTIME");
    return named && named[0] ? named : NULL;
}

static void nowhere(struct err *err)
{
    err_set(err, ERR_UNSUPPORTED,
            "no ONNX Runtime on this machine; run scripts/deps, or set "
            "MUSTER_ONNXRUNTIME=/path/to/libonnxruntime.so.1");
}

char *runtime_find(const char *program_dir, struct err *err)
{
    const char *named = named_path(NULL);
    char *found = named ? mem_strdup(named) : find_near(program_dir);
    struct link_map *map = NULL;
    void *library = found ? NULL : open_system();
    if (library && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0)
        found = mem_strdup(map->l_name);
    if (!found)
        nowhere(err);
    return found;
}

static void *open_library(const char *path, struct err *err)
{
    const char *named = named_path(path);
    if (named) {
        void *library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            err_set(err, ERR_UNSUPPORTED, "ONNX Runtime %s cannot be opened: %s", named, dlerror());
        return library;
    }
    cleanup_free char *near = find_near(NULL);
    void *library = near ? dlopen(near, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        library = open_system();
    if (!library)
        nowhere(err);
    return library;
}

static int status_fail(const OrtApi *api, OrtStatus *status, struct err *err)
{
    if (!status)
        return 0;
    err_set(err, ERR_UNSUPPORTED, "ONNX Runtime does not start: %s", api->GetErrorMessage(status));
    api->ReleaseStatus(status);
    return -1;
}

/* One arena for the process that grows by what is asked for, not by doubling: a robot's memory is counted. */
static int register_arena(const struct runtime *runtime, struct err *err)
{
    static const char *const keys[] = {"arena_extend_strategy"};
    static const size_t values[] = {1 /* kSameAsRequested */};
    const OrtApi *api = runtime->api;
    OrtMemoryInfo *memory = NULL;
    OrtArenaCfg *arena = NULL;
    int result =
        status_fail(api, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), err);
    if (result == 0)
        result = status_fail(api, api->CreateArenaCfgV2(keys, values, ARRAY_LEN(keys), &arena), err);
    if (result == 0)
        result = status_fail(api, api->CreateAndRegisterAllocator(runtime->env, memory, arena), err);
    if (arena)
        api->ReleaseArenaCfg(arena);
    if (memory)
        api->ReleaseMemoryInfo(memory);
    return result;
}

static int start_env(struct runtime *runtime, struct err *err)
{
    const OrtApi *api = runtime->api;
    if (status_fail(api, api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "muster", &runtime->env), err) < 0)
        return -1;
    if (register_arena(runtime, err) == 0)
        return 0;
    api->ReleaseEnv(runtime->env);
    runtime->env = NULL;
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
