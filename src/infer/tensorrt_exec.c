/* trtexec: ONNX in, plan out. It runs inside the child of derived_build, with its limits, in its group of processes. */
#include "infer/tensorrt.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/onnx/summary.h"
#include "wire/trt_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 16, LOG_MAX = 1 << 20, PLAN_MAX = 1 << 30 };

struct files { /* beside the entries; one build at a time */
    char *plan, *log, *timing, *timing_now;
};

struct command {
    char *words[MAX_WORDS]; /* owned, NULL-terminated */
    size_t count;
};

static void files_fini(struct files *files)
{
    free(files->plan);
    free(files->log);
    free(files->timing);
    free(files->timing_now);
}

static void command_fini(struct command *command)
{
    for (size_t i = 0; i < command->count; i++)
        free(command->words[i]);
}

static int files_init(struct files *files, const char *dir, struct err *err)
{
    *files = (struct files){.plan = file_join(dir, "engine.plan"),
                            .log = file_join(dir, "build.log"),
                            .timing = file_join(dir, "timing.cache"),
                            .timing_now = file_join(dir, "timing.now")};
    return files->plan && files->log && files->timing && files->timing_now ? 0 : err_no_memory(err);
}

/* ---- its arguments ---- */

static int add(struct command *command, char *word, struct err *err)
{
    if (!word)
        return err_no_memory(err);
    if (command->count + 1 == MAX_WORDS) {
        free(word);
        return err_set(err, ERR_TOO_BIG, "too many arguments for trtexec");
    }
    command->words[command->count++] = word;
    return 0;
}

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
    if (buf_printf(text, err, "%s%s:", text->len ? "," : "--shapes=", spec->name) < 0)
        return -1;
    for (size_t i = 0; i < spec->dim_count; i++)
        if (buf_printf(text, err, "%s%" PRId64, i ? "x" : "", spec->dims[i]) < 0)
            return -1;
    return 0;
}

/* What the model leaves open the release fixes; trtexec does not want to hear of the others. */
static int add_shapes(struct command *command, const struct tensorrt *self, const char *source,
                      struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free struct onnx_summary *summary = mem_zalloc(1, sizeof *summary);
    cleanup_buf struct buf text = BUF_INIT(4096);
    if (!summary)
        return err_no_memory(err);
    if (file_map(source, &map, err) < 0 || onnx_summarize(map.data, map.size, summary, err) < 0)
        return -1;
    for (size_t i = 0; i < self->release->input_count; i++)
        if (is_open(summary, self->release->inputs[i].name) &&
            put_shape(&text, &self->release->inputs[i], err) < 0)
            return -1;
    return text.len ? add(command, buf_take(&text), err) : 0;
}

/* The model's own types, nothing narrower: an option since 9.0, the only way since 11. */
static bool wants_strong_typing(const struct tensorrt *self)
{
    int major = self->machine->tensorrt.version[0];
    return major == 9 || major == 10;
}

static int fill(struct command *command, const struct tensorrt *self, const struct files *files,
                const char *source, struct err *err)
{
    if (add(command, mem_strdup(self->machine->tensorrt.trtexec), err) < 0 ||
        add(command, mem_printf("--onnx=%s", source), err) < 0 ||
        add(command, mem_printf("--saveEngine=%s", files->plan), err) < 0 ||
        add(command, mem_printf("--timingCacheFile=%s", files->timing_now), err) < 0 ||
        add(command, mem_printf("--builderOptimizationLevel=%d", self->level), err) < 0 ||
        add(command, mem_printf("--memPoolSize=workspace:%d", self->workspace_mib), err) < 0 ||
        add(command, mem_strdup("--skipInference"), err) < 0 ||
        (wants_strong_typing(self) && add(command, mem_strdup("--stronglyTyped"), err) < 0))
        return -1;
    if (self->dla_core >= 0 && (add(command, mem_printf("--useDLACore=%d", self->dla_core), err) < 0 ||
                                add(command, mem_strdup("--allowGPUFallback"), err) < 0))
        return -1;
    return add_shapes(command, self, source, err);
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

static int run(const struct command *command, const char *log, struct err *err)
{
    pid_t pid;
    int status = 0;
    const struct proc_options options = {
        .argv = (const char *const *)command->words, .log_path = log, .die_with_parent = true, .keep_fd = -1};
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
    struct command command = {0};
    int result = fill(&command, self, files, source, err);
    unlink(files->plan);
    unlink(files->log);
    unlink(files->timing_now);
    (void)rename(files->timing, files->timing_now); /* there is none the first time */
    if (result == 0)
        result = run(&command, files->log, err);
    if (result == 0)
        result = wrap(self, files->plan, target, err);
    if (result == 0)
        (void)rename(files->timing_now, files->timing);
    unlink(files->plan);
    unlink(files->timing_now); /* of a build that failed: it may be why */
    command_fini(&command);
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
