#include "base/testing.h"

#include "fleet/testing/desk.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/approval.h"

#include <inttypes.h>
#include <string.h>

enum { DAY_S = 86400, MAX_BYTES = 5000000 };

static struct tuf_signer *new_key(void)
{
    struct err err = {0};
    struct tuf_signer *key = NULL;
    assert_ok(tuf_signer_generate(TUF_ED25519, &key, &err), err);
    return key;
}

static void publish(struct desk *desk, const char *role, const struct tuf_signer *signer)
{
    struct err err = {0};
    assert_ok(repo_sign_pending(desk->repo, role, signer, &err), err);
    assert_ok(repo_publish(desk->repo, role, &err), err);
}

static void found(struct desk *desk, const char *online_json)
{
    struct err err = {0};
    int64_t now_s = clock_wall_ms() / 1000;
    cleanup_online_public struct online_public online = {0};
    const struct tuf_key *root = tuf_signer_public(desk->root), *release = tuf_signer_public(desk->release);
    const struct tuf_key *keys[ONLINE_ROLES];
    assert_ok(online_public_load(online_json, &online, &err), err);
    for (int i = 0; i < ONLINE_ROLES; i++)
        keys[i] = &online.keys[i];
    const struct repo_plan plan = {.fleet = DESK_FLEET,
                                   .root = {&root, 1, 1},
                                   .targets = {&release, 1, 1},
                                   .timestamp = {&keys[ONLINE_TIMESTAMP], 1, 1},
                                   .snapshot = {&keys[ONLINE_SNAPSHOT], 1, 1},
                                   .director = {&keys[ONLINE_DIRECTOR], 1, 1},
                                   .audit = {&keys[ONLINE_AUDIT], 1, 1},
                                   .root_expires_s = now_s + 365 * DAY_S,
                                   .targets_expires_s = now_s + 90 * DAY_S};
    assert_ok(repo_init(desk->dir, &plan, &err), err);
    assert_ok(repo_open(desk->dir, &desk->repo, &err), err);
    publish(desk, "root", desk->root);
    publish(desk, "targets", desk->release);
}

void desk_open(struct desk *desk, const char *scratch, const char *online_json)
{
    struct err err = {0};
    size_t len;
    *desk = (struct desk){.root = new_key(), .release = new_key()};
    snprintf(desk->dir, sizeof desk->dir, "%s/metadata", scratch);
    snprintf(desk->root_file, sizeof desk->root_file, "%s/root.json", scratch);
    for (int i = 0; i < DESK_OPERATORS; i++)
        assert_ok(signing_key_generate(&desk->operators[i], &err), err);
    found(desk, online_json);
    cleanup_free char *root = desk_read(desk, "root", 1, &len);
    assert_ok(file_replace(desk->root_file, root, len, 0644, &err), err);
}

void desk_close(struct desk *desk)
{
    tuf_signer_free(desk->root);
    tuf_signer_free(desk->release);
    for (int i = 0; i < DESK_OPERATORS; i++)
        signing_key_free(desk->operators[i]);
    repo_free(desk->repo);
}

char *desk_read(const struct desk *desk, const char *role, int64_t version, size_t *out_len)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(MAX_BYTES);
    char name[96];
    snprintf(name, sizeof name, "%" PRId64 ".%s.json", version, role);
    assert_ok(repo_read(desk->repo, name, &bytes, &err), err);
    *out_len = bytes.len;
    return buf_take(&bytes);
}

/* ---- targets ---- */

static int64_t put_targets(struct desk *desk, struct tuf_metadata *edit)
{
    struct err err = {0};
    int64_t version = edit->version;
    assert_ok(repo_put_pending(desk->repo, "targets", edit, &err), err);
    publish(desk, "targets", desk->release);
    return version;
}

static void edit_targets(struct desk *desk, struct tuf_metadata *edit)
{
    struct err err = {0};
    assert_ok(repo_edit_targets(desk->repo, "targets", edit, &err), err);
}

int64_t desk_set(struct desk *desk, const char *path, uint64_t length, const struct digest *digest,
                 const char *custom)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    edit_targets(desk, &edit);
    assert_ok(repo_set_target(&edit, path, length, digest, custom, &err), err);
    return put_targets(desk, &edit);
}

