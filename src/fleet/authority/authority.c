#include "fleet/authority/inside.h"

#include "base/log.h"
#include "base/str.h"
#include "sys/file.h"
#include "trust/assignment.h"

#include <inttypes.h>

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S, MAX_ROOT_BYTES = 512000, MAX_PERIOD_S = 60 };

void authority_free(struct authority *authority)
{
    if (!authority)
        return;
    authority_forget(authority);
    if (authority->repo)
        repo_free(authority->repo);
    online_free(authority->online);
    free(authority->dir);
    free(authority);
}

int authority_no_root(struct err *err)
{
    return err_set(
        err, ERR_CONFLICT,
        "this server has no root of trust; start musterd with --root root.json (muster keys init)");
}

const struct tuf_root *authority_root(const struct authority *authority)
{
    const struct tuf_metadata *root = authority->repo ? repo_root(authority->repo) : NULL;
    return root ? &root->root : NULL;
}

const char *authority_fleet(const struct authority *authority)
{
    const struct tuf_root *root = authority_root(authority);
    return root && root->fleet ? root->fleet : "";
}

const struct online *authority_online(const struct authority *authority)
{
    return authority->online;
}

int64_t authority_assignment_valid_s(const struct authority *authority)
{
    return authority->assignment_valid_s;
}

/* Renewed at half of its time. */
static int64_t margin_s(const struct authority *authority)
{
    return MIN(authority->timestamp_valid_s, authority->snapshot_valid_s) / 2;
}

int64_t authority_period_s(const struct authority *authority)
{
    return MIN(MAX(margin_s(authority) / 4, (int64_t)1), (int64_t)MAX_PERIOD_S);
}

/* ---- a root must leave this server able to speak ---- */

static bool has_key(const struct tuf_keyset *set, const struct tuf_signer *signer)
{
    for (size_t i = 0; signer && i < set->count; i++)
        if (str_eq(set->keyids[i], tuf_signer_public(signer)->id))
            return true;
    return false;
}

static int check_role(const struct authority *authority, const struct tuf_root *root, enum online_role role,
                      struct err *err)
{
    const struct tuf_keyset *set = online_keyset(root, role);
    bool optional = role == ONLINE_DIRECTOR || role == ONLINE_AUDIT;
    if (optional && !set->threshold)
        return 0;
    if (set->threshold > 1)
        return err_set(err, ERR_REFUSED,
                       "this root asks for %" PRId64 " signatures of %s; this server has one key",
                       set->threshold, online_role_name(role));
    if (has_key(set, online_signer(authority->online, role)) ||
        has_key(set, online_next(authority->online, role)))
        return 0;
    return err_set(
        err, ERR_REFUSED,
        "this root does not name this server's %s key: it is another fleet's, or it lacks the server's "
        "online.json (muster keys rotate %s --online online.json)",
        online_role_name(role), online_role_name(role));
}

static int check_own_keys(const struct authority *authority, const struct tuf_root *root, struct err *err)
{
    for (int i = 0; i < ONLINE_ROLES; i++)
        if (check_role(authority, root, (enum online_role)i, err) < 0)
            return -1;
    return 0;
}

/* From the disk: musterd rotate may have made a next key while this server runs. */
static int load_keys(struct authority *authority, struct err *err)
{
    struct online *online = NULL;
    if (online_load(authority->dir, &online, err) < 0)
        return -1;
    online_free(authority->online);
    authority->online = online;
    return 0;
}

/* Keys that this root names take the place of those that it does not. */
static int settle_keys(struct authority *authority, struct err *err)
{
    if (online_settle(authority->dir, authority_root(authority), err) < 0)
        return -1;
    return load_keys(authority, err);
}

/* A settling that failed after its root was published (a full disk) is made up for. */
static bool is_unsettled(const struct authority *authority)
{
    const struct tuf_root *root = authority_root(authority);
    for (int i = 0; i < ONLINE_ROLES; i++) {
        enum online_role role = (enum online_role)i;
        const struct tuf_keyset *set = online_keyset(root, role);
        if (!has_key(set, online_signer(authority->online, role)) &&
            has_key(set, online_next(authority->online, role)))
            return true;
    }
    return false;
}

