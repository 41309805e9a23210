#include "trust/repo/inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <inttypes.h>

static int load_newest(const struct repo *repo, const char *role, struct tuf_metadata *out, bool *out_there,
                       struct err *err)
{
    int64_t version = 0;
    *out_there = false;
    if (repo_newest(repo, role, &version, err) < 0)
        return -1;
    if (version > 0 && repo_load(repo, "", role, version, out, err) < 0)
        return -1;
    *out_there = version > 0;
    return 0;
}

int repo_reload(struct repo *repo, struct err *err)
{
    struct tuf_metadata root = {0}, targets = {0};
    bool has_root = false, has_targets = false;
    if (load_newest(repo, "root", &root, &has_root, err) < 0)
        return -1;
    if (load_newest(repo, "targets", &targets, &has_targets, err) < 0) {
        tuf_metadata_fini(&root);
        return -1;
    }
    tuf_metadata_fini(&repo->root);
    tuf_metadata_fini(&repo->targets);
    repo->root = root;
    repo->targets = targets;
    repo->has_root = has_root;
    repo->has_targets = has_targets;
    return 0;
}

static int start(const char *dir, struct repo **out, struct err *err)
{
    struct repo *repo = mem_zalloc(1, sizeof *repo);
    if (!repo || !(repo->dir = mem_strdup(dir))) {
        free(repo);
        return err_no_memory(err);
    }
    *out = repo;
    return 0;
}

int repo_open(const char *dir, struct repo **out, struct err *err)
{
    cleanup_repo struct repo *repo = NULL;
    if (start(dir, &repo, err) < 0)
        return -1;
    cleanup_free char *first = repo_pending_path(repo, "root", 1);
    if (!first)
        return err_no_memory(err);
    if (file_exists(dir) && repo_reload(repo, err) < 0)
        return -1;
    if (!repo->has_root && !file_exists(first))
        return err_set(err, ERR_NOT_FOUND, "%s: no root of trust is here", dir);
    *out = TAKE_PTR(repo);
    return 0;
}

int repo_parse_root(const void *bytes, size_t len, struct tuf_metadata *out, struct err *err)
{
    if (len > repo_max_bytes(TUF_ROOT))
        return trust_refuse(err, TRUST_METADATA_SIZE, "root has %zu bytes, at most %" PRIu64 " are allowed",
                            len, repo_max_bytes(TUF_ROOT));
    if (tuf_metadata_parse(bytes, len, out, err) == 0) {
        if (out->kind == TUF_ROOT)
            return 0;
        tuf_metadata_fini(out);
        return trust_refuse(err, TRUST_METADATA_FORM, "this is no root");
    }
    struct err cause = *err;
    return cause.code == ERR_INVALID ? trust_refuse(err, TRUST_METADATA_FORM, "%s", cause.text) : -1;
}

int repo_create(const char *dir, const void *bytes, size_t len, struct repo **out, struct err *err)
{
    cleanup_repo struct repo *repo = NULL;
    cleanup_tuf_metadata struct tuf_metadata root = {0};
    if (repo_parse_root(bytes, len, &root, err) < 0 || repo_check_root(NULL, &root, err) < 0 ||
        file_make_dirs(dir, 0755, err) < 0 || start(dir, &repo, err) < 0 || repo_reload(repo, err) < 0)
        return -1;
    if (repo->has_root)
        return err_set(err, ERR_EXISTS, "%s has a root of trust already", dir);
    if (repo_put_root(repo, &root, bytes, len, err) < 0)
        return -1;
    *out = TAKE_PTR(repo);
    return 0;
}

void repo_free(struct repo *repo)
{
    tuf_metadata_fini(&repo->root);
    tuf_metadata_fini(&repo->targets);
    free(repo->dir);
    free(repo);
}

const struct tuf_metadata *repo_root(const struct repo *repo)
{
    return repo->has_root ? &repo->root : NULL;
}

const struct tuf_metadata *repo_targets(const struct repo *repo)
{
    return repo->has_targets ? &repo->targets : NULL;
}

int repo_put_root(struct repo *repo, const struct tuf_metadata *root, const void *bytes, size_t len,
                  struct err *err)
{
    repo_sweep(repo);
    if (repo_store(repo, "root", root->version, bytes, len, err) < 0 || repo_reload(repo, err) < 0)
        return -1;
    return repo->root.version == root->version ? repo_replace(repo, "root.json", bytes, len, err) : 0;
}
