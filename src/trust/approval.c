#include "trust/approval.h"
#include "base/mem.h"

static const struct envelope_form form = {
    .noun = "approval", .domain = "muster-approval-v1\n", .max_bytes = 4 << 10};

int approval_envelope_parse(const void *text, size_t len, struct envelope *out, struct err *err)
{
    return envelope_parse(&form, text, len, out, err);
}

char *approval_envelope_format(const struct envelope *envelope)
{
    return envelope_format(&form, envelope);
}

/* What a robot would not take is not signed. */
char *approval_sign(const struct approval *approval, const struct signing_key *key, struct err *err)
{
    struct approval again;
    cleanup_free char *text = approval_format(approval);
    if (!text) {
        err_set(err, ERR_INVALID, "the approval cannot be written; is its reason UTF-8?");
        return NULL;
    }
    if (approval_parse(text, strlen(text), &again, err) < 0)
        return NULL;
    return envelope_sign(&form, text, strlen(text), key, err);
}

int approval_open(const struct envelope *envelope, const struct keyring *operators, struct approval *out,
                  struct err *err)
{
    if (approval_parse(envelope->bytes, envelope->len, out, err) < 0)
        return -1;
    return envelope_check(&form, envelope, operators, out->operator_name, err);
}
