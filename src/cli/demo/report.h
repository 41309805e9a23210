/* The end of a demo: what every version did, what happened to the bad one, and whether all ended well. */
#ifndef MUSTER_CLI_DEMO_REPORT_H
#define MUSTER_CLI_DEMO_REPORT_H

#include "cli/demo/chaos.h"
#include "cli/demo/story.h"
#include "cli/demo/tally.h"
#include "cli/demo/view.h"

struct report {
    int robots, robots_on_final, bad_release_robots, kills;
    bool bad_passed_canary;
    char bad_reason[200]; /* why 3.0.0 was thrown out */
    uint64_t unchecked_results;
    double
        rollback_seconds; /* first frame answered by 3.0.0 anywhere → last one; negative: it never answered */
    double story_seconds;
    uint64_t bytes_moved; /* downloaded by the robots */
    struct {
        const char *release;
        char backend[96];                      /* that robots ran it on; "": nobody said */
        double map50;                          /* on labelled frames; negative: there were none */
        double latency_p50_ms, latency_p99_ms; /* of the inference; negative: not known */
        uint64_t frames, frames_lost, labelled;
    } versions[STAGE_RELEASES];
};

void report_make(const struct stage *stage, const struct story *story, const struct view *view,
                 const struct chaos *chaos, struct tally *tally, double story_seconds, struct report *out);
bool report_good(
    const struct report *report); /* every robot on 2.0.0, 3.0.0 never past the canary, nothing unchecked */
int report_print_json(const struct report *report, struct err *err) must_check;
void report_print_table(const struct report *report, const struct story *story);

#endif
