/* What the director (a key of musterd) assigns to one robot. Like TUF metadata in form, so that its keys and signatures are the same:
 *
 *     {"signed": {"_type": "assignment", "spec_version": "1.0", "fleet": "warehouse-5f0c…", "robot": "r1", "version": 7,
 *                 "issued": "2026-01-02T03:04:05Z", "expires": "2026-01-09T03:04:05Z",
 *                 "target": {"path": "detector/2.0.0", "length": 1234, "sha256": "…64 hex…"} or null,
 *                 "rollback": false, "plan": "sha256:…" or null},
 *      "signatures": [{"keyid", "sig"}]}
 *
 * version    the assignment's counter: grows with every change and every renewal, never repeats for a robot
 * target     what to run: the path in the offline targets, and their length and hash of the release's manifest, said again; null: nothing yet
 * rollback   going back on purpose: an older version than the one that runs may be installed (never below the floor)
 * plan       the rollout plan it follows (below), if the release's terms ask for approval of the plan
 *
 * Signed bytes: `signed` in OLPC canonical JSON (wire/tuf/metadata.h). Strict: unknown members are refused.
 *
 * The robot asks GET /api/v1/director?after=N&wait=S and gets {"assignment": {envelope}, "approvals": [{envelope}, …]}.
 */
#ifndef MUSTER_WIRE_ASSIGNMENT_H
#define MUSTER_WIRE_ASSIGNMENT_H

#include "base/digest.h"
#include "base/err.h"
#include "wire/tuf/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASSIGNMENT_MAX_BYTES = 16 << 10, ASSIGNMENT_MAX_APPROVALS = 16 };

struct assignment {
    char fleet[80], robot[64];
    uint64_t version;
    int64_t issued_s, expires_s;
    char path[132]; /* "name/version"; "": nothing yet */
    uint64_t length;
    struct digest release; /* of the manifest; zero with "" */
    bool rollback;
    struct digest plan; /* zero: none */
};

struct assignment_envelope {
    struct assignment assignment;
    char *signed_text; /* owned: canonical bytes */
    size_t signed_len;
    size_t signature_count;
    struct tuf_signature *signatures; /* owned */
};

int assignment_parse(const void *text, size_t len, struct assignment_envelope *out,
                     struct err *err) must_check;
void assignment_envelope_fini(struct assignment_envelope *envelope);
#define cleanup_assignment_envelope __attribute__((cleanup(assignment_envelope_fini)))
char *assignment_signed_format(const struct assignment *assignment, size_t *out_len,
                               struct err *err); /* canonical; free() it */
char *assignment_envelope_format(const char *signed_text, const struct tuf_signature *signatures,
                                 size_t count, struct err *err);

/* "detector/2.0.0" → name and version; false if it is no such path. */
bool assignment_path_split(const char *path, char name[64], char version[64]);

/* A rollout's plan, as people approve it: canonical JSON, named by the SHA-256 of its bytes, kept as a blob.
 *
 *     {"schema": 1, "release": "sha256:…", "name": "detector", "version": "2.0.0", "rollout": "knows-crates",
 *      "waves": [{"name": "canary", "robots": ["r1", "r2"]}, …]}            robots in all: up to 50,000; a robot stands in one wave only
 */
enum { PLAN_MAX_BYTES = 4 << 20, PLAN_MAX_ROBOTS = 50000 };
struct plan_wave {
    const char *name;
    const char *const *robots;
    size_t count;
};
char *plan_format(const struct digest *release, const char *name, const char *version, const char *rollout,
                  const struct plan_wave *waves, size_t wave_count); /* free() it; NULL: out of memory */
/* Whether these bytes are a plan that is for this release and names this robot. Errors: INVALID; REFUSED with what differs. */
int plan_check(const void *text, size_t len, const struct digest *release, const char *robot,
               struct err *err) must_check;

#endif
