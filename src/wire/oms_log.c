#include "base/mem.h"
#include "base/str.h"
#include "wire/json_write.h"
#include "wire/oms_inside.h"

#include <inttypes.h>

static void read_proof(struct json_at at, struct oms_log_entry *out)
{
    oms_get_number(at, "logIndex", &out->leaf_index);
    oms_get_number(at, "treeSize", &out->tree_size);
    oms_get_hash(at, "rootHash", &out->root);
    struct json_at list = json_list(at, "hashes", OMS_MAX_PROOF, &out->hash_count);
    for (size_t i = 0; i < out->hash_count && at.reader->err.code == ERR_NONE; i++) {
        char text[OMS_HASH_TEXT] = "";
        struct json_at item = json_item(list, i);
        json_as_string(item, text, sizeof text);
        if (!oms_decode_hash(text, &out->hashes[i]))
            json_fail(item, "is no hash of 32 bytes");
    }
    out->checkpoint = mem_zalloc(1, OMS_CHECKPOINT_SIZE);
    if (out->checkpoint)
        json_get_string(json_child(at, "checkpoint"), "envelope", out->checkpoint, OMS_CHECKPOINT_SIZE);
    else
        (void)err_no_memory(&at.reader->err);
}

static void check_kind(struct json_at at)
{
    char kind[32] = "", version[32] = "";
    json_get_line(at, "kind", kind, sizeof kind);
    json_get_line(at, "version", version, sizeof version);
    if (at.reader->err.code == ERR_NONE && (!str_eq(kind, "dsse") || !str_eq(version, "0.0.1")))
        oms_unsupported(
            at, "the transparency log's entry is of another kind than dsse 0.0.1, which is understood");
}

void oms_log_read(struct json_at at, struct oms_log_entry *out)
{
    uint64_t time_s = 0;
    oms_get_number(at, "logIndex", &out->log_index);
    oms_get_hash(json_child(at, "logId"), "keyId", &out->log_id);
    check_kind(json_child(at, "kindVersion"));
    oms_get_number(at, "integratedTime", &time_s);
    out->time_s = (int64_t)time_s;
    out->promise_len = oms_get_array(json_child(at, "inclusionPromise"), "signedEntryTimestamp", out->promise,
                                     sizeof out->promise);
    read_proof(json_child(at, "inclusionProof"), out);
    oms_get_bytes(at, "canonicalizedBody", OMS_MAX_ENTRY_BYTES, &out->body);
}

static json_t *from_number(uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return json_string(digits);
}

static json_t *from_hash(const struct digest *hash)
{
    return oms_from_bytes(hash->bytes, sizeof hash->bytes);
}

static json_t *from_hashes(const struct oms_log_entry *entry)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < entry->hash_count; i++)
        if (json_append(list, from_hash(&entry->hashes[i])) < 0)
            return NULL;
    return json_incref(list);
}

json_t *oms_log_format(const struct oms_log_entry *entry)
{
    json_t *proof = json_pack("{s:o, s:o, s:o, s:o, s:{s:s}}", "logIndex", from_number(entry->leaf_index),
                              "treeSize", from_number(entry->tree_size), "rootHash", from_hash(&entry->root),
                              "hashes", from_hashes(entry), "checkpoint", "envelope", entry->checkpoint);
    return json_pack("{s:o, s:{s:o}, s:{s:s, s:s}, s:o, s:{s:o}, s:o, s:o}", "logIndex",
                     from_number(entry->log_index), "logId", "keyId", from_hash(&entry->log_id),
                     "kindVersion", "kind", "dsse", "version", "0.0.1", "integratedTime",
                     from_number((uint64_t)entry->time_s), "inclusionPromise", "signedEntryTimestamp",
                     oms_from_bytes(entry->promise, entry->promise_len), "inclusionProof", proof,
                     "canonicalizedBody", oms_from_bytes(entry->body.data, entry->body.len));
}

void oms_log_fini(struct oms_log_entry *entry)
{
    free(entry->checkpoint);
    free(entry->body.data);
    *entry = (struct oms_log_entry){0};
}
