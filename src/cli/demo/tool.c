#include "cli/demo/tool.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/screen.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <unistd.h>

enum { MAX_ARGS = 24, RETRY_FOR_MS = 60000, COMMAND_LIMIT_MS = 120000, EXIT_UNREACHABLE = 5 };

static void set_credentials(const struct stage *stage)
{
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u", stage->operator_port);
    setenv("MUSTER_SERVER", url, 1);
    setenv("MUSTER_TOKEN", stage->token, 1);
    setenv("MUSTER_CA", stage_path(stage, "server/ca.pem"), 1);
}

/* A shell hands its stderr through to a file, whose last line is the error. */
static int run(const struct stage *stage, const char *const *argv, struct buf *out, int *status,
               struct err *err)
{
    const char *wrapped[MAX_ARGS + 4] = {"/bin/sh", "-c", "log=$1; shift; exec \"$@\" 2>>\"$log\"", "sh",
                                         stage_path(stage, "log/commands.log")};
    size_t count = 5;
    for (size_t i = 0; argv[i] && count + 1 < ARRAY_LEN(wrapped); i++)
        wrapped[count++] = argv[i];
    return proc_run(wrapped, COMMAND_LIMIT_MS, out, status, err);
}

static int last_line_of_log(const struct stage *stage, const char *what, int status, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(1 << 20);
    struct err ignored = {0};
    const char *line = "";
    if (file_read(stage_path(stage, "log/commands.log"), &text, &ignored) == 0 && text.len) {
        while (text.len && text.data[text.len - 1] == '\n')
            text.data[--text.len] = 0;
        line = strrchr(buf_text(&text), '\n');
        line = line ? line + 1 : buf_text(&text);
    }
    return err_set(err, ERR_INTERNAL, "%s ended with %d: %s", what, status, line);
}

static void join(char *out, size_t size, const char *program, const char *const *args)
{
    size_t used = (size_t)snprintf(out, size, "%s", program);
    for (size_t i = 0; args[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, " %s", args[i]);
}

static int run_named(const struct stage *stage, const char *program, const char *const *args, struct buf *out,
                     int *status, struct err *err)
{
    const char *argv[MAX_ARGS] = {stage_program(stage, program)};
    size_t count = 1;
    for (size_t i = 0; args[i] && count + 1 < ARRAY_LEN(argv); i++)
        argv[count++] = args[i];
    return run(stage, argv, out, status, err);
}

int tool_run(const struct stage *stage, bool show, const char *const *args, struct buf *out, struct err *err)
{
    char line[512];
    int64_t give_up = clock_mono_ms() + RETRY_FOR_MS;
    set_credentials(stage);
    join(line, sizeof line, "muster", args);
    if (show)
        screen_command(line);
    for (;;) {
        int status = 0;
        if (out)
            buf_reset(out);
        if (run_named(stage, "muster", args, out, &status, err) < 0)
            return err_prefix(err, "%s", line);
        if (status == 0)
            return 0;
        if (status != EXIT_UNREACHABLE || clock_mono_ms() > give_up)
            return last_line_of_log(stage, line, status, err);
        usleep(300000);
    }
}

int tool_run_program(const struct stage *stage, const char *program, const char *const *args, struct err *err)
{
    int status = 0;
    if (run_named(stage, program, args, NULL, &status, err) < 0)
        return err_prefix(err, "%s", program);
    return status == 0 ? 0 : last_line_of_log(stage, program, status, err);
}
