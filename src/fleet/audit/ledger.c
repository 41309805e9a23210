#include "fleet/audit/ledger.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "sys/file.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

struct head { /* what is known of the log at one moment */
    struct merkle_tree tree;
    uint64_t signed_size;
    int64_t signed_ms, grown_ms; /* grown: when the first entry came that no checkpoint covers */
    char *checkpoint;            /* owned; NULL: none */
    bool stale;                  /* signed with a key that was replaced since */
};

struct ledger {
    struct store *store;
    char *key_path;
    struct stat key_stat;
    struct signing_key *key;
    struct public_key public;
    char origin[CHECKPOINT_ORIGIN_SIZE];
    struct head kept, open; /* on the disk; with the open transaction */
    struct err broken;      /* NONE: sound */
};

/* ---- entries ---- */

static int append_one(struct store *store, const struct audit_entry *entry, struct err *err)
{
    struct audit_entry stamped = *entry;
    cleanup_audit_row struct audit_row row = {0};
    if (store->ops->audit_last(store, &row.seq, err) < 0)
        return -1;
    stamped.seq = ++row.seq;
    stamped.time_ms = clock_wall_ms();
    row.entry = audit_entry_format(&stamped);
    if (!row.entry)
        return err_no_memory(err);
    row.hash = merkle_leaf(row.entry, strlen(row.entry));
    return store->ops->audit_add(store, &row, err);
}

int ledger_append(struct store *store, const struct audit_entry *entry, struct err *err)
{
    struct audit_entry part = *entry;
    size_t left = entry->robot_count;
    do {
        part.robot_count = MIN(left, (size_t)AUDIT_ENTRY_ROBOTS);
        if (append_one(store, &part, err) < 0)
            return -1;
        left -= part.robot_count;
        part.robots += part.robot_count;
    } while (left);
    return 0;
}

/* ---- the state ---- */

static int head_copy(struct head *to, const struct head *from, struct err *err)
{
    char *checkpoint = from->checkpoint ? mem_strdup(from->checkpoint) : NULL;
    if (from->checkpoint && !checkpoint)
        return err_no_memory(err);
    free(to->checkpoint);
    *to = *from;
    to->checkpoint = checkpoint;
    return 0;
}

static int read_hashes(void *arg, unsigned level, uint64_t index, size_t count, struct digest *out,
                       struct err *err)
{
    const struct ledger *ledger = arg;
    return ledger->store->ops->audit_hashes(ledger->store, level, index, count, out, err);
}

struct merkle_source ledger_source(const struct ledger *ledger)
{
    return (struct merkle_source){.read = read_hashes, .arg = (void *)(uintptr_t)ledger};
}

/* As far as hashes of level 1 reach; the rest, at most 255 entries unless it is converted, is taken in by the first seal. */
static int restore_tree(struct ledger *ledger, struct err *err)
{
    struct merkle_source source = ledger_source(ledger);
    struct store *store = ledger->store;
    uint64_t rows = 0, last = 0;
    if (store->ops->audit_last(store, &last, err) < 0 ||
        store->ops->audit_hash_count(store, 1, &rows, err) < 0)
        return -1;
    if (rows > last / MERKLE_TILE_WIDTH)
        return err_set(err, ERR_CORRUPT, "it ends with entry %" PRIu64 ", but had more", last);
    return merkle_restore(&source, rows * MERKLE_TILE_WIDTH, &ledger->kept.tree, err);
}

/* The log has to hold its own newest checkpoint. */
static int check_checkpoint(struct ledger *ledger, const struct checkpoint *checkpoint, struct err *err)
{
    struct merkle_source source = ledger_source(ledger);
    struct merkle_tree tree = {0};
    uint64_t last = 0;
    if (ledger->store->ops->audit_last(ledger->store, &last, err) < 0)
        return -1;
    if (checkpoint->size > last)
        return err_set(err, ERR_CORRUPT, "it ends with entry %" PRIu64 ", %" PRIu64 " were signed", last,
                       checkpoint->size);
    if (merkle_restore(&source, checkpoint->size, &tree, err) < 0)
        return -1;
    struct digest root = merkle_root(&tree);
    if (digest_equal(&root, &checkpoint->root))
        return 0;
    return err_set(err, ERR_CORRUPT, "entries up to %" PRIu64 " are not those that were signed",
                   checkpoint->size);
}

