/* stock_repo DIR: a repository as `muster keys`, `muster sign` and musterd make it (trust/repo), for a stock client to look at.
 *
 *     DIR/first    two of three root keys, two of three release keys (Ed25519 and P-256); releases a/1.0.0 and dir/b/2.0.0
 *     DIR/second   the same later: every role has had its keys replaced, a/1.0.0 is gone, c/3.0.0 has come
 *
 * A target's content is its own path. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/repo/repo.h"

enum { DAY_S = 86400, THRESHOLD = 2, KEYS = 3 };

struct maker {
    struct repo *repo;
    struct tuf_signer *root[KEYS], *release[KEYS], *timestamp, *snapshot;
    int64_t now_s;
};

static int make_keys(struct maker *maker, struct err *err)
{
    for (int i = 0; i < KEYS; i++) {
        enum tuf_scheme scheme = i == 1 ? TUF_ECDSA_P256 : TUF_ED25519;
        if (tuf_signer_generate(scheme, &maker->root[i], err) < 0 ||
            tuf_signer_generate(scheme, &maker->release[i], err) < 0)
            return -1;
    }
    if (tuf_signer_generate(TUF_ED25519, &maker->timestamp, err) < 0)
        return -1;
    return tuf_signer_generate(TUF_ED25519, &maker->snapshot, err);
}

static int publish(struct maker *maker, const char *role, struct tuf_signer *const *keys, size_t count,
                   struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (repo_sign_pending(maker->repo, role, keys[i], err) < 0)
            return -1;
    return repo_publish(maker->repo, role, err);
}

static int found(struct maker *maker, const char *dir, struct err *err)
{
    const struct tuf_key *root[KEYS], *release[KEYS];
    for (int i = 0; i < KEYS; i++) {
        root[i] = tuf_signer_public(maker->root[i]);
        release[i] = tuf_signer_public(maker->release[i]);
    }
    const struct tuf_key *timestamp = tuf_signer_public(maker->timestamp),
                         *snapshot = tuf_signer_public(maker->snapshot);
    const struct repo_plan plan = {.fleet = "interop-0001",
                                   .root = {root, KEYS, THRESHOLD},
                                   .targets = {release, KEYS, THRESHOLD},
                                   .timestamp = {&timestamp, 1, 1},
                                   .snapshot = {&snapshot, 1, 1},
                                   .root_expires_s = maker->now_s + 365 * DAY_S,
                                   .targets_expires_s = maker->now_s + 90 * DAY_S};
    if (repo_init(dir, &plan, err) < 0 || repo_open(dir, &maker->repo, err) < 0)
        return -1;
    return publish(maker, "root", maker->root, THRESHOLD, err);
}

static int set(struct tuf_metadata *edit, const char *path, struct err *err)
{
    struct digest digest = hash_bytes(path, strlen(path));
    return repo_set_target(edit, path, strlen(path), &digest, "{\"note\":\"\xc3\xa9 \\\"quoted\\\"\"}", err);
}

static int release(struct maker *maker, const char *const *add, const char *gone, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    if (repo_edit_targets(maker->repo, "targets", &edit, err) < 0)
        return -1;
    for (; *add; add++)
        if (set(&edit, *add, err) < 0)
            return -1;
    if (gone && repo_remove_target(&edit, gone, err) < 0)
        return -1;
    if (repo_put_pending(maker->repo, "targets", &edit, err) < 0)
        return -1;
    return publish(maker, "targets", maker->release, THRESHOLD, err);
}

static int freshen(struct maker *maker, struct err *err)
{
    const struct repo_online online = {.snapshot = maker->snapshot,
                                       .timestamp = maker->timestamp,
                                       .snapshot_valid_s = 7 * DAY_S,
                                       .timestamp_valid_s = DAY_S,
                                       .margin_s = DAY_S / 2};
    bool changed;
    return repo_freshen(maker->repo, &online, maker->now_s, &changed, err);
}

static int rotate(struct maker *maker, const char *role, struct tuf_signer **slot, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct tuf_signer *old = *slot;
    struct tuf_signer *signers[] = {maker->root[0], maker->root[1], NULL};
    size_t count = 2;
    if (tuf_signer_generate(TUF_ED25519, slot, err) < 0 || repo_edit_root(maker->repo, &edit, err) < 0)
        return -1;
    if (str_eq(role, "root"))
        signers[count++] = *slot;
    int rc = repo_remove_key(&edit, role, tuf_signer_public(old)->id, err);
    if (rc == 0)
        rc = repo_add_key(&edit, role, tuf_signer_public(*slot), err);
    if (rc == 0)
        rc = repo_put_pending(maker->repo, "root", &edit, err);
    if (rc == 0)
        rc = publish(maker, "root", signers, count, err);
    tuf_signer_free(old);
    return rc;
}

struct copy {
    const char *from, *to;
    struct err *err;
};

static int copy_one(const char *name, void *arg)
{
    struct copy *copy = arg;
    cleanup_free char *from = file_join(copy->from, name), *to = file_join(copy->to, name);
    cleanup_buf struct buf bytes = BUF_INIT(5000000);
    if (!str_ends(name, ".json"))
        return 0;
    if (!from || !to || file_read(from, &bytes, copy->err) < 0)
        return -1;
    return file_create(to, buf_text(&bytes), bytes.len, 0644, copy->err);
}

static int snapshot_as(const char *dir, const char *name, struct err *err)
{
    cleanup_free char *from = file_join(dir, "repo"), *to = file_join(dir, name);
    if (!from || !to)
        return err_no_memory(err);
    struct copy copy = {from, to, err};
    if (file_make_dirs(to, 0755, err) < 0)
        return -1;
    return file_list(from, copy_one, &copy, err);
}

static int later(struct maker *maker, struct err *err)
{
    if (rotate(maker, "root", &maker->root[2], err) < 0 || rotate(maker, "root", &maker->root[0], err) < 0)
        return -1;
    if (rotate(maker, "targets", &maker->release[0], err) < 0 ||
        rotate(maker, "timestamp", &maker->timestamp, err) < 0)
        return -1;
    if (rotate(maker, "snapshot", &maker->snapshot, err) < 0)
        return -1;
    if (release(maker, (const char *const[]){"c/3.0.0", NULL}, "a/1.0.0", err) < 0)
        return -1;
    return freshen(maker, err);
}

static int make(const char *dir, struct maker *maker, struct err *err)
{
    cleanup_free char *repo = file_join(dir, "repo");
    if (!repo || make_keys(maker, err) < 0 || found(maker, repo, err) < 0)
        return -1;
    if (publish(maker, "targets", maker->release, THRESHOLD, err) < 0)
        return -1;
    if (release(maker, (const char *const[]){"a/1.0.0", "dir/b/2.0.0", NULL}, NULL, err) < 0 ||
        freshen(maker, err) < 0)
        return -1;
    if (snapshot_as(dir, "first", err) < 0 || later(maker, err) < 0)
        return -1;
    return snapshot_as(dir, "second", err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct maker maker = {.now_s = clock_wall_ms() / 1000};
    if (argc != 2) {
        fprintf(stderr, "usage: stock_repo DIR\n");
        return 2;
    }
    int rc = make(argv[1], &maker, &err);
    if (rc < 0)
        fprintf(stderr, "stock_repo: %s\n", err.text);
    for (int i = 0; i < KEYS; i++) {
        tuf_signer_free(maker.root[i]);
        tuf_signer_free(maker.release[i]);
    }
    tuf_signer_free(maker.timestamp);
    tuf_signer_free(maker.snapshot);
    repo_free(maker.repo);
    return rc < 0;
}
