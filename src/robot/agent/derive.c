#include "robot/agent/derive.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/agent/lastline.h"
#include "sys/file.h"

#include <sys/wait.h>
#include <unistd.h>

void derive_init(struct derive *derive, const struct spawn_options *spawn,
                 void (*note)(enum report_kind kind, const struct digest *release, const char *text,
                              void *arg),
                 void *arg)
{
    *derive = (struct derive){.spawn = spawn, .note = note, .arg = arg};
}

/* ---- when ---- */

static bool is_degraded(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        const struct ctl_runner_status *runner = &status->runners[i];
        if (runner->generation == generation && generation && runner->connected && runner->admitted)
            return runner->degraded;
    }
    return false;
}

/* It answers, and nothing and nobody is about to change that. */
static bool is_quiet(const struct install *install, const struct ctl_status *status)
{
    return status && install->phase == INSTALL_IDLE && !digest_is_zero(&install->current.release) &&
           status->active_generation == install->current.generation && status->state < GUARD_FORCED;
}

static bool same_as_before(const struct derive *derive, const struct install *install)
{
    return digest_equal(&derive->release, &install->current.release);
}

bool derive_is_due(const struct derive *derive, const struct install *install,
                   const struct ctl_status *status, int64_t now_ms)
{
    if (derive->child || !is_quiet(install, status) || !is_degraded(status, install->current.generation))
        return false;
    if (!same_as_before(derive, install))
        return true;
    bool reloaded_in_vain = derive->taken_ms && now_ms - derive->taken_ms < DERIVE_RELOAD_MS;
    return !derive->built && !reloaded_in_vain && now_ms >= derive->next_ms;
}

/* ---- building ---- */

static void log_path(const struct derive *derive, char *out, size_t size)
{
    snprintf(out, size, "%s/engine.log", derive->spawn->run_dir);
}

static void start(struct derive *derive, const struct install *install, int64_t now_ms)
{
    char log[512];
    struct err err = {0};
    if (!same_as_before(derive, install)) {
        derive->release = install->current.release;
        derive->said = false;
        derive->taken_ms = 0;
    }
    derive->built = false;
    derive->next_ms = now_ms + DERIVE_AGAIN_MS;
    log_path(derive, log, sizeof log);
    unlink(log);
    if (spawn_build(derive->spawn, &derive->release, log, &derive->child, &err) < 0) {
        derive->child = 0;
        log_warn("engine: %s", err.text);
        return;
    }
    log_info("an engine for %s %s is being built (%d)", install->current.name, install->current.version,
             (int)derive->child);
}

static void explain(struct derive *derive, int64_t now_ms)
{
    char log[512], words[160], text[API_MAX_SUMMARY];
    log_path(derive, log, sizeof log);
    last_line(log, words, sizeof words);
    if (strstr(words, "another process is building")) {
        derive->next_ms = now_ms + DERIVE_BUSY_MS;
        return;
    }
    snprintf(text, sizeof text, "no engine for its accelerator: %s", words[0] ? words : "it says nothing");
    log_warn("%s", text);
    if (!derive->said)
        derive->note(REPORT_GUARD, &derive->release, text, derive->arg);
    derive->said = true;
}

bool derive_reaped(struct derive *derive, pid_t pid, int status, int64_t now_ms)
{
    if (pid <= 0 || pid != derive->child)
        return false;
    derive->child = 0;
    derive->built = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!derive->built)
        explain(derive, now_ms);
    return true;
}

/* ---- folders ---- */

struct sweep {
    const struct derive *derive;
    const struct install *install;
};

static bool is_of(const char *name, const struct install_slot *slot)
{
    struct digest_text text = digest_format(&slot->release);
    return str_eq(name, digest_hex(&text));
}

static int sweep_one(const char *name, void *arg)
{
    const struct sweep *sweep = arg;
    const struct install *install = sweep->install;
    struct err err = {0};
    if (is_of(name, &install->current) || is_of(name, &install->previous) || is_of(name, &install->candidate))
        return 0;
    cleanup_free char *path = file_join(sweep->derive->spawn->derived, name);
    if (path && file_remove_tree(path, &err) < 0)
        log_warn("%s", err.text);
    return 0;
}

static void sweep(struct derive *derive, const struct install *install)
{
    struct sweep all = {derive, install};
    struct err ignored = {0};
    derive->swept = install->current.release;
    if (derive->spawn->derived && file_exists(derive->spawn->derived) &&
        file_list(derive->spawn->derived, sweep_one, &all, &ignored) < 0)
        log_warn("%s", ignored.text);
}

bool derive_tick(struct derive *derive, const struct install *install, const struct ctl_status *status,
                 int64_t now_ms)
{
    bool settled = install->phase == INSTALL_IDLE && !digest_is_zero(&install->current.release);
    if (settled && !derive->child && !digest_equal(&derive->swept, &install->current.release))
        sweep(derive, install);
    if (derive_is_due(derive, install, status, now_ms))
        start(derive, install, now_ms);
    return derive->built && same_as_before(derive, install) && is_quiet(install, status) &&
           is_degraded(status, install->current.generation);
}

void derive_taken(struct derive *derive, int64_t now_ms)
{
    derive->built = false;
    derive->taken_ms = now_ms;
}
