#include "trust/tuf/content.h"
#include "trust/tuf/signer.h"
#include "trust/tuf/update_inside.h"
#include "wire/instant.h"

int tuf_check_form(enum tuf_kind kind, const char *what, const void *bytes, size_t len,
                   struct tuf_metadata *out, struct err *err)
{
    struct err why = {0};
    if (tuf_metadata_parse(bytes, len, out, &why) < 0) {
        if (why.code == ERR_NO_MEMORY)
            return err_no_memory(err);
        return trust_refuse(err, TRUST_METADATA_FORM, "%.60s: %s", what, why.text);
    }
    if (out->kind == kind)
        return 0;
    trust_refuse(err, TRUST_METADATA_FORM, "%.60s: the file is of type %s", what, tuf_kind_name(out->kind));
    tuf_metadata_fini(out);
    return -1;
}

int tuf_check_signed(const struct tuf_metadata *root, const struct tuf_metadata *metadata, int rule,
                     struct err *err)
{
    char what[80];
    const char *name = tuf_kind_name(metadata->kind);
    snprintf(what, sizeof what, "%s version %lld, keys of root %lld", name, (long long)metadata->version,
             (long long)root->version);
    return tuf_verify(&root->root.roles[metadata->kind], root->root.keys, root->root.key_count, metadata,
                      rule, what, err);
}

int tuf_check_content(const struct tuf_file *meta, const char *what, const void *bytes, size_t len, int rule,
                      struct err *err)
{
    uint64_t length = meta->has_length ? meta->length : len;
    if (tuf_content_fits(&meta->hashes, length, bytes, len))
        return 0;
    return trust_refuse(err, rule, "version %lld has another length or hash than announced",
                        (long long)meta->version);
}

bool tuf_is_expired(const struct tuf_update *u, const struct tuf_metadata *metadata)
{
    return u->options.now_s >= metadata->expires_s;
}

int tuf_check_expiry(const struct tuf_update *u, const struct tuf_metadata *metadata, const char *what,
                     int rule, struct err *err)
{
    char expires[INSTANT_SIZE], now[INSTANT_SIZE];
    if (!tuf_is_expired(u, metadata))
        return 0;
    instant_format(metadata->expires_s, expires);
    instant_format(u->options.now_s, now);
    return trust_refuse(err, rule, "%.60s version %lld expired at %s, and it is %s", what,
                        (long long)metadata->version, expires, now);
}

void tuf_replace(struct tuf_metadata *slot, struct tuf_metadata *with)
{
    tuf_metadata_fini(slot);
    *slot = *with;
    *with = (struct tuf_metadata){0};
}
