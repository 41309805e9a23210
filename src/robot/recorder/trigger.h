/* What makes an incident, and how long it is. Pure.
 *
 *      before             after
 *   ├────────────┤trigger├───────┤              another trigger meanwhile moves the end (at most `longest` in all) and
 *   from                       until            lends its cause if it is the graver one: one event, one file
 *
 * A state is a trigger when it is entered. Interventions are one when there are many in a window, and then not again for
 * a while: a release that fails at every frame makes one incident a minute, not one after the other.
 */
#ifndef MUSTER_ROBOT_RECORDER_TRIGGER_H
#define MUSTER_ROBOT_RECORDER_TRIGGER_H

#include "robot/ctl/ctl.h"

#include <stdbool.h>
#include <stdint.h>

enum recorder_cause { /* the graver, the later */
                      CAUSE_INTERVENTIONS,
                      CAUSE_RUNNER_LOST,
                      CAUSE_FALLBACK,
                      CAUSE_FORCED,
                      CAUSE_HOLD,
                      CAUSE_OVERRIDE,
                      CAUSE_OPERATOR, /* muster-recorder --trigger, SIGUSR1 */
                      CAUSE_GUARD_LOST,
                      CAUSE_SAFE_STOP,
                      CAUSE_ESTOP,
                      CAUSE_COUNT
};

enum { SEVERITY_PROTECTED = 2, SEVERITY_WORST = 3 };
int recorder_cause_severity(enum recorder_cause cause);     /* 0 … 3; from 2 on the event is protected */
const char *recorder_cause_name(enum recorder_cause cause); /* "safe_stop" */

enum { TRIGGER_MAX_INTERVENTIONS = 64 };

struct trigger_options {
    int64_t before_ns, after_ns, longest_ns; /* of an event, from the first trigger on */
    uint32_t interventions;                  /* so many within window_ns; 0: never */
    int64_t window_ns, quiet_ns;
};

struct trigger_why { /* all may be "" */
    char text[160], who[48], reason[112];
};

struct trigger {
    struct trigger_options options;
    bool open;
    enum recorder_cause cause; /* the gravest */
    struct trigger_why why;
    int64_t first_ns, at_ns, until_ns; /* first trigger; that of `cause`; end of the event */
    uint32_t state;                    /* last seen; GUARD_STATE_COUNT: none */
    uint32_t next;
    int64_t times[TRIGGER_MAX_INTERVENTIONS];
    int64_t quiet_until_ns;
};

void trigger_init(struct trigger *trigger, const struct trigger_options *options);
void trigger_pull(struct trigger *trigger, enum recorder_cause cause, const struct trigger_why *why,
                  int64_t now_ns);
/* The guard is in this state. `why` may be NULL. */
void trigger_state(struct trigger *trigger, uint32_t state, const struct trigger_why *why, int64_t now_ns);
void trigger_intervention(struct trigger *trigger, enum intervention reason, int64_t now_ns);
bool trigger_due(const struct trigger *trigger,
                 int64_t now_ns); /* the event is over: seal it, then trigger_close */
void trigger_close(struct trigger *trigger);

#endif
