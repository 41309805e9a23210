/* FETCH and VERIFY: from the server into the store, and every check before anything of it may run. */
#include "base/log.h"
#include "base/str.h"
#include "release/image.h"
#include "robot/agent/installer_inside.h"
#include "robot/jail/device.h"
#include "trust/rule.h"
#include "wire/release.h"

static bool below_floor(const struct installer *installer, const char *version)
{
    const char *floor = store_state(installer->options.store)->floor;
    return floor[0] && version_compare(version, floor) < 0;
}

/* What both keys admitted, and nothing else, also not what a state that somebody wrote names. */
static int check_admitted(const struct installer *installer, struct err *err)
{
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    if (digest_equal(&candidate->release, &store_state(installer->options.store)->trust.admitted))
        return 0;
    return trust_refuse(err, TRUST_ASSIGNMENT_SIGNATURES,
                        "%s %s was assigned without the director's signature; it waits for one",
                        candidate->name, candidate->version);
}

/* As the runner, which is of the same architecture, will see it; an engine can be built where there is a GPU. */
static struct image_use own_use(void)
{
    return (struct image_use){.machine = image_this_machine(), .tensorrt = device_has_gpu()};
}

static int start_download(struct installer *installer, struct err *err)
{
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    if (check_admitted(installer, err) < 0)
        return -1;
    struct download_options options = {.fetch = installer->fetch,
                                       .store = installer->options.store,
                                       .server = installer->options.config->server,
                                       .rate_limit = (uint64_t)installer->options.config->rate_limit,
                                       .stall_s = (int)installer->options.config->stall_s,
                                       .use = own_use()};
    return download_new(&options, &candidate->release, candidate->manifest_size, &installer->download, err);
}

/* A file that is not the released one names its rule, as every refusal does. */
static struct err with_rule(const struct err *err)
{
    struct err out = *err;
    if (err->code == ERR_CORRUPT || err->code == ERR_TOO_BIG)
        trust_refuse(&out, TRUST_TARGET_HASH, "%.200s", err->text);
    out.code = err->code;
    return out;
}

static void download_failed(struct installer *installer, const struct err *err, int64_t now_ms)
{
    bool counted = err->code == ERR_CORRUPT || err->code == ERR_TOO_BIG || err->code == ERR_CONFLICT ||
                   err->code == ERR_NOT_FOUND;
    bool passing = err->code == ERR_DENIED || (err_retryable(err->code) && err->code != ERR_NO_SPACE);
    if (counted) {
        installer_try_again(installer, err, now_ms);
    } else if (passing) {
        log_warn("download: %s; trying again", err->text);
        backoff_failed(&installer->backoff, now_ms, installer_random());
    } else {
        installer_refuse(installer, err->text);
    }
}

void installer_fetch(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    if (!installer->fetch || !backoff_ready(&installer->backoff, now_ms))
        return;
    if (!installer->download && start_download(installer, &err) < 0) {
        download_failed(installer, &err, now_ms);
        return;
    }
    enum download_state state = download_tick(installer->download, &err);
    if (state == DOWNLOAD_RUNNING)
        return;
    uint64_t moved = download_bytes(installer->download);
    installer->bytes += moved;
    download_free(TAKE_PTR(installer->download));
    if (state == DOWNLOAD_FAILED) {
        err = with_rule(&err);
        if (moved > 0 && err_retryable(err.code))
            installer->backoff.tries = 0; /* it moves */
        download_failed(installer, &err, now_ms);
        return;
    }
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    installer_report(installer, REPORT_DOWNLOADED, candidate, "%llu bytes",
                     (unsigned long long)installer->bytes);
    installer_event(installer, INSTALL_EV_FETCHED);
}

/* VERIFY */

/* What release.json says counts, not what the server says about it. */
static int check_identity(const struct installer *installer, const struct image *image, struct err *err)
{
    const struct install *install = installer_state(installer);
    const struct install_slot *candidate = &install->candidate, *current = &install->current;
    const struct release *release = &image->release;
    if (image->size != candidate->manifest_size)
        return err_set(err, ERR_CORRUPT, "the manifest has %llu bytes, the assignment says %llu",
                       (unsigned long long)image->size, (unsigned long long)candidate->manifest_size);
    if (!str_eq(release->version, candidate->version) || !str_eq(release->name, candidate->name))
        return err_set(err, ERR_REFUSED, "assigned as %s %s, but it is %s %s", candidate->name,
                       candidate->version, release->name, release->version);
    if (below_floor(installer, release->version))
        return err_set(err, ERR_REFUSED, "%s is older than %s, below which this robot never goes",
                       release->version, store_state(installer->options.store)->floor);
    if (!install->rollback && !digest_is_zero(&current->release) &&
        version_compare(release->version, current->version) < 0)
        return err_set(err, ERR_REFUSED, "%s is older than %s, which runs; assign it as a rollback",
                       release->version, current->version);
    return 0;
}

/* In a process of its own: it reads every byte. Who released it was decided before. */
static int verify_blobs(void *arg, void *out, struct err *err)
{
    const struct installer *installer = arg;
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    (void)out;
    if (!image)
        return err_no_memory(err);
    if (check_admitted(installer, err) < 0 ||
        image_open(store_layout(installer->options.store), &candidate->release, image, err) < 0)
        return -1;
    const struct image_use use = own_use();
    image->use = &use;
    int rc = image_verify(image, installer->options.config->machine, err);
    image_close(image);
    return rc;
}

static void verified(struct installer *installer, const struct image *image)
{
    struct install_event event = {.kind = INSTALL_EV_VERIFIED};
    str_copy(event.slot.name, sizeof event.slot.name, image->release.name);
    str_copy(event.slot.version, sizeof event.slot.version, image->release.version);
    installer_report(installer, REPORT_VERIFIED, &installer_state(installer)->candidate,
                     "blobs and model hold");
    installer_step(installer, &event, NULL);
}

/* The bytes hold: is it what was assigned? */
static int identify(struct installer *installer, struct err *err)
{
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    if (!image)
        return err_no_memory(err);
    if (image_open(store_layout(installer->options.store), &candidate->release, image, err) < 0)
        return -1;
    int rc = check_identity(installer, image, err);
    if (rc == 0)
        verified(installer, image);
    image_close(image);
    return rc;
}

void installer_verify(struct installer *installer, int64_t now_ms)
{
    struct err err = {0};
    struct chore *chore = &installer->verifying;
    enum chore_state state = CHORE_RUNNING;
    if (chore->pid)
        state = chore_poll(chore, NULL, &err);
    else if (!backoff_ready(&installer->backoff, now_ms))
        return;
    else if (chore_start(chore, verify_blobs, installer, &err) < 0)
        state = CHORE_FAILED;
    if (state == CHORE_RUNNING || (state == CHORE_DONE && identify(installer, &err) == 0))
        return;
    if (err_retryable(err.code))
        installer_try_again(installer, &err, now_ms);
    else
        installer_refuse(installer, err.text);
}
