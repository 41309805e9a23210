/* What the verbs of `muster audit` share: the server's log read in pages, the keys that may sign it, and its export.
 * Private to cli/audit*.c. */
#ifndef MUSTER_CLI_AUDIT_LOG_H
#define MUSTER_CLI_AUDIT_LOG_H

#include "base/digest.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "trust/merkle/answer.h"

int audit_verify(int argc, char **argv, struct err *err);
int audit_prove(int argc, char **argv, struct err *err);
int audit_check(int argc, char **argv, struct err *err);

struct audit_record { /* as the server tells it; nothing is believed */
    uint64_t seq;
    struct digest hash;
    const char *entry; /* lives during the call */
    size_t len;
};

/* Records behind number `after` up to number `last`, as long as there are some. */
int audit_log_each(struct client *client, uint64_t after, uint64_t last,
                   int (*visit)(const struct audit_record *record, void *arg, struct err *err), void *arg,
                   struct err *err) must_check;

/* The newest checkpoint, signed for this question. free() it. */
int audit_log_newest(struct client *client, struct checkpoint_answer **out, struct err *err) must_check;

struct audit_keys {
    size_t count;
    struct public_key items[16];
};
/* --key (each a verifier key, a PEM file or a file of verifier keys) and --root, each any number of times. */
struct audit_key_flags {
    struct option_list keys, roots;
};
int audit_keys_read(const struct audit_key_flags *flags, struct audit_keys *out, struct err *err) must_check;
int audit_keys_put(struct audit_keys *keys, const struct public_key *key, struct err *err) must_check;
int audit_keys_add(struct audit_keys *keys, const char *verifier_key, struct err *err) must_check;

/* Static files as C2SP tlog-tiles wants them. */
struct audit_export;
int audit_export_open(const char *dir, struct audit_export **out, struct err *err) must_check;
int audit_export_entry(struct audit_export *export, const struct audit_record *record,
                       struct err *err) must_check;
int audit_export_end(struct audit_export *export, const char *checkpoint, struct err *err) must_check;
void audit_export_free(struct audit_export *export);

#endif
