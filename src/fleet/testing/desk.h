/* The workstation with the offline keys, for tests: a fleet's root, its targets, its operators. What `muster keys`, `sign` and `approve` do.
 *
 *     struct desk desk;
 *     desk_open(&desk, scratch_dir, "…/srv/online.json");      root 1 and targets 1, one key each
 *     desk_release(&desk, "detector", "1.0.0", &digest, length, &terms);   one more version of the targets
 *     char *text = desk_read(&desk, "targets", 2, &len);        2.targets.json, to be pushed
 */
#ifndef MUSTER_FLEET_TESTING_DESK_H
#define MUSTER_FLEET_TESTING_DESK_H

#include "base/digest.h"
#include "trust/key.h"
#include "trust/keyring.h"
#include "trust/repo/online.h"
#include "trust/repo/repo.h"
#include "wire/approval.h"
#include "wire/terms.h"

#include <stdint.h>

#define DESK_FLEET "warehouse-5f0c"
enum { DESK_OPERATORS = 3 };

struct desk {
    char dir[160], online[160], root_file[200]; /* root.json, for --root */
    struct tuf_signer *root, *release;
    struct repo *repo;
    struct signing_key *operators[DESK_OPERATORS]; /* alice, bob, carol */
};

void desk_open(struct desk *desk, const char *scratch, const char *online_json);
void desk_close(struct desk *desk);

/* Each makes and publishes the next version of targets or root; returns it. */
int64_t desk_set(struct desk *desk, const char *path, uint64_t length, const struct digest *digest,
                 const char *custom);
int64_t desk_release(struct desk *desk, const char *name, const char *version, const struct digest *digest,
                     uint64_t length,
                     const struct terms *terms); /* terms->fleet is filled in; NULL: none but the fleet */
int64_t desk_drop(struct desk *desk, const char *path);
int64_t desk_expires(struct desk *desk, const char *role, int64_t expires_s); /* "root" or "targets" */
int64_t desk_rotate(struct desk *desk, enum online_role role, const struct tuf_key *old,
                    const struct tuf_key *new);
int64_t desk_rotate_root(struct desk *desk); /* another root key */

char *desk_read(const struct desk *desk, const char *role, int64_t version, size_t *out_len); /* free() it */

/* The operators' keyring as target muster/operators.json; its text is to become a blob of the server. free() it. */
char *desk_operators(struct desk *desk, int64_t *out_version);
const char *desk_operator_name(int index); /* "alice" */
/* The envelope of an approval by that operator; plan NULL: none. free() it. */
char *desk_approve(const struct desk *desk, int index, const struct digest *release, const char *name,
                   const char *version, const struct digest *plan, int64_t now_ms);

#endif
