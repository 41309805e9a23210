/* trtexec: ONNX in, plan out. It runs inside the child of derived_build, with its limits, in its group of processes. */
#include "infer/tensorrt.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/tensorrt_args.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/proc.h"
#include "wire/onnx/summary.h"
#include "wire/trt_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_MAX = 1 << 20, PLAN_MAX = 1 << 30, SEED_MAX = 64 << 20 };

struct files { /* beside the entries; one build at a time */
    char *plan, *log, *timing, *timing_now, *seeded;
};

static void files_fini(struct files *files)
{
    free(files->plan);
    free(files->log);
    free(files->timing);
    free(files->timing_now);
    free(files->seeded);
}

static int files_init(struct files *files, const char *dir, struct err *err)
{
    *files = (struct files){.plan = file_join(dir, "engine.plan"),
                            .log = file_join(dir, "build.log"),
                            .timing = file_join(dir, "timing.cache"),
                            .timing_now = file_join(dir, "timing.now"),
                            .seeded = file_join(dir, "timing.seeded")};
    return files->plan && files->log && files->timing && files->timing_now && files->seeded
               ? 0
               : err_no_memory(err);
}

/* ---- its arguments ---- */

static bool is_open(const struct onnx_summary *summary, const char *name)
{
    for (size_t i = 0; i < summary->input_count; i++)
        for (size_t k = 0; str_eq(summary->inputs[i].name, name) && k < summary->inputs[i].dim_count; k++)
            if (summary->inputs[i].dims[k] <= 0)
                return true;
    return false;
}

static int put_shape(struct buf *text, const struct tensor_spec *spec, struct err *err)
{
    if (buf_printf(text, err, "%s%s:", text->len ? "," : "", spec->name) < 0)
        return -1;
    for (size_t i = 0; i < spec->dim_count; i++)
        if (buf_printf(text, err, "%s%" PRId64, i ? "x" : "", spec->dims[i]) < 0)
            return -1;
    return 0;
}

/* What the model leaves open the release fixes; trtexec does not want to hear of the others. */
static int put_shapes(struct buf *text, const struct tensorrt *self, const char *source, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    if (!summary)
        return err_no_memory(err);
    if (file_map(source, &map, err) < 0 || onnx_summarize(map.data, map.size, summary, err) < 0)
        return -1;
    for (size_t i = 0; i < self->release->input_count; i++)
        if (is_open(summary, self->release->inputs[i].name) &&
            put_shape(text, &self->release->inputs[i], err) < 0)
            return -1;
    return 0;
}

static int words_for(const struct tensorrt *self, const struct files *files, const char *source,
                     struct tensorrt_words *out, struct err *err)
{
    cleanup_buf struct buf shapes = BUF_INIT(4096);
    if (put_shapes(&shapes, self, source, err) < 0)
        return -1;
    const struct tensorrt_args args = {.program = self->machine->tensorrt.trtexec,
                                       .model = source,
                                       .plan = files->plan,
                                       .timing_cache = files->timing_now,
                                       .shapes = shapes.len ? buf_text(&shapes) : NULL,
                                       .major = self->machine->tensorrt.version[0],
                                       .level = self->level,
                                       .workspace_mib = self->workspace_mib,
                                       .dla_core = self->dla_core};
    return tensorrt_args_words(&args, out, err);
}

/* ---- the timing cache ---- */

/* What a release brings is tried once: if the build fails it may be why. */
static bool was_seeded(const struct files *files, const char *digest)
{
    cleanup_buf struct buf text = BUF_INIT(256);
    struct err ignored = {0};
    return file_read(files->seeded, &text, &ignored) == 0 && str_eq(buf_text(&text), digest);
}

/* The release's one for a machine that has none of its own. It is a help; without it the build takes longer. */
static void seed_timing(const struct tensorrt *self, const struct files *files)
{
    struct err ignored = {0};
    cleanup_buf struct buf seed = BUF_INIT(SEED_MAX);
    if (!self->timing_seed || file_read(self->timing_seed, &seed, &ignored) < 0 || seed.len == 0)
        return;
    const struct digest digest = hash_bytes(seed.data, seed.len);
    const struct digest_text name = digest_format(&digest);
    if (was_seeded(files, name.text) ||
        file_replace(files->seeded, name.text, strlen(name.text), 0644, &ignored) < 0 ||
        file_replace(files->timing_now, seed.data, seed.len, 0600, &ignored) < 0)
        unlink(files->timing_now);
}

/* Set aside while it is in use: a build that dies costs it, and no more. */
static void take_timing(const struct tensorrt *self, const struct files *files)
{
    unlink(files->timing_now);
    if (rename(files->timing, files->timing_now) < 0)
        seed_timing(self, files);
}

/* ---- running it ---- */

/* The first line of its log that is an error: "[date-time] [E] Error[2]: …". */
static int explain(const char *log, int status, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(LOG_MAX);
    struct err ignored = {0};
    const char *found =
        file_read(log, &text, &ignored) == 0 && text.len ? strstr(buf_text(&text), "[E] ") : NULL;
    if (WIFSIGNALED(status))
        return err_set(err, ERR_REFUSED, "trtexec ended with signal %d", WTERMSIG(status));
    if (found)
        return err_set(err, ERR_REFUSED, "trtexec: %.*s", (int)strcspn(found + 4, "\r\n"), found + 4);
    return err_set(err, ERR_REFUSED, "trtexec ended with status %d", WEXITSTATUS(status));
}

static int run(const struct tensorrt_words *words, const char *log, struct err *err)
{
    pid_t pid;
    int status = 0;
    const struct proc_options options = {
        .argv = (const char *const *)words->words, .log_path = log, .die_with_parent = true, .keep_fd = -1};
    if (proc_spawn(&options, &pid, err) < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : explain(log, status, err);
}

static int write_all(int fd, const struct buf *data, struct err *err)
{
    for (size_t done = 0; done < data->len;) {
        ssize_t n = write(fd, data->data + done, data->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, "the engine");
        done += (size_t)n;
    }
    return 0;
}

static int wrap(const struct tensorrt *self, const char *plan, const char *target, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_buf struct buf model = BUF_INIT(PLAN_MAX);
    if (file_map(plan, &map, err) < 0)
        return err_prefix(err, "trtexec left no engine");
    if (trt_plan_check(map.data, map.size, self->machine->tensorrt.version, err) < 0 ||
        trt_context_put(map.data, map.size, self->machine->gpu.compute, self->release, &model, err) < 0)
        return -1;
    cleanup_close int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_errno(err, "%s", target) : write_all(fd, &model, err);
}

static int build(const struct tensorrt *self, const struct files *files, const char *source,
                 const char *target, struct err *err)
{
    cleanup_tensorrt_words struct tensorrt_words words = {0};
    if (words_for(self, files, source, &words, err) < 0)
        return -1;
    unlink(files->plan);
    unlink(files->log);
    take_timing(self, files);
    int result = run(&words, files->log, err);
    if (result == 0)
        result = wrap(self, files->plan, target, err);
    if (result == 0)
        (void)rename(files->timing_now, files->timing);
    unlink(files->plan);
    unlink(files->timing_now); /* of a build that failed: it may be why */
    return result;
}

int tensorrt_exec(const struct tensorrt *self, const char *source, const char *target, struct err *err)
{
    struct files files;
    int result = files_init(&files, self->dir, err);
    if (result == 0)
        result = build(self, &files, source, target, err);
    files_fini(&files);
    return result;
}
