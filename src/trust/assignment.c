#include "trust/assignment.h"
#include "base/mem.h"

enum { MAX_SIGNERS = 8 };

struct signed_by {
    size_t count;
    struct tuf_signature items[MAX_SIGNERS];
};

static void signed_by_fini(struct signed_by *by)
{
    for (size_t i = 0; i < by->count; i++) {
        free(by->items[i].keyid);
        free(by->items[i].sig);
    }
}

char *assignment_sign(const struct assignment *assignment, const struct tuf_signer *const *signers,
                      size_t count, struct err *err)
{
    __attribute__((cleanup(signed_by_fini))) struct signed_by by = {0};
    cleanup_assignment_envelope struct assignment_envelope again = {0};
    size_t len = 0;
    cleanup_free char *text = assignment_signed_format(assignment, &len, err);
    if (!text)
        return NULL;
    if (count > MAX_SIGNERS) {
        err_set(err, ERR_TOO_BIG, "assignment: %zu keys, the limit is %d", count, MAX_SIGNERS);
        return NULL;
    }
    for (; by.count < count; by.count++)
        if (tuf_signer_sign(signers[by.count], text, len, &by.items[by.count], err) < 0)
            return NULL;
    cleanup_free char *out = assignment_envelope_format(text, by.items, by.count, err);
    if (!out || assignment_parse(out, strlen(out), &again, err) < 0)
        return NULL;
    return TAKE_PTR(out);
}
