#include "trust/audit.h"
#include "base/mem.h"
#include "wire/json_stream.h"

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
