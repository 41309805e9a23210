/* Between the files of this room. */
#ifndef MUSTER_TRUST_REPO_INSIDE_H
#define MUSTER_TRUST_REPO_INSIDE_H

#include "trust/repo/repo.h"
#include "trust/rule.h"

struct repo {
    char *dir;
    bool has_root, has_targets;
    struct tuf_metadata root, targets; /* published, newest */
};

struct repo_role_version { /* a role that is published, and its newest version */
    char role[64];
    int64_t version;
};
struct repo_listing {
    size_t count;
    struct repo_role_version *items; /* owned; sorted by role */
};
void repo_listing_fini(struct repo_listing *listing);
#define cleanup_repo_listing __attribute__((cleanup(repo_listing_fini)))

bool repo_role_is_known(const char *role); /* a name that a file may have */
enum tuf_kind repo_kind_of(const char *role);
uint64_t repo_max_bytes(enum tuf_kind kind); /* what a client takes */

int repo_list(const char *dir, struct repo_listing *out, struct err *err) must_check;
/* 0: none. */
int repo_newest(const struct repo *repo, const char *role, int64_t *out_version, struct err *err) must_check;

/* A file's bytes, capped; NOT_FOUND. `sub` is "" or "pending/". */
int repo_load_bytes(const struct repo *repo, const char *sub, const char *role, int64_t version,
                    struct buf *out, struct err *err) must_check;
/* The same, parsed, and held to the role and version of its name. CORRUPT. */
int repo_load(const struct repo *repo, const char *sub, const char *role, int64_t version,
              struct tuf_metadata *out, struct err *err) must_check;
/* A new version. The same bytes may be there already; others are CONFLICT. */
int repo_store(const struct repo *repo, const char *role, int64_t version, const void *bytes, size_t len,
               struct err *err) must_check;
int repo_replace(const struct repo *repo, const char *name, const void *bytes, size_t len,
                 struct err *err) must_check;
char *repo_pending_path(const struct repo *repo, const char *role, int64_t version);
/* What a cut left behind. */
void repo_sweep(const struct repo *repo);

/* Reads again what is published: root, targets. */
int repo_reload(struct repo *repo, struct err *err) must_check;

/* Whether the published keys of everybody who delegates to this role (not root, which speaks for itself) hold for this metadata. UNTRUSTED. */
int repo_check_signers(const struct repo *repo, const char *role, const struct tuf_metadata *metadata,
                       struct err *err) must_check;
/* Calls visit with each keyset that speaks for the role, and its keys, until it returns non-zero, which is passed on. 0: nobody said a thing. */
int repo_each_signers(const struct repo *repo, const char *role,
                      int (*visit)(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
                                   void *arg),
                      void *arg, struct err *err) must_check;

int repo_parse_root(const void *bytes, size_t len, struct tuf_metadata *out,
                    struct err *err) must_check; /* UNTRUSTED */
/* A root as the next one of `before` (NULL: a first one): signed by both. UNTRUSTED. */
int repo_check_root(const struct tuf_metadata *before, const struct tuf_metadata *root,
                    struct err *err) must_check;
/* Stores a root that was checked, and everything that follows from it. */
int repo_put_root(struct repo *repo, const struct tuf_metadata *root, const void *bytes, size_t len,
                  struct err *err) must_check;

#endif
