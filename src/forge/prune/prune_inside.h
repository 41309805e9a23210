/* The steps of prune_run. */
#ifndef MUSTER_FORGE_PRUNE_PRUNE_INSIDE_H
#define MUSTER_FORGE_PRUNE_PRUNE_INSIDE_H

#include "forge/prune/moments.h"
#include "forge/prune/prune.h"

/* A group that gives channels. */
struct part {
    const struct channel_group *group;
    struct consumer *consumers; /* group->consumer_count of them */
    size_t most;                /* channels that may go */
    size_t *order; /* the group's channels, in the order in which they would go; the rest behind */
    double
        *loss; /* `most` of them: what the first 1, 2, … cost together, relative to what the consumers say */
    double *saved_ns; /* likewise: the time that they take, measured; 0: not asked for, negative: not known */
    size_t take;      /* how many go */
    double error;     /* afterwards */
};

struct pruner {
    const struct prune_job *job;
    struct feed feed;
    struct graph *graph;   /* owned; full size: channels that are gone are zeros in their consumers */
    struct couple *couple; /* owned */
    bool *gone;            /* owned; by number */
    size_t part_count, consumer_count;
    struct part *parts;         /* owned */
    struct consumer *consumers; /* owned; all of them */
    char (*why)[96];            /* owned; per group of `couple`: "" where it is a part */
    char *work_path;            /* owned; the model so far */
    size_t steps, steps_done;
};

int pruner_step(struct pruner *pruner, const char *what, struct err *err) must_check;

/* rows.c: which rows of a consumer's input belong to the channels of a group: theirs first, channel by channel, then the others that are not gone. */
struct rows {
    size_t count, channel_count;
    size_t *rows;         /* owned; im2col rows */
    size_t *first, *size; /* owned; per channel: where in `rows` */
};
int rows_of(const struct pruner *pruner, const struct part *part, const struct consumer *consumer,
            struct rows *out, struct err *err) must_check;
void rows_fini(struct rows *rows);
#define cleanup_rows __attribute__((cleanup(rows_fini)))

int rank_part(struct pruner *pruner, struct part *part, size_t count, const char *model_path,
              struct err *err) must_check; /* rank.c: fills order and loss */
int rebuild_part(struct pruner *pruner, struct part *part,
                 struct err *err) must_check; /* rebuild.c: takes the channels */
int table_part(const struct pruner *pruner, struct part *part,
               struct err *err) must_check;                          /* table.c: fills saved_ns */
int budget_parts(struct pruner *pruner, struct err *err) must_check; /* budget.c: sets `take` */

#endif
