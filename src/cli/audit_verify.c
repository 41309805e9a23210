/* muster audit verify: the whole log, entry by entry, against everything that is known of it. */
#include "cli/audit_log.h"

#include "base/str.h"
#include "cli/output.h"
#include "sys/file.h"
#include "trust/merkle/follow.h"
#include "wire/json.h"

#include <inttypes.h>
#include <string.h>

enum { CHECKPOINTS_PAGE = 500, MARKS = 17 };

struct mark { /* a checkpoint that somebody remembers */
    struct checkpoint checkpoint;
    const char *whose; /* file */
    bool met;
};

struct past { /* the checkpoints that the server has signed, a page at a time */
    size_t count, at;
    bool more;
    struct checkpoint items[CHECKPOINTS_PAGE];
};

struct verification {
    struct client *client;
    const char *remember, *export_dir;
    struct option_list witnesses;
    struct audit_key_flags key_flags;
    bool json;

    struct audit_keys keys, past_keys; /* who signs; who signed before, as well */
    bool key_of_server;                /* nobody but the server vouches for the key */
    struct checkpoint_answer *newest;
    struct checkpoint end;
    size_t mark_count;
    struct mark marks[MARKS];
    uint64_t before_count;
    struct digest *before; /* the hashes of entries when they were verified the last time */
    uint64_t hash_cap;
    struct digest *hashes; /* now */
    struct past past;
    struct follow follow;
    struct audit_export *export;
};

static void fini(struct verification *v)
{
    client_free(v->client);
    free(v->newest);
    free(v->before);
    free(v->hashes);
    audit_export_free(v->export);
    free(v);
}

/* ---- what is known ---- */

static int add_mark(struct verification *v, const char *file, const struct checkpoint *checkpoint,
                    struct err *err)
{
    if (v->end.origin[0] && !str_eq(checkpoint->origin, v->end.origin))
        return err_set(err, ERR_UNTRUSTED, "%s is of another log (%s) than this one (%s)", file,
                       checkpoint->origin, v->end.origin);
    v->marks[v->mark_count++] =
        (struct mark){.checkpoint = *checkpoint, .whose = file, .met = checkpoint->size == 0};
    return 0;
}

static int read_witnesses(struct verification *v, struct err *err)
{
    for (size_t i = 0; i < v->witnesses.count; i++) {
        cleanup_buf struct buf text = BUF_INIT(CHECKPOINT_MAX_BYTES);
        const char *file = v->witnesses.items[i];
        struct checkpoint checkpoint;
        if (file_read(file, &text, err) < 0)
            return -1;
        if (checkpoint_open(buf_text(&text), text.len, v->past_keys.items, v->past_keys.count, &checkpoint,
                            err) < 0)
            return err_prefix(err, "%s", file);
        if (add_mark(v, file, &checkpoint, err) < 0)
            return -1;
    }
    return 0;
}

/* FILE: a line with each verifier key, then the checkpoint. NULL: it is no such file. Names of logs have no +. */
static const char *remembered_note(struct verification *v, struct buf *text, struct err *err)
{
    char *line = (char *)text->data, *end;
    bool told = v->keys.count > 0; /* then only those sign what is new */
    while (line && (end = strchr(line, '\n')) && memchr(line, '+', (size_t)(end - line))) {
        *end = 0;
        if (audit_keys_add(&v->past_keys, line, err) < 0 ||
            (!told && audit_keys_add(&v->keys, line, err) < 0))
            return NULL;
        line = end + 1;
    }
    if (line && line != (char *)text->data)
        return line;
    err_set(err, ERR_INVALID, "this is nothing that muster audit verify wrote; name another file");
    return NULL;
}

/* The hashes have to be those of the checkpoint: they are as good as its signature then. */
static int read_hashes(struct verification *v, const struct checkpoint *checkpoint, struct err *err)
{
    cleanup_free char *path = mem_printf("%s.hashes", v->remember);
    struct file_map map = {0};
    struct merkle_tree tree = {0};
    if (!path)
        return err_no_memory(err);
    if (file_map(path, &map, err) < 0)
        return -1;
    v->before_count = map.size / sizeof *v->before;
    v->before = mem_dup(map.data, map.size);
    file_unmap(&map);
    if (!v->before)
        return err_no_memory(err);
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < v->before_count; i++)
        rc = merkle_append(&tree, &v->before[i], NULL, NULL, err);
    struct digest root = merkle_root(&tree);
    if (rc == 0 && (tree.size != checkpoint->size || !digest_equal(&root, &checkpoint->root)))
        rc = err_set(err, ERR_INVALID, "%s does not fit %s; remove both to begin anew", path, v->remember);
    return rc;
}

