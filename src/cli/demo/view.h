/* What the fleet server says, asked over its operator API like any other client would. */
#ifndef MUSTER_CLI_DEMO_VIEW_H
#define MUSTER_CLI_DEMO_VIEW_H

#include "cli/demo/stage.h"

struct view_robot {
    char id[64], site[64];
    char presence[16]; /* live, late, offline, never */
    char running[64];  /* version; "" if none yet */
    char target[64];
    char phase[24];
    char phase_text[160];
    uint64_t frames;
    double latency_p50_ms, latency_p99_ms; /* negative: not known */
    double intervention_share;
    double accuracy_f1;
};

struct view_release {
    char version[64];
    char digest[80];
    uint64_t frames, lost;
    double latency_p50_ms, latency_p99_ms, intervention_share, accuracy_f1; /* negative: not known */
};

struct view_rollout {
    int64_t id; /* 0: there is none */
    char name[64], version[64], state[24], reason[200];
    char wave[32];
    int64_t wave_number, wave_count;
    size_t members; /* robots in all waves so far */
};

struct view {
    size_t robot_count;
    struct view_robot robots[STAGE_MAX_ROBOTS];
    size_t release_count;
    struct view_release releases[8];
    struct view_rollout rollout; /* the newest */
    uint64_t bytes_moved;        /* downloaded by all robots, from their reports */
};

struct viewer;
int viewer_new(const struct stage *stage, struct viewer **out, struct err *err) must_check;
void viewer_free(struct viewer *viewer);
/* Asks for everything. Errors: UNREACHABLE and kin while the server is being restarted; *out is then as
 * before. */
int viewer_look(struct viewer *viewer, struct view *out, struct err *err) must_check;
/* Adds up what each robot reported as downloaded, into view->bytes_moved. */
int viewer_count_bytes(struct viewer *viewer, struct view *view, struct err *err) must_check;

#endif
