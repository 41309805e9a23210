#include "fleet/engine/consent.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "fleet/authority/authority.h"
#include "trust/approval.h"
#include "trust/rule.h"

#include <unistd.h>

enum { MAX_KEYRING_BYTES = 256 << 10 };

/* ---- who may approve ---- */

static int read_blob(struct fleet *fleet, const struct digest *digest, struct buf *out, struct err *err)
{
    cleanup_close int fd = -1;
    uint64_t size;
    if (blobs_read(fleet->blobs, digest, &fd, &size, err) < 0)
        return -1;
    if (size > out->max)
        return err_set(err, ERR_TOO_BIG, "it has %llu bytes", (unsigned long long)size);
    if (buf_reserve(out, (size_t)size, err) < 0)
        return -1;
    ssize_t got = pread(fd, out->data, (size_t)size, 0);
    if (got < 0 || (uint64_t)got != size)
        return err_errno(err, "it cannot be read");
    out->len = (size_t)size;
    return 0;
}

static int published_operators(struct fleet *fleet, struct keyring *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(MAX_KEYRING_BYTES);
    struct digest digest;
    if (authority_operators(fleet->authority, clock_wall_ms() / 1000, &digest, err) < 0)
        return -1;
    if (read_blob(fleet, &digest, &text, err) < 0 ||
        keyring_parse((const char *)text.data, text.len, out, err) < 0) {
        err->code = ERR_CONFLICT;
        return err_prefix(err, "the operators' keyring that the targets name; push it again");
    }
    return 0;
}

int consent_operators(struct fleet *fleet, struct keyring *out, struct err *err)
{
    if (authority_root(fleet->authority)) {
        if (published_operators(fleet, out, err) == 0)
            return 0;
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
    }
    if (fleet->operators)
        return keyring_load(fleet->operators, out, err);
    return err_set(err, ERR_NOT_FOUND,
                   "no operators are known: publish their keyring as target %s (muster keys operator)",
                   TERMS_OPERATORS_PATH);
}

/* ---- who has approved ---- */

struct count {
    struct consent *consent;
    const struct digest *plan;
    const struct keyring *ring;
    int64_t now_ms;
};

static bool counts_for(const struct count *count, const struct approval_row *row)
{
    if (row->expires_ms <= count->now_ms)
        return false;
    if (digest_equal(&row->plan, count->plan))
        return true;
    return count->consent->terms.scope == TERMS_OF_RELEASE && digest_is_zero(&row->plan);
}

static bool is_named(const struct terms *terms, const char *name)
{
    for (size_t i = 0; i < terms->operator_count; i++)
        if (str_eq(terms->operators[i], name))
            return true;
    return false;
}

static bool has_counted(const struct consent *consent, const char *name)
{
    for (int i = 0; i < consent->have; i++)
        if (str_eq(consent->from[i], name))
            return true;
    return false;
}

/* A key that was revoked since, or exchanged, approves nothing any more. */
static bool holds(const struct count *count, const struct approval_row *row)
{
    struct err ignored = {0};
    struct approval approval;
    cleanup_envelope struct envelope envelope = {0};
    return approval_envelope_parse(row->envelope, strlen(row->envelope), &envelope, &ignored) == 0 &&
           approval_open(&envelope, count->ring, &approval, &ignored) == 0;
}

static int count_one(const struct approval_row *row, void *arg)
{
    struct count *count = arg;
    struct consent *consent = count->consent;
    if (counts_for(count, row) && is_named(&consent->terms, row->operator_name) &&
        !has_counted(consent, row->operator_name) && holds(count, row))
        str_copy(consent->from[consent->have++], sizeof consent->from[0], row->operator_name);
    return consent->have == TERMS_MAX_OPERATORS;
}

static int count_approvals(struct fleet *fleet, const struct digest *release, const struct digest *plan,
                           struct consent *out, struct err *err)
{
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    struct err unknown = {0};
    if (!ring)
        return err_no_memory(err);
    if (consent_operators(fleet, ring, &unknown) < 0) {
        str_copy(out->why, sizeof out->why, unknown.text);
        return 0;
    }
    struct count count = {.consent = out, .plan = plan, .ring = ring, .now_ms = clock_wall_ms()};
    if (fleet->store->ops->approval_each(fleet->store, release, count_one, &count, err) < 0)
        return -1;
    if (out->have < out->terms.threshold)
        snprintf(out->why, sizeof out->why, "%d of %d approvals of the %s", out->have, out->terms.threshold,
                 out->terms.scope == TERMS_OF_PLAN ? "plan" : "release");
    return 0;
}

/* ---- whether it is released ---- */

int consent_ask(struct fleet *fleet, const struct digest *release, const struct digest *plan,
                struct consent *out, struct err *err)
{
    struct release_row row = {0};
    struct authority_release said = {0};
    struct err no = {0};
    *out = (struct consent){0};
    if (fleet->store->ops->release_get(fleet->store, release, &row, err) < 0)
        return -1;
    if (authority_release(fleet->authority, row.name, row.version, clock_wall_ms() / 1000, &said, &no) < 0) {
        str_copy(out->why, sizeof out->why, no.text);
        out->withdrawn = true;
        return 0;
    }
    out->published = true;
    out->terms = said.terms;
    if (!digest_equal(&said.digest, release)) {
        snprintf(out->why, sizeof out->why, "[%s] the targets name other bytes as %s %s",
                 trust_rule_name(TRUST_ASSIGNMENT_TARGET), row.name, row.version);
        out->withdrawn = true;
        return 0;
    }
    return out->terms.threshold ? count_approvals(fleet, release, plan, out, err) : 0;
}
