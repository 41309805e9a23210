#include "cli/audit_log.h"

#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"
#include "wire/tuf/metadata.h"

#include <inttypes.h>
#include <string.h>

enum { PAGE = 200, ENTRY_MAX = 256 << 10, ROOT_MAX = 512 << 10, KEYS_MAX = 64 << 10 };

/* ---- entries ---- */

struct walk {
    uint64_t after, last;
    int (*visit)(const struct audit_record *record, void *arg, struct err *err);
    void *arg;
};

static int visit_page(struct walk *walk, struct json_reader *reader, bool *out_more, struct err *err)
{
    size_t count = 0;
    struct json_at root = json_root(reader), list = json_list(root, "entries", PAGE, &count);
    cleanup_free char *entry = mem_zalloc(ENTRY_MAX, 1);
    if (!entry)
        return err_no_memory(err);
    *out_more = json_has(root, "next");
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        struct audit_record record = {.entry = entry};
        json_get_u64(at, "seq", INT64_MAX, &record.seq);
        if (json_has(at, "hash")) /* one that is damaged may be missing: it is wrong then, not malformed */
            json_get_digest(at, "hash", &record.hash);
        json_get_string(at, "entry", entry, ENTRY_MAX);
        if (reader->err.code != ERR_NONE)
            return 0;
        if (record.seq > walk->last || record.seq <= walk->after) {
            *out_more = false;
            return 0;
        }
        record.len = strlen(entry);
        if (walk->visit(&record, walk->arg, err) < 0)
            return -1;
        walk->after = record.seq;
    }
    return 0;
}

static int walk_page(struct client *client, struct walk *walk, bool *out_more, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/audit?limit=%d&after=%" PRIu64, PAGE, walk->after);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    struct err malformed = {0};
    if (!path)
        return err_no_memory(err);
    if (client_call(client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    int rc = visit_page(walk, &reader, out_more, err);
    if (json_finish(&reader, &malformed) < 0 && rc == 0) {
        *err = malformed;
        return -1;
    }
    return rc;
}

int audit_log_each(struct client *client, uint64_t after, uint64_t last,
                   int (*visit)(const struct audit_record *record, void *arg, struct err *err), void *arg,
                   struct err *err)
{
    struct walk walk = {.after = after, .last = last, .visit = visit, .arg = arg};
    bool more = after < last;
    while (more && walk.after < last)
        if (walk_page(client, &walk, &more, err) < 0)
            return -1;
    return 0;
}

int audit_log_newest(struct client *client, struct checkpoint_answer **out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(CLIENT_MAX_ANSWER);
    cleanup_free struct checkpoint_answer *answer = mem_zalloc(1, sizeof *answer);
    if (!answer)
        return err_no_memory(err);
    if (client_call(client, "GET", "/api/v1/audit/checkpoint?since=0", NULL, &text, err) < 0 ||
        checkpoint_answer_parse(buf_text(&text), text.len, answer, err) < 0)
        return -1;
    *out = TAKE_PTR(answer);
    return 0;
}

/* ---- keys ---- */

int audit_keys_put(struct audit_keys *keys, const struct public_key *key, struct err *err)
{
    for (size_t i = 0; i < keys->count; i++)
        if (memcmp(keys->items[i].raw, key->raw, sizeof key->raw) == 0)
            return 0;
    if (keys->count == ARRAY_LEN(keys->items))
        return err_set(err, ERR_TOO_BIG, "more than %zu audit keys", ARRAY_LEN(keys->items));
    keys->items[keys->count++] = *key;
    return 0;
}

int audit_keys_add(struct audit_keys *keys, const char *verifier_key, struct err *err)
{
    char origin[CHECKPOINT_ORIGIN_SIZE];
    struct public_key key;
    return checkpoint_key_parse(verifier_key, origin, &key, err) < 0 ? -1 : audit_keys_put(keys, &key, err);
}

static int add_file(struct audit_keys *keys, const char *path, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(KEYS_MAX);
    struct public_key key;
    char *rest = NULL;
    if (file_read(path, &text, err) < 0)
        return -1;
    if (str_starts(buf_text(&text), "-----BEGIN"))
        return public_key_load(path, &key, err) < 0 ? -1 : audit_keys_put(keys, &key, err);
    for (char *line = text.data ? strtok_r((char *)text.data, "\r\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\r\n", &rest))
        if (audit_keys_add(keys, line, err) < 0)
            return err_prefix(err, "%s", path);
    return 0;
}

static int add_root(struct audit_keys *keys, const char *path, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(ROOT_MAX);
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (file_read(path, &text, err) < 0)
        return -1;
    if (tuf_metadata_parse(buf_text(&text), text.len, &metadata, err) < 0)
        return err_prefix(err, "%s", path);
    if (metadata.kind != TUF_ROOT)
        return err_set(err, ERR_INVALID, "%s is no root of trust", path);
    struct public_key named[ARRAY_LEN(keys->items)];
    size_t count = checkpoint_root_keys(&metadata.root, named, ARRAY_LEN(named));
    for (size_t i = 0; i < count; i++)
        if (audit_keys_put(keys, &named[i], err) < 0)
            return -1;
    return count ? 0 : err_set(err, ERR_INVALID, "%s names no audit key", path);
}

int audit_keys_read(const struct audit_key_flags *flags, struct audit_keys *out, struct err *err)
{
    for (size_t i = 0; i < flags->keys.count; i++) {
        const char *key = flags->keys.items[i];
        bool file = file_exists(key) || !strchr(key, '+');
        if ((file ? add_file : audit_keys_add)(out, key, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < flags->roots.count; i++)
        if (add_root(out, flags->roots.items[i], err) < 0)
            return -1;
    return 0;
}
