#include "robot/agent/anchor_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "sys/file.h"
#include "trust/rule.h"

#include <sys/random.h>

enum { ROOT_MAX_BYTES = 512000, RETRY_MIN_MS = 5000, RETRY_MAX_MS = 300000 };

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

/* ---- the clock ---- */

int64_t anchor_root_until_s(const struct anchor *anchor)
{
    return anchor->root_until_s;
}

int64_t anchor_now_s(const struct anchor *anchor)
{
    return MAX(clock_wall_ms() / 1000, anchor->floor_s);
}

/* Not the highest ever seen: when a stolen timestamp key is exchanged, what it proved is gone with it. */
static void take_floor(struct anchor *anchor, const struct tuf_update *update)
{
    const struct tuf_metadata *root = tuf_update_role(update, "root");
    int64_t floor_s = tuf_update_time_floor(update);
    anchor->root_until_s = root ? root->expires_s : 0;
    anchor->floor_s = root ? MIN(floor_s, root->expires_s - 1) : 0;
}

/* ---- the shelf ---- */

/* An update whose clock is not before what its own shelf proves. */
int anchor_open_update(struct anchor *anchor, struct tuf_update **out, struct err *err)
{
    struct tuf_update_options options = {.shelf = anchor->shelf, .now_s = anchor_now_s(anchor)};
    cleanup_tuf_update struct tuf_update *update = NULL;
    if (tuf_update_new(&options, &update, err) < 0)
        return -1;
    take_floor(anchor, update);
    if (options.now_s < anchor->floor_s) {
        options.now_s = anchor->floor_s;
        tuf_update_free(TAKE_PTR(update));
        if (tuf_update_new(&options, &update, err) < 0)
            return -1;
    }
    *out = TAKE_PTR(update);
    return 0;
}

static int take_root(struct anchor *anchor, struct err *err)
{
    cleanup_buf struct buf root = BUF_INIT(ROOT_MAX_BYTES);
    if (!anchor->options.root[0])
        return err_set(err, ERR_NOT_FOUND,
                       "trust anchor: there is none; start the agent with --root root.json");
    if (file_read(anchor->options.root, &root, err) < 0 ||
        tuf_trust(anchor->shelf, root.data, root.len, err) < 0)
        return err_prefix(err, "trust anchor");
    log_info("trust anchor: %s is the first root", anchor->options.root);
    return 0;
}

/* A root that a bad disk damaged is taken anew; the chain leads from it to the newest one again. */
static int retake_root(struct anchor *anchor, struct tuf_update **out, struct err *err)
{
    if (!anchor->options.root[0])
        return err_prefix(err, "trust anchor: start the agent with --root root.json");
    log_error("trust anchor: %s; beginning with %s again", err->text, anchor->options.root);
    *err = (struct err){0};
    if (anchor->shelf->ops->remove(anchor->shelf, "root", err) < 0 || take_root(anchor, err) < 0)
        return -1;
    return anchor_open_update(anchor, out, err);
}

static int open_shelf(struct anchor *anchor, struct err *err)
{
    cleanup_tuf_update struct tuf_update *update = NULL;
    anchor->shelf = tuf_shelf_dir(anchor->dir, err);
    if (!anchor->shelf)
        return -1;
    if (anchor_open_update(anchor, &update, err) == 0)
        return 0;
    if (err->code == ERR_UNTRUSTED || err->code == ERR_CORRUPT)
        return retake_root(anchor, &update, err);
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    return take_root(anchor, err) < 0 ? -1 : anchor_open_update(anchor, &update, err);
}

int anchor_new(const struct anchor_options *options, struct anchor **out, struct err *err)
{
    cleanup_anchor struct anchor *anchor = mem_zalloc(1, sizeof *anchor);
    if (!anchor)
        return err_no_memory(err);
    anchor->options = *options;
    anchor->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    anchor->server = mem_strdup(options->server);
    anchor->dir = mem_strdup(options->dir);
    if (!anchor->server || !anchor->dir)
        return err_no_memory(err);
    if (open_shelf(anchor, &anchor->broken) < 0)
        log_error("%s", anchor->broken.text);
    *out = TAKE_PTR(anchor);
    return 0;
}

void anchor_free(struct anchor *anchor)
{
    if (!anchor)
        return;
    anchor_cancel(anchor);
    tuf_shelf_free(anchor->shelf);
    free(anchor->server);
    free(anchor->dir);
    free(anchor);
}

void anchor_go_online(struct anchor *anchor, struct fetch *fetch)
{
    anchor_cancel(anchor);
    anchor->fetch = fetch;
    anchor->next_ms = 0;
    if (!fetch)
        anchor->sought = false;
}

/* ---- when to look ---- */

void anchor_seek(struct anchor *anchor, const char *path, anchor_found *found, void *arg)
{
    if (anchor->for_question)
        anchor_cancel(anchor);
    anchor->sought = true;
    anchor->found = found;
    anchor->found_arg = arg;
    str_copy(anchor->path, sizeof anchor->path, path);
}

void anchor_forget(struct anchor *anchor)
{
    anchor->sought = false;
    if (anchor->for_question)
        anchor_cancel(anchor);
}

static bool is_due(const struct anchor *anchor, int64_t now_ms)
{
    return anchor->sought || (now_ms >= anchor->next_ms && backoff_ready(&anchor->backoff, now_ms));
}

/* A disk that was full or away at the start, or an anchor that was given since. */
static void mend(struct anchor *anchor)
{
    tuf_shelf_free(TAKE_PTR(anchor->shelf));
    anchor->broken = (struct err){0};
    if (open_shelf(anchor, &anchor->broken) == 0)
        log_info("trust anchor: it is there now");
}

void anchor_tick(struct anchor *anchor, int64_t now_ms)
{
    if (anchor->update || !anchor->fetch || !is_due(anchor, now_ms))
        return;
    if (anchor->broken.code != ERR_NONE)
        mend(anchor);
    if (anchor->broken.code == ERR_NONE)
        anchor_run(anchor);
    else
        anchor_over(anchor, &anchor->broken);
}

int64_t anchor_next_ms(const struct anchor *anchor)
{
    if (anchor->update || !anchor->fetch)
        return INT64_MAX;
    return anchor->sought ? 0 : MAX(anchor->next_ms, anchor->backoff.until_ms);
}

static void schedule(struct anchor *anchor, const struct err *err)
{
    int64_t now_ms = clock_mono_ms(), period = anchor->options.metadata_ms;
    if (err) {
        backoff_failed(&anchor->backoff, now_ms, random_bits());
        return;
    }
    backoff_reset(&anchor->backoff);
    anchor->next_ms = now_ms + period - period / 8 + (int64_t)(random_bits() % (uint32_t)(period / 4 + 1));
}

static void tell_nobody(struct anchor *anchor, const struct err *err)
{
    bool way = err && trust_rule_of(err->text) == TRUST_RULE_NONE && err_retryable(err->code) &&
               err->code != ERR_NO_SPACE && err->code != ERR_IO;
    if (way)
        log_warn("metadata: %s; trying again", err->text);
    else
        anchor->options.updated(err, anchor->options.arg);
}

void anchor_over(struct anchor *anchor, const struct err *err)
{
    cleanup_tuf_update struct tuf_update *update = TAKE_PTR(anchor->update);
    bool asked = anchor->for_question || !update;
    schedule(anchor, err);
    if (update)
        take_floor(anchor, update);
    anchor->for_question = false;
    if (!asked || !anchor->sought) {
        tell_nobody(anchor, err);
        return;
    }
    anchor->sought = false;
    anchor->found(err ? NULL : update, err, anchor->found_arg);
}
