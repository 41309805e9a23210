#include "infer/tensorrt.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/ort.h"
#include "infer/pipeline_inside.h"
#include "infer/tensorrt_args.h"
#include "sys/file.h"
#include "wire/trt_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUILD_MS = 30 * 60 * 1000, MIN_WORKSPACE_MIB = 64, TIMED_RUNS = 21 };

/* ---- limits ---- */

/* As the kernel sees it now; on Jetsons the GPU's memory is the same one. */
static uint64_t free_bytes(void)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct err ignored = {0};
    uint64_t kib = 0;
    if (file_read("/proc/meminfo", &text, &ignored) < 0)
        return 1ull << 30;
    const char *at = strstr(buf_text(&text), "MemAvailable:");
    return at && sscanf(at, "MemAvailable: %" SCNu64, &kib) == 1 ? kib << 10 : 1ull << 30;
}

struct derived_limits tensorrt_limits(void)
{
    return (struct derived_limits){.time_ms = BUILD_MS,
                                   .memory_bytes = MAX(free_bytes() / 4 * 3, 256ull << 20),
                                   .file_bytes = 1ull << 30,
                                   .cache_bytes = 2ull << 30};
}

struct tensorrt tensorrt_here(const struct machine *machine, const struct release *release,
                              const struct golden *golden, const char *runtime_path, const char *dir)
{
    uint64_t half_mib = free_bytes() >> 21;
    return (struct tensorrt){.machine = machine,
                             .release = release,
                             .golden = golden,
                             .runtime_path = runtime_path,
                             .dir = dir,
                             .level = TENSORRT_LEVEL,
                             .dla_core = -1,
                             .workspace_mib = (int)MAX(MIN(half_mib, (uint64_t)TENSORRT_WORKSPACE_MIB),
                                                       (uint64_t)MIN_WORKSPACE_MIB),
                             .prove = tensorrt_prove};
}

/* ---- the key ---- */

static int put_shapes(const struct tensor_spec *tensors, size_t count, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (buf_printf(out, err, "tensor %s %d", tensors[i].name, (int)tensors[i].dtype) < 0)
            return -1;
        for (size_t k = 0; k < tensors[i].dim_count; k++)
            if (buf_printf(out, err, " %" PRId64, tensors[i].dims[k]) < 0)
                return -1;
        if (buf_puts(out, "\n", err) < 0)
            return -1;
    }
    return 0;
}

/* Not the workspace: it follows the memory that happens to be free. */
static int key(void *arg, struct buf *out, struct err *err)
{
    const struct tensorrt *self = arg;
    const struct release *release = self->release;
    if (machine_put_key(self->machine, out, err) < 0 ||
        buf_printf(out, err, "profile fixed\nlevel %d\ndla %d\n", self->level, self->dla_core) < 0 ||
        put_shapes(release->inputs, release->input_count, out, err) < 0)
        return -1;
    return put_shapes(release->outputs, release->output_count, out, err);
}

/* ---- building ---- */

bool tensorrt_can_build(const struct tensorrt *self)
{
    return self->way == TENSORRT_PROVIDER || self->machine->tensorrt.trtexec[0];
}

static int build(void *arg, const char *source, const char *target, struct err *err)
{
    const struct tensorrt *self = arg;
    if (self->way == TENSORRT_TRTEXEC)
        return tensorrt_exec(self, source, target, err);
    return ort_write_engine(self->runtime_path, source, target, self->level, self->workspace_mib, err);
}

/* ---- proving ---- */

int tensorrt_check_file(const struct machine *machine, const char *path, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    return trt_context_check(map.data, map.size, machine->tensorrt.version, err);
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median of a few runs, at the lowest priority of a robot that works: more would ask for what the probation is there for. */
static int check_speed(struct pipeline *pipeline, const struct tensorrt *self, struct err *err)
{
    int64_t times[TIMED_RUNS];
    for (int i = 0; i < TIMED_RUNS; i++)
        if (pipeline_time_golden(pipeline, &self->golden->cases[0], &times[i], err) < 0)
            return -1;
    qsort(times, TIMED_RUNS, sizeof times[0], compare_times);
    double ms = (double)times[TIMED_RUNS / 2] / 1e6, budget_ms = self->release->budgets.latency_p99_ms;
    if (budget_ms > 0 && ms > budget_ms)
        return err_set(err, ERR_REFUSED, "the engine takes %.2f ms, the release allows %.2f", ms, budget_ms);
    return 0;
}

int tensorrt_prove(const struct tensorrt *self, const char *target, struct err *err)
{
    struct pipeline *pipeline = NULL;
    if (!self->golden || self->golden->count == 0)
        return err_set(err, ERR_REFUSED, "there are no golden cases to prove the engine with");
    if (pipeline_open_engine(target, self->release, self->machine, self->runtime_path, self->promised,
                             &pipeline, err) < 0)
        return -1;
    int result = pipeline_self_test(pipeline, self->golden, self->release->golden_tolerance, err);
    if (result == 0)
        result = check_speed(pipeline, self, err);
    pipeline_close(pipeline);
    return result;
}

static int verify(void *arg, const char *target, struct err *err)
{
    const struct tensorrt *self = arg;
    if (tensorrt_check_file(self->machine, target, err) < 0)
        return -1;
    return self->prove(self, target, err);
}

struct derived_builder tensorrt_builder(struct tensorrt *self)
{
    static const char *const names[] = {
        [TENSORRT_TRTEXEC] = "tensorrt-trtexec", [TENSORRT_PROVIDER] = "tensorrt-provider"};
    return (struct derived_builder){
        .name = names[self->way], .self = self, .key = key, .build = build, .verify = verify};
}
