/* The inside of the core, for its files:
 *
 *   core.c     releases come and go, verdicts, windows
 *   alarm.c    alarms: told once, and gone when somebody has seen them
 *   tell.c     what is told: windows, alarms, decisions
 *   sample.c   a frame as a sample
 */
#ifndef MUSTER_ROBOT_WATCH_INSIDE_H
#define MUSTER_ROBOT_WATCH_INSIDE_H

#include "robot/watch/cases.h"
#include "robot/watch/core.h"

struct core {
    struct core_options options;
    struct core_outside outside;
    struct subject subjects[CORE_SUBJECTS];
    struct choice choice;
    struct cases cases;
    struct seen_list acknowledged;   /* at the fleet; also of releases that come back later */
    struct core_counts counts, told; /* told: as of the last machine window */
    uint64_t stream, newest;         /* of frames; newest 0: none yet */
    uint64_t seen;                   /* bit i: frame newest - i was there */
    int64_t window_ms, save_ms;      /* monotonic: when the window began, when all was kept */
    int64_t window_wall_ms, detail_wall_ms;
    int64_t offset_ms; /* wall - monotonic */
    uint64_t windows;
    bool machine_waits; /* its last window was not taken */
    int64_t machine_wall_ms;
    struct kept kept;          /* scratch */
    struct otlp_points points; /* scratch */
    struct sample sample;      /* scratch */
    uint8_t picture[SAMPLE_MAX_PICTURE];
};

/* core.c */
void core_save(struct core *core, const struct subject *subject);

/* alarm.c */
void alarm_look(struct core *core, struct subject *subject, int64_t wall_ms); /* a block was judged */
void alarm_seen(struct core *core, struct subject *subject); /* it may be one that somebody has seen */

/* tell.c */
void tell_windows(struct core *core, int64_t wall_ms, bool last);
void tell_alarm(struct core *core, struct subject *subject, const struct drift_report *report,
                int64_t wall_ms);
void tell_decisions(struct core *core, int64_t now_ms, bool all);
void tell_note(struct core *core, const struct digest *release, const char *rule, const char *because,
               double value, int64_t wall_ms);

/* sample.c */
void sample_frame(struct core *core, const struct ring_verdict *verdict, const struct choice_pick *pick,
                  int64_t now_ms, int64_t wall_ms);
void sample_event_frame(struct core *core, struct subject *subject); /* keeps the alarm's best frame */
void sample_event(struct core *core, struct subject *subject, int64_t now_ms, int64_t wall_ms);

#endif
