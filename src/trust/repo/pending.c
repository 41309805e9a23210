/* From an edit to a published version: pending, signed by one after the other, published when there are enough. */
#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/tuf/format.h"

#include <inttypes.h>

static int next_version(const struct repo *repo, const char *role, int64_t *out, struct err *err)
{
    if (!repo_role_is_known(role) || repo_kind_of(role) == TUF_SNAPSHOT ||
        repo_kind_of(role) == TUF_TIMESTAMP)
        return err_set(err, ERR_INVALID, "%.70s is not made by people", role);
    if (repo_newest(repo, role, out, err) < 0)
        return -1;
    ++*out;
    return 0;
}

int repo_pending(const struct repo *repo, const char *role, struct tuf_metadata *out, struct err *err)
{
    int64_t version = 0;
    if (next_version(repo, role, &version, err) < 0)
        return -1;
    if (repo_load(repo, "pending/", role, version, out, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "nothing is pending for %s", role) : -1;
}

static int write_pending(const struct repo *repo, const char *role, const struct tuf_metadata *metadata,
                         struct err *err)
{
    cleanup_free char *text = tuf_envelope_format(metadata, err);
    cleanup_free char *path = repo_pending_path(repo, role, metadata->version),
                      *dir = file_join(repo->dir, "pending");
    if (!text)
        return -1;
    if (!path || !dir)
        return err_no_memory(err);
    if (strlen(text) > repo_max_bytes(metadata->kind))
        return err_set(err, ERR_TOO_BIG,
                       "%s would have %zu bytes, but clients take at most %" PRIu64 "; remove old targets",
                       role, strlen(text), repo_max_bytes(metadata->kind));
    if (file_make_dirs(dir, 0755, err) < 0)
        return -1;
    repo_sweep(repo);
    return file_replace(path, text, strlen(text), 0644, err);
}

static int check_thresholds(struct tuf_metadata *root, struct err *err)
{
    static const char *const roles[] = {"root", "targets", "timestamp", "snapshot", "director", "audit"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const struct tuf_keyset *set = repo_keyset(root, roles[i]);
        bool filled_later = set->count == 0 && i >= 2; /* the server's, which may come later */
        if (!filled_later && set->threshold > (int64_t)set->count)
            return err_set(err, ERR_INVALID, "%s would need %" PRId64 " signatures, but has %zu keys",
                           roles[i], set->threshold, set->count);
    }
    return 0;
}

int repo_put_pending(struct repo *repo, const char *role, struct tuf_metadata *edit, struct err *err)
{
    int64_t version = 0;
    if (next_version(repo, role, &version, err) < 0)
        return -1;
    if (edit->kind != repo_kind_of(role) || edit->version != version)
        return err_set(err, ERR_CONFLICT,
                       "version %" PRId64 " of %s cannot be pending; %" PRId64 " is the next", edit->version,
                       role, version);
    if (edit->kind == TUF_ROOT && check_thresholds(edit, err) < 0)
        return -1;
    size_t len = 0;
    char *text = tuf_signed_format(edit, &len, err);
    if (!text)
        return -1;
    free(edit->signed_text);
    edit->signed_text = text;
    edit->signed_len = len;
    struct tuf_metadata unsigned_one = *edit;
    unsigned_one.signature_count = 0;
    return write_pending(repo, role, &unsigned_one, err);
}

/* ---- signatures ---- */

static bool same_key(const struct tuf_key *a, const struct tuf_key *b)
{
    return a->scheme == b->scheme && str_eq(a->public_text, b->public_text);
}

struct search { /* for the name under which a key may sign */
    const struct tuf_key *key;
    char **keyid; /* a copy: what named it is gone after the visit */
};

static int find_signer(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count, void *arg)
{
    struct search *search = arg;
    for (size_t i = 0; i < key_count; i++)
        for (size_t j = 0; j < set->count && same_key(&keys[i], search->key); j++)
            if (!*search->keyid && str_eq(set->keyids[j], keys[i].id))
                *search->keyid = mem_strdup(keys[i].id);
    return 0;
}

/* Calls visit with everybody whose signature counts for what is pending: a new root's own keys, too. */
static int each_pending_signers(const struct repo *repo, const char *role, const struct tuf_metadata *pending,
                                int (*visit)(const struct tuf_keyset *, const struct tuf_key *, size_t,
                                             void *),
                                void *arg, struct err *err)
{
    const struct tuf_root *root = &pending->root;
    if (repo_each_signers(repo, role, visit, arg, err) < 0)
        return -1;
    return pending->kind == TUF_ROOT ? visit(&root->roles[TUF_ROOT], root->keys, root->key_count, arg) : 0;
}

/* Takes *signature over. */
static int add_signature(struct tuf_metadata *metadata, struct tuf_signature *signature, struct err *err)
{
    for (size_t i = 0; i < metadata->signature_count; i++) {
        struct tuf_signature *old = &metadata->signatures[i];
        if (!str_eq(old->keyid, signature->keyid))
            continue;
        free(old->keyid);
        free(old->sig);
        *old = *signature;
        return 0;
    }
    struct tuf_signature *grown =
        mem_grow(metadata->signatures, metadata->signature_count + 1, sizeof *grown);
    if (!grown) {
        free(signature->keyid);
        free(signature->sig);
        return err_no_memory(err);
    }
    metadata->signatures = grown;
    grown[metadata->signature_count++] = *signature;
    return 0;
}

int repo_wants(const struct repo *repo, const char *role, const struct tuf_key *key, bool *out,
               struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    cleanup_free char *keyid = NULL;
    struct search search = {.key = key, .keyid = &keyid};
    *out = false;
    if (repo_pending(repo, role, &pending, err) < 0 ||
        each_pending_signers(repo, role, &pending, find_signer, &search, err) < 0)
        return -1;
    *out = keyid != NULL;
    for (size_t i = 0; keyid && i < pending.signature_count; i++)
        *out &= !str_eq(pending.signatures[i].keyid, keyid);
    return 0;
}

static int sign_as(struct tuf_metadata *pending, const char *keyid, const struct tuf_signer *signer,
                   struct err *err)
{
    struct tuf_signature signature = {0};
    if (tuf_signer_sign(signer, pending->signed_text, pending->signed_len, &signature, err) < 0)
        return -1;
    free(signature.keyid);
    signature.keyid = mem_strdup(keyid);
    if (signature.keyid)
        return add_signature(pending, &signature, err);
    free(signature.sig);
    return err_no_memory(err);
}

int repo_sign_pending(struct repo *repo, const char *role, const struct tuf_signer *signer, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    cleanup_free char *keyid = NULL;
    struct search search = {.key = tuf_signer_public(signer), .keyid = &keyid};
    if (repo_pending(repo, role, &pending, err) < 0 ||
        each_pending_signers(repo, role, &pending, find_signer, &search, err) < 0)
        return -1;
    if (!keyid)
        return err_set(err, ERR_REFUSED,
                       "key %.16s… does not speak for %s; it needs a key that root names for it",
                       search.key->id, role);
    return sign_as(&pending, keyid, signer, err) < 0 ? -1 : write_pending(repo, role, &pending, err);
}

struct validity {
    const struct tuf_metadata *pending;
    const struct tuf_signature *signature;
    bool holds;
};

static int find_valid(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count, void *arg)
{
    struct validity *validity = arg;
    const struct tuf_signature *signature = validity->signature;
    for (size_t i = 0; i < key_count; i++)
        for (size_t j = 0; j < set->count && str_eq(keys[i].id, signature->keyid); j++)
            if (str_eq(set->keyids[j], keys[i].id) &&
                tuf_key_verify(&keys[i], validity->pending->signed_text, validity->pending->signed_len,
                               signature->sig, signature->len))
                validity->holds = true;
    return 0;
}

static int take_signature(const struct repo *repo, const char *role, const struct tuf_signature *from,
                          struct tuf_metadata *pending, struct err *err)
{
    struct validity validity = {.pending = pending, .signature = from};
    if (each_pending_signers(repo, role, pending, find_valid, &validity, err) < 0)
        return -1;
    if (!validity.holds)
        return 0;
    struct tuf_signature copy = {
        .keyid = mem_strdup(from->keyid), .sig = mem_dup(from->sig, from->len), .len = from->len};
    if (copy.keyid && copy.sig)
        return add_signature(pending, &copy, err);
    free(copy.keyid);
    free(copy.sig);
    return err_no_memory(err);
}

int repo_merge_pending(struct repo *repo, const char *role, const void *bytes, size_t len, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0}, other = {0};
    if (repo_pending(repo, role, &pending, err) < 0 || tuf_metadata_parse(bytes, len, &other, err) < 0)
        return -1;
    if (other.signed_len != pending.signed_len ||
        memcmp(other.signed_text, pending.signed_text, pending.signed_len) != 0)
        return err_set(err, ERR_CONFLICT, "this copy says something else than what is pending for %s", role);
    for (size_t i = 0; i < other.signature_count; i++)
        if (take_signature(repo, role, &other.signatures[i], &pending, err) < 0)
            return -1;
    return write_pending(repo, role, &pending, err);
}

