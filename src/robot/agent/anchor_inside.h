/* Private to the files of the anchor:
 *
 *   anchor.c             the shelf, the clock, when to look
 *   anchor_run.c         one update: metadata, then operators.json if it is another one than is here
 *   anchor_grants.c      grants of sealed releases
 *   anchor_operators.c   operators.json: which one it has to be, whether it is that one */
#ifndef MUSTER_ROBOT_AGENT_ANCHOR_INSIDE_H
#define MUSTER_ROBOT_AGENT_ANCHOR_INSIDE_H

#include "robot/agent/anchor.h"
#include "robot/agent/backoff.h"
#include "trust/tuf/shelf.h"

enum { TRANSFER_MS = 300000, OPERATORS_MAX_BYTES = 64 << 10 };

struct anchor {
    struct anchor_options options;
    char *server, *dir;
    struct err broken; /* why there is no anchor; ERR_NONE: there is one */
    struct tuf_shelf *shelf;
    struct fetch *fetch; /* NULL: offline */
    int64_t floor_s, root_until_s;
    int64_t next_ms; /* of an update that nobody seeks; monotonic */
    struct backoff backoff;

    bool sought; /* a question waits for its update */
    char path[192];
    anchor_found *found;
    void *found_arg;

    struct tuf_update *update; /* NULL: none under way */
    bool for_question;         /* ... and it is for the question */
    int transfer;              /* id; 0: none */
    size_t grant;              /* of the targets, up to which grants were looked for */
};

/* The target muster/operators.json in the top-level targets, checked against its terms. 1: it is *out; 0: there is none. */
int operators_target(const struct tuf_metadata *targets, const char *fleet, struct tuf_target const **out,
                     struct err *err) must_check;
/* Whether these bytes are the target's, and a keyring. UNTRUSTED names the rule. */
int operators_check(const struct tuf_target *target, const void *bytes, size_t len, struct keyring *out,
                    struct err *err) must_check;
char *operators_path(const struct anchor *anchor); /* free() it */
bool operators_here(const struct anchor *anchor, const struct tuf_target *target);

int anchor_get(struct anchor *anchor, const char *path, uint64_t max_bytes, fetch_done *done,
               struct err *err) must_check;
/* The last part of an update; ends in anchor_over. */
void anchor_fetch_grants(struct anchor *anchor);
int anchor_open_update(struct anchor *anchor, struct tuf_update **out, struct err *err) must_check;
void anchor_run(
    struct anchor *anchor); /* begins an update, if there is something to do and nothing under way */
void anchor_cancel(struct anchor *anchor);
/* The update is over: tells whoever waits, and settles when the next one is due. */
void anchor_over(struct anchor *anchor, const struct err *err);

#endif
