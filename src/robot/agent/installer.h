/* The shell around the install machine (robot/decide/install.h): does what it orders, reports, and persists
 * every step.
 *
 *   report first, then the state: a report is never lost, at worst it is made twice
 *   state first, then the next action: an agent that comes back repeats the action
 *
 * What an agent does with an error of a step:
 *   transport, server busy, revoked    again and again, with back-off (downloads go on where they were)
 *   digest does not fit, too many bytes, the server cannot resume    three times in all
 *   keys, manifest, machine, self-test, runner does not start, disk full    the release is refused: one line
 * is reported and it is not tried again until the assignment changes */
#ifndef MUSTER_ROBOT_AGENT_INSTALLER_H
#define MUSTER_ROBOT_AGENT_INSTALLER_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/config.h"
#include "robot/agent/crew.h"
#include "robot/agent/occasion.h"
#include "robot/agent/sealed.h"
#include "robot/agent/tally.h"
#include "robot/store/store.h"
#include "sys/fetch.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stdint.h>

struct installer;

struct admitted { /* a release that both keys want on this robot (trust/admission.h) */
    struct digest release;
    uint64_t manifest_size;
    char name[64], version[64];
    char floor[64]; /* what its terms set; "": none */
    bool rollback;  /* going back on purpose: it may be older than what runs */
};

struct installer_options {
    const struct agent_config *config; /* borrowed, as everything here */
    struct store *store;
    struct crew *crew;
    const struct sealed_options
        *sealed;           /* NULL: whether sealed weights can be opened is not looked at before */
    const char *isolation; /* for the report that the agent came up */
    struct tally *tally;
    struct occasion_watch *occasion; /* NULL: any moment is good for a new release */
    void (*report)(const struct api_report *report, void *arg); /* time_ms and seq are filled in there */
    void *arg;
};

int installer_new(const struct installer_options *options, struct installer **out,
                  struct err *err) must_check;
void installer_free(struct installer *installer);
MUSTER_CLEANUP(struct installer *, installer_free)
#define cleanup_installer __attribute__((cleanup(installer_freep)))

void installer_go_online(struct installer *installer,
                         struct fetch *fetch); /* borrowed; NULL: offline again */
/* What was admitted, and the floor that its terms set, are kept in the same moment as the step that follows from it. What was admitted last already
 * is no news. False: it could not be kept (disk full) and has to be said again. */
bool installer_admitted(struct installer *installer, const struct admitted *admitted);
/* `status` NULL: the guard does not answer; `fresh`: it is news. */
void installer_tick(struct installer *installer, const struct ctl_status *status, bool fresh, int64_t now_ms);
/* A human wants what ran before, now: the guard is told in the next turn of the crew; what is left is blocked.
 * `who`: for the report. Errors: NOT_FOUND if there is nothing to go back to, that of image_open if the store
 * has lost it, BUSY if it cannot be kept (disk full). */
int installer_roll_back(struct installer *installer, const char *who, struct err *err) must_check;
/* Something that the current release runs faster with is ready: its runner is started once more, beside the one that answers, and takes over
 * when it is ready. False: not now (something is under way, memory does not hold both). */
bool installer_reload(struct installer *installer, const char *why);
int64_t installer_next_ms(const struct installer *installer);

/* What should run now, and whether something is being switched. */
void installer_wanted(struct installer *installer, struct wanted *out);
bool installer_hurries(const struct installer *installer, const struct ctl_status *status);

#endif