static int64_t count_holding(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count,
                             const struct tuf_metadata *metadata)
{
    struct tuf_keyset one = {.threshold = 1, .count = 1};
    int64_t holding = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct err ignored = {0};
        one.keyids = &set->keyids[i];
        holding += tuf_verify(&one, keys, key_count, metadata, TRUST_TARGETS_SIGNATURES, "", &ignored) == 0;
    }
    return holding;
}

struct counting {
    const struct tuf_metadata *pending;
    struct repo_signatures *out;
};

static int count_set(const struct tuf_keyset *set, const struct tuf_key *keys, size_t key_count, void *arg)
{
    struct counting *counting = arg;
    counting->out->have = count_holding(set, keys, key_count, counting->pending);
    counting->out->need = set->threshold;
    return 0;
}

int repo_count_signatures(const struct repo *repo, const char *role, struct repo_signatures *out,
                          struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    struct counting counting = {.pending = &pending, .out = out};
    *out = (struct repo_signatures){0};
    if (repo_pending(repo, role, &pending, err) < 0 ||
        repo_each_signers(repo, role, count_set, &counting, err) < 0)
        return -1;
    if (pending.kind != TUF_ROOT)
        return 0;
    out->before_have = out->have;
    out->before_need = out->need;
    return count_set(&pending.root.roles[TUF_ROOT], pending.root.keys, pending.root.key_count, &counting);
}

