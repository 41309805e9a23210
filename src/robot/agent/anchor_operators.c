/* operators.json: which one it has to be, and whether it is that one. */
#include "base/digest.h"
#include "base/str.h"
#include "robot/agent/anchor_inside.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/rule.h"
#include "wire/terms.h"

enum { TARGETS_MAX_BYTES = 5000000 };

static int check_terms(const struct tuf_target *target, const char *fleet, struct err *err)
{
    struct terms terms;
    struct err cause = {0};
    if (terms_parse(target->custom, &terms, &cause) < 0)
        return trust_refuse(err, TRUST_RELEASE_TERMS, "%s: %s", target->path, cause.text);
    if (terms.kind != TERMS_OPERATORS)
        return trust_refuse(err, TRUST_RELEASE_TERMS, "%s names no operators by its terms", target->path);
    if (!fleet || !str_eq(terms.fleet, fleet))
        return trust_refuse(err, TRUST_RELEASE_FLEET, "%s is of fleet %s, this robot is of %s", target->path,
                            terms.fleet, fleet ? fleet : "none");
    if (!target->hashes.has_sha256 || target->length == 0 || target->length > OPERATORS_MAX_BYTES)
        return trust_refuse(err, TRUST_TARGET_HASH, "%s: needs a sha256 and at most %d bytes", target->path,
                            OPERATORS_MAX_BYTES);
    return 0;
}

int operators_target(const struct tuf_metadata *targets, const char *fleet, struct tuf_target const **out,
                     struct err *err)
{
    *out = targets ? tuf_metadata_target(targets, TERMS_OPERATORS_PATH) : NULL;
    if (!*out)
        return 0;
    return check_terms(*out, fleet, err) < 0 ? -1 : 1;
}

static bool is_target(const struct tuf_target *target, const void *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len);
    return len == target->length && memcmp(digest.bytes, target->hashes.sha256, sizeof digest.bytes) == 0;
}

int operators_check(const struct tuf_target *target, const void *bytes, size_t len, struct keyring *out,
                    struct err *err)
{
    if (!is_target(target, bytes, len))
        return trust_refuse(err, TRUST_TARGET_HASH, "%s is not the one that was released", target->path);
    struct err cause = {0};
    if (keyring_parse(bytes, len, out, &cause) < 0)
        return trust_refuse(err, TRUST_METADATA_FORM, "%s: %s", target->path, cause.text);
    return 0;
}

char *operators_path(const struct anchor *anchor)
{
    return file_join(anchor->dir, "operators.json");
}

static int read_here(const struct anchor *anchor, struct buf *out, struct err *err)
{
    cleanup_free char *path = operators_path(anchor);
    return path ? file_read(path, out, err) : err_no_memory(err);
}

bool operators_here(const struct anchor *anchor, const struct tuf_target *target)
{
    struct err ignored = {0};
    cleanup_buf struct buf text = BUF_INIT(OPERATORS_MAX_BYTES);
    return read_here(anchor, &text, &ignored) == 0 && is_target(target, text.data, text.len);
}

/* From the shelf as it stands: what is there was verified when it came. */
static int load_role(const struct anchor *anchor, const char *role, struct tuf_metadata *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(TARGETS_MAX_BYTES);
    if (anchor->shelf->ops->load(anchor->shelf, role, &text, err) < 0)
        return -1;
    return tuf_metadata_parse(text.data, text.len, out, err);
}

static int read_operators(const struct anchor *anchor, const struct tuf_target *target, struct keyring *out,
                          struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(OPERATORS_MAX_BYTES);
    if (read_here(anchor, &text, err) == 0)
        return operators_check(target, text.data, text.len, out, err);
    return err_set(err, ERR_UNTRUSTED, "%s was released, but has not come yet", TERMS_OPERATORS_PATH);
}

int anchor_operators(const struct anchor *anchor, struct keyring *out, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata root = {0}, targets = {0};
    const struct tuf_target *target = NULL;
    if (anchor->broken.code != ERR_NONE) {
        *err = anchor->broken;
        err->code = ERR_UNTRUSTED; /* whoever asks must not go on as if nobody had been named */
        return -1;
    }
    if (load_role(anchor, "root", &root, err) < 0)
        return -1;
    struct err missing = {0};
    if (load_role(anchor, "targets", &targets, &missing) < 0 && missing.code != ERR_NOT_FOUND) {
        *err = missing;
        return -1;
    }
    int found = missing.code == ERR_NOT_FOUND ? 0 : operators_target(&targets, root.root.fleet, &target, err);
    if (found == 0)
        return keyring_load(anchor->options.operators, out, err);
    return found < 0 ? -1 : read_operators(anchor, target, out, err);
}
