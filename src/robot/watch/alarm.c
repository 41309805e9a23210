/* Alarms: told once, and gone when somebody has seen them. */
#include "robot/watch/inside.h"

#include "base/log.h"

enum { OTHER_CAUSE_BLOCKS = 30 /* in a row, before another cause is told */ };

static void forget(struct subject *subject)
{
    subject->alarmed = false;
    subject->told_ms = 0;
}

void alarm_look(struct core *core, struct subject *subject, int64_t wall_ms)
{
    struct drift_report report;
    drift_read(subject->drift, &report);
    if (!report.alarm) {
        forget(subject);
        return;
    }
    subject->other_blocks = subject->other == report.cause ? subject->other_blocks + 1 : 1;
    subject->other = report.cause;
    if (subject->alarmed && (subject->told == report.cause || subject->other_blocks < OTHER_CAUSE_BLOCKS))
        return;
    subject->told = report.cause;
    tell_alarm(core, subject, &report, wall_ms);
    if (subject->alarmed)
        core_save(core, subject); /* with the time that people will know it by */
}

static void acknowledge(struct core *core, struct subject *subject)
{
    drift_acknowledge(subject->drift);
    forget(subject);
    core_save(core, subject);
}

void core_acknowledge(struct core *core)
{
    for (int i = 0; i < CORE_SUBJECTS; i++)
        if (core->subjects[i].used && core->subjects[i].drift)
            acknowledge(core, &core->subjects[i]);
}

void alarm_seen(struct core *core, struct subject *subject)
{
    if (!subject->used || !subject->drift || subject->told_ms == 0 ||
        !seen_has(&core->acknowledged, &subject->release, subject->told_ms))
        return;
    log_info("the alarm of drift of %s was acknowledged at the fleet: it begins anew",
             subject->about.version[0] ? subject->about.version : "a release");
    acknowledge(core, subject);
}

void core_seen(struct core *core, const struct seen_list *seen)
{
    core->acknowledged = *seen;
    for (int i = 0; i < CORE_SUBJECTS; i++)
        alarm_seen(core, &core->subjects[i]);
}