/* The newest checkpoint, whatever the log is worth. */
static int load_checkpoint(struct ledger *ledger, struct checkpoint *out, struct err *err)
{
    cleanup_audit_checkpoint_row struct audit_checkpoint_row row = {0};
    *out = (struct checkpoint){0};
    if (ledger->store->ops->audit_checkpoint_last(ledger->store, &row, err) < 0)
        return -1;
    if (!row.size)
        return 0;
    ledger->kept.signed_size = row.size;
    ledger->kept.signed_ms = row.time_ms;
    ledger->kept.checkpoint = TAKE_PTR(row.text);
    if (checkpoint_parse(ledger->kept.checkpoint, strlen(ledger->kept.checkpoint), out, err) < 0 ||
        out->size != row.size)
        return err_set(err, ERR_CORRUPT, "the checkpoint of %" PRIu64 " entries is damaged", row.size);
    str_copy(ledger->origin, sizeof ledger->origin, out->origin);
    struct checkpoint ours;
    struct err other = {0};
    ledger->kept.stale = checkpoint_open(ledger->kept.checkpoint, strlen(ledger->kept.checkpoint),
                                         &ledger->public, 1, &ours, &other) < 0;
    return 0;
}

static int restore(struct ledger *ledger, struct err *err)
{
    struct checkpoint checkpoint;
    if (load_checkpoint(ledger, &checkpoint, err) < 0 || restore_tree(ledger, err) < 0)
        return -1;
    return checkpoint.size ? check_checkpoint(ledger, &checkpoint, err) : 0;
}

static int make_key(const char *dir, const char *path, struct err *err)
{
    cleanup_free char *online = file_join(dir, "online");
    cleanup_signing_key struct signing_key *key = NULL;
    if (!online)
        return err_no_memory(err);
    if (file_make_dirs(online, 0700, err) < 0 || signing_key_generate(&key, err) < 0)
        return -1;
    return signing_key_save(key, path, err);
}

static int load_key(struct ledger *ledger, struct err *err)
{
    struct signing_key *key = NULL;
    struct stat now;
    if (stat(ledger->key_path, &now) < 0)
        return err_errno(err, "%s", ledger->key_path);
    if (signing_key_load(ledger->key_path, &key, err) < 0)
        return -1;
    signing_key_free(ledger->key);
    ledger->key = key;
    ledger->key_stat = now;
    signing_key_public(key, &ledger->public);
    return 0;
}

static int open_key(struct ledger *ledger, const char *dir, struct err *err)
{
    ledger->key_path = file_join(dir, "online/audit.key");
    if (!ledger->key_path)
        return err_no_memory(err);
    if ((!file_exists(ledger->key_path) && make_key(dir, ledger->key_path, err) < 0) ||
        load_key(ledger, err) < 0)
        return -1;
    snprintf(ledger->origin, sizeof ledger->origin, "muster.audit/%.16s", ledger->public.id);
    return 0;
}

/* Another file is there: what is signed from now on is signed with its key. If it cannot be read the old one goes on. */
static void follow_key(struct ledger *ledger)
{
    struct stat now;
    struct err err = {0};
    char before[KEY_ID_SIZE];
    if (stat(ledger->key_path, &now) < 0 ||
        (now.st_ino == ledger->key_stat.st_ino && now.st_dev == ledger->key_stat.st_dev &&
         now.st_mtim.tv_sec == ledger->key_stat.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == ledger->key_stat.st_mtim.tv_nsec))
        return;
    str_copy(before, sizeof before, ledger->public.id);
    if (load_key(ledger, &err) < 0)
        log_warn("audit key: %s; the old one goes on", err.text);
    else if (!str_eq(before, ledger->public.id))
        ledger->open.stale = ledger->kept.stale = true;
}

int ledger_open(struct store *store, const char *dir, struct ledger **out, struct err *err)
{
    cleanup_ledger struct ledger *ledger = mem_zalloc(1, sizeof *ledger);
    if (!ledger)
        return err_no_memory(err);
    ledger->store = store;
    if (open_key(ledger, dir, err) < 0)
        return err_prefix(err, "audit key");
    if (restore(ledger, &ledger->broken) < 0) {
        if (ledger->broken.code != ERR_CORRUPT && ledger->broken.code != ERR_INVALID)
            return *err = ledger->broken, -1;
        log_error("audit log: %s; it is not signed any more. Run muster audit verify", ledger->broken.text);
    }
    if (head_copy(&ledger->open, &ledger->kept, err) < 0)
        return -1;
    *out = TAKE_PTR(ledger);
    return 0;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    signing_key_free(ledger->key);
    free(ledger->key_path);
    free(ledger->kept.checkpoint);
    free(ledger->open.checkpoint);
    free(ledger);
}

/* ---- sealing ---- */

static int emit(unsigned level, uint64_t index, const struct digest *hash, void *arg, struct err *err)
{
    struct ledger *ledger = arg;
    return ledger->store->ops->audit_hash_add(ledger->store, level, index, hash, err);
}

