#include "trust/merkle/answer.h"

#include "base/hex.h"
#include "base/str.h"
#include "trust/rule.h"
#include "wire/json.h"

#include <inttypes.h>
#include <string.h>

static void read_hashes(struct json_at root, struct merkle_proof *out)
{
    struct json_at list = json_list(root, "consistency", MERKLE_PROOF_MAX, &out->count);
    for (size_t i = 0; i < out->count; i++) {
        struct json_at at = json_item(list, i);
        char text[DIGEST_TEXT_SIZE] = "";
        json_as_string(at, text, sizeof text);
        if (!digest_parse(text, &out->hashes[i]))
            json_fail(at, "is no digest");
    }
}

int checkpoint_answer_parse(const void *text, size_t len, struct checkpoint_answer *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct checkpoint_answer){0};
    if (len > CHECKPOINT_ANSWER_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "checkpoint: %zu bytes, the limit is %d", len,
                       CHECKPOINT_ANSWER_MAX_BYTES);
    if (json_read(&reader, "checkpoint", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "checkpoint", "consistency", "key", "broken");
    json_get_string(root, "checkpoint", out->text, sizeof out->text);
    json_get_line(root, "key", out->key, sizeof out->key);
    if (json_has(root, "broken"))
        json_get_line(root, "broken", out->broken, sizeof out->broken);
    read_hashes(root, &out->consistency);
    return json_finish(&reader, err);
}

static bool speaks(const struct tuf_keyset *set, const char *keyid)
{
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->keyids[i], keyid))
            return true;
    return false;
}

size_t checkpoint_root_keys(const struct tuf_root *root, struct public_key *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < root->key_count && count < max; i++) {
        const struct tuf_key *key = &root->keys[i];
        uint8_t raw[32];
        if (key->scheme != TUF_ED25519 || !speaks(&root->audit, key->id) || strlen(key->public_text) != 64 ||
            !hex_decode(key->public_text, 64, raw))
            continue;
        public_key_from_raw(raw, &out[count++]);
    }
    return count;
}

int checkpoint_follows(const struct checkpoint *known, const struct checkpoint_answer *answer,
                       const struct public_key *keys, size_t count, struct checkpoint *out, struct err *err)
{
    struct checkpoint now;
    if (checkpoint_open(answer->text, strlen(answer->text), keys, count, &now, err) < 0) {
        char why[sizeof err->text];
        str_copy(why, sizeof why, err->text);
        return err->code == ERR_UNTRUSTED ? trust_refuse(err, TRUST_AUDIT_SIGNATURE, "%s", why) : -1;
    }
    *out = now;
    if (known->size == 0)
        return 0;
    if (!str_eq(known->origin, now.origin))
        return trust_refuse(err, TRUST_AUDIT_FORK, "another log (%s) than the one that is known (%s)",
                            now.origin, known->origin);
    if (now.size < known->size)
        return trust_refuse(err, TRUST_AUDIT_SHRUNK, "the log had %" PRIu64 " entries and has %" PRIu64,
                            known->size, now.size);
    if (!merkle_check_consistency(known->size, &known->root, now.size, &now.root, &answer->consistency))
        return trust_refuse(err, TRUST_AUDIT_FORK,
                            "the log of %" PRIu64 " entries is no beginning of the one of %" PRIu64,
                            known->size, now.size);
    return 0;
}
