/* What this robot trusts: the TUF chain of its fleet on its own shelf, kept current over the agent's own connections, and what hangs on it.
 *
 *     --root root.json ──once──▶ STATE_DIR/trust/{root,timestamp,snapshot,targets}.json      byte for byte as they were verified
 *     GET /api/v1/tuf/NAME ─────▶ trust/tuf/update (the machine) ─┘        at start, every metadata_ms (jittered), and when somebody seeks
 *     GET /api/v1/blobs/DIGEST ─▶ STATE_DIR/trust/operators.json           what the target muster/operators.json names: who may order and approve
 *                               ─▶ STATE_DIR/grants/HEX.json                muster/grants/NAME/VERSION.json: who may open a sealed release
 *
 * - One update at a time, of one file at a time; nothing waits for it. A file that comes slower than TRANSFER_MS is given up.
 * - What is on the shelf was verified when it came, and survives a cut at any instruction. Whatever fails, what was trusted before stays.
 * - muster/operators.json counts only in the top-level targets: nobody who was delegated to can name operators. Its digest is looked at
 *   whenever it is read.
 * - The clock: now = max(wall clock, what trusted metadata proves to have been reached), but never beyond the end of root's life: a stolen
 *   timestamp key must not be able to make a robot believe that everything has expired for good.
 * - Transport errors are no refusals: they are tried again with back-off and said in the log only. */
#ifndef MUSTER_ROBOT_AGENT_ANCHOR_H
#define MUSTER_ROBOT_AGENT_ANCHOR_H

#include "base/err.h"
#include "base/mem.h"
#include "sys/fetch.h"
#include "trust/keyring.h"
#include "trust/tuf/update.h"

#include <stdbool.h>
#include <stdint.h>

struct anchor;

struct anchor_options {
    const char *server; /* URL; borrowed, as everything here */
    const char *dir;    /* STATE_DIR/trust */
    const char *
        root; /* path of the first root; only read while there is no sound one on the shelf; "": none is given */
    const char
        *operators;     /* path of a keyring: who may order and approve while the offline keys name nobody */
    const char *grants; /* STATE_DIR/grants, where those of sealed releases are kept; NULL: they are not */
    const char *layout; /* the store, whose releases they are kept of */
    int64_t metadata_ms;
    /* An update that nobody sought was refused by a rule, or failed on this robot (disk full). NULL error: it went well. */
    void (*updated)(const struct err *err, void *arg);
    void *arg;
};

/* Succeeds also where the anchor is missing or damaged, since what runs has to go on: then every question is answered with the reason, and it is
 * looked for again whenever an update is due. Errors: NO_MEMORY. */
int anchor_new(const struct anchor_options *options, struct anchor **out, struct err *err) must_check;
void anchor_free(struct anchor *anchor);
MUSTER_CLEANUP(struct anchor *, anchor_free)
#define cleanup_anchor __attribute__((cleanup(anchor_freep)))

void anchor_go_online(struct anchor *anchor,
                      struct fetch *fetch); /* borrowed; NULL: offline again, no answer comes any more */

/* The one question: bring the chain up to date and look for this target ("": only bring it up to date). `found` is called once, from
 * anchor_tick or from a transfer's end, and may seek again. `update` is NULL if it failed: err's text begins with a rule (trust/rule.h), or it is
 * an error of the way or of this machine. It lives until `found` returns; its target is NULL if the chain names none.
 * A question while another one is open replaces it: that one is never answered. */
typedef void anchor_found(const struct tuf_update *update, const struct err *err, void *arg);
void anchor_seek(struct anchor *anchor, const char *path, anchor_found *found, void *arg);
void anchor_forget(struct anchor *anchor); /* no answer is wanted any more */

void anchor_tick(struct anchor *anchor, int64_t now_ms);
int64_t anchor_next_ms(const struct anchor *anchor); /* monotonic */

int64_t anchor_now_s(const struct anchor *anchor); /* what to take for the present */
int64_t
anchor_root_until_s(const struct anchor *anchor); /* when the trusted root expires; 0: there is none */

/* Who may order and approve: whom the offline keys named. If they named somebody, nobody else counts, even if the file is not here or not that one
 * (UNTRUSTED); if they named nobody, options.operators. */
int anchor_operators(const struct anchor *anchor, struct keyring *out, struct err *err) must_check;

#endif