static int read_remembered(struct verification *v, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(2 * CHECKPOINT_MAX_BYTES);
    struct checkpoint checkpoint;
    if (!v->remember || !file_exists(v->remember))
        return 0;
    if (file_read(v->remember, &text, err) < 0)
        return -1;
    const char *note = remembered_note(v, &text, err);
    if (!note || checkpoint_parse(note, strlen(note), &checkpoint, err) < 0)
        return err_prefix(err, "%s", v->remember);
    if (add_mark(v, v->remember, &checkpoint, err) < 0)
        return -1;
    return checkpoint.size ? read_hashes(v, &checkpoint, err) : 0;
}

static int ask_server(struct verification *v, struct err *err)
{
    if (audit_log_newest(v->client, &v->newest, err) < 0)
        return -1;
    v->key_of_server = v->keys.count == 0;
    if (v->key_of_server && audit_keys_add(&v->keys, v->newest->key, err) < 0)
        return -1;
    if (checkpoint_open(v->newest->text, strlen(v->newest->text), v->keys.items, v->keys.count, &v->end,
                        err) < 0)
        return -1;
    for (size_t i = 0; i < v->keys.count; i++)
        if (audit_keys_put(&v->past_keys, &v->keys.items[i], err) < 0)
            return -1;
    if (v->mark_count && !str_eq(v->marks[0].checkpoint.origin, v->end.origin))
        return err_set(err, ERR_UNTRUSTED, "this log (%s) is not the one of %s (%s)", v->end.origin,
                       v->remember, v->marks[0].checkpoint.origin);
    return 0;
}

/* ---- the server's own checkpoints ---- */

static int read_past(struct verification *v, struct json_reader *reader, struct err *err)
{
    size_t count = 0;
    struct json_at root = json_root(reader), list = json_list(root, "checkpoints", CHECKPOINTS_PAGE, &count);
    cleanup_free char *text = mem_zalloc(CHECKPOINT_MAX_BYTES, 1);
    if (!text)
        return err_no_memory(err);
    v->past.more = json_has(root, "next");
    for (size_t i = 0; i < count; i++) {
        struct checkpoint *checkpoint = &v->past.items[v->past.count];
        json_as_string(json_item(list, i), text, CHECKPOINT_MAX_BYTES);
        if (reader->err.code != ERR_NONE)
            return 0;
        if (checkpoint_open(text, strlen(text), v->past_keys.items, v->past_keys.count, checkpoint, err) <
            0) {
            uint64_t last = v->past.count ? checkpoint[-1].size : v->follow.tree.size;
            err->code = ERR_CORRUPT;
            return err_prefix(
                err,
                "the stored checkpoint behind that of %" PRIu64
                " entries was changed, or signed with an older key (name it with --key or --root)",
                last);
        }
        v->past.count++;
    }
    return 0;
}

