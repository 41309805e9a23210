/* Decision records, and what drifts. */
#include "fleet/store/db.h"

#include <math.h>
#include <string.h>

int sqlite_decision_add(struct store *store, const struct decision_row *row, uint64_t *out_id,
                        struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(s, err, NULL,
                 "INSERT INTO decisions (robot, release, rollout, who, rule, time_ms, received_ms, detail)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 "tDuttiit", row->robot, &row->release, row->rollout, row->who, row->rule, row->time_ms,
                 row->received_ms, row->detail) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_decision_each(struct store *store, const struct decision_filter *filter,
                         int (*visit)(const struct decision_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT id, robot, release, rollout, who, rule, time_ms, received_ms, detail FROM decisions"
        " WHERE (?1 = '' OR robot = ?1) AND (?2 IS NULL OR release = ?2) AND (?3 = 0 OR rollout = ?3)"
        " AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?5",
        "tDuui", filter->robot ? filter->robot : "", &filter->release, filter->rollout, filter->before,
        filter->limit);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct decision_row row = {.id = db_u64(stmt, 0),
                                   .rollout = db_u64(stmt, 3),
                                   .time_ms = db_i64(stmt, 6),
                                   .received_ms = db_i64(stmt, 7),
                                   .detail = (char *)(uintptr_t)sqlite3_column_text(stmt, 8)};
        db_text(stmt, 1, row.robot, sizeof row.robot);
        db_digest(stmt, 2, &row.release);
        db_text(stmt, 4, row.who, sizeof row.who);
        db_text(stmt, 5, row.rule, sizeof row.rule);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_decision_prune(struct store *store, const char *robot, int64_t keep, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "DELETE FROM decisions WHERE robot = ?1 AND id <="
                    " (SELECT id FROM decisions WHERE robot = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    "ti", robot, keep);
}

/* The names are separated by spaces; a robot's id has none. */
bool drift_row_names(const struct drift_row *row, const char *robot)
{
    size_t len = strlen(robot);
    for (const char *at = row->robots; len && (at = strstr(at, robot)) != NULL; at += len)
        if ((at == row->robots || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
            return true;
    return false;
}

#define DRIFT_COLUMNS                                                                                        \
    "id, common, release, cause, opened_ms, updated_ms, closed_ms, acknowledged_ms, acknowledged_by, "       \
    "log10_e,"                                                                                               \
    " robots, robot_count, text, acknowledgement"

static void read_drift(sqlite3_stmt *stmt, struct drift_row *out)
{
    *out = (struct drift_row){.id = db_u64(stmt, 0),
                              .common = db_i64(stmt, 1) != 0,
                              .opened_ms = db_i64(stmt, 4),
                              .updated_ms = db_i64(stmt, 5),
                              .closed_ms = db_i64(stmt, 6),
                              .acknowledged_ms = db_i64(stmt, 7),
                              .log10_e = sqlite3_column_double(stmt, 9),
                              .robot_count = db_u64(stmt, 11),
                              .acknowledgement = db_u64(stmt, 13)};
    db_digest(stmt, 2, &out->release);
    db_text(stmt, 3, out->cause, sizeof out->cause);
    db_text(stmt, 8, out->acknowledged_by, sizeof out->acknowledged_by);
    db_text(stmt, 10, out->robots, sizeof out->robots);
    db_text(stmt, 12, out->text, sizeof out->text);
}

int sqlite_drift_add(struct store *store, const struct drift_row *row, uint64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(
            s, err, NULL,
            "INSERT INTO drift (common, release, cause, opened_ms, updated_ms, closed_ms, acknowledged_ms,"
            " acknowledged_by, log10_e, robots, robot_count, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?)",
            "iDtiiiitdtut", (int64_t)row->common, &row->release, row->cause, row->opened_ms, row->updated_ms,
            row->closed_ms, row->acknowledged_ms, row->acknowledged_by, row->log10_e, row->robots,
            row->robot_count, row->text) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_drift_save(struct store *store, const struct drift_row *row, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "UPDATE drift SET common = ?, updated_ms = ?, closed_ms = ?, acknowledged_ms = ?, "
                    "acknowledged_by = ?,"
                    " log10_e = ?, robots = ?, robot_count = ?, text = ?, acknowledgement = ? WHERE id = ?",
                    "iiiitdtutuu", (int64_t)row->common, row->updated_ms, row->closed_ms,
                    row->acknowledged_ms, row->acknowledged_by, row->log10_e, row->robots, row->robot_count,
                    row->text, row->acknowledgement, row->id);
}

static int take_one(struct sqlite_store *s, sqlite3_stmt *stmt, struct drift_row *out, struct err *err)
{
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "there is no such drift; see muster drift list");
    read_drift(stmt, out);
    return 0;
}

int sqlite_drift_get(struct store *store, uint64_t id, struct drift_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " DRIFT_COLUMNS " FROM drift WHERE id = ?", "u", id);
    return take_one(s, stmt, out, err);
}

int sqlite_drift_open(struct store *store, const struct digest *release, const char *cause,
                      struct drift_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " DRIFT_COLUMNS
                 " FROM drift WHERE closed_ms = 0 AND release = ? AND cause = ? ORDER BY id LIMIT 1",
                 "Dt", release, cause);
    return take_one(s, stmt, out, err);
}

int sqlite_drift_each(struct store *store, bool open_only, int64_t limit,
                      int (*visit)(const struct drift_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT " DRIFT_COLUMNS " FROM drift WHERE (? = 0 OR closed_ms = 0) ORDER BY id DESC LIMIT ?",
        "ii", (int64_t)open_only, limit);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct drift_row row;
        read_drift(stmt, &row);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

/* ---- robots' own alarms ---- */

int sqlite_drift_alarm_save(struct store *store, uint64_t finding, const char *robot, int64_t time_ms,
                            struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(s, err, NULL,
                 "INSERT OR REPLACE INTO drift_alarms (robot, finding, time_ms) VALUES (?, ?, ?)", "tui",
                 robot, finding, time_ms) < 0)
        return -1;
    return db_write(
        s, err, NULL,
        "DELETE FROM drift_alarms WHERE robot = ?1 AND finding <= (SELECT finding FROM drift_alarms"
        " WHERE robot = ?1 ORDER BY finding DESC LIMIT 1 OFFSET ?2)",
        "ti", robot, (int64_t)STORE_ALARMS_PER_ROBOT);
}

int sqlite_drift_seen_each(struct store *store, const char *robot, uint64_t after, int64_t limit,
                           int (*visit)(const struct seen_alarm *seen, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT d.acknowledgement, d.release, a.time_ms FROM drift_alarms a JOIN drift d ON d.id = a.finding"
        " WHERE a.robot = ? AND d.acknowledgement > ? ORDER BY d.acknowledgement LIMIT ?",
        "tui", robot, after, limit);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct seen_alarm seen = {.number = db_u64(stmt, 0), .time_ms = db_i64(stmt, 2)};
        db_digest(stmt, 1, &seen.release);
        if (visit(&seen, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_drift_seen_last(struct store *store, uint64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT max(acknowledgement) FROM drift WHERE acknowledgement > 0", "");
    int got = stmt ? db_step(s, stmt, err) : -1;
    if (got < 0)
        return -1;
    *out = got ? db_u64(stmt, 0) : 0;
    return 0;
}
