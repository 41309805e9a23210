/* What people order this robot to do from afar: asked for at the server, believed only if their own key signed it, given to the
 * guard at once, and what became of it reported.
 *
 *   GET /api/v1/commands?after=N&wait=S&seen=K ──held by the server──▶ {"commands": [{"id", "envelope"}], "seen": […]}
 *        │  signature of the operator's key · names this robot · in its time · never seen before
 *        ▼
 *   guard: COMMAND of rank REMOTE (ctl.h)        rollback: the installer (see below)
 *        ▼
 *   REPORT_OPERATOR: what became of it, and whose output stood back (wire/command.h)
 *
 * - STOP goes to the guard before it is remembered, all others after: no command is carried out twice, and a full disk
 *   stops no stop.
 * - While the agent is down commands wait at the server until they expire; they are never carried out late.
 * - A lease lives only by its renewals, which come this way too. Nothing here keeps it alive: if the link is lost the guard's
 *   own clock ends it.
 * - Rollback: is the previous release still loaded, it answers with the next frame. Else the guard answers with the fallback
 *   (FORCED) until it is, and is released then, also by the next agent if this one dies.
 * - "seen" is nobody's order: alarms of drift that people acknowledged, for muster-watch (seen.h). Older servers do not say it.
 * - Without an operators' keyring every command is refused, and the report says so.
 *
 * A server that does not know the question is asked again with back-off; so is one that cannot be reached. */
#ifndef MUSTER_ROBOT_AGENT_COMMAND_H
#define MUSTER_ROBOT_AGENT_COMMAND_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/anchor.h"
#include "robot/ctl/ctl.h"
#include "robot/store/store.h"
#include "sys/fetch.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>

struct commands;

struct commands_options {
    struct fetch *fetch; /* borrowed, as everything here */
    const char *server, *run_dir;
    const char *robot;           /* its id, as its certificate says */
    const struct anchor *anchor; /* anchor_operators: asked anew for each command */
    const struct store *store;
    int64_t poll_wait_s;
    void (*report)(const struct api_report *report, void *arg);
    int (*roll_back)(const char *who, void *arg, struct err *err); /* installer_roll_back */
    void *arg;
};

int commands_new(const struct commands_options *options, struct commands **out, struct err *err) must_check;
void commands_free(struct commands *commands);
MUSTER_CLEANUP(struct commands *, commands_free)
#define cleanup_commands __attribute__((cleanup(commands_freep)))

/* `status` NULL: the guard does not answer now. */
void commands_tick(struct commands *commands, const struct ctl_status *status, int64_t now_ms);
int64_t
commands_next_ms(const struct commands *commands); /* monotonic; when commands_tick has something to do */

/* The line of a report about a command that was given at the robot itself; false: it was not. */
bool commands_local_outcome(const struct ctl_message *notice, char *out, size_t out_size);

#endif
