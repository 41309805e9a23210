/* Metadata that others made: musterd's way in. */
#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <inttypes.h>

static int parse(const char *role, const void *bytes, size_t len, struct tuf_metadata *out, struct err *err)
{
    enum tuf_kind kind = repo_kind_of(role);
    if (len > repo_max_bytes(kind))
        return trust_refuse(err, TRUST_METADATA_SIZE, "%s has %zu bytes, at most %" PRIu64 " are allowed",
                            role, len, repo_max_bytes(kind));
    if (tuf_metadata_parse(bytes, len, out, err) < 0) {
        struct err cause = *err;
        return cause.code == ERR_INVALID ? trust_refuse(err, TRUST_METADATA_FORM, "%s: %s", role, cause.text)
                                         : -1;
    }
    if (out->kind == kind)
        return 0;
    trust_refuse(err, TRUST_METADATA_FORM, "%s: this is %s", role, tuf_kind_name(out->kind));
    tuf_metadata_fini(out);
    return -1;
}

/* Whether this version is there with these bytes. With others it is refused. */
static int find_same(const struct repo *repo, const char *role, int64_t version, const void *bytes,
                     size_t len, bool *out, struct err *err)
{
    cleanup_buf struct buf there = BUF_INIT(repo_max_bytes(TUF_TARGETS));
    *out = false;
    if (repo_load_bytes(repo, "", role, version, &there, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return 0;
    }
    *out = there.len == len && memcmp(buf_text(&there), bytes, len) == 0;
    return *out ? 0
                : trust_refuse(err, str_eq(role, "root") ? TRUST_ROOT_VERSION : TRUST_TARGETS_VERSION,
                               "%s version %" PRId64 " is published with another content", role, version);
}

/* From before the anchor: the root that comes after it says that it is right. */
static int check_older_root(const struct repo *repo, const struct tuf_metadata *root, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata after = {0};
    if (repo_load(repo, "", "root", root->version + 1, &after, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return trust_refuse(err, TRUST_ROOT_VERSION,
                            "version %" PRId64
                            " is older than any that is known here; send the later ones first",
                            root->version);
    }
    return repo_check_root(NULL, root, err) < 0 ? -1 : repo_check_root(root, &after, err);
}

static int check_root(const struct repo *repo, const struct tuf_metadata *root, const void *bytes, size_t len,
                      bool *out_known, struct err *err)
{
    if (!repo->has_root)
        return trust_refuse(err, TRUST_ROOT_SIGNATURES, "there is no root yet that could vouch for this one");
    if (find_same(repo, "root", root->version, bytes, len, out_known, err) < 0)
        return -1;
    if (*out_known)
        return 0;
    return root->version < repo->root.version ? check_older_root(repo, root, err)
                                              : repo_check_root(&repo->root, root, err);
}

static int check_newer(const struct repo *repo, const char *role, const struct tuf_metadata *metadata,
                       int64_t now_s, struct err *err)
{
    int64_t newest = 0;
    if (repo_newest(repo, role, &newest, err) < 0)
        return -1;
    if (metadata->version < newest)
        return trust_refuse(err, TRUST_TARGETS_VERSION,
                            "%s version %" PRId64 " is older than %" PRId64 ", which is published", role,
                            metadata->version, newest);
    if (metadata->expires_s <= now_s)
        return trust_refuse(err, TRUST_TARGETS_EXPIRED, "%s version %" PRId64 " has expired; sign it anew",
                            role, metadata->version);
    return 0;
}

static int check_targets(const struct repo *repo, const char *role, const struct tuf_metadata *targets,
                         const void *bytes, size_t len, int64_t now_s, bool *out_known, struct err *err)
{
    if (repo_check_signers(repo, role, targets, err) < 0 || check_newer(repo, role, targets, now_s, err) < 0)
        return -1;
    return find_same(repo, role, targets->version, bytes, len, out_known, err);
}

int repo_check(const struct repo *repo, const char *role, const void *bytes, size_t len, int64_t now_s,
               struct tuf_metadata *out, bool *out_known, struct err *err)
{
    enum tuf_kind kind = repo_kind_of(role);
    *out_known = false;
    if (!repo_role_is_known(role))
        return err_set(err, ERR_INVALID, "no such role: up to 63 letters, digits, '.', '_' and '-'");
    if (kind != TUF_ROOT && kind != TUF_TARGETS)
        return err_set(err, ERR_REFUSED, "%s is made by the server and not taken from others", role);
    if (parse(role, bytes, len, out, err) < 0)
        return -1;
    int rc = kind == TUF_ROOT ? check_root(repo, out, bytes, len, out_known, err)
                              : check_targets(repo, role, out, bytes, len, now_s, out_known, err);
    if (rc < 0)
        tuf_metadata_fini(out);
    return rc;
}

static int store(struct repo *repo, const char *role, const struct tuf_metadata *taken, const void *bytes,
                 size_t len, struct err *err)
{
    if (taken->kind == TUF_ROOT)
        return repo_put_root(repo, taken, bytes, len, err);
    repo_sweep(repo);
    if (repo_store(repo, role, taken->version, bytes, len, err) < 0)
        return -1;
    return repo_reload(repo, err);
}

int repo_take(struct repo *repo, const char *role, const void *bytes, size_t len, int64_t now_s,
              struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata taken = {0};
    bool known = false;
    if (repo_check(repo, role, bytes, len, now_s, &taken, &known, err) < 0)
        return -1;
    if (known || store(repo, role, &taken, bytes, len, err) == 0)
        return 0;
    struct err again = {0}; /* it may have got its name before that failed: then it is what clients see */
    if (repo_reload(repo, &again) < 0)
        return err_prefix(err, "%s", again.text);
    return -1;
}
