/* What robots' black boxes sealed and sent. */
#include "fleet/store/db.h"

#define INCIDENT_COLUMNS                                                                                     \
    "id, robot, name, digest, bytes, cause, text, who, reason, severity, time_ms, from_ms, until_ms,"        \
    " received_ms, release, frames, verdicts"

static void read_row(sqlite3_stmt *stmt, struct incident_row *out)
{
    *out = (struct incident_row){.id = db_u64(stmt, 0),
                                 .bytes = db_u64(stmt, 4),
                                 .severity = (int)db_i64(stmt, 9),
                                 .time_ms = db_i64(stmt, 10),
                                 .from_ms = db_i64(stmt, 11),
                                 .until_ms = db_i64(stmt, 12),
                                 .received_ms = db_i64(stmt, 13),
                                 .frames = db_u64(stmt, 15),
                                 .verdicts = db_u64(stmt, 16)};
    db_text(stmt, 1, out->robot, sizeof out->robot);
    db_text(stmt, 2, out->name, sizeof out->name);
    db_digest(stmt, 3, &out->digest);
    db_text(stmt, 5, out->cause, sizeof out->cause);
    db_text(stmt, 6, out->text, sizeof out->text);
    db_text(stmt, 7, out->who, sizeof out->who);
    db_text(stmt, 8, out->reason, sizeof out->reason);
    db_digest(stmt, 14, &out->release);
}

int sqlite_incident_add(struct store *store, const struct incident_row *row, uint64_t *out_id,
                        struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(
            s, err, NULL,
            "INSERT INTO incidents (robot, name, digest, bytes, cause, text, who, reason, severity, time_ms,"
            " from_ms, until_ms, received_ms, release, frames, verdicts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "ttDuttttiiiiiDuu", row->robot, row->name, &row->digest, row->bytes, row->cause, row->text,
            row->who, row->reason, (int64_t)row->severity, row->time_ms, row->from_ms, row->until_ms,
            row->received_ms, &row->release, row->frames, row->verdicts) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

static int take_one(struct sqlite_store *s, sqlite3_stmt *stmt, struct incident_row *out, struct err *err)
{
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "there is no such incident; see muster incident list");
    read_row(stmt, out);
    return 0;
}

int sqlite_incident_get(struct store *store, uint64_t id, struct incident_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " INCIDENT_COLUMNS " FROM incidents WHERE id = ?", "u", id);
    return take_one(s, stmt, out, err);
}

int sqlite_incident_find(struct store *store, const char *robot, const char *name, struct incident_row *out,
                         struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT " INCIDENT_COLUMNS " FROM incidents WHERE robot = ? AND name = ?", "tt", robot, name);
    return take_one(s, stmt, out, err);
}

int sqlite_incident_by_digest(struct store *store, const struct digest *digest, struct incident_row *out,
                              struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " INCIDENT_COLUMNS " FROM incidents WHERE digest = ?", "D", digest);
    return take_one(s, stmt, out, err);
}

int sqlite_incident_victim(struct store *store, const char *robot, struct incident_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT " INCIDENT_COLUMNS " FROM incidents WHERE robot = ? ORDER BY severity, id LIMIT 1",
        "t", robot);
    return take_one(s, stmt, out, err);
}

int sqlite_incident_each(struct store *store, const char *robot, uint64_t before, int64_t limit,
                         int (*visit)(const struct incident_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT " INCIDENT_COLUMNS " FROM incidents WHERE (?1 = '' OR robot = ?1) AND (?2 = 0 OR id < ?2)"
        " ORDER BY id DESC LIMIT ?3",
        "tui", robot, before, limit);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct incident_row row;
        read_row(stmt, &row);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_incident_sum(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                        struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT count(*), coalesce(sum(bytes), 0) FROM incidents WHERE robot = ?", "t", robot);
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out_count = db_u64(stmt, 0);
    *out_bytes = db_u64(stmt, 1);
    return 0;
}

int sqlite_incident_drop(struct store *store, uint64_t id, struct err *err)
{
    return db_write(db_of(store), err, NULL, "DELETE FROM incidents WHERE id = ?", "u", id);
}

int sqlite_incident_upload_get(struct store *store, const char *robot, struct digest *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT digest FROM incident_uploads WHERE robot = ?", "t", robot);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out = (struct digest){0};
    if (row)
        db_digest(stmt, 0, out);
    return 0;
}

int sqlite_incident_upload_set(struct store *store, const char *robot, const struct digest *digest,
                               struct err *err)
{
    if (digest_is_zero(digest))
        return db_write(db_of(store), err, NULL, "DELETE FROM incident_uploads WHERE robot = ?", "t", robot);
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO incident_uploads (robot, digest) VALUES (?, ?)"
                    " ON CONFLICT (robot) DO UPDATE SET digest = excluded.digest",
                    "tD", robot, digest);
}
