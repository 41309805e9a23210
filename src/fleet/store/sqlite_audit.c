/* The audit log. Triggers refuse whatever is no append. */
#include "fleet/store/db.h"

void audit_row_fini(struct audit_row *row)
{
    free(row->entry);
    row->entry = NULL;
}

int sqlite_audit_add(struct store *store, const struct audit_row *row, struct err *err)
{
    return db_write(db_of(store), err, NULL, "INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)", "utD",
                    row->seq, row->entry, &row->hash);
}

int sqlite_audit_after(struct store *store, uint64_t after, int64_t limit,
                       int (*visit)(const struct audit_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT seq, entry, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", "ui", after, limit);
    if (!stmt)
        return -1;
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        cleanup_audit_row struct audit_row row = {.seq = db_u64(stmt, 0)};
        row.entry = mem_strdup((const char *)sqlite3_column_text(stmt, 1));
        if (!row.entry)
            return err_no_memory(err);
        db_digest(stmt, 2, &row.hash);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_audit_last(struct store *store, uint64_t *out_seq, struct digest *out_hash, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out_seq = row ? db_u64(stmt, 0) : 0;
    *out_hash = (struct digest){0};
    if (row)
        db_digest(stmt, 1, out_hash);
    return 0;
}
