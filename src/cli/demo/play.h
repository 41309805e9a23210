/* What distinguishes the fleets that muster demo can play: models, robots, chapters, and what is told at the end. The rest is the same for all. */
#ifndef MUSTER_CLI_DEMO_PLAY_H
#define MUSTER_CLI_DEMO_PLAY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor_args; /* cast.h: arguments of a process about to be started */
struct chaos;
struct stage;
struct story;
struct view;

struct chapter {
    const char *title;
    const char *rollout; /* to start; NULL: none */
    const char *version; /* what it rolls out, */
    const char *wrong;   /* and the state in which that must not end */
    bool (*over)(const struct story *story, const struct view *view, const struct chaos *chaos);
    bool quiet; /* robot programs have ended: no more frames */
};

/* What happened, for the last words. */
struct ending {
    const struct stage *stage;
    const struct story *story;
    const struct view *view;
    const struct chaos *chaos;
    double story_seconds;
    bool json;
};

struct play {
    const char *name;    /* muster demo NAME; examples/NAME has rollout-N.yaml */
    const char *model;   /* models/MODEL-VERSION */
    const char *summary; /* one line, for --help */
    int robots;          /* by default */
    size_t release_count;
    const char *versions[3];
    const char *bad; /* the version that is thrown out; NULL: none */
    const struct chapter *chapters;
    size_t chapter_count;
    bool bad_link; /* each robot reaches its fleet through muster-sim link */

    void (*agent)(const struct stage *stage, int robot,
                  struct actor_args *args); /* further arguments; NULL: none */
    void (*program)(const struct stage *stage, int robot, struct actor_args *args); /* of muster-sim robot */
    void (*link)(const struct stage *stage, int robot,
                 struct actor_args *args); /* of muster-sim link, where bad_link */
    /* What people and the world do meanwhile; a few times a second. NULL: nothing. */
    int (*meanwhile)(const struct stage *stage, const struct view *view, int64_t now_ms, struct err *err);
    /* Tells how it ended; *out_good: as it should. */
    int (*finish)(const struct ending *ending, bool *out_good, struct err *err);
};

extern const struct play play_warehouse, play_drone, play_fall;
const struct play *play_find(const char *name); /* NULL: there is none */

#endif
