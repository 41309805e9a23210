/* Engines for accelerators, built in the background (docs/infer.md): a release whose runner is degraded may get what it lacks.
 *
 *     current release committed, its runner degraded, no human above it
 *      └▶ muster-runner --build-engine, once at a time, at the lowest priority       while it serves
 *          ├▶ status 0: it is in the cache ─▶ the runner is started anew beside the old one (installer_reload)
 *          ├▶ somebody builds already (an agent before this one began it): looked at again soon
 *          └▶ else: said once; looked at again after DERIVE_AGAIN_MS. What failed is remembered by the cache itself
 *
 * A reload that did not help is not repeated for DERIVE_RELOAD_MS: whatever an engine does, its robot is not kept busy with it. Folders of
 * releases that this robot does not keep are removed.
 */
#ifndef MUSTER_ROBOT_AGENT_DERIVE_H
#define MUSTER_ROBOT_AGENT_DERIVE_H

#include "robot/agent/spawn.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/install.h"
#include "wire/api.h"

enum { DERIVE_BUSY_MS = 60 * 1000, DERIVE_AGAIN_MS = 3600 * 1000, DERIVE_RELOAD_MS = 24 * 3600 * 1000 };

struct derive { /* plain data; fields are private */
    const struct spawn_options *spawn;
    void (*note)(enum report_kind kind, const struct digest *release, const char *text, void *arg);
    void *arg;
    pid_t child;           /* 0: none */
    struct digest release; /* that it is about, or was */
    bool built;            /* its engine is there, and its runner knows nothing of it */
    bool said;
    int64_t next_ms, taken_ms; /* taken_ms 0: never */
    struct digest swept;       /* the current release when folders were swept */
};

void derive_init(struct derive *derive, const struct spawn_options *spawn,
                 void (*note)(enum report_kind kind, const struct digest *release, const char *text,
                              void *arg),
                 void *arg);
/* True: the current release should be reloaded; derive_taken says that it is. `status` NULL: the guard does not answer. */
bool derive_tick(struct derive *derive, const struct install *install, const struct ctl_status *status,
                 int64_t now_ms);
void derive_taken(struct derive *derive, int64_t now_ms);
bool derive_reaped(struct derive *derive, pid_t pid, int status, int64_t now_ms); /* it was ours */

/* What derive_tick asks, without doing: a build is due. */
bool derive_is_due(const struct derive *derive, const struct install *install,
                   const struct ctl_status *status, int64_t now_ms);

#endif