static int fetch_past(struct verification *v, uint64_t after, struct err *err)
{
    cleanup_free char *path =
        mem_printf("/api/v1/audit/checkpoints?limit=%d&after=%" PRIu64, CHECKPOINTS_PAGE, after);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    struct err malformed = {0};
    v->past.count = v->past.at = 0;
    if (!path)
        return err_no_memory(err);
    if (client_call(v->client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    int rc = read_past(v, &reader, err);
    if (json_finish(&reader, &malformed) < 0 && rc == 0) {
        *err = malformed;
        return -1;
    }
    return rc;
}

/* All of them that are of this size; checkpoints come in the order of their sizes. */
static int check_past(struct verification *v, struct err *err)
{
    struct past *past = &v->past;
    for (;;) {
        while (past->at < past->count && past->items[past->at].size <= v->follow.tree.size) {
            const struct checkpoint *checkpoint = &past->items[past->at++];
            if (checkpoint->size == v->follow.tree.size && follow_checkpoint(&v->follow, checkpoint, err) < 0)
                return -1;
        }
        if (past->at < past->count || !past->more)
            return 0;
        if (fetch_past(v, v->follow.tree.size, err) < 0)
            return -1;
    }
}

/* ---- the walk ---- */

static int keep_hash(struct verification *v, const struct audit_record *record, struct err *err)
{
    if (!v->remember)
        return 0;
    if (record->seq > v->hash_cap) {
        uint64_t cap = MAX(v->hash_cap * 2, (uint64_t)4096);
        void *more = mem_grow(v->hashes, cap, sizeof *v->hashes);
        if (!more)
            return err_no_memory(err);
        v->hashes = more;
        v->hash_cap = cap;
    }
    v->hashes[record->seq - 1] = record->hash;
    return 0;
}

static int check_marks(struct verification *v, struct err *err)
{
    for (size_t i = 0; i < v->mark_count; i++) {
        struct mark *mark = &v->marks[i];
        if (mark->checkpoint.size != v->follow.tree.size)
            continue;
        if (follow_checkpoint(&v->follow, &mark->checkpoint, err) < 0)
            return err_prefix(err, "this is not the log that %s knows", mark->whose);
        mark->met = true;
    }
    return 0;
}

static int follow_one(const struct audit_record *record, void *arg, struct err *err)
{
    struct verification *v = arg;
    if (record->seq == v->follow.tree.size + 1 && record->seq <= v->before_count &&
        follow_compare(record->seq, &record->hash, &v->before[record->seq - 1], err) < 0)
        return -1;
    if (follow_entry(&v->follow, record->seq, record->entry, record->len, &record->hash, err) < 0 ||
        check_marks(v, err) < 0 || check_past(v, err) < 0 || keep_hash(v, record, err) < 0)
        return -1;
    progress_show("audit log", record->seq, v->end.size);
    return v->export ? audit_export_entry(v->export, record, err) : 0;
}

static int check_end(struct verification *v, struct err *err)
{
    uint64_t wanted = v->end.size;
    const char *whose = "the signed checkpoint";
    for (size_t i = 0; i < v->mark_count; i++)
        if (v->marks[i].checkpoint.size > wanted) {
            wanted = v->marks[i].checkpoint.size;
            whose = v->marks[i].whose;
        }
    if (v->follow.tree.size < wanted)
        return err_set(err, ERR_CORRUPT,
                       "entries from %" PRIu64 " on are missing: the end was cut off (%s knows %" PRIu64 ")",
                       v->follow.tree.size + 1, whose, wanted);
    if (follow_checkpoint(&v->follow, &v->end, err) < 0)
        return -1;
    return v->newest->broken[0] ? err_set(err, ERR_CORRUPT, "the server says: %s", v->newest->broken) : 0;
}

static int walk(struct verification *v, struct err *err)
{
    if (fetch_past(v, 0, err) < 0 || audit_log_each(v->client, 0, v->end.size, follow_one, v, err) < 0)
        return -1;
    return check_end(v, err);
}

/* ---- afterwards ---- */

static int write_remembered(const struct verification *v, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(2 * CHECKPOINT_MAX_BYTES);
    cleanup_free char *hashes = v->remember ? mem_printf("%s.hashes", v->remember) : NULL;
    if (!v->remember)
        return 0;
    if (!hashes)
        return err_no_memory(err);
    for (size_t i = 0; i < v->past_keys.count; i++) {
        char key[CHECKPOINT_KEY_SIZE];
        checkpoint_key_format(v->end.origin, &v->past_keys.items[i], key);
        if (buf_printf(&text, err, "%s\n", key) < 0)
            return -1;
    }
    if (buf_puts(&text, v->newest->text, err) < 0 ||
        file_replace(hashes, v->hashes ? (const void *)v->hashes : "", v->end.size * sizeof *v->hashes, 0600,
                     err) < 0)
        return -1;
    return file_replace(v->remember, text.data, text.len, 0600, err);
}

static int say(const struct verification *v, struct err *err)
{
    struct digest_text root = digest_format(&v->end.root);
    if (!v->json) {
        printf("%" PRIu64 " entries, sound; root %s\n", v->end.size, root.text);
        if (v->key_of_server)
            printf("signed with a key that only the server vouches for: %s\n", v->newest->key);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_boolean(&out, "sound", true);
    jsonw_u64(&out, "entries", v->end.size);
    jsonw_digest(&out, "root", &v->end.root);
    jsonw_text(&out, "origin", v->end.origin);
    jsonw_boolean(&out, "key_known", !v->key_of_server);
    jsonw_text(&out, "checkpoint", v->newest->text);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* A log that is not sound is a refusal, not a failure. */
static int refuse(struct err *err)
{
    if (err->code == ERR_CORRUPT)
        err->code = ERR_UNTRUSTED;
    return -1;
}

static int verify(struct verification *v, struct err *err)
{
    if (audit_keys_read(&v->key_flags, &v->keys, err) < 0 || read_remembered(v, err) < 0 ||
        ask_server(v, err) < 0 || read_witnesses(v, err) < 0 ||
        (v->export_dir && audit_export_open(v->export_dir, &v->export, err) < 0))
        return -1;
    int rc = walk(v, err);
    progress_clear();
    if (rc < 0)
        return refuse(err);
    if (v->export && audit_export_end(v->export, v->newest->text, err) < 0)
        return -1;
    return write_remembered(v, err) < 0 ? -1 : say(v, err);
}

int audit_verify(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    struct operands operands = {.usage = "", .max = 0};
    struct verification *v = mem_zalloc(1, sizeof *v);
    if (!v)
        return err_no_memory(err);
    const struct option_def options[] = {
        CLIENT_OPTIONS(where),
        OPT_TEXT("remember", 0, &v->remember),
        OPT_LIST("witness", 0, &v->witnesses),
        OPT_LIST("key", 'k', &v->key_flags.keys),
        OPT_LIST("root", 0, &v->key_flags.roots),
        OPT_TEXT("export", 0, &v->export_dir),
        OPT_FLAG("json", 0, &v->json),
    };
    int rc = options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err);
    if (rc == 0)
        rc = client_open(&where, &v->client, err);
    if (rc == 0)
        rc = verify(v, err);
    fini(v);
    return rc;
}
