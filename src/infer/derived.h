/* What a machine derives for itself from a signed model: graphs optimized for its processor, engines for its accelerator. A cache: the
 * signed model stays the artifact, and whenever there is any trouble with what was derived, the plain model is used.
 *
 *     key = SHA-256(builder, source digest, all that the builder says matters: versions, processor, options)
 *
 *     DIR/lock           one process builds at a time; nobody waits for it
 *     DIR/<key>.bin      the derived file
 *     DIR/<key>.json     its record: built (digest and size of the file), building, or failed (when and why)
 *     DIR/<key>.tmp      being built
 *
 *     derived_open ─▶ built, and the file has that digest ──────────────────────────────────────────▶ ready
 *                  ├▶ failed less than 24 h ago, or somebody builds ──────────────────────────────▶ not ready: why
 *                  └▶ else: children, SCHED_IDLE, with limits: build ─▶ verify ─▶ renamed, recorded ──▶ ready
 *                                                              └ any failure: recorded ──────────▶ not ready: why
 *
 * A build that took the machine or the builder down with it is found as "building" without a builder: it counts as failed, so nothing is
 * tried over and over. A changed key is another file: entries of the same source and builder with other keys go, and
 * the longest unused ones if the folder passes its limit. After a cut at any instruction there is a whole entry or none.
 * Everybody may read the folder, only its owner may write: a runner that is another user looks, and does not build.
 */
#ifndef MUSTER_INFER_DERIVED_H
#define MUSTER_INFER_DERIVED_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DERIVED_RETRY_MS = 24 * 3600 * 1000 };

/* One way of deriving. `build` and `verify` run in a child each: they may crash, hang, leak and use up what the limits allow. `build` may
 * also replace its child by another program (exec): then that one's exit status counts. */
struct derived_builder {
    const char *name; /* a word */
    void *self;
    /* Appends all that matters besides the source. */
    int (*key)(void *self, struct buf *out, struct err *err);
    int (*build)(void *self, const char *source, const char *target, struct err *err);
    /* The derived file does what the source does (golden self-test). */
    int (*verify)(void *self, const char *target, struct err *err);
};

struct derived_limits {
    int64_t time_ms;       /* for build and verify together */
    uint64_t memory_bytes; /* writable memory of a child */
    uint64_t file_bytes;   /* the derived file */
    uint64_t cache_bytes;  /* all derived files in the folder */
};

struct derived_request {
    const char *dir;    /* made if missing */
    const char *source; /* path */
    struct digest source_digest;
    struct derived_limits limits; /* all above 0 */
    int64_t now_ms;               /* wall clock */
    bool only_look;               /* never build: for processes with several threads, or in a hurry */
};

struct derived_result {
    bool ready, built; /* built: just now */
    char *path;        /* owned; of the derived file; NULL unless ready */
    char key[65];      /* hex */
    char why[160];     /* why it is not ready */
};

/* Only a process with a single thread can build (its child goes on with what it was; other threads' locks would stay taken).
 * Errors: only what makes the question itself senseless (INVALID, NO_MEMORY); everything else is "not ready". */
int derived_open(const struct derived_request *request, const struct derived_builder *builder,
                 struct derived_result *out, struct err *err) must_check;
void derived_fini(struct derived_result *result);
#define cleanup_derived __attribute__((cleanup(derived_fini)))

/* The file that derived_open gave turned out to be unusable after all: it is removed and counts as failed. */
void derived_reject(const struct derived_request *request, const struct derived_builder *builder,
                    const struct derived_result *result, const char *why);

#endif
