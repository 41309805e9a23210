#include "wire/tuf/metadata.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/instant.h"
#include "wire/json_tree.h"
#include "wire/tuf/tree.h"

enum { MAX_SIGNATURES = 8192 };

static const char *const kind_names[TUF_KIND_COUNT] = {[TUF_ROOT] = "root",
                                                       [TUF_TIMESTAMP] = "timestamp",
                                                       [TUF_SNAPSHOT] = "snapshot",
                                                       [TUF_TARGETS] = "targets"};

const char *tuf_kind_name(enum tuf_kind kind)
{
    return kind_names[kind];
}

/* ---- what all four have ---- */

static bool is_spec_version(const char *text)
{
    int dots = 0;
    if (!str_starts(text, "1."))
        return false;
    for (const char *c = text; *c; c++) {
        bool digit = *c >= '0' && *c <= '9';
        if (!digit && (*c != '.' || c[1] == '.' || !c[1]))
            return false;
        dots += !digit;
    }
    return dots <= 2;
}

/* ".123Z" at the end, as JavaScript writes its times and @tufjs/repo-mock its metadata, becomes "Z": what is cut off only makes it end sooner. */
static void cut_fraction(char *text)
{
    char *dot = strchr(text, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0;
    if (digits >= 1 && digits <= 9 && str_eq(dot + 1 + digits, "Z"))
        memcpy(dot, "Z", 2);
}

static void read_instant(struct json_at at, const char *key, int64_t *out_s)
{
    char text[INSTANT_SIZE + 12] = "";
    json_get_string(at, key, text, sizeof text);
    cut_fraction(text);
    if (!instant_parse(text, out_s))
        json_fail(at, "%s is not a time as 2026-01-02T03:04:05Z", key);
}

static void read_common(struct json_at at, struct tuf_metadata *out)
{
    int kind = TUF_ROOT;
    json_get_choice(at, "_type", kind_names, TUF_KIND_COUNT, &kind);
    json_get_string(at, "spec_version", out->spec_version, sizeof out->spec_version);
    if (!is_spec_version(out->spec_version))
        json_fail(at, "spec_version is not 1.x.y, the one that is understood");
    json_get_int(at, "version", 1, INT64_MAX, &out->version);
    read_instant(at, "expires", &out->expires_s);
    out->kind = kind;
}

/* ---- timestamp and snapshot ---- */

static int compare_files(const void *a, const void *b)
{
    const struct tuf_file *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void read_file(struct json_at at, const char *name, struct tuf_file *out)
{
    json_get_int(at, "version", 1, INT64_MAX, &out->version);
    out->has_length = json_has(at, "length");
    if (out->has_length)
        json_get_u64(at, "length", INT64_MAX, &out->length);
    if (json_has(at, "hashes"))
        tuf_read_hashes(at, &out->hashes);
    out->name = mem_strdup(name);
    if (!out->name)
        json_fail(at, "out of memory");
}

static void read_meta(struct json_at at, struct tuf_metadata *out)
{
    struct json_at meta = json_child(at, "meta");
    size_t count = meta.value ? json_object_size(meta.value) : 0;
    out->meta.files = mem_zalloc(count + 1, sizeof *out->meta.files);
    if (!out->meta.files)
        json_fail(at, "out of memory");
    for (void *it = json_object_iter(meta.value); out->meta.files && it;
         it = json_object_iter_next(meta.value, it)) {
        struct tuf_file *file = &out->meta.files[out->meta.count];
        const char *name = json_object_iter_key(it);
        read_file(json_child(meta, name), name, file);
        if (!file->name)
            return;
        out->meta.count++;
    }
    if (out->meta.count)
        qsort(out->meta.files, out->meta.count, sizeof *out->meta.files, compare_files);
}

static void read_timestamp(struct json_at at, struct tuf_metadata *out)
{
    read_meta(at, out);
    if (!tuf_metadata_file(out, "snapshot.json"))
        json_fail(at, "meta does not name snapshot.json");
    if (!json_has(at, "x-muster"))
        return;
    struct json_at own = json_child(at, "x-muster");
    if (json_has(own, "issued"))
        read_instant(own, "issued", &out->issued_s);
}

const struct tuf_file *tuf_metadata_file(const struct tuf_metadata *metadata, const char *name)
{
    const struct tuf_file wanted = {.name = (char *)name};
    size_t count = metadata->meta.count;
    return count ? bsearch(&wanted, metadata->meta.files, count, sizeof wanted, compare_files) : NULL;
}

/* ---- signatures ---- */

static void read_signature(struct json_at at, struct tuf_signature *out)
{
    const char *hex = at.value ? json_string_value(json_object_get(at.value, "sig")) : NULL;
    out->keyid = tuf_read_text(at, "keyid");
    if (!hex) {
        json_fail(at, "sig must be text");
        return;
    }
    size_t len = strlen(hex);
    out->sig = mem_zalloc(len / 2 + 1, 1);
    if (!out->sig)
        json_fail(at, "out of memory");
    else if (tuf_hex_decode(hex, len, out->sig))
        out->len = len / 2;
}

static void read_signatures(struct json_at root, struct tuf_metadata *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, "signatures", MAX_SIGNATURES, &count);
    cleanup_free char **keyids = mem_zalloc(count + 1, sizeof *keyids);
    out->signatures = mem_zalloc(count + 1, sizeof *out->signatures);
    if (!keyids || !out->signatures) {
        json_fail(root, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct tuf_signature *signature = &out->signatures[out->signature_count++];
        read_signature(json_as_object(json_item(list, i)), signature);
        if (!signature->keyid)
            return;
        keyids[i] = signature->keyid;
    }
    if (!tuf_texts_unique(keyids, count))
        json_fail(root, "signatures has a keyid twice");
}

/* ---- whole files ---- */

static void read_kind(struct json_at at, struct tuf_metadata *out)
{
    switch (out->kind) {
    case TUF_ROOT:
        tuf_read_root(at, &out->root);
        break;
    case TUF_TIMESTAMP:
        read_timestamp(at, out);
        break;
    case TUF_SNAPSHOT:
        read_meta(at, out);
        break;
    case TUF_TARGETS:
        tuf_read_targets(at, &out->targets);
        break;
    case TUF_KIND_COUNT:
        break;
    }
}

static void read_all(struct json_at root, struct tuf_metadata *out)
{
    struct err why = {0};
    struct json_at at = json_child(root, "signed");
    read_signatures(root, out);
    read_common(at, out);
    if (!at.value)
        return;
    out->signed_text = tuf_canonical_tree(at.value, &out->signed_len, &why);
    if (!out->signed_text)
        json_fail(at, "%s", why.text);
    read_kind(at, out);
}

int tuf_metadata_parse(const void *text, size_t len, struct tuf_metadata *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct tuf_metadata){0};
    json_t *tree = tuf_tree(text, len, err);
    if (!tree)
        return err_prefix(err, "metadata");
    if (json_reader_init(&reader, "metadata", tree, err) < 0)
        return -1;
    read_all(json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    tuf_metadata_fini(out);
    return -1;
}

static void root_fini(struct tuf_root *root)
{
    tuf_keys_free(root->keys, root->key_count);
    for (int i = 0; i < TUF_KIND_COUNT; i++)
        tuf_keyset_fini(&root->roles[i]);
    tuf_keyset_fini(&root->director);
    tuf_keyset_fini(&root->audit);
    free(root->fleet);
}

void tuf_metadata_fini(struct tuf_metadata *metadata)
{
    for (size_t i = 0; metadata->signatures && i < metadata->signature_count; i++) {
        free(metadata->signatures[i].keyid);
        free(metadata->signatures[i].sig);
    }
    for (size_t i = 0; metadata->meta.files && i < metadata->meta.count; i++)
        free(metadata->meta.files[i].name);
    free(metadata->signatures);
    free(metadata->meta.files);
    free(metadata->signed_text);
    root_fini(&metadata->root);
    tuf_targets_fini(&metadata->targets);
    *metadata = (struct tuf_metadata){0};
}
