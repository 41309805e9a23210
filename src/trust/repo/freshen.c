/* The online roles: snapshot names the newest version of every role, timestamp names the snapshot. */
#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/tuf/format.h"

#include <inttypes.h>

struct freshen {
    struct repo *repo;
    int64_t now_s, margin_s;
    bool changed;
};

/* ---- what is there ---- */

static bool still_good(const struct freshen *f, const struct tuf_metadata *there,
                       const struct tuf_metadata *wanted)
{
    struct err ignored = {0};
    if (there->meta.count != wanted->meta.count || there->expires_s <= f->now_s + f->margin_s)
        return false;
    for (size_t i = 0; i < wanted->meta.count; i++) {
        const struct tuf_file *want = &wanted->meta.files[i], *is = tuf_metadata_file(there, want->name);
        if (!is || is->version != want->version || is->length != want->length || !is->hashes.has_sha256 ||
            memcmp(is->hashes.sha256, want->hashes.sha256, sizeof is->hashes.sha256) != 0)
            return false;
    }
    return repo_check_signers(f->repo, tuf_kind_name(there->kind), there, &ignored) == 0;
}

/* Adds "ROLE.json" with the bytes of a version of it. */
static int add_file(struct tuf_metadata *metadata, const char *role, int64_t version, const void *bytes,
                    size_t len, struct err *err)
{
    struct tuf_file *grown = mem_grow(metadata->meta.files, metadata->meta.count + 1, sizeof *grown);
    char *name = grown ? mem_printf("%s.json", role) : NULL;
    metadata->meta.files = grown ? grown : metadata->meta.files;
    if (!name)
        return err_no_memory(err);
    struct digest digest = hash_bytes(bytes, len);
    struct tuf_file file = {.name = name, .version = version, .has_length = true, .length = len};
    file.hashes.has_sha256 = true;
    memcpy(file.hashes.sha256, digest.bytes, sizeof digest.bytes);
    grown[metadata->meta.count++] = file;
    return 0;
}

static int add_role(const struct freshen *f, struct tuf_metadata *snapshot,
                    const struct repo_role_version *role, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(repo_max_bytes(TUF_TARGETS));
    if (repo_kind_of(role->role) != TUF_TARGETS)
        return 0;
    if (repo_load_bytes(f->repo, "", role->role, role->version, &bytes, err) < 0)
        return -1;
    return add_file(snapshot, role->role, role->version, buf_text(&bytes), bytes.len, err);
}

/* What a snapshot of now would name. */
static int survey(const struct freshen *f, struct tuf_metadata *snapshot, struct err *err)
{
    cleanup_repo_listing struct repo_listing all = {0};
    if (repo_list(f->repo->dir, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        if (add_role(f, snapshot, &all.items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- making one ---- */

/* Signed, and taken back by the very check of a client: a key that root does not name signs nothing here. */
static char *make(const struct freshen *f, struct tuf_metadata *metadata, const struct tuf_signer *signer,
                  struct err *err)
{
    struct tuf_signature signature = {0};
    metadata->signed_text = tuf_signed_format(metadata, &metadata->signed_len, err);
    if (!metadata->signed_text ||
        tuf_signer_sign(signer, metadata->signed_text, metadata->signed_len, &signature, err) < 0)
        return NULL;
    metadata->signatures = mem_dup(&signature, sizeof signature);
    metadata->signature_count = 1;
    if (!metadata->signatures) {
        free(signature.keyid);
        free(signature.sig);
        metadata->signature_count = 0;
        err_no_memory(err);
        return NULL;
    }
    const char *role = tuf_kind_name(metadata->kind);
    if (repo_check_signers(f->repo, role, metadata, err) == 0)
        return tuf_envelope_format(metadata, err);
    *err = (struct err){0};
    err_set(err, ERR_CONFLICT,
            "root does not name the server's %s key %.16s…; give root the server's new online.json with "
            "muster keys rotate %s",
            role, signature.keyid, role);
    return NULL;
}

/* The newest snapshot is kept if it says what is so. *out: the bytes of the one that counts. */
static int freshen_snapshot(struct freshen *f, const struct repo_online *online, int64_t *out_version,
                            struct buf *out, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata there = {0}, next = {.kind = TUF_SNAPSHOT};
    struct err ignored = {0};
    if (repo_newest(f->repo, "snapshot", out_version, err) < 0 || survey(f, &next, err) < 0)
        return -1;
    if (*out_version > 0 && repo_load(f->repo, "", "snapshot", *out_version, &there, &ignored) == 0 &&
        still_good(f, &there, &next))
        return repo_load_bytes(f->repo, "", "snapshot", *out_version, out, err);
    next.version = ++*out_version;
    next.expires_s = f->now_s + online->snapshot_valid_s;
    cleanup_free char *text = make(f, &next, online->snapshot, err);
    if (!text || buf_puts(out, text, err) < 0)
        return -1;
    repo_sweep(f->repo);
    if (repo_store(f->repo, "snapshot", next.version, text, strlen(text), err) < 0)
        return -1;
    f->changed = true;
    return 0;
}

static bool load_timestamp(const struct freshen *f, struct tuf_metadata *out)
{
    cleanup_buf struct buf bytes = BUF_INIT(repo_max_bytes(TUF_TIMESTAMP));
    struct err ignored = {0};
    return repo_read(f->repo, "timestamp.json", &bytes, &ignored) == 0 &&
           tuf_metadata_parse(buf_text(&bytes), bytes.len, out, &ignored) == 0 && out->kind == TUF_TIMESTAMP;
}

/* One that was lost had a version that nobody knows any more; the time is beyond it. */
static int64_t next_timestamp(const struct freshen *f, bool there, const struct tuf_metadata *timestamp,
                              int64_t snapshot_version)
{
    if (there)
        return timestamp->version + 1;
    return snapshot_version > 1 ? MAX(f->now_s, snapshot_version) : 1;
}

static int freshen_timestamp(struct freshen *f, const struct repo_online *online, int64_t snapshot_version,
                             const struct buf *snapshot, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata there = {0}, next = {.kind = TUF_TIMESTAMP};
    bool is_there = load_timestamp(f, &there);
    if (add_file(&next, "snapshot", snapshot_version, buf_text(snapshot), snapshot->len, err) < 0)
        return -1;
    if (is_there && still_good(f, &there, &next))
        return 0;
    next.version = next_timestamp(f, is_there, &there, snapshot_version);
    next.expires_s = f->now_s + online->timestamp_valid_s;
    next.issued_s = f->now_s;
    cleanup_free char *text = make(f, &next, online->timestamp, err);
    if (!text || repo_replace(f->repo, "timestamp.json", text, strlen(text), err) < 0)
        return -1;
    f->changed = true;
    return 0;
}

int repo_freshen(struct repo *repo, const struct repo_online *online, int64_t now_s, bool *out_changed,
                 struct err *err)
{
    struct freshen f = {.repo = repo, .now_s = now_s, .margin_s = online->margin_s};
    cleanup_buf struct buf snapshot = BUF_INIT(repo_max_bytes(TUF_SNAPSHOT));
    int64_t version = 0;
    *out_changed = false;
    if (!repo->has_targets)
        return 0;
    if (freshen_snapshot(&f, online, &version, &snapshot, err) < 0 ||
        freshen_timestamp(&f, online, version, &snapshot, err) < 0)
        return -1;
    *out_changed = f.changed;
    return 0;
}
