/* What one release needs to run, and nothing else. */
#include "robot/jail/jail.h"

#include "base/str.h"
#include "infer/runtime.h"
#include "release/engine.h"
#include "release/image.h"
#include "robot/jail/device.h"
#include "robot/jail/door.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/loader.h"

#include <inttypes.h>
#include <libgen.h>
#include <sys/stat.h>

#define RUNTIME_DIR "/usr/lib/muster"
#define RUNTIME_TARGET RUNTIME_DIR "/libonnxruntime.so.1"
#define CPU_SYSFS "/sys/devices/system/cpu"

int jail_bind(struct jail *jail, enum jail_kind kind, const char *source, const char *target, struct err *err)
{
    struct stat st;
    const char *at = target && !jail->in_place ? target : source;
    for (size_t i = 0; i < jail->bind_count; i++)
        if (str_eq(jail->binds[i].target, at))
            return 0;
    if (jail->bind_count == JAIL_MAX_BINDS)
        return err_set(err, ERR_TOO_BIG, "more than %d files for one runner", JAIL_MAX_BINDS);
    if (stat(source, &st) < 0)
        return err_errno(err, "%s", source);
    struct jail_bind *bind = &jail->binds[jail->bind_count++];
    *bind = (struct jail_bind){.source = realpath(source, NULL),
                               .target = mem_strdup(at),
                               .kind = kind,
                               .directory = S_ISDIR(st.st_mode)};
    return bind->source && bind->target ? 0 : err_no_memory(err);
}

static int add_text(char **list, size_t *count, char *text, struct err *err)
{
    if (!text)
        return err_no_memory(err);
    if (*count + 1 >= JAIL_MAX_ARGS) {
        free(text);
        return err_set(err, ERR_TOO_BIG, "more than %d arguments for a runner", JAIL_MAX_ARGS);
    }
    list[(*count)++] = text;
    return 0;
}

static int add_args(struct jail *jail, struct err *err, const char *const *args)
{
    for (size_t i = 0; args && args[i]; i++)
        if (add_text(jail->args, &jail->arg_count, mem_strdup(args[i]), err) < 0)
            return -1;
    return 0;
}

static int add_env(struct jail *jail, char *text, struct err *err)
{
    return add_text(jail->env, &jail->env_count, text, err);
}

/* ---- program and libraries ---- */

static int bind_libraries(struct jail *jail, const char *file, struct err *err)
{
    cleanup_loader_list struct loader_list list = {0};
    if (loader_list(file, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        enum jail_kind kind = str_eq(list.paths[i], loader_path()) ? JAIL_PROGRAM : JAIL_LIBRARY;
        if (jail_bind(jail, kind, list.paths[i], NULL, err) < 0)
            return -1;
    }
    return 0;
}

/* The parts of the runtime that it opens by itself lie beside it; their own libraries are among the driver's (device.c). */
static int bind_providers(struct jail *jail, const char *library, struct err *err)
{
    static const char *const parts[] = {"shared", "cuda", "tensorrt"};
    const char *slash = strrchr(library, '/');
    for (size_t i = 0; slash && i < ARRAY_LEN(parts); i++) {
        cleanup_free char *source =
            mem_printf("%.*s/libonnxruntime_providers_%s.so", (int)(slash - library), library, parts[i]);
        cleanup_free char *target = mem_printf(RUNTIME_DIR "/libonnxruntime_providers_%s.so", parts[i]);
        if (!source || !target)
            return err_no_memory(err);
        if (file_exists(source) && jail_bind(jail, JAIL_LIBRARY, source, target, err) < 0)
            return -1;
    }
    return 0;
}

/* ONNX Runtime, where this machine has one: without it the runner itself says what is missing. */
static int bind_runtime(struct jail *jail, const char *runner, struct err *err)
{
    struct err none = {0};
    cleanup_free char *copy = mem_strdup(runner);
    cleanup_free char *library = copy ? runtime_find(dirname(copy), &none) : NULL;
    if (!library || !file_exists(library))
        return 0;
    if (bind_libraries(jail, library, err) < 0 ||
        jail_bind(jail, JAIL_LIBRARY, library, RUNTIME_TARGET, err) < 0 ||
        bind_providers(jail, library, err) < 0)
        return -1;
    return add_env(jail, mem_printf("MUSTER_ONNXRUNTIME=%s", jail->in_place ? library : RUNTIME_TARGET), err);
}

static int bind_host_program(struct jail *jail, const char *runner, struct err *err)
{
    if (jail_bind(jail, JAIL_PROGRAM, runner, JAIL_RUNNER, err) < 0 || bind_libraries(jail, runner, err) < 0)
        return err_prefix(err, "runner %s", runner);
    return bind_runtime(jail, runner, err);
}

struct engine_visit {
    struct jail *jail;
    const char *dir;
    struct err *err;
    int result;
};

/* The mount points of the image stay empty: the jail has its own. */
static int bind_engine_entry(const char *name, void *arg)
{
    static const char *const ours[] = {"dev", "proc", "sys", "run", "store", "tmp"};
    struct engine_visit *visit = arg;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_eq(name, ours[i]))
            return 0;
    cleanup_free char *source = file_join(visit->dir, name);
    cleanup_free char *target = mem_printf("/%s", name);
    visit->result = source && target ? jail_bind(visit->jail, JAIL_PROGRAM, source, target, visit->err)
                                     : err_no_memory(visit->err);
    return visit->result;
}

