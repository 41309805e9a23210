/* The real machine: NVIDIA's drivers and libraries, all of them by dlopen. */
#include "infer/machine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/runtime.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <onnxruntime_c_api.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 20000 };

struct real {
    const struct runtime *runtime; /* NULL: none here */
};

/* ---- device nodes ---- */

static bool node(void *self)
{
    static const char *const nodes[] = {"/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu"};
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        if (access(nodes[i], F_OK) == 0)
            return true;
    return false;
}

/* ---- ONNX Runtime's providers ---- */

static bool built_in(const struct runtime *runtime, const char *name)
{
    const OrtApi *api = runtime->api;
    char **names = NULL;
    int count = 0;
    bool found = false;
    OrtStatus *status = api->GetAvailableProviders(&names, &count);
    if (status) {
        api->ReleaseStatus(status);
        return false;
    }
    for (int i = 0; i < count; i++)
        found |= str_eq(names[i], name);
    status = api->ReleaseAvailableProviders(names, count);
    if (status)
        api->ReleaseStatus(status);
    return found;
}

/* The runtime opens its providers from its own directory. */
static bool beside_runtime(const struct runtime *runtime, const char *file, char *out, size_t size)
{
    Dl_info info;
    union { /* an object's address is what dladdr takes */
        const OrtApi *api;
        const void *address;
    } at = {.api = runtime->api};
    if (!dladdr(at.address, &info) || !info.dli_fname)
        return false;
    const char *slash = strrchr(info.dli_fname, '/');
    int dir = slash ? (int)(slash - info.dli_fname) : 1;
    int len = snprintf(out, size, "%.*s/%s", dir, slash ? info.dli_fname : ".", file);
    return len > 0 && (size_t)len < size && access(out, R_OK) == 0;
}

static int provider(void *self, enum provider wanted, char *library, size_t size, struct err *err)
{
    static const struct {
        const char *name, *file;
    } known[] = {
        [PROVIDER_CUDA] = {"CUDAExecutionProvider", "libonnxruntime_providers_cuda.so"},
        [PROVIDER_TENSORRT] = {"TensorrtExecutionProvider", "libonnxruntime_providers_tensorrt.so"},
    };
    const struct real *real = self;
    if (!real->runtime)
        return err_set(err, ERR_UNSUPPORTED, "there is no ONNX Runtime here");
    if (!built_in(real->runtime, known[wanted].name))
        return err_set(err, ERR_UNSUPPORTED, "ONNX Runtime %s here was built without it",
                       real->runtime->version);
    if (!beside_runtime(real->runtime, known[wanted].file, library, size))
        return err_set(err, ERR_UNSUPPORTED, "%s is not beside ONNX Runtime", known[wanted].file);
    return 0;
}

/* ---- the driver ---- */

/* From CUDA's driver interface; its numbers never change. */
enum { CUDA_OK = 0, COMPUTE_MAJOR = 75, COMPUTE_MINOR = 76 };

struct driver {
    int (*init)(unsigned);
    int (*version)(int *);
    int (*device)(int *, int);
    int (*name)(char *, int, int);
    int (*attribute)(int *, int, int);
};

static bool find(void *library, const char *name, void *out)
{
    void *symbol = dlsym(library, name);
    memcpy(out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int ask_driver(const struct driver *driver, struct machine_gpu *out, struct err *err)
{
    int device, major, minor;
    int code = driver->init(0);
    if (code != CUDA_OK)
        return err_set(err, ERR_UNSUPPORTED, "the GPU's driver does not start (CUDA error %d)", code);
    if (driver->version(&out->driver) != CUDA_OK || driver->device(&device, 0) != CUDA_OK ||
        driver->name(out->name, sizeof out->name, device) != CUDA_OK ||
        driver->attribute(&major, COMPUTE_MAJOR, device) != CUDA_OK ||
        driver->attribute(&minor, COMPUTE_MINOR, device) != CUDA_OK)
        return err_set(err, ERR_UNSUPPORTED, "the driver does not describe a GPU");
    out->compute = 10 * major + minor;
    return 0;
}

static int gpu(void *self, struct machine_gpu *out, struct err *err)
{
    struct driver driver;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(err, ERR_UNSUPPORTED, "libcuda.so.1 cannot be opened; install the GPU's driver");
    if (!find(library, "cuInit", &driver.init) || !find(library, "cuDriverGetVersion", &driver.version) ||
        !find(library, "cuDeviceGet", &driver.device) || !find(library, "cuDeviceGetName", &driver.name) ||
        !find(library, "cuDeviceGetAttribute", &driver.attribute))
        return err_set(err, ERR_UNSUPPORTED, "libcuda.so.1 is not CUDA's driver");
    return ask_driver(&driver, out, err);
}

/* ---- TensorRT ---- */

/* "libnvinfer.so.10" as the provider's library names what it needs. */
static int needed_library(const char *path, const char *prefix, char *out, size_t size, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    const char *found = memmem(map.data, map.size, prefix, strlen(prefix));
    size_t left = found ? map.size - (size_t)((const uint8_t *)found - map.data) : 0;
    size_t len = found ? strnlen(found, left) : 0;
    if (len == 0 || len == left || len >= size)
        return err_set(err, ERR_UNSUPPORTED, "%s does not say which TensorRT it needs", path);
    memcpy(out, found, len + 1);
    return 0;
}

static int read_version(void *library, int out[4], struct err *err)
{
    static const char *const names[] = {"getInferLibMajorVersion", "getInferLibMinorVersion",
                                        "getInferLibPatchVersion", "getInferLibBuildVersion"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int (*version)(void);
        if (!find(library, names[i], &version))
            return err_set(err, ERR_UNSUPPORTED, "TensorRT is older than 8.6, whose engines say no version");
        out[i] = version();
    }
    return 0;
}

/* "libnvinfer_plugin.so.10" beside libnvinfer.so.10. */
static void hash_plugins(void *library, const char *soname, char out[65])
{
    struct link_map *map = NULL;
    struct err ignored = {0};
    struct digest digest;
    uint64_t size;
    if (dlinfo(library, RTLD_DI_LINKMAP, &map) < 0)
        return;
    const char *slash = strrchr(map->l_name, '/');
    cleanup_free char *path = mem_printf("%.*s/libnvinfer_plugin%s", slash ? (int)(slash - map->l_name) : 0,
                                         map->l_name, soname + strlen("libnvinfer"));
    if (!path || hash_file(path, &digest, &size, &ignored) < 0)
        return;
    struct digest_text text = digest_format(&digest);
    str_copy(out, 65, digest_hex(&text));
}

/* Root's own program only: it will build what this robot computes with. */
static void find_trtexec(char *out, size_t size)
{
    static const char *const places[] = {"/usr/src/tensorrt/bin/trtexec", "/usr/bin/trtexec",
                                         "/usr/local/bin/trtexec"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], X_OK) == 0) {
            str_copy(out, size, places[i]);
            return;
        }
}

