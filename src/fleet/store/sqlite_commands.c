/* Commands, and what became of them on each robot. */
#include "fleet/store/db.h"

#define COMMAND_COLUMNS                                                                                      \
    "id, verb, operator, reason, nonce, sent_by, issued_ms, expires_ms, created_ms, lease, ttl_ms, envelope"
#define ROBOT_COLUMNS "command, robot, state, state_ms, expires_ms, lease, generation, release, text"

void command_row_fini(struct command_row *row)
{
    free(row->envelope);
    row->envelope = NULL;
}

static int read_command(sqlite3_stmt *stmt, struct command_row *out, struct err *err)
{
    char verb[16];
    *out = (struct command_row){.id = db_u64(stmt, 0),
                                .issued_ms = db_i64(stmt, 6),
                                .expires_ms = db_i64(stmt, 7),
                                .created_ms = db_i64(stmt, 8),
                                .lease = db_u64(stmt, 9),
                                .ttl_ms = (uint32_t)db_i64(stmt, 10)};
    db_text(stmt, 1, verb, sizeof verb);
    if (!command_verb_parse(verb, &out->verb))
        return err_set(err, ERR_CORRUPT, "stored command %llu: verb %s", (unsigned long long)out->id, verb);
    db_text(stmt, 2, out->operator_name, sizeof out->operator_name);
    db_text(stmt, 3, out->reason, sizeof out->reason);
    db_text(stmt, 4, out->nonce, sizeof out->nonce);
    db_text(stmt, 5, out->sent_by, sizeof out->sent_by);
    return 0;
}

static int read_envelope(sqlite3_stmt *stmt, struct command_row *out, struct err *err)
{
    if (read_command(stmt, out, err) < 0)
        return -1;
    out->envelope = mem_strdup((const char *)sqlite3_column_text(stmt, 11));
    return out->envelope ? 0 : err_no_memory(err);
}

static int visit_commands(struct sqlite_store *s, sqlite3_stmt *stmt, bool envelopes,
                          int (*visit)(const struct command_row *row, void *arg), void *arg, struct err *err)
{
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        cleanup_command_row struct command_row row = {0};
        if ((envelopes ? read_envelope(stmt, &row, err) : read_command(stmt, &row, err)) < 0)
            return -1;
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_command_add(struct store *store, const struct command_row *row, uint64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(
            s, err, NULL,
            "INSERT INTO commands (verb, operator, reason, nonce, sent_by, issued_ms, expires_ms, created_ms,"
            " lease, ttl_ms, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "tttttiiiuit", command_verb_name(row->verb), row->operator_name, row->reason, row->nonce,
            row->sent_by, row->issued_ms, row->expires_ms, row->created_ms, row->lease, (int64_t)row->ttl_ms,
            row->envelope) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_command_get(struct store *store, uint64_t id, struct command_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " COMMAND_COLUMNS " FROM commands WHERE id = ?", "u", id);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "command %llu is not known", (unsigned long long)id);
    return read_envelope(stmt, out, err);
}

int sqlite_command_each(struct store *store, const struct command_filter *filter,
                        int (*visit)(const struct command_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " COMMAND_COLUMNS " FROM commands AS c WHERE (?1 = 0 OR id < ?1)"
                 " AND (?2 = '' OR EXISTS (SELECT 1 FROM command_robots WHERE robot = ?2 AND command = c.id))"
                 " AND (?3 = 0 OR EXISTS (SELECT 1 FROM command_robots WHERE command = c.id AND state <= 1))"
                 " ORDER BY id DESC LIMIT ?4",
                 "utii", filter->before, filter->robot, (int64_t)filter->open, filter->limit);
    return stmt ? visit_commands(s, stmt, false, visit, arg, err) : -1;
}

int sqlite_command_due(struct store *store, const char *robot, uint64_t after, int64_t now_ms, int64_t limit,
                       int (*visit)(const struct command_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " COMMAND_COLUMNS " FROM commands WHERE id IN (SELECT command FROM command_robots"
                 " WHERE robot = ? AND state <= 1 AND (state = 0 OR command > ?) AND expires_ms > ?)"
                 " ORDER BY id LIMIT ?",
                 "tuii", robot, after, now_ms, limit);
    return stmt ? visit_commands(s, stmt, true, visit, arg, err) : -1;
}

static void read_robot(sqlite3_stmt *stmt, struct command_robot_row *out)
{
    int64_t state = db_i64(stmt, 2);
    *out = (struct command_robot_row){
        .command = db_u64(stmt, 0),
        .state = state >= 0 && state < COMMAND_STATE_COUNT ? (enum command_state)state : COMMAND_EXPIRED,
        .state_ms = db_i64(stmt, 3),
        .expires_ms = db_i64(stmt, 4),
        .lease = db_u64(stmt, 5),
        .generation = db_u64(stmt, 6)};
    db_text(stmt, 1, out->robot, sizeof out->robot);
    db_digest(stmt, 7, &out->release);
    db_text(stmt, 8, out->text, sizeof out->text);
}

static int visit_robots(struct sqlite_store *s, sqlite3_stmt *stmt,
                        int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                        struct err *err)
{
    int got;
    while ((got = db_step(s, stmt, err)) == 1) {
        struct command_robot_row row;
        read_robot(stmt, &row);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_command_robot_save(struct store *store, const struct command_robot_row *row, struct err *err)
{
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO command_robots (" ROBOT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (command, robot) DO UPDATE SET state = excluded.state, state_ms = excluded.state_ms,"
        " lease = excluded.lease, generation = excluded.generation, release = excluded.release,"
        " text = excluded.text",
        "utiiiuuDt", row->command, row->robot, (int64_t)row->state, row->state_ms, row->expires_ms,
        row->lease, row->generation, &row->release, row->text);
}

int sqlite_command_robot_get(struct store *store, uint64_t command, const char *robot,
                             struct command_robot_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " ROBOT_COLUMNS " FROM command_robots WHERE command = ? AND robot = ?", "ut",
                 command, robot);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "command %llu does not name robot %.63s",
                       (unsigned long long)command, robot);
    read_robot(stmt, out);
    return 0;
}

int sqlite_command_robot_each(struct store *store, uint64_t command,
                              int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                              struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " ROBOT_COLUMNS " FROM command_robots WHERE command = ? ORDER BY robot", "u",
                 command);
    return stmt ? visit_robots(s, stmt, visit, arg, err) : -1;
}

int sqlite_command_delivered(struct store *store, const char *robot, uint64_t up_to, int64_t now_ms,
                             struct err *err)
{
    return db_write(
        db_of(store), err, NULL,
        "UPDATE command_robots SET state = 1, state_ms = ? WHERE robot = ? AND state = 0 AND command <= ?",
        "itu", now_ms, robot, up_to);
}

int sqlite_command_overdue(struct store *store, int64_t before_ms, int64_t limit,
                           int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                           struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " ROBOT_COLUMNS " FROM command_robots WHERE state <= 1 AND expires_ms < ?"
                 " ORDER BY expires_ms LIMIT ?",
                 "ii", before_ms, limit);
    return stmt ? visit_robots(s, stmt, visit, arg, err) : -1;
}

int sqlite_command_last_id(struct store *store, uint64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'commands'), 0)", "");
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out = db_u64(stmt, 0);
    return 0;
}

int sqlite_command_prune(struct store *store, int64_t renewals_ms, int64_t all_ms, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "DELETE FROM commands WHERE created_ms < ? OR (verb = 'renew' AND created_ms < ?)", "ii",
                    all_ms, renewals_ms);
}
