/* deps: wire/tuf wire base */
#include "base/mem.h"
#include "base/str.h"
#include "wire/tuf/format.h"
#include "wire/tuf/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_said(const struct err *err)
{
    if (err->code == ERR_NONE || !err->text[0] || strchr(err->text, '\n'))
        abort();
}

/* The canonical form of any JSON is its own canonical form. */
static void check_canonical(const uint8_t *data, size_t size)
{
    struct err err = {0};
    size_t len = 0, again_len = 0;
    cleanup_free char *once = tuf_canonical(data, size, &len, &err);
    if (!once) {
        check_said(&err);
        return;
    }
    /* Control characters stand raw in the form, so that not every form is JSON; what is must not change any more. */
    cleanup_free char *again = tuf_canonical(once, len, &again_len, &err);
    if (again && (again_len != len || memcmp(once, again, len) != 0))
        abort();
}

static void check_keyset(const struct tuf_keyset *set)
{
    if (set->threshold < 1)
        abort();
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(set->keyids[i], set->keyids[j]) == 0)
                abort();
}

static void check_targets(const struct tuf_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (!targets->targets[i].hashes.has_sha256 && !targets->targets[i].hashes.has_sha512)
            abort();
    for (size_t i = 0; i < targets->delegation_count; i++) {
        const struct tuf_delegation *delegation = &targets->delegations[i];
        check_keyset(&delegation->keys);
        if (delegation->path_count && delegation->prefix_count)
            abort();
    }
    if (targets->succinct.bit_length && targets->delegation_count)
        abort();
    if (targets->succinct.bit_length < 0 || targets->succinct.bit_length > 32)
        abort();
}

/* What metadata.h promises to whoever comes behind the parser. */
static void check_promises(const struct tuf_metadata *metadata)
{
    if (metadata->version < 1 || metadata->expires_s < 0 || !metadata->signed_text)
        abort();
    for (size_t i = 0; i < metadata->signature_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(metadata->signatures[i].keyid, metadata->signatures[j].keyid) == 0)
                abort();
    for (int kind = 0; metadata->kind == TUF_ROOT && kind < TUF_KIND_COUNT; kind++)
        check_keyset(&metadata->root.roles[kind]);
    if (metadata->kind == TUF_TARGETS)
        check_targets(&metadata->targets);
}

/* Whatever is taken is written again so that the same is signed. */
static void check_round_trip(const struct tuf_metadata *metadata)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata again = {0};
    cleanup_free char *text = tuf_envelope_format(metadata, &err);
    if (!text || tuf_metadata_parse(text, strlen(text), &again, &err) < 0)
        abort();
    if (again.signed_len != metadata->signed_len ||
        memcmp(again.signed_text, metadata->signed_text, again.signed_len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    check_canonical(data, size);
    if (tuf_metadata_parse(data, size, &metadata, &err) < 0) {
        check_said(&err);
        return 0;
    }
    check_promises(&metadata);
    check_round_trip(&metadata);
    return 0;
}
