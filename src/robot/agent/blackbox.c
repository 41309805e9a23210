#include "robot/agent/blackbox.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 5000, STEADY_MS = 10000 };

void blackbox_init(struct blackbox *box, const char *program, const char *run_dir, const char *state_dir,
                   int64_t memory_mib)
{
    *box = (struct blackbox){.program = program,
                             .run_dir = run_dir,
                             .state_dir = state_dir,
                             .memory_mib = memory_mib,
                             .backoff = {.min_ms = 500, .max_ms = 30000}};
}

/* Another process of this robot records already. */
static bool taken(const char *run_dir)
{
    struct err err = {0};
    cleanup_close int fd = -1;
    cleanup_free char *path = file_join(run_dir, "recorder.lock");
    return path && file_lock(path, &fd, &err) < 0 && err.code == ERR_BUSY;
}

static void start(struct blackbox *box, int64_t now_ms)
{
    struct err err = {0};
    char memory[24], log[512];
    snprintf(memory, sizeof memory, "%lld", (long long)box->memory_mib);
    snprintf(log, sizeof log, "%s/recorder.log", box->run_dir);
    const char *const argv[] = {box->program,   "--run-dir", box->run_dir, "--state-dir",
                                box->state_dir, "--memory",  memory,       NULL};
    struct proc_options options = {.argv = argv, .log_path = log, .detach = true, .keep_fd = -1};
    backoff_failed(&box->backoff, now_ms, (uint32_t)clock_mono_ns());
    box->next_ms = box->backoff.until_ms;
    box->since_ms = now_ms;
    if (proc_spawn(&options, &box->child, &err) == 0) {
        log_info("recorder started (%d)", (int)box->child);
        return;
    }
    box->child = 0;
    log_warn("recorder: %s", err.text);
    if (err.code == ERR_NOT_FOUND) /* it is not installed: that is no reason to ask every half minute */
        box->memory_mib = 0;
}

void blackbox_tick(struct blackbox *box, int64_t now_ms)
{
    if (box->memory_mib == 0 || box->child || now_ms < box->next_ms)
        return;
    if (taken(box->run_dir))
        box->next_ms = now_ms + LOOK_AGAIN_MS;
    else
        start(box, now_ms);
}

int64_t blackbox_next_ms(const struct blackbox *box)
{
    return box->memory_mib == 0 || box->child ? INT64_MAX : box->next_ms;
}

bool blackbox_reaped(struct blackbox *box, pid_t pid, int64_t now_ms)
{
    if (box->child == 0 || pid != box->child)
        return false;
    box->child = 0;
    if (now_ms - box->since_ms > STEADY_MS) {
        backoff_reset(&box->backoff);
        box->next_ms = now_ms;
    }
    return true;
}

void blackbox_stop(const char *run_dir)
{
    struct err ignored = {0};
    uint64_t pid = 0;
    cleanup_buf struct buf text = BUF_INIT(32);
    cleanup_free char *path = file_join(run_dir, "recorder.lock");
    if (!path || !taken(run_dir) || file_read(path, &text, &ignored) < 0)
        return;
    if (str_to_u64(buf_text(&text), &pid) && pid > 1 && pid <= INT32_MAX)
        kill((pid_t)pid, SIGTERM);
}
