/* Judges a release on probation from what can be observed on the robot without labels: time over the budget,
 * guard interventions, lost runners. Shares are judged by an anytime-valid test (stats/sequential.h), so that
 * looking every second costs no false alarms: under a healthy release the chance of a wrong rollback is at
 * most alpha per criterion.
 */
#ifndef MUSTER_ROBOT_DECIDE_PROBATION_H
#define MUSTER_ROBOT_DECIDE_PROBATION_H

#include <stdbool.h>
#include <stdint.h>

struct probation_limits {
    int64_t duration_ms;          /* at least this long */
    uint64_t min_frames;          /* and this much evidence, if a robot program is attached */
    double latency_budget_ms;     /* for the text only */
    double max_over_budget_share; /* 0..1: a p99 budget means 0.01; more leaves room for a busy machine */
    double max_intervention_share;
    uint32_t
        max_runner_losses; /* crashes and hangs; those of a chaos test or the kernel's OOM killer count too */
    double alpha;
};

struct probation_evidence {
    int64_t elapsed_ms;
    bool program_attached; /* somebody gives frames */
    uint64_t frames;       /* given to this generation since it was activated */
    uint64_t inferences;   /* with a measured latency */
    uint64_t over_budget;  /* of these, slower than the budget */
    uint64_t interventions;
    uint32_t runner_losses;
    double latency_p99_ms; /* for the text only */
};

enum probation_verdict { PROBATION_WAIT, PROBATION_PASS, PROBATION_FAIL };

/* `reason` is filled on FAIL: one line with the figures. */
enum probation_verdict probation_judge(const struct probation_limits *limits,
                                       const struct probation_evidence *evidence, char *reason,
                                       unsigned reason_size);

#endif