static int tensorrt(void *self, const char *provider_library, struct machine_tensorrt *out, struct err *err)
{
    char soname[64];
    if (needed_library(provider_library, "libnvinfer.so.", soname, sizeof soname, err) < 0)
        return -1;
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s cannot be opened; install the TensorRT that ONNX Runtime needs", soname);
    if (read_version(library, out->version, err) < 0)
        return -1;
    hash_plugins(library, soname, out->plugins);
    find_trtexec(out->trtexec, sizeof out->trtexec);
    return 0;
}

static void read_system(void *self, struct machine *out)
{
    const struct real *real = self;
    cleanup_buf struct buf text = BUF_INIT(4096);
    struct err ignored = {0};
    if (real->runtime)
        str_copy(out->runtime, sizeof out->runtime, real->runtime->version);
    if (file_read("/etc/nv_tegra_release", &text, &ignored) == 0 &&
        text.len > 0) /* "# R36 (release), …, GCID: …" */
        snprintf(out->l4t, sizeof out->l4t, "%.*s", (int)strcspn(buf_text(&text), "\n"), buf_text(&text));
}

/* ---- in a child ---- */

static void tell(int to, const struct machine *machine)
{
    const char *at = (const char *)machine;
    for (size_t left = sizeof *machine; left > 0;) {
        ssize_t n = write(to, at, left);
        if (n <= 0)
            return;
        at += n;
        left -= (size_t)n;
    }
}

static bool hear(int from, struct machine *out)
{
    int64_t until_ms = clock_mono_ms() + LOOK_MS;
    char *at = (char *)out;
    for (size_t left = sizeof *out; left > 0;) {
        struct pollfd wait = {.fd = from, .events = POLLIN};
        int64_t rest = until_ms - clock_mono_ms();
        ssize_t n = rest > 0 && poll(&wait, 1, (int)rest) > 0 ? read(from, at, left) : 0;
        if (n <= 0)
            return false;
        at += n;
        left -= (size_t)n;
    }
    return true;
}

static void gave_up(struct machine *out)
{
    *out = (struct machine){.node = true, .usable = {[PROVIDER_CPU] = true}};
    for (int i = PROVIDER_CUDA; i < PROVIDER_COUNT; i++)
        str_copy(out->why[i], sizeof out->why[i], "the GPU's driver hangs or crashes");
}

/* False: this process may have no child (a runner behind its walls). */
static bool look_in_child(const struct machine_probe *probe, struct machine *out)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        machine_look(probe, out);
        tell(pipe_fds[1], out);
        _exit(0);
    }
    close(pipe_fds[1]);
    if (pid > 0) {
        if (!hear(pipe_fds[0], out))
            gave_up(out);
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(pipe_fds[0]);
    return pid > 0;
}

static void look(const char *runtime_path, struct machine *out)
{
    struct err ignored = {0};
    struct real real = {0};
    const struct machine_probe probe = {.self = &real,
                                        .node = node,
                                        .provider = provider,
                                        .gpu = gpu,
                                        .tensorrt = tensorrt,
                                        .system = read_system};
    *out = (struct machine){.usable = {[PROVIDER_CPU] = true}};
    if (!node(&real))
        return;
    if (runtime_get(runtime_path, &real.runtime, &ignored) < 0)
        real.runtime = NULL;
    if (!look_in_child(&probe, out))
        machine_look(&probe, out);
}

const struct machine *machine_get(const char *runtime_path)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct machine machine;
    static bool looked;
    pthread_mutex_lock(&lock);
    if (!looked)
        look(runtime_path, &machine);
    looked = true;
    pthread_mutex_unlock(&lock);
    return &machine;
}
