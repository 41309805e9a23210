/* The story of a play: its chapters one after the other (play.h): what to do at the start of each, and what must come to pass before the next. */
#ifndef MUSTER_CLI_DEMO_STORY_H
#define MUSTER_CLI_DEMO_STORY_H

#include "cli/demo/chaos.h"
#include "cli/demo/view.h"

struct story {
    const struct stage *stage;
    size_t chapter; /* index into the table */
    bool begun;     /* its start has been carried out */
    int64_t chapter_began_ms;
    int64_t bad_wave;     /* the highest wave 3.0.0 reached */
    char bad_reason[200]; /* why it was thrown out: a robot's words, else the server's */
    bool robot_said;
    char said[STAGE_MAX_ROBOTS][96]; /* last thing noted of a robot */
    char said_rollout[280];
    char backends[STAGE_RELEASES][96]; /* what robots say that each version runs on; "": nobody said */
};

/* For chapters. */
bool story_everybody_runs(const struct story *story, const struct view *view,
                          const char *version); /* committed, and there */
bool story_rollout_is(const struct view *view, const char *version, const char *state);

bool story_is_quiet(const struct story *story); /* a chapter without robot programs has begun */

void story_init(struct story *story, const struct stage *stage);
/* One look: begins the next chapter if the present one is over. True while there is more to come.
 * Errors: a command failed for good, or a chapter did not end within its limit. */
int story_step(struct story *story, const struct view *view, const struct chaos *chaos, int64_t now_ms,
               bool *out_more, struct err *err) must_check;

#endif
