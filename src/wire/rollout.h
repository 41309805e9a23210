/* The rollout a person writes (rollout.yaml), as everybody reads it.
 *
 * name: detector-2
 * release: detector:2.0.0            # or sha256:…
 * select: {site: north}              # every label must match; {} or absent: the whole fleet
 * waves:                             # cumulative: count or percent of the selected robots, at least one more each
 *   - {name: canary, count: 2, bake_s: 30}
 *   - {name: half, percent: 50, bake_s: 30}
 *   - {name: all, percent: 100, bake_s: 10}
 * gates:                             # every one is optional but min_frames has a default; absent = not asked
 *   max_failures: 0                  # robots that failed to install or rolled back by themselves
 *   max_over_budget_share: 0.05      # share of inferences slower than the release's budgets.latency_p99_ms
 *   max_intervention_share: 0.05     # share of frames on which the guard had to step in
 *   min_accuracy: 0.5                # F1 on labelled frames, where robots have any; refuted, not merely missed
 *   min_recall: 0.9                  # events found, in staged drills and on ordinary days, of these and those that people report as missed; refuted
 *   min_precision: 0.8               # alarms that people called true; refuted
 *   max_false_alarms_per_hour: 0.5   # of work, by people's verdicts; refuted
 *   max_false_alarm_ratio: 1         # against the release before, on the same robots; has to be proven: a wave waits for it
 *   max_drift: 0                     # open findings that what this release meets is new to it, or that its results changed; a wave waits for people to acknowledge them
 *   min_frames: 50                   # evidence each robot of a wave must have shown before it passes
 *   alpha: 0.01                      # chance to stop a rollout wrongly, per gate
 * on_failure: rollback               # or pause
 * wave_timeout_s: 900                # a wave that does not finish in time fails
 *
 * Checked: release is a digest or name:SemVer; wave names are unique, each wave says either count or percent and more than
 * the waves before it that say the same; shares and alpha lie strictly between 0 and 1 (a limit of 0 cannot be tested:
 * leave the gate out); times are at most 30 days. Labels come out sorted by key. Unknown members are errors.
 */
#ifndef MUSTER_WIRE_ROLLOUT_H
#define MUSTER_WIRE_ROLLOUT_H

#include "base/err.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROLLOUT_MAX_WAVES = 16 };

struct rollout_wave {
    char name[32];
    int64_t count;  /* > 0, or 0 if percent says it */
    double percent; /* 0 < percent ≤ 100, or 0 if count says it */
    int64_t bake_s; /* after the last robot of the wave committed */
};

struct rollout_gates { /* negative: not asked */
    int64_t max_failures;
    double max_over_budget_share, max_intervention_share, min_accuracy;
    double min_recall, min_precision, max_false_alarms_per_hour, max_false_alarm_ratio;
    int64_t max_drift;
    int64_t min_frames; /* default 1 */
    double alpha;       /* default 0.01 */
};

struct rollout_spec {
    char name[64];
    char release[80]; /* "name:version" or "sha256:…" */
    size_t select_count;
    struct api_label select[API_MAX_LABELS];
    size_t wave_count;
    struct rollout_wave waves[ROLLOUT_MAX_WAVES];
    struct rollout_gates gates;
    bool pause_on_failure; /* else roll back */
    int64_t wave_timeout_s;
};

/* After -1 *out is not to be used. */
int rollout_spec_parse(const void *json, size_t len, struct rollout_spec *out, struct err *err) must_check;
int rollout_spec_parse_yaml(const char *name, const void *yaml, size_t len, struct rollout_spec *out,
                            struct err *err) must_check;    /* name: the file's, for errors */
char *rollout_spec_format(const struct rollout_spec *spec); /* canonical JSON; free() it */

#endif
