#include "forge/optimize/judge_inside.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>

enum { TIMEOUT_MS = 15 * 60 * 1000, ROUNDS_MAX = 100000 };

struct board_memory {
    struct judge_board *board;
    size_t bytes;
};

static void board_fini(struct board_memory *memory)
{
    apart_memory_free(memory->board, memory->bytes);
}
#define cleanup_board __attribute__((cleanup(board_fini)))

/* One contest as it goes on. */
struct trial {
    const struct optimize_contest *contest;
    struct judge_board *board;
    bool stopped; /* by the progress function: nobody's fault */
};

static int tell(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    struct trial *trial = arg;
    const struct optimize_contest *contest = trial->contest;
    int result = contest->progress ? contest->progress(contest->arg, what, done, total, err) : 0;
    trial->stopped = trial->stopped || result < 0;
    return result;
}

static int in_child(struct trial *trial, int (*work)(void *, struct apart *, struct err *), const char *model,
                    struct err *err)
{
    struct judge_task task = {.contest = trial->contest, .board = trial->board, .model = model};
    const struct apart_job job = {
        .work = work, .work_arg = &task, .timeout_ms = TIMEOUT_MS, .progress = tell, .arg = trial};
    return apart_run(&job, err);
}

static void refuse(struct gate_answer *out, const struct err *err)
{
    const struct gate_question nothing = {0};
    gate_judge(&nothing, out);
    snprintf(out->reason, sizeof out->reason, "does not run: %s", err->text);
}

static int weigh(struct trial *trial, uint64_t out_memory[2], struct err *err)
{
    const char *const models[] = {trial->contest->parent_path, trial->contest->candidate_path};
    for (int side = 0; side < 2; side++) {
        trial->board->memory = 0;
        trial->board->blame = BLAME_NOBODY; /* the child says so when it comes to the model */
        if (in_child(trial, judge_weigh, models[side], err) < 0) {
            if (side == 0)
                trial->board->blame = BLAME_NOBODY;
            return -1;
        }
        out_memory[side] = trial->board->memory;
    }
    return 0;
}

static void ask(const struct optimize_contest *contest, const struct judge_board *board,
                const uint64_t memory[2], struct gate_answer *out)
{
    struct gate_question question = {.pairs = {.count = board->pairs,
                                               .parent_ns = board->latencies,
                                               .candidate_ns = board->latencies + board->room},
                                     .fidelity = board->fidelity,
                                     .fidelity_count = board->held,
                                     .fidelity_binary = board->binary,
                                     .max_drop = contest->max_drop,
                                     .parent_memory = memory[0],
                                     .candidate_memory = memory[1]};
    gate_judge(&question, out);
}

static int measure(struct trial *trial, uint64_t out_memory[2], struct err *err)
{
    if (trial->contest->latency && weigh(trial, out_memory, err) < 0)
        return -1;
    return in_child(trial, judge_compare, NULL, err);
}

int optimize_judge(const struct optimize_contest *contest, struct gate_answer *out, uint64_t out_memory[2],
                   struct err *err)
{
    size_t room = contest->latency ? (size_t)MIN(MAX(contest->rounds, 1), ROUNDS_MAX) : 0;
    cleanup_board struct board_memory memory = {.bytes = sizeof *memory.board + 2 * room * sizeof(int64_t)};
    memory.board = apart_memory(memory.bytes);
    if (!memory.board)
        return err_no_memory(err);
    memory.board->room = room;
    out_memory[0] = out_memory[1] = 0;
    struct trial trial = {.contest = contest, .board = memory.board};
    if (measure(&trial, out_memory, err) == 0) {
        ask(contest, memory.board, out_memory, out);
        return 0;
    }
    if (trial.stopped || memory.board->blame != BLAME_CANDIDATE)
        return -1;
    refuse(out, err); /* it gave an error, died or hung while it was the candidate's turn */
    *err = (struct err){0};
    return 0;
}
