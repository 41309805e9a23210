/* The TUF client over anything that files can be read from: a directory, a server. Nothing is kept; it begins with the root that is trusted.
 *
 *     cleanup_chain struct chain chain = {0};
 *     chain_seek("keys/root.json", &source, "detector/2.0.0", &chain, err)      refreshes, then looks for the target
 *     chain_target(&chain)                                                      length, hashes, custom; NULL without a path
 */
#ifndef MUSTER_CLI_CHAIN_H
#define MUSTER_CLI_CHAIN_H

#include "cli/client.h"
#include "trust/repo/repo.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/update.h"

struct chain_source { /* NOT_FOUND is an answer; more than out->max is TOO_BIG */
    int (*read)(void *arg, const char *name, struct buf *out, struct err *err);
    void *arg;
};
struct chain_source chain_of_repo(struct repo *repo);
struct chain_source chain_of_server(struct client *client);

struct chain {
    struct tuf_shelf *shelf;
    struct tuf_update *update;
};
/* `path` NULL: only refreshes. UNTRUSTED names the rule; NOT_FOUND if there is no such root file. */
int chain_seek(const char *root_path, const struct chain_source *source, const char *path, struct chain *out,
               struct err *err) must_check;
void chain_fini(struct chain *chain);
#define cleanup_chain __attribute__((cleanup(chain_fini)))

const struct tuf_target *chain_target(const struct chain *chain);
const struct tuf_metadata *chain_role(const struct chain *chain, const char *role);

int chain_read_root(const char *root_path, struct buf *out, struct err *err) must_check;

#endif
