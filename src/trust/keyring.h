/* The operators' keyring: who may order robots and approve releases, by name; a JSON file. It is the target muster/operators.json of the fleet
 * (wire/terms.h), or a file that a robot or a server was given. Whom to believe about releases is not in here: that is the TUF chain.
 *
 *     {"schema": 1,
 *      "keys": [{"keyid": "…64 hex…", "algorithm": "ed25519", "public": "…64 hex…", "name": "alice", "revoked": false}]}
 *
 * - keyid must be the one of `public`; keyids and names are unique; a name is str_is_name, up to 63
 * characters.
 * - A revoked key stays in the file, so that a signature by it can be told from one by a stranger.
 */
#ifndef MUSTER_TRUST_KEYRING_H
#define MUSTER_TRUST_KEYRING_H

#include "base/err.h"
#include "base/mem.h"
#include "trust/key.h"

#include <stdbool.h>
#include <stddef.h>

struct keyring_entry {
    struct public_key key;
    char name[64];
    bool revoked;
};

struct keyring {
    size_t count;
    struct keyring_entry entries[32];
};

/* Entry by key id, or NULL. */
const struct keyring_entry *keyring_find(const struct keyring *ring, const char *keyid);

int keyring_parse(const char *text, size_t len, struct keyring *out, struct err *err) must_check;
char *keyring_format(const struct keyring *ring); /* stable JSON text; free() it; NULL: out of memory */
int keyring_load(const char *path, struct keyring *out, struct err *err) must_check;
int keyring_save(const struct keyring *ring, const char *path, struct err *err) must_check;
int keyring_add(struct keyring *ring, const struct public_key *key, const char *name,
                struct err *err) must_check;
int keyring_revoke(struct keyring *ring, const char *keyid_or_name, struct err *err) must_check;

#endif
