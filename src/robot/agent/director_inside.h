/* Private to the files of the director's word on the robot:
 *
 *   director.c         the question, the plan, refusals
 *   director_judge.c   the chain is there: is it admitted? */
#ifndef MUSTER_ROBOT_AGENT_DIRECTOR_INSIDE_H
#define MUSTER_ROBOT_AGENT_DIRECTOR_INSIDE_H

#include "base/buf.h"
#include "robot/agent/backoff.h"
#include "robot/agent/director.h"
#include "robot/agent/refusals.h"
#include "wire/director.h"

enum director_stage {
    DIRECTOR_UNSETTLED, /* nothing came yet, or it was refused: asked again, with after=0 */
    DIRECTOR_JUDGING,   /* the plan or the chain is on its way; nothing is asked meanwhile */
    DIRECTOR_SETTLED
};

struct director {
    struct director_options options;
    enum director_stage stage;
    int transfer;         /* of the question or of the plan; 0: none */
    struct backoff link;  /* of the question: the way is bad */
    struct backoff pace;  /* of the question: it was not settled */
    struct backoff retry; /* of judging the same answer again */
    int64_t owed_ms;      /* of questions: when all that were asked would have been due; monotonic */
    bool afresh;          /* the next question is what is assigned now, whatever was accepted */
    enum err_code complained, troubled;

    struct digest key; /* of the answer as it came */
    struct director_answer answer;
    bool heard; /* ... whose assignment was accepted: a newer one will have a higher version */
    struct assignment_envelope envelope;
    struct buf plan;
    bool has_plan;

    struct refusals refusals;
    struct digest chain_refused; /* key of the last refusal of an update that nobody sought; zero: none */
};

/* The chain is up to date, or `err` says why not. An anchor_found. */
void director_judge(const struct tuf_update *update, const struct err *err, void *arg);
bool director_is_admitted(const struct robot_state *state, const struct assignment *assignment);

/* Reported, if it was not. `what`: what was refused; `of` NULL: nothing in it is to be believed. */
void director_refuse(struct director *director, const struct err *err, const struct digest *what,
                     const struct assignment *of);
/* The chain could not be brought up to date for an assignment. */
void director_chain_failed(struct director *director, const struct err *err);
void director_chain_well(struct director *director); /* its next refusal is news */
void director_settle(struct director *director);
void director_unsettle(struct director *director);
void director_later(struct director *director, const struct err *err);

#endif
