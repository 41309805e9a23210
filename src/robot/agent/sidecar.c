#include "robot/agent/sidecar.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 5000, STEADY_MS = 10000 };

void sidecar_init(struct sidecar *sidecar, const char *name, const char *program, const char *run_dir,
                  const char *state_dir)
{
    *sidecar = (struct sidecar){.name = name,
                                .run_dir = run_dir,
                                .argv = {program},
                                .argc = 1,
                                .backoff = {.min_ms = 500, .max_ms = 30000}};
    sidecar_add(sidecar, "--run-dir", run_dir);
    sidecar_add(sidecar, "--state-dir", state_dir);
}

void sidecar_fini(struct sidecar *sidecar)
{
    free(sidecar->words);
    sidecar->words = NULL;
}

void sidecar_switch_off(struct sidecar *sidecar)
{
    sidecar->off = true;
}

static void add_one(struct sidecar *sidecar, const char *word)
{
    if (sidecar->argc < SIDECAR_ARGS)
        sidecar->argv[sidecar->argc++] = word;
}

void sidecar_add(struct sidecar *sidecar, const char *option, const char *value)
{
    add_one(sidecar, option);
    add_one(sidecar, value);
}

void sidecar_add_number(struct sidecar *sidecar, const char *option, int64_t value)
{
    snprintf(sidecar->number, sizeof sidecar->number, "%lld", (long long)value);
    sidecar_add(sidecar, option, sidecar->number);
}

void sidecar_add_words(struct sidecar *sidecar, const char *words)
{
    free(sidecar->words);
    sidecar->words = mem_strdup(words);
    char *rest = sidecar->words;
    for (char *word; rest && (word = strsep(&rest, " ")) != NULL;)
        if (word[0])
            add_one(sidecar, word);
}

static char *file_of(const char *run_dir, const char *name, const char *suffix)
{
    return mem_printf("%s/%s%s", run_dir, name, suffix);
}

/* Another process of this robot does it already. */
static bool taken(const char *run_dir, const char *name)
{
    struct err err = {0};
    cleanup_close int fd = -1;
    cleanup_free char *path = file_of(run_dir, name, ".lock");
    return path && file_lock(path, &fd, &err) < 0 && err.code == ERR_BUSY;
}

static void start(struct sidecar *sidecar, int64_t now_ms)
{
    struct err err = {0};
    cleanup_free char *log = file_of(sidecar->run_dir, sidecar->name, ".log");
    struct proc_options options = {.argv = sidecar->argv, .log_path = log, .detach = true, .keep_fd = -1};
    backoff_failed(&sidecar->backoff, now_ms, (uint32_t)clock_mono_ns());
    sidecar->next_ms = sidecar->backoff.until_ms;
    sidecar->since_ms = now_ms;
    if (!log)
        return;
    if (proc_spawn(&options, &sidecar->child, &err) == 0) {
        log_info("%s started (%d)", sidecar->name, (int)sidecar->child);
        return;
    }
    sidecar->child = 0;
    log_warn("%s: %s", sidecar->name, err.text);
    if (err.code == ERR_NOT_FOUND) /* it is not installed: that is no reason to ask every half minute */
        sidecar->off = true;
}

void sidecar_tick(struct sidecar *sidecar, int64_t now_ms)
{
    if (sidecar->off || sidecar->child || now_ms < sidecar->next_ms)
        return;
    if (taken(sidecar->run_dir, sidecar->name))
        sidecar->next_ms = now_ms + LOOK_AGAIN_MS;
    else
        start(sidecar, now_ms);
}

int64_t sidecar_next_ms(const struct sidecar *sidecar)
{
    return sidecar->off || sidecar->child ? INT64_MAX : sidecar->next_ms;
}

bool sidecar_reaped(struct sidecar *sidecar, pid_t pid, int64_t now_ms)
{
    if (sidecar->child == 0 || pid != sidecar->child)
        return false;
    sidecar->child = 0;
    if (now_ms - sidecar->since_ms > STEADY_MS) {
        backoff_reset(&sidecar->backoff);
        sidecar->next_ms = now_ms;
    }
    return true;
}

void sidecar_stop(const char *run_dir, const char *name)
{
    struct err ignored = {0};
    uint64_t pid = 0;
    cleanup_buf struct buf text = BUF_INIT(32);
    cleanup_free char *path = file_of(run_dir, name, ".lock");
    if (!path || !taken(run_dir, name) || file_read(path, &text, &ignored) < 0)
        return;
    if (str_to_u64(buf_text(&text), &pid) && pid > 1 && pid <= INT32_MAX)
        kill((pid_t)pid, SIGTERM);
}