/* ---- opening ---- */

/* While there is no repository nobody knows the keys yet, and missing ones may be made. */
static int open_keys(struct authority *authority, const char *trust, struct err *err)
{
    if (!file_exists(trust) && online_make(authority->dir, err) < 0)
        return -1;
    return load_keys(authority, err);
}

static int open_repo(struct authority *authority, const char *trust, struct err *err)
{
    if (repo_open(trust, &authority->repo, err) == 0 && repo_root(authority->repo))
        return 0;
    if (authority->repo) { /* only a root that is not published yet: a workstation's directory */
        repo_free(authority->repo);
        authority->repo = NULL;
        return 0;
    }
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    return 0;
}

/* The first root is kept for good: one that another server's keys stand in would keep the right one out. */
static int begin(struct authority *authority, const char *trust, const struct buf *root, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (tuf_metadata_parse(buf_text(root), root->len, &metadata, err) < 0)
        return -1;
    if (metadata.kind == TUF_ROOT && check_own_keys(authority, &metadata.root, err) < 0)
        return -1;
    return repo_create(trust, buf_text(root), root->len, &authority->repo, err);
}

/* The anchor begins the repository; where there is one, it must be of its chain. */
static int anchor(struct authority *authority, const char *trust, const char *path, int64_t now_s,
                  struct err *err)
{
    cleanup_buf struct buf root = BUF_INIT(MAX_ROOT_BYTES);
    if (file_read(path, &root, err) < 0)
        return -1;
    int rc = authority->repo ? repo_take(authority->repo, "root", buf_text(&root), root.len, now_s, err)
                             : begin(authority, trust, &root, err);
    return rc < 0 ? err_prefix(err, "--root %s", path) : 0;
}

static int start(struct authority *authority, const struct authority_options *options, int64_t now_s,
                 struct err *err)
{
    cleanup_free char *trust = file_join(options->dir, "trust");
    bool changed = false;
    authority->dir = mem_strdup(options->dir);
    if (!trust || !authority->dir)
        return err_no_memory(err);
    if (open_keys(authority, trust, err) < 0 || open_repo(authority, trust, err) < 0 ||
        (options->root && anchor(authority, trust, options->root, now_s, err) < 0))
        return -1;
    if (!authority->repo)
        return 0;
    if (settle_keys(authority, err) < 0)
        return -1;
    struct err failure = {0};
    if (check_own_keys(authority, authority_root(authority), &failure) < 0 ||
        authority_freshen(authority, now_s, &changed, &failure) < 0)
        log_error(
            "%s",
            failure
                .text); /* robots go on with what they have; a root that names the keys can still be pushed */
    return 0;
}

int authority_open(const struct authority_options *options, int64_t now_s, struct authority **out,
                   struct err *err)
{
    cleanup_authority struct authority *authority = mem_zalloc(1, sizeof *authority);
    if (!authority)
        return err_no_memory(err);
    authority->timestamp_valid_s = options->timestamp_valid_s ? options->timestamp_valid_s : DAY_S;
    authority->snapshot_valid_s = options->snapshot_valid_s ? options->snapshot_valid_s : WEEK_S;
    authority->assignment_valid_s = options->assignment_valid_s ? options->assignment_valid_s : WEEK_S;
    if (start(authority, options, now_s, err) < 0)
        return -1;
    *out = TAKE_PTR(authority);
    return 0;
}

/* ---- the repository ---- */

int authority_check(struct authority *authority, const char *role, const void *bytes, size_t len,
                    int64_t now_s, int64_t *out_version, bool *out_known, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (!authority->repo)
        return authority_no_root(err);
    if (repo_check(authority->repo, role, bytes, len, now_s, &metadata, out_known, err) < 0)
        return -1;
    *out_version = metadata.version;
    bool newest = metadata.kind == TUF_ROOT && metadata.version > repo_root(authority->repo)->version;
    if (!newest)
        return 0;
    return load_keys(authority, err) < 0 ? -1 : check_own_keys(authority, &metadata.root, err);
}

