/* For the tests of this room: a fleet's keys, a workstation's repository, a server's, and a robot that asks the server. */
#ifndef MUSTER_TRUST_REPO_FLEET_TESTING_H
#define MUSTER_TRUST_REPO_FLEET_TESTING_H

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/repo/repo.h"
#include "trust/rule.h"
#include "trust/tuf/shelf.h"

#include <unistd.h>

enum { NOW = 1800000000, DAY = 86400 };

struct fleet {
    char base[32], station_dir[64], server_dir[64];
    struct tuf_signer *root[3], *release[3], *timestamp, *snapshot, *director;
    struct repo *station, *server;
    int64_t now_s;
};

static inline struct tuf_signer *new_key(void)
{
    struct err err = {0};
    struct tuf_signer *key = NULL;
    assert_ok(tuf_signer_generate(TUF_ED25519, &key, &err), err);
    return key;
}

static inline void sign_and_publish(struct repo *repo, const char *role, struct tuf_signer *const *keys,
                                    size_t count)
{
    struct err err = {0};
    for (size_t i = 0; i < count; i++)
        assert_ok(repo_sign_pending(repo, role, keys[i], &err), err);
    assert_ok(repo_publish(repo, role, &err), err);
}

/* Offline keys: `threshold` of three. */
static inline void fleet_make(struct fleet *fleet, int64_t threshold)
{
    struct err err = {0};
    *fleet = (struct fleet){.now_s = NOW};
    snprintf(fleet->base, sizeof fleet->base, "%s/muster-repo-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* it syncs all the time */
    assert_non_null(mkdtemp(fleet->base));
    snprintf(fleet->station_dir, sizeof fleet->station_dir, "%s/station", fleet->base);
    snprintf(fleet->server_dir, sizeof fleet->server_dir, "%s/server", fleet->base);
    for (int i = 0; i < 3; i++) {
        fleet->root[i] = new_key();
        fleet->release[i] = new_key();
    }
    fleet->timestamp = new_key();
    fleet->snapshot = new_key();
    fleet->director = new_key();
    const struct tuf_key *root[3], *release[3];
    for (int i = 0; i < 3; i++) {
        root[i] = tuf_signer_public(fleet->root[i]);
        release[i] = tuf_signer_public(fleet->release[i]);
    }
    const struct tuf_key *timestamp = tuf_signer_public(fleet->timestamp),
                         *snapshot = tuf_signer_public(fleet->snapshot),
                         *director = tuf_signer_public(fleet->director);
    const struct repo_plan plan = {.fleet = "warehouse-5f0c",
                                   .root = {root, 3, threshold},
                                   .targets = {release, 3, threshold},
                                   .timestamp = {&timestamp, 1, 1},
                                   .snapshot = {&snapshot, 1, 1},
                                   .director = {&director, 1, 1},
                                   .root_expires_s = NOW + 365 * DAY,
                                   .targets_expires_s = NOW + 90 * DAY};
    assert_ok(repo_init(fleet->station_dir, &plan, &err), err);
    assert_ok(repo_open(fleet->station_dir, &fleet->station, &err), err);
}

/* … with the first root and targets published, and a server that has them. */
static inline void fleet_found(struct fleet *fleet, int64_t threshold)
{
    struct err err = {0};
    cleanup_buf struct buf root = BUF_INIT(512000);
    fleet_make(fleet, threshold);
    sign_and_publish(fleet->station, "root", fleet->root, (size_t)threshold);
    sign_and_publish(fleet->station, "targets", fleet->release, (size_t)threshold);
    assert_ok(repo_read(fleet->station, "1.root.json", &root, &err), err);
    assert_ok(repo_create(fleet->server_dir, buf_text(&root), root.len, &fleet->server, &err), err);
}

static inline void fleet_end(struct fleet *fleet)
{
    struct err err = {0};
    for (int i = 0; i < 3; i++) {
        tuf_signer_free(fleet->root[i]);
        tuf_signer_free(fleet->release[i]);
    }
    tuf_signer_free(fleet->timestamp);
    tuf_signer_free(fleet->snapshot);
    tuf_signer_free(fleet->director);
    if (fleet->station)
        repo_free(fleet->station);
    if (fleet->server)
        repo_free(fleet->server);
    assert_ok(file_remove_tree(fleet->base, &err), err);
}

static inline int freshen(struct fleet *fleet, bool *out_changed, struct err *err)
{
    const struct repo_online online = {.snapshot = fleet->snapshot,
                                       .timestamp = fleet->timestamp,
                                       .snapshot_valid_s = 7 * DAY,
                                       .timestamp_valid_s = DAY,
                                       .margin_s = DAY / 2};
    return repo_freshen(fleet->server, &online, fleet->now_s, out_changed, err);
}

/* Sends what the workstation has published, as `muster push` does. */
static inline int push(struct fleet *fleet, const char *role, int64_t version, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(5000000);
    char name[96];
    snprintf(name, sizeof name, "%d.%s.json", (int)version, role);
    assert_ok(repo_read(fleet->station, name, &bytes, err), *err);
    return repo_take(fleet->server, role, buf_text(&bytes), bytes.len, fleet->now_s, err);
}

static inline void push_all(struct fleet *fleet)
{
    struct err err = {0};
    bool changed = false;
    for (int64_t v = 1; v <= repo_root(fleet->station)->version; v++)
        assert_ok(push(fleet, "root", v, &err), err);
    assert_ok(push(fleet, "targets", repo_targets(fleet->station)->version, &err), err);
    assert_ok(freshen(fleet, &changed, &err), err);
}

/* A robot: trusts root `anchor` of the workstation. */
static inline struct tuf_shelf *robot_new(struct fleet *fleet, int anchor)
{
    struct err err = {0};
    cleanup_buf struct buf root = BUF_INIT(512000);
    char name[96];
    struct tuf_shelf *shelf = tuf_shelf_memory();
    snprintf(name, sizeof name, "%d.root.json", anchor);
    assert_ok(repo_read(fleet->station, name, &root, &err), err);
    assert_ok(tuf_trust(shelf, buf_text(&root), root.len, &err), err);
    return shelf;
}

/* … which looks for a target (NULL: only refreshes) at the server. 0, or -1 with the refusal. */
static inline int robot_asks(struct fleet *fleet, struct tuf_shelf *shelf, const char *path,
                             struct digest *out_sha256, struct err *err)
{
    const struct tuf_update_options options = {.shelf = shelf, .now_s = fleet->now_s};
    cleanup_tuf_update struct tuf_update *update = NULL;
    struct tuf_want want;
    enum tuf_step step;
    if (tuf_update_new(&options, &update, err) < 0)
        return -1;
    if (path)
        tuf_update_seek(update, path);
    else
        tuf_update_refresh(update);
    while ((step = tuf_update_step(update, &want, err)) == TUF_WANT) {
        cleanup_buf struct buf bytes = BUF_INIT(5000001);
        struct err missing = {0};
        if (repo_read(fleet->server, want.name, &bytes, &missing) < 0)
            tuf_update_lack(update);
        else
            tuf_update_give(update, buf_text(&bytes), bytes.len);
    }
    if (step == TUF_FAILED)
        return -1;
    if (path && out_sha256)
        memcpy(out_sha256->bytes, tuf_update_target(update)->hashes.sha256, 32);
    return 0;
}

/* The workstation's next targets, with one release more. */
static inline void release(struct fleet *fleet, const char *path, const char *content, size_t keys)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct digest digest = hash_bytes(content, strlen(content));
    assert_ok(repo_edit_targets(fleet->station, "targets", &edit, &err), err);
    assert_ok(repo_set_target(&edit, path, strlen(content), &digest,
                              "{\"muster\": {\"kind\": \"release\", \"fleet\": \"warehouse-5f0c\"}}", &err),
              err);
    assert_ok(repo_put_pending(fleet->station, "targets", &edit, &err), err);
    sign_and_publish(fleet->station, "targets", fleet->release, keys);
}

#endif