/* ---- publishing ---- */

static int check_complete(const struct repo *repo, const char *role, struct err *err)
{
    struct repo_signatures count;
    if (repo_count_signatures(repo, role, &count, err) < 0)
        return -1;
    if (count.before_have < count.before_need)
        return err_set(err, ERR_CONFLICT,
                       "%" PRId64 " of %" PRId64
                       " signatures of the keys that spoke for root before; sign it with more of them",
                       count.before_have, count.before_need);
    if (count.have < count.need || count.need == 0)
        return err_set(err, ERR_CONFLICT,
                       "%" PRId64 " of %" PRId64 " signatures of %s; sign it with more of its keys",
                       count.have, count.need, role);
    return 0;
}

static int publish_bytes(struct repo *repo, const char *role, const struct tuf_metadata *pending,
                         const void *bytes, size_t len, struct err *err)
{
    if (pending->kind == TUF_ROOT)
        return repo_check_root(repo_root(repo), pending, err) < 0
                   ? -1
                   : repo_put_root(repo, pending, bytes, len, err);
    if (repo_check_signers(repo, role, pending, err) < 0 ||
        repo_store(repo, role, pending->version, bytes, len, err) < 0)
        return -1;
    return repo_reload(repo, err);
}

int repo_publish(struct repo *repo, const char *role, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    cleanup_buf struct buf bytes = BUF_INIT(repo_max_bytes(repo_kind_of(role)));
    if (check_complete(repo, role, err) < 0 || repo_pending(repo, role, &pending, err) < 0 ||
        repo_load_bytes(repo, "pending/", role, pending.version, &bytes, err) < 0 ||
        publish_bytes(repo, role, &pending, buf_text(&bytes), bytes.len, err) < 0)
        return -1;
    cleanup_free char *path = repo_pending_path(repo, role, pending.version);
    if (path)
        unlink(path); /* one that stays is older than what is published, and looked at by nobody */
    return 0;
}
