#include "trust/audit.h"
#include "base/mem.h"
#include "sys/hash.h"
#include "wire/json.h"
#include "wire/json_stream.h"

#include <inttypes.h>

struct digest audit_hash(const struct digest *previous, const char *entry)
{
    struct hash *hash = hash_new();
    if (!hash)
        abort(); /* as sys/hash.h: never go on with a digest that is wrong */
    hash_update(hash, previous->bytes, sizeof previous->bytes);
    hash_update(hash, entry, strlen(entry));
    struct digest out = hash_finish(hash);
    hash_free(hash);
    return out;
}

/* The number that the entry itself says; 0 if it says none. */
static uint64_t number_in(const char *entry)
{
    struct json_reader reader;
    struct err err = {0};
    uint64_t seq = 0;
    if (json_read(&reader, "entry", entry, strlen(entry), &err) < 0)
        return 0;
    json_get_u64(json_root(&reader), "seq", INT64_MAX, &seq);
    return json_finish(&reader, &err) < 0 ? 0 : seq;
}

int audit_follow(struct audit_chain *chain, uint64_t seq, const char *entry, const struct digest *hash,
                 struct err *err)
{
    uint64_t next = chain->seq + 1;
    if (seq > next && seq - 1 > next)
        return err_set(err, ERR_CORRUPT, "entries %" PRIu64 " to %" PRIu64 " are missing", next, seq - 1);
    if (seq > next)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " is missing", next);
    if (seq < next)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " comes after entry %" PRIu64, seq, chain->seq);
    struct digest expected = audit_hash(&chain->head, entry);
    if (!digest_equal(&expected, hash))
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " was changed, or an entry was put in its place",
                       seq);
    if (number_in(entry) != seq)
        return err_set(err, ERR_CORRUPT, "entry %" PRIu64 " says that it is another one", seq);
    chain->seq = seq;
    chain->head = *hash;
    return 0;
}

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    if (text && text[0])
        jsonw_text(w, key, text);
}

static void put_number(struct json_writer *w, const char *key, uint64_t number)
{
    if (number)
        jsonw_u64(w, key, number);
}

char *audit_entry_format(const struct audit_entry *entry)
{
    cleanup_json_writer struct json_writer w;
    struct err err = {0};
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_u64(&w, "seq", entry->seq);
    jsonw_i64(&w, "time_ms", entry->time_ms);
    put_text(&w, "kind", entry->kind);
    put_text(&w, "who", entry->who);
    put_text(&w, "what", entry->what);
    put_text(&w, "why", entry->why);
    if (entry->robot_count) {
        jsonw_array(&w, "robots");
        for (size_t i = 0; i < entry->robot_count; i++)
            jsonw_text(&w, NULL, entry->robots[i]);
        jsonw_close(&w);
    }
    put_number(&w, "command", entry->command);
    put_text(&w, "sent_by", entry->sent_by);
    if (!digest_is_zero(&entry->release))
        jsonw_digest(&w, "release", &entry->release);
    put_number(&w, "generation", entry->generation);
    put_number(&w, "lease", entry->lease);
    put_text(&w, "text", entry->text);
    jsonw_close(&w);
    return jsonw_take(&w, &err);
}