static int bind_engine(struct jail *jail, const char *dir, struct err *err)
{
    struct engine_visit visit = {.jail = jail, .dir = dir, .err = err};
    if (file_list(dir, bind_engine_entry, &visit, err) < 0 || visit.result < 0)
        return err_prefix(err, "engine %s", dir);
    if (add_env(jail, mem_strdup("LD_LIBRARY_PATH=" ENGINE_LIBRARIES), err) < 0)
        return -1;
    return add_env(jail, mem_strdup("MUSTER_ONNXRUNTIME=" ENGINE_RUNTIME), err);
}

static int bind_program(struct jail *jail, const struct jail_job *job, const struct image *image,
                        struct err *err)
{
    bool usable = job->engines && !jail->in_place && engine_of(image) != NULL;
    if (!usable)
        return bind_host_program(jail, job->runner, err);
    cleanup_free char *dir = NULL;
    if (engine_unpack(image, job->engines, &dir, err) < 0)
        return -1;
    return bind_engine(jail, dir, err);
}

static int bind_shown(struct jail *jail, const struct jail_job *job, struct err *err)
{
    for (size_t i = 0; job->shown && job->shown[i]; i++)
        if (jail_bind(jail, JAIL_LIBRARY, job->shown[i], NULL, err) < 0)
            return -1;
    return 0;
}

/* ---- the release ---- */

/* The runner is somebody else, and blobs of the robot's store are their owner's alone. Their directory stays
 * closed to everybody, and what is in them is never written again. */
static void make_readable(const struct jail *jail, const char *path)
{
    struct stat st;
    if (jail->uid != geteuid() && stat(path, &st) == 0 && (st.st_mode & 0444) != 0444)
        (void)chmod(path, (st.st_mode & 07777) | 0444);
}

static int bind_blob(struct jail *jail, const struct image *image, const struct digest *digest,
                     struct err *err)
{
    struct digest_text text = digest_format(digest);
    cleanup_free char *source = image_blob_path(image->dir, digest);
    cleanup_free char *target = mem_printf(JAIL_STORE "/blobs/sha256/%s", digest_hex(&text));
    if (!source || !target)
        return err_no_memory(err);
    make_readable(jail, source);
    return jail_bind(jail, JAIL_DATA, source, target, err);
}

static int add_file(struct jail *jail, const char *target, char *text, struct err *err)
{
    struct jail_file *file = &jail->files[jail->file_count++];
    *file = (struct jail_file){.target = mem_strdup(target), .text = text};
    return file->target && file->text ? 0 : err_no_memory(err);
}

/* A layout that lists this one release: the others are none of the runner's business. */
static int add_layout(struct jail *jail, const struct image *image, struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    index->count = 1;
    struct oci_descriptor *item = &index->manifests[0];
    item->digest = image->digest;
    item->size = image->size;
    str_copy(item->media_type, sizeof item->media_type, OCI_MANIFEST_TYPE);
    str_copy(item->artifact_type, sizeof item->artifact_type, MODELPACK_ARTIFACT_TYPE);
    if (add_file(jail, JAIL_STORE "/index.json", oci_index_format(index), err) < 0)
        return -1;
    return add_file(jail, JAIL_STORE "/oci-layout", mem_strdup("{\"imageLayoutVersion\":\"1.0.0\"}"), err);
}

static int bind_release(struct jail *jail, const struct image *image, struct err *err)
{
    if (jail->in_place)
        return jail_bind(jail, JAIL_DATA, image->dir, NULL, err);
    if (add_layout(jail, image, err) < 0 || bind_blob(jail, image, &image->digest, err) < 0 ||
        bind_blob(jail, image, &image->manifest.config.digest, err) < 0)
        return -1;
    const struct image_use use = {.machine = image_this_machine()}; /* a runner builds no engines */
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        if (image_uses_layer(&use, &image->manifest.layers[i]) &&
            bind_blob(jail, image, &image->manifest.layers[i].digest, err) < 0)
            return -1;
    return 0;
}

/* ---- what it may use ---- */

