/* One update: what the machine wants is fetched and given to it, then operators.json if the chain names another one than is here, then
 * grants of sealed releases. */
#include "base/log.h"
#include "robot/agent/anchor_inside.h"
#include "sys/file.h"
#include "trust/rule.h"
#include "wire/terms.h"

static void go_on(struct anchor *anchor);

void anchor_cancel(struct anchor *anchor)
{
    if (anchor->transfer)
        fetch_cancel(anchor->fetch, anchor->transfer);
    anchor->transfer = 0;
    anchor->for_question = false;
    tuf_update_free(TAKE_PTR(anchor->update));
}

int anchor_get(struct anchor *anchor, const char *path, uint64_t max_bytes, fetch_done *done, struct err *err)
{
    cleanup_free char *url = mem_printf("%s%s", anchor->server, path);
    struct fetch_request request = {
        .method = "GET", .url = url, .max_bytes = max_bytes, .timeout_ms = TRANSFER_MS};
    if (!url)
        return err_no_memory(err);
    return fetch_start(anchor->fetch, &request, done, anchor, &anchor->transfer, err);
}

/* ---- operators.json ---- */

static void keep_operators(struct anchor *anchor, const struct fetch_response *response,
                           const struct tuf_target *target, struct err *err)
{
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    cleanup_free char *path = operators_path(anchor);
    if (!ring || !path)
        (void)err_no_memory(err);
    else if (operators_check(target, response->body.data, response->body.len, ring, err) == 0 &&
             file_replace(path, response->body.data, response->body.len, 0600, err) == 0)
        log_info("operators: %zu keys, by the offline keys", ring->count);
}

/* 1: *out; 0: the chain names none; -1: it is not to be believed. */
static int find_operators(const struct anchor *anchor, const struct tuf_target **out, struct err *err)
{
    const struct tuf_root *root = tuf_update_root(anchor->update);
    return operators_target(tuf_update_role(anchor->update, "targets"), root ? root->fleet : NULL, out, err);
}

static void operators_done(struct anchor *anchor, const struct err *err)
{
    if (err->code == ERR_NONE)
        anchor_fetch_grants(anchor);
    else
        anchor_over(anchor, err);
}

static void on_operators(const struct fetch_response *response, void *arg)
{
    struct anchor *anchor = arg;
    const struct tuf_target *target = NULL;
    struct err err = response->err;
    anchor->transfer = 0;
    if (err.code == ERR_NOT_FOUND)
        trust_refuse(&err, TRUST_METADATA_MISSING, "the server does not give %s", TERMS_OPERATORS_PATH);
    else if (err.code == ERR_TOO_BIG)
        trust_refuse(&err, TRUST_TARGET_HASH, "%s: more bytes than were released", TERMS_OPERATORS_PATH);
    else if (err.code == ERR_NONE && find_operators(anchor, &target, &err) > 0)
        keep_operators(anchor, response, target, &err);
    operators_done(anchor, &err);
}

static void fetch_operators(struct anchor *anchor)
{
    const struct tuf_target *target = NULL;
    struct err err = {0};
    struct digest digest;
    char path[128];
    int found = find_operators(anchor, &target, &err);
    if (found > 0 && !operators_here(anchor, target)) {
        memcpy(digest.bytes, target->hashes.sha256, sizeof digest.bytes);
        snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
        if (anchor_get(anchor, path, target->length, on_operators, &err) == 0)
            return;
    }
    operators_done(anchor, &err);
}

/* ---- metadata ---- */

static void on_metadata(const struct fetch_response *response, void *arg)
{
    struct anchor *anchor = arg;
    anchor->transfer = 0;
    if (response->err.code == ERR_NONE)
        tuf_update_give(anchor->update, response->body.data, response->body.len);
    else if (response->status == 404 || response->status == 403)
        tuf_update_lack(anchor->update);
    else if (response->err.code == ERR_TOO_BIG)
        tuf_update_overflow(anchor->update);
    else {
        anchor_over(anchor, &response->err);
        return;
    }
    go_on(anchor);
}

static int fetch_metadata(struct anchor *anchor, const struct tuf_want *want, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/tuf/%s", want->name);
    if (!path)
        return err_no_memory(err);
    return anchor_get(anchor, path, want->max_bytes, on_metadata, err);
}

/* That a chain names no such target is an answer, not a failure; the refusal is admission's. */
static bool is_answered(enum tuf_step step, const struct err *err)
{
    return step == TUF_DONE || trust_rule_of(err->text) == TRUST_TARGETS_UNKNOWN;
}

static void go_on(struct anchor *anchor)
{
    struct tuf_want want;
    struct err err = {0};
    enum tuf_step step = tuf_update_step(anchor->update, &want, &err);
    if (step == TUF_WANT && fetch_metadata(anchor, &want, &err) == 0)
        return;
    if (step != TUF_WANT && is_answered(step, &err))
        fetch_operators(anchor);
    else
        anchor_over(anchor, &err);
}

void anchor_run(struct anchor *anchor)
{
    struct err err = {0};
    if (anchor_open_update(anchor, &anchor->update, &err) < 0) {
        anchor_over(anchor, &err);
        return;
    }
    anchor->for_question = anchor->sought;
    anchor->grant = 0;
    if (anchor->sought && anchor->path[0])
        tuf_update_seek(anchor->update, anchor->path);
    else
        tuf_update_refresh(anchor->update);
    go_on(anchor);
}
