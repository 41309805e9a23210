/* Private to the files of the installer:
 *
 *   installer.c         the machine's steps, assignments, what is wanted
 *   installer_adopt.c   taking over what runs after the state was lost
 *   installer_fetch.c   FETCH and VERIFY
 *   installer_load.c    SELF_TEST: room in memory, the candidate's runner
 *   installer_run.c     SHADOW, ACTIVATE and WATCH; the hold time after the commit */
#ifndef MUSTER_ROBOT_AGENT_INSTALLER_INSIDE_H
#define MUSTER_ROBOT_AGENT_INSTALLER_INSIDE_H

#include "robot/agent/backoff.h"
#include "robot/agent/chore.h"
#include "robot/agent/download.h"
#include "robot/agent/installer.h"
#include "robot/agent/shelf.h"

enum { INSTALLER_MAX_TRIES = 3, INSTALLER_REDO_MS = 1000, INSTALLER_MAX_SAID = 8 };

struct installer_said {
    enum report_kind kind;
    struct digest release;
};

struct installer {
    struct installer_options options;
    const struct admitted *admitted; /* what a step follows from: it is kept with it; else NULL */
    struct fetch *fetch;             /* NULL: offline */
    enum install_action action;
    int64_t redo_ms; /* the action could not be carried out: again then; 0: no */
    bool looked;     /* at what the guard runs already */
    bool tidy;       /* the store was collected since the last change */

    struct download *download;
    struct chore verifying;
    uint64_t bytes; /* of all tries */
    struct backoff backoff;
    unsigned tries;          /* of the present action, those that count */
    bool room_made;          /* the candidate's runner may be started */
    uint64_t compared;       /* of the shadowed frames, when last looked at ... */
    int64_t compared_ms;     /* ... and when there were fewer */
    uint32_t losses;         /* of the shadowing runner before */
    bool waits_for_human;    /* said */
    bool waits_for_occasion; /* said */
    int64_t paused_ms;       /* a human stands above the model since; 0: no */
    int64_t step_since_ms;   /* the present action; monotonic; 0: not begun */
    int64_t idle_since_ms;   /* nothing to do since */
    struct shelf shelf;
    bool shelf_complained;

    bool unsaved;      /* the last step could not be kept (disk full); it is repeated until it can */
    size_t said_count; /* what was reported since the last step that was kept: it is not reported again */
    struct installer_said said[INSTALLER_MAX_SAID];
};

const struct install *installer_state(const struct installer *installer);
uint32_t installer_random(void);
/* False: said already, by a step that could not be kept and is being repeated. */
bool installer_report(struct installer *installer, enum report_kind kind, const struct install_slot *slot,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Applies an event and keeps the new state. What cannot be kept has not happened: the phase's action is
 * repeated. `blocked_reason` NULL: unchanged. */
void installer_step(struct installer *installer, const struct install_event *event,
                    const char *blocked_reason);
void installer_event(struct installer *installer, enum install_event_kind kind); /* one without particulars */
/* The candidate is refused for good: reported, blocked. */
void installer_refuse(struct installer *installer, const char *reason);
/* A failure that may pass: refused after INSTALLER_MAX_TRIES of them in one phase. */
void installer_try_again(struct installer *installer, const struct err *err, int64_t now_ms);

/* A robot whose state is lost but whose guard runs a release of this store: it becomes the current one,
 * on probation. */
void installer_take_over(struct installer *installer, const struct ctl_status *status);
void installer_fetch(struct installer *installer, int64_t now_ms);
void installer_verify(struct installer *installer, int64_t now_ms);
/* MiB that a further runner may take, as the kernel and the own cgroup see it now; 0 if nobody says. */
int64_t installer_free_mib(void);
void installer_selftest(struct installer *installer, const struct ctl_status *status, int64_t now_ms);
void installer_shadow(struct installer *installer, const struct ctl_status *status, int64_t now_ms);
void installer_activate(struct installer *installer, const struct ctl_status *status, int64_t now_ms);
void installer_watch(struct installer *installer, const struct ctl_status *status, int64_t now_ms);
/* IDLE: lets the previous release go when its hold time is over. */
void installer_hold(struct installer *installer, int64_t now_ms);

/* NULL with the reason logged or reported if it cannot be read. */
const struct shelf_item *installer_shelf(struct installer *installer, const struct digest *release,
                                         struct err *err);
const struct ctl_runner_status *installer_runner(const struct ctl_status *status, uint64_t generation);
/* Refuses a candidate whose runner does not come up, or went too often. */
bool installer_runner_failed(struct installer *installer, uint64_t generation);

#endif
