/* Between judge.c, which asks and decides, and judge_child.c, which measures in processes of their own. */
#ifndef MUSTER_FORGE_OPTIMIZE_JUDGE_INSIDE_H
#define MUSTER_FORGE_OPTIMIZE_JUDGE_INSIDE_H

#include "forge/optimize/apart.h"
#include "forge/optimize/optimize.h"

enum judge_blame { BLAME_NOBODY, BLAME_CANDIDATE }; /* whose fault an error is */

/* Shared with the children. */
struct judge_board {
    uint64_t memory; /* of judge_weigh */
    enum judge_blame blame;
    bool binary; /* every fidelity is 0 or 1 by nature */
    size_t held, pairs;
    double fidelity[OPTIMIZE_MAX_HELD];
    size_t room;         /* for pairs */
    int64_t latencies[]; /* [room] of the parent, [room] of the candidate */
};

struct judge_task {
    const struct optimize_contest *contest;
    struct judge_board *board;
    const char *model; /* of judge_weigh */
};

/* Work for apart_run, arg: struct judge_task. */
int judge_weigh(void *task, struct apart *self,
                struct err *err) must_check; /* peak memory of one model, run a few times */
int judge_compare(void *task, struct apart *self,
                  struct err *err) must_check; /* fidelity, and latency if asked for */

#endif
