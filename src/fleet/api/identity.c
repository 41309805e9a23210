#include "fleet/api/identity.h"
#include "base/mem.h"
#include "base/str.h"
#include "trust/ca.h"

enum verdict { NOT_MINE, KNOWN, FAILED };

/* Kept and looked up as its SHA-256: neither a stolen database nor the time that a comparison takes tells a token. */
static enum verdict stored_token(struct fleet *fleet, const char *bearer, int64_t now_ms,
                                 struct identity *out, struct err *err)
{
    struct digest hash = token_digest(bearer);
    struct operator_row row;
    if (fleet->store->ops->operator_find(fleet->store, &hash, &row, err) < 0)
        return err->code == ERR_NOT_FOUND ? NOT_MINE : FAILED;
    if (row.revoked_ms)
        err_set(err, ERR_DENIED, "this token of %s was ended; ask for a new one", row.name);
    else if (row.expires_ms && row.expires_ms <= now_ms)
        err_set(err, ERR_DENIED, "this token of %s has expired; ask for a new one", row.name);
    else if (rights_parse(row.rights, &out->rights, err) < 0)
        err->code = ERR_CORRUPT;
    else
        return str_copy(out->name, sizeof out->name, row.name), KNOWN;
    return FAILED;
}

static enum verdict (*const sources[])(struct fleet *fleet, const char *bearer, int64_t now_ms,
                                       struct identity *out, struct err *err) = {stored_token};

int identity_of(struct fleet *fleet, const char *bearer, int64_t now_ms, struct identity *out,
                struct err *err)
{
    *out = (struct identity){0};
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        *err = (struct err){0};
        enum verdict verdict = sources[i](fleet, bearer, now_ms, out, err);
        if (verdict != NOT_MINE)
            return verdict == KNOWN ? 0 : -1;
    }
    return err_set(err, ERR_DENIED, "the token is not known; make one with musterd token");
}
