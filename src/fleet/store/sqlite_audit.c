/* The audit log. Triggers refuse whatever is no append. */
#include "fleet/store/db.h"

#include "sys/hash.h"
#include "trust/merkle/tree.h"

#include <inttypes.h>

void audit_row_fini(struct audit_row *row)
{
    free(row->entry);
    row->entry = NULL;
}

void audit_checkpoint_row_fini(struct audit_checkpoint_row *row)
{
    free(row->text);
    row->text = NULL;
}

/* A damaged database may have none. */
static char *text_of(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return mem_strdup(text ? text : "");
}

/* ---- entries ---- */

int sqlite_audit_add(struct store *store, const struct audit_row *row, struct err *err)
{
    return db_write(db_of(store), err, NULL, "INSERT INTO audit_log (seq, entry, hash) VALUES (?, ?, ?)",
                    "utD", row->seq, row->entry, &row->hash);
}

int sqlite_audit_after(struct store *store, uint64_t after, int64_t limit,
                       int (*visit)(const struct audit_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT seq, entry, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", "ui",
                 after, limit);
    if (!stmt)
        return -1;
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        cleanup_audit_row struct audit_row row = {.seq = db_u64(stmt, 0)};
        row.entry = text_of(stmt, 1);
        if (!row.entry)
            return err_no_memory(err);
        db_digest(stmt, 2, &row.hash);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_audit_last(struct store *store, uint64_t *out_seq, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT seq FROM audit_log ORDER BY seq DESC LIMIT 1", "");
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out_seq = row ? db_u64(stmt, 0) : 0;
    return 0;
}

/* ---- hashes ---- */

int sqlite_audit_hash_add(struct store *store, unsigned level, uint64_t at, const struct digest *hash,
                          struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO audit_hashes (level, at, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    "iuD", (int64_t)level, at, hash);
}

/* Each at its place: a hole is an error, not a shift. */
static int read_hashes(struct sqlite_store *s, sqlite3_stmt *stmt, uint64_t first, size_t count,
                       struct digest *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int row = db_step(s, stmt, err);
        if (row < 0)
            return -1;
        if (row == 0 || db_u64(stmt, 0) != first + i || sqlite3_column_bytes(stmt, 1) != sizeof out->bytes)
            return err_set(err, ERR_CORRUPT, "the audit log: number %" PRIu64 " is missing or damaged",
                           first + i);
        db_digest(stmt, 1, &out[i]);
    }
    return 0;
}

int sqlite_audit_hashes(struct store *store, unsigned level, uint64_t at, size_t count, struct digest *out,
                        struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        level ? db_query(s, err,
                         "SELECT at, hash FROM audit_hashes WHERE level = ? AND at >= ? ORDER BY at LIMIT ?",
                         "iui", (int64_t)level, at, (int64_t)count)
              : db_query(s, err, "SELECT seq, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", "ui",
                         at, (int64_t)count);
    return stmt ? read_hashes(s, stmt, level ? at : at + 1, count, out, err) : -1;
}

int sqlite_audit_hash_count(struct store *store, unsigned level, uint64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT at FROM audit_hashes WHERE level = ? ORDER BY at DESC LIMIT 1", "i", (int64_t)level);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out = row ? db_u64(stmt, 0) + 1 : 0;
    return 0;
}

/* ---- checkpoints ---- */

int sqlite_audit_checkpoint_add(struct store *store, const struct audit_checkpoint_row *row, struct err *err)
{
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO audit_checkpoints (size, time_ms, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", "uit",
        row->size, row->time_ms, row->text);
}

static int read_checkpoint(sqlite3_stmt *stmt, struct audit_checkpoint_row *out, struct err *err)
{
    *out = (struct audit_checkpoint_row){.size = db_u64(stmt, 0), .time_ms = db_i64(stmt, 1)};
    out->text = text_of(stmt, 2);
    return out->text ? 0 : err_no_memory(err);
}

int sqlite_audit_checkpoint_after(struct store *store, uint64_t size, int64_t limit,
                                  int (*visit)(const struct audit_checkpoint_row *row, void *arg), void *arg,
                                  struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT size, time_ms, text FROM audit_checkpoints WHERE size > ? ORDER BY size LIMIT ?",
        "ui", size, limit);
    if (!stmt)
        return -1;
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        cleanup_audit_checkpoint_row struct audit_checkpoint_row row = {0};
        if (read_checkpoint(stmt, &row, err) < 0)
            return -1;
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_audit_checkpoint_last(struct store *store, struct audit_checkpoint_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT size, time_ms, text FROM audit_checkpoints ORDER BY size DESC LIMIT 1", "");
    int row = stmt ? db_step(s, stmt, err) : -1;
    *out = (struct audit_checkpoint_row){0};
    return row <= 0 ? row : read_checkpoint(stmt, out, err);
}

/* ---- the chain that was before ---- */

static void leaf_hash(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *entry = (const char *)sqlite3_value_text(values[0]);
    struct digest hash = merkle_leaf(entry ? entry : "", (size_t)sqlite3_value_bytes(values[0]));
    sqlite3_result_blob(context, hash.bytes, sizeof hash.bytes, SQLITE_TRANSIENT);
}

static void chain_hash(sqlite3_context *context, int count, sqlite3_value **values)
{
    cleanup_hash struct hash *hash = hash_new();
    if (!hash) {
        sqlite3_result_error_nomem(context);
        return;
    }
    for (int i = 0; i < count; i++) {
        const void *data = sqlite3_value_blob(values[i]);
        hash_update(hash, data ? data : "", (size_t)sqlite3_value_bytes(values[i]));
    }
    struct digest digest = hash_finish(hash);
    sqlite3_result_blob(context, digest.bytes, sizeof digest.bytes, SQLITE_TRANSIENT);
}

int db_audit_functions(struct sqlite_store *s, struct err *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    if (sqlite3_create_function(s->db, "leaf_hash", 1, flags, NULL, leaf_hash, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(s->db, "chain_hash", 2, flags, NULL, chain_hash, NULL, NULL) != SQLITE_OK)
        return db_error(s, err, "functions");
    return 0;
}