int authority_take(struct authority *authority, const char *role, const void *bytes, size_t len,
                   int64_t now_s, struct err *err)
{
    int64_t version;
    bool known, changed;
    if (authority_check(authority, role, bytes, len, now_s, &version, &known, err) < 0)
        return -1;
    authority_forget(authority);
    if (repo_take(authority->repo, role, bytes, len, now_s, err) < 0 || settle_keys(authority, err) < 0)
        return -1;
    return authority_freshen(authority, now_s, &changed, err);
}

int authority_freshen(struct authority *authority, int64_t now_s, bool *out_changed, struct err *err)
{
    *out_changed = false;
    if (!authority->repo)
        return 0;
    if (is_unsettled(authority) && settle_keys(authority, err) < 0)
        return -1;
    const struct repo_online online = {
        .snapshot = online_signer(authority->online, ONLINE_SNAPSHOT),
        .timestamp = online_signer(authority->online, ONLINE_TIMESTAMP),
        .snapshot_valid_s = authority->snapshot_valid_s,
        .timestamp_valid_s = authority->timestamp_valid_s,
        .margin_s = margin_s(authority),
    };
    int rc = repo_freshen(authority->repo, &online, now_s, out_changed, err);
    if (*out_changed)
        authority_forget(authority);
    return rc;
}

int authority_read(const struct authority *authority, const char *name, struct buf *out, struct err *err)
{
    if (!authority->repo)
        return err_set(err, ERR_NOT_FOUND, "this server has no root of trust yet");
    return repo_read(authority->repo, name, out, err);
}

static bool read_metadata(const struct authority *authority, const char *name, struct tuf_metadata *out)
{
    cleanup_buf struct buf bytes = BUF_INIT(2000000);
    struct err ignored = {0};
    return authority_read(authority, name, &bytes, &ignored) == 0 &&
           tuf_metadata_parse(buf_text(&bytes), bytes.len, out, &ignored) == 0;
}

/* The snapshot that the timestamp names. */
static bool read_snapshot(const struct authority *authority, struct tuf_metadata *out)
{
    cleanup_tuf_metadata struct tuf_metadata timestamp = {0};
    char name[64];
    if (!read_metadata(authority, "timestamp.json", &timestamp) || timestamp.meta.count != 1)
        return false;
    snprintf(name, sizeof name, "%" PRId64 ".snapshot.json", timestamp.meta.files[0].version);
    return read_metadata(authority, name, out);
}

bool authority_expiry(const struct authority *authority, enum tuf_kind kind, int64_t *out_version,
                      int64_t *out_expires_s)
{
    cleanup_tuf_metadata struct tuf_metadata read = {0};
    const struct tuf_metadata *found = NULL;
    if (!authority->repo)
        return false;
    if (kind == TUF_ROOT)
        found = repo_root(authority->repo);
    else if (kind == TUF_TARGETS)
        found = repo_targets(authority->repo);
    else if (kind == TUF_TIMESTAMP ? read_metadata(authority, "timestamp.json", &read)
                                   : read_snapshot(authority, &read))
        found = &read;
    if (!found)
        return false;
    *out_version = found->version;
    *out_expires_s = found->expires_s;
    return true;
}

/* ---- the director ---- */

char *authority_sign(const struct authority *authority, const struct assignment *assignment, struct err *err)
{
    const struct tuf_root *root = authority_root(authority);
    const struct tuf_signer *director = online_signer(authority->online, ONLINE_DIRECTOR);
    struct assignment own = *assignment;
    if (!root) {
        (void)authority_no_root(err);
        return NULL;
    }
    if (!has_key(&root->director, director) || !root->fleet) {
        err_set(err, ERR_CONFLICT,
                "root %s; give root the server's online.json with muster keys rotate director",
                root->fleet ? "does not name this server as director" : "names no fleet");
        return NULL;
    }
    str_copy(own.fleet, sizeof own.fleet, root->fleet);
    return assignment_sign(&own, &director, 1, err);
}
