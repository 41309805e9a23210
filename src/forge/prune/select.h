/* Which channels a group can do without, by the second-order loss of its consumers. Pure.
 *
 *     error of a consumer Y = W'X without rows b of X, the other weights at their best:  tr(W_b' ([H⁻¹]_bb)⁻¹ W_b),   H = XX' + λI
 *     W -= [H⁻¹]_:b ([H⁻¹]_bb)⁻¹ W_b,   H⁻¹ without b (linear_eliminate)            (optimal brain surgeon, in blocks: OBC, arXiv 2208.11580)
 *
 * Greedy: the cheapest channel goes, everything is brought up to date, again. Losses add over consumers, each relative to what it has to say.
 */
#ifndef MUSTER_FORGE_PRUNE_SELECT_H
#define MUSTER_FORGE_PRUNE_SELECT_H

#include "base/err.h"

#include <stddef.h>

struct select_term {
    size_t n, m;                /* inputs, outputs */
    double *h;                  /* n × n, inverse Hessian; used up */
    double *w;                  /* n × m; used up: what is left of it after selection */
    const size_t *first, *size; /* rows of each channel */
    double scale;               /* of its losses: 1 / energy */
};

/* Takes `count` of `channels` one by one: out_order[i] went as number i, at the cost of out_loss[i] (not added up). Errors: out of memory; INVALID
 * if a Hessian is not positive definite. */
int select_channels(struct select_term *terms, size_t term_count, size_t channels, size_t count,
                    size_t *out_order, double *out_loss, struct err *err) must_check;

/* How much each group gives: at one price of gain in loss, bisected until the amounts add up to at most `target`, then single steps that still fit. */
struct budget_group {
    size_t option_count;
    const double *loss, *gain,
        *amount;   /* of each option, growing; option 0 is nothing lost, nothing gained, nothing given */
    size_t chosen; /* out: an option */
};
void budget_choose(struct budget_group *groups, size_t count, double target);

#endif