/* The tree takes in what was appended since. */
static int catch_up(struct ledger *ledger, uint64_t last, struct err *err)
{
    struct digest row[MERKLE_TILE_WIDTH];
    struct merkle_tree *tree = &ledger->open.tree;
    while (tree->size < last) {
        size_t room = MERKLE_TILE_WIDTH - tree->size % MERKLE_TILE_WIDTH;
        size_t count = (size_t)MIN(last - tree->size, (uint64_t)room);
        if (read_hashes(ledger, 0, tree->size, count, row, err) < 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (merkle_append(tree, &row[i], emit, ledger, err) < 0)
                return -1;
    }
    return 0;
}

static int sign(struct ledger *ledger, int64_t now_ms, struct err *err)
{
    struct head *head = &ledger->open;
    struct checkpoint checkpoint = {.size = head->tree.size, .root = merkle_root(&head->tree)};
    struct audit_checkpoint_row row = {.size = checkpoint.size, .time_ms = now_ms};
    str_copy(checkpoint.origin, sizeof checkpoint.origin, ledger->origin);
    if (checkpoint_sign(&checkpoint, ledger->key, &row.text, err) < 0)
        return -1;
    free(head->checkpoint);
    head->checkpoint = row.text;
    head->signed_size = row.size;
    head->signed_ms = now_ms;
    head->grown_ms = 0;
    head->stale = false;
    return ledger->store->ops->audit_checkpoint_add(ledger->store, &row, err);
}

static bool due(const struct head *head, int64_t now_ms)
{
    uint64_t behind = head->tree.size - head->signed_size;
    return behind >= LEDGER_EVERY_ENTRIES ||
           (behind && head->grown_ms &&
            (now_ms - head->grown_ms >= LEDGER_EVERY_MS || now_ms < head->grown_ms));
}

static int advance(struct ledger *ledger, bool now, int64_t now_ms, struct err *err)
{
    struct head *head = &ledger->open;
    uint64_t last = 0;
    if (ledger->store->ops->audit_last(ledger->store, &last, err) < 0)
        return -1;
    if (last < head->tree.size)
        return err_set(err, ERR_CORRUPT, "it ends with entry %" PRIu64 ", but had more", last);
    if (catch_up(ledger, last, err) < 0)
        return -1;
    if (head->tree.size > head->signed_size && !head->grown_ms)
        head->grown_ms = now_ms;
    bool wanted = head->tree.size > head->signed_size && (now || due(head, now_ms));
    if (wanted || now)
        follow_key(ledger);
    return wanted || (now && head->stale && head->tree.size) ? sign(ledger, now_ms, err) : 0;
}

int ledger_seal(struct ledger *ledger, bool now, int64_t now_ms, struct err *err)
{
    if (ledger->broken.code != ERR_NONE)
        return 0;
    if (advance(ledger, now, now_ms, err) == 0)
        return 0;
    if (err->code != ERR_CORRUPT)
        return -1;
    ledger->broken = *err; /* what people did goes on being written, and the server goes on serving */
    log_error("audit log: %s; it is not signed any more. Run muster audit verify", err->text);
    *err = (struct err){0};
    return 0;
}

void ledger_settle(struct ledger *ledger, bool kept)
{
    struct head *from = kept ? &ledger->open : &ledger->kept, *to = kept ? &ledger->kept : &ledger->open;
    struct err err = {0};
    if (from->tree.size == to->tree.size && from->signed_size == to->signed_size &&
        from->grown_ms == to->grown_ms && from->stale == to->stale)
        return;
    if (head_copy(to, from, &err) == 0)
        return;
    /* Without memory for a line of text: nothing is signed until the server is started again. */
    ledger->broken = err;
    log_error("audit log: %s", err.text);
}

bool ledger_due(const struct ledger *ledger, int64_t now_ms)
{
    return ledger->broken.code == ERR_NONE && due(&ledger->kept, now_ms);
}

/* ---- what is known ---- */

uint64_t ledger_size(const struct ledger *ledger)
{
    return ledger->open.signed_size;
}

const char *ledger_checkpoint(const struct ledger *ledger)
{
    return ledger->open.checkpoint ? ledger->open.checkpoint : "";
}

const char *ledger_broken(const struct ledger *ledger)
{
    return ledger->broken.code == ERR_NONE ? NULL : ledger->broken.text;
}

const struct public_key *ledger_key(const struct ledger *ledger)
{
    return &ledger->public;
}

const char *ledger_origin(const struct ledger *ledger)
{
    return ledger->origin;
}
