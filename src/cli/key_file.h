/* A key of TUF in files: NAME.key, private, and NAME.pub.json beside it, which may be given to anybody:
 *
 *     {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "…64 hex…"}}
 */
#ifndef MUSTER_CLI_KEY_FILE_H
#define MUSTER_CLI_KEY_FILE_H

#include "base/err.h"
#include "trust/tuf/signer.h"

#define KEY_FILE_PUBLIC ".pub.json"

/* *out is owned by the caller (key_file_fini); its id is the default one. Errors: INVALID, NOT_FOUND. */
int key_file_read(const char *path, struct tuf_key *out, struct err *err) must_check;
void key_file_fini(struct tuf_key *key);
#define cleanup_key_file __attribute__((cleanup(key_file_fini)))

/* A new Ed25519 key: DIR/NAME.key and DIR/NAME.pub.json. `passphrase` NULL: not encrypted. EXISTS. */
int key_file_make(const char *dir, const char *name, const char *passphrase, struct tuf_signer **out,
                  struct err *err) must_check;

/* Asks for the passphrase if there is one; one that was right is tried for the next key (*passphrase, owned by the caller; may be NULL). */
int key_file_load(const char *path, char **passphrase, struct tuf_signer **out, struct err *err) must_check;

#endif
