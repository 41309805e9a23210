/* What people said of a release, added up by site, and what may be concluded from it at any time.
 *
 *     reviews ──────┐
 *     missed ───────┤     accuracy: one group for the fleet,            ┌─▶ precision, recall, false alarms per hour: intervals that may be
 *     time at work ─┼──▶  one for each site                  ── judge ──┤   looked at after every verdict (stats/review.h)
 *     confidence ───┘                                                   └─▶ where nobody said anything: stats/labelfree.h, with its light
 *
 *   alarms    every alarm comes in, so nothing is weighted:  precision  true / (true + false)   recall  true / (true + reported as missed)
 *                                                            false alarms  false / hours at work
 *   frames    only random audits stand for all frames, each for one over its probability. What was chosen for a reason (unsure, novel, …) finds mistakes, but
 *             is among the frames that audits stand for already: it would count twice.
 *             precision  of frames on which the model said something: all of it is right
 *             recall     of frames that had something on them: nothing was missed. A frame whose words were all wrong and on which nothing was missed says
 *                        nothing about recall
 *
 * "unsure" is a verdict, but no evidence; how many there are is told. Pure. Rows may come in any order.
 */
#ifndef MUSTER_FLEET_REVIEW_ACCURACY_H
#define MUSTER_FLEET_REVIEW_ACCURACY_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/store/store.h"
#include "stats/labelfree.h"
#include "stats/review.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACCURACY_SITES = 64 }; /* what further sites say counts for the fleet alone */

struct accuracy;

struct accuracy_counts {
    char site[64]; /* "": the whole fleet; robots without a site are in no other */
    uint64_t alarms, alarms_open, alarms_true, alarms_false, alarms_unsure;
    uint64_t missed; /* events that people reported */
    uint64_t audits, audits_open, audits_unsure;
    uint64_t chosen, chosen_open; /* looked at for a reason: no estimate uses them */
    int64_t operating_ms;
    uint64_t drill_tp, drill_fp, drill_fn; /* on labelled frames and in staged drills */
    uint64_t confidence[LABELFREE_BINS];   /* answers */
    bool drifted;                          /* a robot's watcher says that the model or what it sees is new */
};

struct accuracy_words {
    struct review_estimate alarm_precision, alarm_recall, false_alarms_per_hour;
    struct review_estimate frame_precision, frame_recall;
    struct labelfree_estimate unlabelled; /* accuracy NaN without a reference */
};

int accuracy_new(struct accuracy **out, struct err *err) must_check;
void accuracy_free(struct accuracy *accuracy);
MUSTER_CLEANUP(struct accuracy *, accuracy_free)
#define cleanup_accuracy __attribute__((cleanup(accuracy_freep)))

/* Each adds to the fleet and to the site ("": to the fleet alone). */
int accuracy_add_review(struct accuracy *accuracy, const struct review_row *row, struct err *err) must_check;
void accuracy_add_missed(struct accuracy *accuracy, const struct missed_row *row);
void accuracy_add_work(struct accuracy *accuracy, const char *site, const struct telemetry_row *row);
void accuracy_add_answers(struct accuracy *accuracy, const char *site, size_t bin, uint64_t count);
void accuracy_add_drift(struct accuracy *accuracy, const char *site);

size_t accuracy_count(const struct accuracy *accuracy); /* groups; 0 is the fleet, then sites by name */
const struct accuracy_counts *accuracy_at(const struct accuracy *accuracy, size_t index);
/* `reference`: how accuracy fell with confidence when the release was made; NULL: nobody knows. */
void accuracy_judge(const struct accuracy *accuracy, size_t index,
                    const struct labelfree_reference *reference, double alpha, struct accuracy_words *out);

#endif
