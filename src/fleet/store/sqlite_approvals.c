/* What people approved. */
#include "fleet/store/db.h"

void approval_row_fini(struct approval_row *row)
{
    free(row->envelope);
    row->envelope = NULL;
}

/* A plan that is none is 32 zero bytes here, so that it counts in the unique index. */
int sqlite_approval_save(struct store *store, const struct approval_row *row, struct err *err)
{
    int changes = 0;
    if (db_write(db_of(store), err, &changes,
                 "INSERT INTO approvals (release, plan, operator, reason, issued_ms, expires_ms, created_ms,"
                 " sent_by, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                 " ON CONFLICT (release, plan, operator) DO UPDATE SET reason = excluded.reason,"
                 " issued_ms = excluded.issued_ms, expires_ms = excluded.expires_ms,"
                 " created_ms = excluded.created_ms, sent_by = excluded.sent_by, envelope = excluded.envelope"
                 " WHERE issued_ms <= excluded.issued_ms",
                 "Dbttiiitt", &row->release, row->plan.bytes, sizeof row->plan.bytes, row->operator_name,
                 row->reason, row->issued_ms, row->expires_ms, row->created_ms, row->sent_by,
                 row->envelope) < 0)
        return -1;
    if (!changes)
        return err_set(err, ERR_CONFLICT, "there is a newer approval of %s for this already",
                       row->operator_name);
    return 0;
}

static void read_approval(sqlite3_stmt *stmt, struct approval_row *out)
{
    *out = (struct approval_row){.id = db_u64(stmt, 0),
                                 .issued_ms = db_i64(stmt, 5),
                                 .expires_ms = db_i64(stmt, 6),
                                 .created_ms = db_i64(stmt, 7)};
    db_digest(stmt, 1, &out->release);
    db_digest(stmt, 2, &out->plan);
    db_text(stmt, 3, out->operator_name, sizeof out->operator_name);
    db_text(stmt, 4, out->reason, sizeof out->reason);
    db_text(stmt, 8, out->sent_by, sizeof out->sent_by);
}

int sqlite_approval_each(struct store *store, const struct digest *release,
                         int (*visit)(const struct approval_row *row, void *arg), void *arg, struct err *err)
{
    static const struct digest all = {0};
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT id, release, plan, operator, reason, issued_ms, expires_ms, created_ms, sent_by,"
                 " envelope FROM approvals WHERE ?1 IS NULL OR release = ?1 ORDER BY expires_ms DESC, id",
                 "D", release ? release : &all);
    if (!stmt)
        return -1;
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        cleanup_approval_row struct approval_row row = {0};
        read_approval(stmt, &row);
        row.envelope = mem_strdup((const char *)sqlite3_column_text(stmt, 9));
        if (!row.envelope)
            return err_no_memory(err);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}
