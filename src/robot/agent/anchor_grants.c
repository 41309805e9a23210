/* Grants of sealed releases (docs/confidential.md): of the release that is sought and of those that the store holds, what the offline targets name
 * is fetched into STATE_DIR/grants/HEX.json, and fetched anew when they name another one. Only the top-level targets count: nobody who was
 * delegated to can grant. That a server does not give one fails no update; the release does not run then, and says why. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "robot/agent/anchor_inside.h"
#include "robot/agent/sealed.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/grant.h"

#include <sys/stat.h>

enum { DAY_S = 24 * 3600 };

struct named { /* what one target of the kind is about */
    const struct tuf_target *target;
    struct digest release;
};

static bool digest_of(const struct tuf_target *target, struct digest *out)
{
    if (!target || !target->hashes.has_sha256)
        return false;
    memcpy(out->bytes, target->hashes.sha256, sizeof out->bytes);
    return true;
}

/* "muster/grants/detector/2.0.0.json" → "detector/2.0.0" */
static bool release_path(const char *path, char out[160])
{
    size_t prefix = strlen(GRANTS_PATH_PREFIX), suffix = strlen(".json"), len = strlen(path);
    if (!str_starts(path, GRANTS_PATH_PREFIX) || !str_ends(path, ".json") || len <= prefix + suffix ||
        len - prefix - suffix >= 160)
        return false;
    memcpy(out, path + prefix, len - prefix - suffix);
    out[len - prefix - suffix] = '\0';
    return true;
}

static bool is_in_store(const struct anchor *anchor, const struct digest *release)
{
    cleanup_free char *path = image_blob_path(anchor->options.layout, release);
    return path && file_exists(path);
}

/* Whether this robot has any use for it. */
static bool is_wanted(const struct anchor *anchor, const struct tuf_metadata *targets, struct named *named)
{
    char path[160];
    const struct tuf_target *sought = tuf_update_target(anchor->update);
    if (!release_path(named->target->path, path) || named->target->length > GRANTS_MAX_BYTES)
        return false;
    if (sought && str_eq(sought->path, path))
        return digest_of(sought, &named->release);
    return digest_of(tuf_metadata_target(targets, path), &named->release) &&
           is_in_store(anchor, &named->release);
}

static bool is_here(const struct anchor *anchor, const struct named *named)
{
    struct err ignored = {0};
    struct digest have, want;
    uint64_t size = 0;
    cleanup_free char *path = sealed_grants_path(anchor->options.grants, &named->release);
    return path && digest_of(named->target, &want) && file_exists(path) &&
           hash_file(path, &have, &size, &ignored) == 0 && digest_equal(&have, &want);
}

static int keep(const struct anchor *anchor, const struct named *named, const struct buf *body,
                struct err *err)
{
    struct digest have = hash_bytes(body->data, body->len), want;
    cleanup_free char *path = sealed_grants_path(anchor->options.grants, &named->release);
    if (!path)
        return err_no_memory(err);
    if (!digest_of(named->target, &want) || body->len != named->target->length || !digest_equal(&have, &want))
        return err_set(err, ERR_CORRUPT, "it is not the one that was released");
    if (file_make_dirs(anchor->options.grants, 0700, err) < 0)
        return -1;
    return file_replace(path, body->data, body->len, 0600, err);
}

/* The next one from anchor->grant on that is wanted and not here. */
static bool next(struct anchor *anchor, struct named *out)
{
    const struct tuf_metadata *targets = tuf_update_role(anchor->update, "targets");
    for (; targets && anchor->grant < targets->targets.count; anchor->grant++) {
        *out = (struct named){.target = &targets->targets.targets[anchor->grant]};
        if (str_starts(out->target->path, GRANTS_PATH_PREFIX) && is_wanted(anchor, targets, out) &&
            !is_here(anchor, out))
            return true;
    }
    return false;
}

/* Of releases that left the store a day ago: one that is being fetched is not there yet either. */
static int sweep_one(const char *name, void *arg)
{
    const struct anchor *anchor = arg;
    char text[80];
    struct digest release;
    struct stat st;
    snprintf(text, sizeof text, "sha256:%.64s", name);
    if (!str_ends(name, ".json") || !digest_parse(text, &release) || is_in_store(anchor, &release))
        return 0;
    cleanup_free char *path = file_join(anchor->options.grants, name);
    if (path && stat(path, &st) == 0 && st.st_mtime < clock_wall_ms() / 1000 - DAY_S)
        unlink(path);
    return 0;
}

static void sweep(struct anchor *anchor)
{
    struct err ignored = {0};
    if (anchor->options.grants && file_exists(anchor->options.grants) &&
        file_list(anchor->options.grants, sweep_one, anchor, &ignored) < 0)
        log_warn("grants: %s", ignored.text);
}

static void on_grants(const struct fetch_response *response, void *arg)
{
    struct anchor *anchor = arg;
    struct named named;
    struct err err = response->err;
    anchor->transfer = 0;
    if (!next(anchor, &named)) { /* cannot be: nothing has changed since it was asked for */
        anchor_over(anchor, NULL);
        return;
    }
    if (err.code == ERR_NONE && keep(anchor, &named, &response->body, &err) == 0)
        log_info("grants: %s", named.target->path);
    else
        log_warn("grants: %s: %s", named.target->path, err.text);
    anchor->grant++;
    anchor_fetch_grants(anchor);
}

void anchor_fetch_grants(struct anchor *anchor)
{
    struct named named;
    struct digest digest;
    struct err err = {0};
    char path[128];
    while (anchor->options.grants && next(anchor, &named)) {
        (void)digest_of(named.target, &digest);
        snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
        if (anchor_get(anchor, path, named.target->length, on_grants, &err) == 0)
            return;
        log_warn("grants: %s: %s", named.target->path, err.text);
        anchor->grant++;
    }
    sweep(anchor);
    anchor_over(anchor, NULL);
}