static void set_limits(struct jail *jail, const struct release *release)
{
    unsigned threads = (unsigned)MAX(release->runtime.threads, 1);
    jail->memory_bytes = ((uint64_t)MAX(release->budgets.memory_mib, 1) + JAIL_ENGINE_MARGIN_MIB) << 20;
    jail->tasks = 2 * threads + JAIL_THREADS_BESIDES;
    jail->cpu_weight = MIN(100 * threads, 10000U);
}

static int set_command(struct jail *jail, const struct jail_job *job, struct err *err)
{
    struct digest_text release = digest_format(&job->release);
    char generation[24];
    snprintf(generation, sizeof generation, "%" PRIu64, job->generation);
    cleanup_free char *door = door_path(job->run_dir);
    if (!door)
        return err_no_memory(err);
    const char *const common[] = {jail->in_place ? job->runner : JAIL_RUNNER,
                                  "--store",
                                  jail->in_place ? job->store : JAIL_STORE,
                                  "--release",
                                  release.text,
                                  NULL};
    const char *const serve[] = {"--run-dir", jail->in_place ? door : JAIL_RUN, "--generation", generation,
                                 NULL};
    const char *const test[] = {"--self-test", NULL};
    if (add_args(jail, err, common) < 0 || add_args(jail, err, job->generation ? serve : test) < 0)
        return -1;
    return add_args(jail, err, job->extra);
}

/* A GPU's context lives in the memory of its process; on Jetsons so does what it computes on. */
static void allow_for_accelerator(struct jail *jail)
{
    for (size_t i = 0; i < jail->bind_count; i++)
        if (jail->binds[i].kind == JAIL_DEVICE && !device_is_standard(jail->binds[i].target)) {
            jail->memory_bytes += (uint64_t)JAIL_ACCELERATOR_MARGIN_MIB << 20;
            return;
        }
}

/* Unique per robot and instance; container runtimes and cgroups take it as a name. */
static void set_id(struct jail *jail, const struct jail_job *job)
{
    struct digest digest = hash_bytes(job->run_dir, strlen(job->run_dir));
    struct digest_text text = digest_format(&digest);
    snprintf(jail->id, sizeof jail->id, "muster-%.12s-%" PRIu64, digest_hex(&text), job->generation);
}

static int bind_door(struct jail *jail, const struct jail_job *job, struct err *err)
{
    cleanup_free char *door = door_path(job->run_dir);
    if (!door)
        return err_no_memory(err);
    return job->generation ? jail_bind(jail, JAIL_DOOR, door, JAIL_RUN, err) : 0;
}

/* The leak checker of an instrumented build traces its own process, which nobody may do in here. */
static int add_sanitizer_env(struct jail *jail, struct err *err)
{
#if defined(__SANITIZE_ADDRESS__)
    return add_env(jail, mem_strdup("ASAN_OPTIONS=detect_leaks=0"), err);
#else
    return 0;
#endif
}

static int fill(struct jail *jail, const struct jail_job *job, const struct image *image, struct err *err)
{
    set_id(jail, job);
    set_limits(jail, &image->release);
    if (set_command(jail, job, err) < 0 || bind_program(jail, job, image, err) < 0 ||
        bind_shown(jail, job, err) < 0 || bind_release(jail, image, err) < 0 ||
        bind_door(jail, job, err) < 0 || device_bind(jail, &image->release, err) < 0)
        return -1;
    allow_for_accelerator(jail);
    if (file_exists(CPU_SYSFS) && jail_bind(jail, JAIL_DATA, CPU_SYSFS, NULL, err) < 0)
        return -1;
    if (add_sanitizer_env(jail, err) < 0 || add_env(jail, mem_strdup("PATH=/usr/bin"), err) < 0)
        return -1;
    return add_env(jail, mem_printf("MUSTER_RUN_DIR=%s", job->run_dir),
                   err); /* whose it is, for people outside */
}

int jail_plan(const struct jail_job *job, struct jail **out, struct err *err)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    cleanup_jail struct jail *jail = mem_zalloc(1, sizeof *jail);
    if (!image || !jail)
        return err_no_memory(err);
    jail->in_place = job->in_place;
    jail->hands_on = job->hands_on;
    jail->uid = job->uid;
    jail->gid = job->gid;
    if (image_open(job->store, &job->release, image, err) < 0)
        return -1;
    int filled = fill(jail, job, image, err);
    image_close(image);
    if (filled < 0)
        return -1;
    *out = TAKE_PTR(jail);
    return 0;
}

static void free_all(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
}

void jail_free(struct jail *jail)
{
    if (!jail)
        return;
    for (size_t i = 0; i < jail->bind_count; i++) {
        free(jail->binds[i].source);
        free(jail->binds[i].target);
    }
    for (size_t i = 0; i < jail->file_count; i++) {
        free(jail->files[i].target);
        free(jail->files[i].text);
    }
    free_all(jail->args, jail->arg_count);
    free_all(jail->env, jail->env_count);
    free(jail);
}
