/* What the offline keys say, asked as a robot asks: by a TUF client that fetches from this server's own repository. */
#include "fleet/authority/inside.h"

#include "base/str.h"
#include "trust/rule.h"

#include <inttypes.h>

enum { MAX_BYTES = 5000000, CLIENT_AGE_S = 60, BROKEN_AGE_S = 5 };

void authority_forget(struct authority *authority)
{
    if (authority->client)
        tuf_update_free(authority->client);
    if (authority->shelf)
        tuf_shelf_free(authority->shelf);
    authority->client = NULL;
    authority->shelf = NULL;
    authority->broken = (struct err){0};
}

static int give(struct authority *authority, const struct tuf_want *want, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(MAX_BYTES);
    struct err failure = {0};
    if (authority_read(authority, want->name, &bytes, &failure) == 0) {
        if (bytes.len > want->max_bytes)
            tuf_update_overflow(authority->client);
        else
            tuf_update_give(authority->client, buf_text(&bytes), bytes.len);
        return 0;
    }
    if (failure.code != ERR_NOT_FOUND)
        return *err = failure, -1;
    tuf_update_lack(authority->client);
    return 0;
}

static int run(struct authority *authority, struct err *err)
{
    struct tuf_want want;
    enum tuf_step step;
    while ((step = tuf_update_step(authority->client, &want, err)) == TUF_WANT)
        if (give(authority, &want, err) < 0)
            return -1;
    return step == TUF_DONE ? 0 : -1;
}

static int start(struct authority *authority, int64_t now_s, struct err *err)
{
    cleanup_buf struct buf root = BUF_INIT(MAX_BYTES);
    char name[64];
    snprintf(name, sizeof name, "%" PRId64 ".root.json", repo_root(authority->repo)->version);
    authority->shelf = tuf_shelf_memory();
    if (!authority->shelf)
        return err_no_memory(err);
    const struct tuf_update_options options = {.shelf = authority->shelf, .now_s = now_s};
    authority->client_s = now_s;
    if (authority_read(authority, name, &root, err) < 0 ||
        tuf_trust(authority->shelf, buf_text(&root), root.len, err) < 0 ||
        tuf_update_new(&options, &authority->client, err) < 0)
        return -1;
    return 0;
}

/* A client that is not too old: things expire. A chain that does not hold is not walked again at once. */
static int have_client(struct authority *authority, int64_t now_s, struct err *err)
{
    int64_t age_s = now_s - authority->client_s;
    if (authority->broken.code != ERR_NONE && age_s >= 0 && age_s < BROKEN_AGE_S)
        return *err = authority->broken, -1;
    if (authority->client && (age_s < 0 || age_s > CLIENT_AGE_S))
        authority_forget(authority);
    return authority->client ? 0 : start(authority, now_s, err);
}

/* *out: NULL if nobody names it. */
static int find(struct authority *authority, const char *path, int64_t now_s, const struct tuf_target **out,
                struct err *err)
{
    *out = NULL;
    if (!authority->repo)
        return authority_no_root(err);
    if (have_client(authority, now_s, err) == 0) {
        tuf_update_seek(authority->client, path);
        if (run(authority, err) == 0) {
            *out = tuf_update_target(authority->client);
            return 0;
        }
        if (trust_rule_of(err->text) == TRUST_TARGETS_UNKNOWN) {
            *err = (struct err){0};
            return 0;
        }
    }
    authority_forget(authority);
    authority->broken = *err;
    return -1;
}

static int take_terms(const struct authority *authority, const struct tuf_target *target,
                      enum terms_kind kind, struct terms *out, struct err *err)
{
    if (!target->hashes.has_sha256)
        return err_set(err, ERR_UNSUPPORTED, "target %s has no sha256", target->path);
    if (terms_parse(target->custom, out, err) < 0)
        return err_prefix(err, "target %s", target->path);
    if (out->kind != kind)
        return err_set(err, ERR_INVALID, "target %s is of another kind", target->path);
    if (!str_eq(out->fleet, authority_fleet(authority)))
        return trust_refuse(err, TRUST_RELEASE_FLEET, "%s was released to fleet %s, this is %s", target->path,
                            out->fleet, authority_fleet(authority));
    return 0;
}

int authority_release(struct authority *authority, const char *name, const char *version, int64_t now_s,
                      struct authority_release *out, struct err *err)
{
    const struct tuf_target *target;
    char path[160];
    snprintf(path, sizeof path, "%s/%s", name, version);
    if (find(authority, path, now_s, &target, err) < 0)
        return -1;
    if (!target)
        return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "the targets do not name %s", path);
    *out = (struct authority_release){.length = target->length};
    memcpy(out->digest.bytes, target->hashes.sha256, sizeof out->digest.bytes);
    return take_terms(authority, target, TERMS_RELEASE, &out->terms, err);
}

size_t authority_signers(const struct authority *authority, char (*out)[65], size_t max)
{
    return authority->repo ? repo_targets_signers(authority->repo, out, max) : 0;
}

int authority_operators(struct authority *authority, int64_t now_s, struct digest *out, struct err *err)
{
    const struct tuf_target *target;
    struct terms terms;
    if (find(authority, TERMS_OPERATORS_PATH, now_s, &target, err) < 0)
        return -1;
    if (!target)
        return err_set(err, ERR_NOT_FOUND, "the targets have no %s", TERMS_OPERATORS_PATH);
    memcpy(out->bytes, target->hashes.sha256, sizeof out->bytes);
    return take_terms(authority, target, TERMS_OPERATORS, &terms, err);
}
