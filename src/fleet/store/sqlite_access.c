/* Numbers, operators and enrolment tokens. */
#include "fleet/store/db.h"

int sqlite_number_get(struct store *store, const char *key, int64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(s, err, "SELECT value FROM numbers WHERE key = ?", "t", key);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out = row ? db_i64(stmt, 0) : 0;
    return 0;
}

int sqlite_number_set(struct store *store, const char *key, int64_t value, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO numbers (key, value) VALUES (?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    "ti", key, value);
}

int sqlite_operator_add(struct store *store, const struct operator_row *row, struct err *err)
{
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO operators (hash, name, rights, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)", "Dttii",
        &row->hash, row->name, row->rights, row->created_ms, row->expires_ms);
}

#define OPERATOR_COLUMNS "hash, name, rights, created_ms, expires_ms, revoked_ms"

static void read_operator(sqlite3_stmt *stmt, struct operator_row *out)
{
    *out = (struct operator_row){0};
    db_digest(stmt, 0, &out->hash);
    db_text(stmt, 1, out->name, sizeof out->name);
    db_text(stmt, 2, out->rights, sizeof out->rights);
    out->created_ms = db_i64(stmt, 3);
    out->expires_ms = db_i64(stmt, 4);
    out->revoked_ms = db_i64(stmt, 5);
}

int sqlite_operator_find(struct store *store, const struct digest *hash, struct operator_row *out,
                         struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " OPERATOR_COLUMNS " FROM operators WHERE hash = ?", "D", hash);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "the operator token is not known");
    read_operator(stmt, out);
    return 0;
}

int sqlite_operator_each(struct store *store, int (*visit)(const struct operator_row *row, void *arg),
                         void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " OPERATOR_COLUMNS " FROM operators ORDER BY name, created_ms", "");
    int got = stmt ? 1 : -1;
    while (got > 0 && (got = db_step(s, stmt, err)) > 0) {
        struct operator_row row;
        read_operator(stmt, &row);
        if (visit(&row, arg))
            break;
    }
    return got < 0 ? -1 : 0;
}

int sqlite_operator_revoke(struct store *store, const char *name, int64_t now_ms, int64_t *out_count,
                           struct err *err)
{
    int changes = 0;
    if (db_write(db_of(store), err, &changes,
                 "UPDATE operators SET revoked_ms = ? WHERE name = ? AND revoked_ms = 0", "it", now_ms,
                 name) < 0)
        return -1;
    *out_count = changes;
    return 0;
}

int sqlite_operator_count(struct store *store, int64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(s, err, "SELECT count(*) FROM operators", "");
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out = db_i64(stmt, 0);
    return 0;
}

int sqlite_enroll_add(struct store *store, const struct enroll_token_row *row, struct err *err)
{
    char labels[DB_LABELS_SIZE];
    db_labels_format(row->labels, row->label_count, labels);
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO enroll_tokens (hash, robot, labels, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
        "DTtii", &row->hash, row->robot, labels, row->created_ms, row->expires_ms);
}

int sqlite_enroll_get(struct store *store, const struct digest *hash, struct enroll_token_row *out,
                      struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT hash, robot, labels, created_ms, expires_ms, used_ms FROM enroll_tokens WHERE hash = ?", "D",
        hash);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "the enrolment token is not known");
    *out = (struct enroll_token_row){0};
    db_digest(stmt, 0, &out->hash);
    db_text(stmt, 1, out->robot, sizeof out->robot);
    out->label_count = db_labels_parse((const char *)sqlite3_column_text(stmt, 2), out->labels);
    out->created_ms = db_i64(stmt, 3);
    out->expires_ms = db_i64(stmt, 4);
    out->used_ms = db_i64(stmt, 5);
    return 0;
}

int sqlite_enroll_use(struct store *store, const struct digest *hash, const char *robot,
                      const struct digest *key, int64_t now_ms, struct err *err)
{
    int changes = 0;
    if (db_write(db_of(store), err, &changes,
                 "UPDATE enroll_tokens SET used_ms = ?, used_key = ?, robot = ?"
                 " WHERE hash = ? AND (used_ms = 0 OR used_key = ?)",
                 "iDtDD", now_ms, key, robot, hash, key) < 0)
        return -1;
    if (changes != 1)
        return err_set(err, ERR_CONFLICT, "the enrolment token was used already; ask for a new one");
    return 0;
}

int sqlite_enroll_void(struct store *store, const char *robot, struct err *err)
{
    return db_write(db_of(store), err, NULL, "DELETE FROM enroll_tokens WHERE robot = ?", "t", robot);
}