int64_t desk_release(struct desk *desk, const char *name, const char *version, const struct digest *digest,
                     uint64_t length, const struct terms *terms)
{
    struct terms own = terms ? *terms : (struct terms){.kind = TERMS_RELEASE};
    char path[160];
    if (!own.fleet[0])
        str_copy(own.fleet, sizeof own.fleet, DESK_FLEET);
    snprintf(path, sizeof path, "%s/%s", name, version);
    cleanup_free char *custom = terms_format(&own);
    return desk_set(desk, path, length, digest, custom);
}

int64_t desk_drop(struct desk *desk, const char *path)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    edit_targets(desk, &edit);
    assert_ok(repo_remove_target(&edit, path, &err), err);
    return put_targets(desk, &edit);
}

/* ---- root ---- */

static void edit_root(struct desk *desk, struct tuf_metadata *edit)
{
    struct err err = {0};
    assert_ok(repo_edit_root(desk->repo, edit, &err), err);
}

static int64_t put_root(struct desk *desk, struct tuf_metadata *edit)
{
    struct err err = {0};
    int64_t version = edit->version;
    assert_ok(repo_put_pending(desk->repo, "root", edit, &err), err);
    publish(desk, "root", desk->root);
    return version;
}

int64_t desk_expires(struct desk *desk, const char *role, int64_t expires_s)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    bool root = str_eq(role, "root");
    if (root)
        edit_root(desk, &edit);
    else
        edit_targets(desk, &edit);
    edit.expires_s = expires_s;
    return root ? put_root(desk, &edit) : put_targets(desk, &edit);
}

int64_t desk_rotate(struct desk *desk, enum online_role role, const struct tuf_key *old,
                    const struct tuf_key *new)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    edit_root(desk, &edit);
    assert_ok(repo_add_key(&edit, online_role_name(role), new, &err), err);
    assert_ok(repo_remove_key(&edit, online_role_name(role), old->id, &err), err);
    return put_root(desk, &edit);
}

int64_t desk_rotate_root(struct desk *desk)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct tuf_signer *old = desk->root;
    desk->root = new_key();
    edit_root(desk, &edit);
    int64_t version = edit.version;
    assert_ok(repo_add_key(&edit, "root", tuf_signer_public(desk->root), &err), err);
    assert_ok(repo_remove_key(&edit, "root", tuf_signer_public(old)->id, &err), err);
    assert_ok(repo_put_pending(desk->repo, "root", &edit, &err), err);
    assert_ok(repo_sign_pending(desk->repo, "root", old, &err), err);
    publish(desk, "root", desk->root);
    tuf_signer_free(old);
    return version;
}

/* ---- operators ---- */

const char *desk_operator_name(int index)
{
    static const char *const names[DESK_OPERATORS] = {"alice", "bob", "carol"};
    return names[index];
}

char *desk_operators(struct desk *desk, int64_t *out_version)
{
    struct err err = {0};
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    struct terms terms = {.kind = TERMS_OPERATORS, .fleet = DESK_FLEET};
    for (int i = 0; i < DESK_OPERATORS; i++) {
        struct public_key key;
        signing_key_public(desk->operators[i], &key);
        assert_ok(keyring_add(ring, &key, desk_operator_name(i), &err), err);
    }
    char *text = keyring_format(ring);
    struct digest digest = hash_bytes(text, strlen(text));
    cleanup_free char *custom = terms_format(&terms);
    *out_version = desk_set(desk, TERMS_OPERATORS_PATH, strlen(text), &digest, custom);
    return text;
}

char *desk_approve(const struct desk *desk, int index, const struct digest *release, const char *name,
                   const char *version, const struct digest *plan, int64_t now_ms)
{
    struct err err = {0};
    struct approval approval = {
        .fleet = DESK_FLEET, .release = *release, .issued_ms = now_ms, .expires_ms = now_ms + 3600000};
    str_copy(approval.name, sizeof approval.name, name);
    str_copy(approval.version, sizeof approval.version, version);
    str_copy(approval.operator_name, sizeof approval.operator_name, desk_operator_name(index));
    str_copy(approval.reason, sizeof approval.reason, "reviewed on site");
    if (plan)
        approval.plan = *plan;
    char *text = approval_sign(&approval, desk->operators[index], &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}
