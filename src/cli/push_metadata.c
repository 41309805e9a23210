#include "cli/push.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/grant.h"
#include "wire/terms.h"

#include <inttypes.h>

enum { METADATA_MAX = 5000000 };

static int server_has(struct push *push, const char *name, bool *out, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/tuf/%s", name);
    cleanup_buf struct buf answer = BUF_INIT(METADATA_MAX);
    if (!path)
        return err_no_memory(err);
    *out = client_download(push->client, path, &answer, err) == 0;
    if (*out || err->code != ERR_NOT_FOUND)
        return *out ? 0 : -1;
    *err = (struct err){0};
    return 0;
}

static int send_metadata(struct push *push, const char *role, const char *name, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/tuf/%s", role);
    cleanup_buf struct buf bytes = BUF_INIT(METADATA_MAX);
    if (!path)
        return err_no_memory(err);
    if (repo_read(push->station.repo, name, &bytes, err) < 0)
        return -1;
    if (client_call(push->client, "POST", path, buf_text(&bytes), NULL, err) < 0)
        return err_prefix(err, "%s", name);
    push->metadata_sent++;
    return 0;
}

static int push_root(struct push *push, int64_t version, bool *out_there, struct err *err)
{
    char name[48];
    snprintf(name, sizeof name, "%" PRId64 ".root.json", version);
    if (server_has(push, name, out_there, err) < 0)
        return -1;
    return *out_there ? 0 : send_metadata(push, "root", name, err);
}

/* From the newest that the server has forwards; and, for robots that were off for long, those before its first one backwards. */
static int push_roots(struct push *push, struct err *err)
{
    int64_t newest = repo_root(push->station.repo)->version, known = newest;
    for (bool there = false; known > 1 && !there; known -= !there) {
        char name[48];
        snprintf(name, sizeof name, "%" PRId64 ".root.json", known);
        if (server_has(push, name, &there, err) < 0)
            return -1;
    }
    bool there = false;
    for (int64_t version = known; version <= newest; version++)
        if (push_root(push, version, &there, err) < 0)
            return -1;
    there = false;
    for (int64_t version = known - 1; version > 0 && !there; version--)
        if (push_root(push, version, &there, err) < 0)
            return -1;
    return 0;
}

/* The operators' keyring is fetched by robots like a release's files. */
static int push_operators(struct push *push, const struct tuf_metadata *targets, struct err *err)
{
    const struct tuf_target *target = tuf_metadata_target(targets, TERMS_OPERATORS_PATH);
    cleanup_free char *file = file_join(push->station.dir, "operators.json");
    struct digest named, there;
    uint64_t size = 0;
    if (!target)
        return 0;
    if (!file)
        return err_no_memory(err);
    memcpy(named.bytes, target->hashes.sha256, sizeof named.bytes);
    if (hash_file(file, &there, &size, err) < 0)
        return -1;
    if (!digest_equal(&named, &there))
        return err_set(err, ERR_CORRUPT,
                       "%s is not the keyring that targets %" PRId64
                       " name; make it so with muster keys operator or revoke",
                       file, targets->version);
    return push_file(push, &named, size, file, err);
}

/* One target that lies beside the keys: grants of a sealed release. What another workstation has sent is there already. */
static int push_grants_of(struct push *push, const struct tuf_target *target, struct err *err)
{
    cleanup_free char *file = mem_printf("%s/%s", push->station.dir, target->path + strlen("muster/"));
    struct digest named, there;
    uint64_t size = 0;
    bool on_server = false;
    if (!file)
        return err_no_memory(err);
    memcpy(named.bytes, target->hashes.sha256, sizeof named.bytes);
    cleanup_free char *path = mem_printf("/api/v1/blobs/%s", digest_format(&named).text);
    if (!path)
        return err_no_memory(err);
    if (client_has(push->client, path, &on_server, err) < 0)
        return -1;
    if (on_server)
        return 0;
    if (!str_is_safe_path(target->path) || hash_file(file, &there, &size, err) < 0 ||
        !digest_equal(&named, &there))
        return err_set(err, ERR_CORRUPT,
                       "%s is not the grants that targets name; grant anew with muster grant", file);
    return push_file(push, &named, size, file, err);
}

static int push_grants(struct push *push, const struct tuf_metadata *targets, struct err *err)
{
    for (size_t i = 0; i < targets->targets.count; i++) {
        const struct tuf_target *target = &targets->targets.targets[i];
        if (str_starts(target->path, GRANTS_PATH_PREFIX) && push_grants_of(push, target, err) < 0)
            return -1;
    }
    return 0;
}

int push_metadata(struct push *push, struct err *err)
{
    const struct tuf_metadata *targets = repo_targets(push->station.repo);
    char name[48];
    bool there = false;
    if (!repo_root(push->station.repo) || !targets)
        return err_set(err, ERR_CONFLICT,
                       "root or targets of %s are not published yet; muster keys list shows what is missing",
                       push->station.dir);
    snprintf(name, sizeof name, "%" PRId64 ".targets.json", targets->version);
    if (push_roots(push, err) < 0 || push_operators(push, targets, err) < 0 ||
        push_grants(push, targets, err) < 0 || server_has(push, name, &there, err) < 0)
        return -1;
    return there ? 0 : send_metadata(push, "targets", name, err);
}
