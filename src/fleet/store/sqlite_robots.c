/* Robots, their streams and reports. */
#include "fleet/store/db.h"

#define ROBOT_COLUMNS                                                                                        \
    "id, labels, serial, revoked, enrolled_ms, seen_ms, counter, target, target_rollback, target_ms, "       \
    "running,"                                                                                               \
    " committed, phase, phase_release, phase_text, phase_ms, guard,"                                         \
    " guard_who, guard_text, guard_ms, issued_ms, target_plan, next_serial, quarantined_ms, quarantine_text"

static void read_robot(sqlite3_stmt *stmt, struct robot_row *out)
{
    *out = (struct robot_row){
        .revoked = db_i64(stmt, 3) != 0,
        .enrolled_ms = db_i64(stmt, 4),
        .seen_ms = db_i64(stmt, 5),
        .counter = db_u64(stmt, 6),
        .target_rollback = db_i64(stmt, 8) != 0,
        .target_ms = db_i64(stmt, 9),
        .phase = (enum robot_phase)db_i64(stmt, 12),
        .phase_ms = db_i64(stmt, 15),
        .guard = (enum api_guard)db_i64(stmt, 16),
        .guard_ms = db_i64(stmt, 19),
        .issued_ms = db_i64(stmt, 20),
        .quarantined_ms = db_i64(stmt, 23),
    };
    db_text(stmt, 0, out->id, sizeof out->id);
    out->label_count = db_labels_parse((const char *)sqlite3_column_text(stmt, 1), out->labels);
    db_text(stmt, 2, out->serial, sizeof out->serial);
    db_digest(stmt, 7, &out->target);
    db_digest(stmt, 10, &out->running);
    db_digest(stmt, 11, &out->committed);
    db_digest(stmt, 13, &out->phase_release);
    db_text(stmt, 14, out->phase_text, sizeof out->phase_text);
    db_text(stmt, 17, out->guard_who, sizeof out->guard_who);
    db_text(stmt, 18, out->guard_text, sizeof out->guard_text);
    db_digest(stmt, 21, &out->target_plan);
    db_text(stmt, 22, out->next_serial, sizeof out->next_serial);
    db_text(stmt, 24, out->quarantine_text, sizeof out->quarantine_text);
}

int sqlite_robot_get(struct store *store, const char *id, struct robot_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " ROBOT_COLUMNS " FROM robots WHERE id = ?", "t", id);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "robot %s is not known; enroll it first", id);
    read_robot(stmt, out);
    return 0;
}

int sqlite_robot_save(struct store *store, const struct robot_row *row, struct err *err)
{
    char labels[DB_LABELS_SIZE];
    db_labels_format(row->labels, row->label_count, labels);
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO robots (" ROBOT_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (id) DO UPDATE SET labels = excluded.labels, serial = excluded.serial,"
        " revoked = excluded.revoked, enrolled_ms = excluded.enrolled_ms, seen_ms = excluded.seen_ms,"
        " counter = excluded.counter, target = excluded.target, target_rollback = excluded.target_rollback,"
        " target_ms = excluded.target_ms, running = excluded.running, committed = excluded.committed,"
        " phase = excluded.phase, phase_release = excluded.phase_release,"
        " phase_text = excluded.phase_text, phase_ms = excluded.phase_ms, guard = excluded.guard,"
        " guard_who = excluded.guard_who, guard_text = excluded.guard_text, guard_ms = excluded.guard_ms,"
        " issued_ms = excluded.issued_ms, target_plan = excluded.target_plan,"
        " next_serial = excluded.next_serial, quarantined_ms = excluded.quarantined_ms,"
        " quarantine_text = excluded.quarantine_text",
        "ttt"
        "iiiu"
        "Dii"
        "DD"
        "iDti"
        "itti"
        "iD"
        "tit",
        row->id, labels, row->serial, (int64_t)row->revoked, row->enrolled_ms, row->seen_ms, row->counter,
        &row->target, (int64_t)row->target_rollback, row->target_ms, &row->running, &row->committed,
        (int64_t)row->phase, &row->phase_release, row->phase_text, row->phase_ms, (int64_t)row->guard,
        row->guard_who, row->guard_text, row->guard_ms, row->issued_ms, &row->target_plan, row->next_serial,
        row->quarantined_ms, row->quarantine_text);
}

int sqlite_robot_seen(struct store *store, const char *id, int64_t seen_ms, struct err *err)
{
    return db_write(db_of(store), err, NULL, "UPDATE robots SET seen_ms = max(seen_ms, ?) WHERE id = ?", "it",
                    seen_ms, id);
}

int sqlite_robot_each(struct store *store, const char *after, int64_t limit,
                      int (*visit)(const struct robot_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT " ROBOT_COLUMNS " FROM robots WHERE id > ? ORDER BY id LIMIT ?", "ti", after, limit);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct robot_row robot;
        read_robot(stmt, &robot);
        if (visit(&robot, arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_stream_get(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t *out_seq, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT seq FROM streams WHERE robot = ? AND kind = ? AND stream = ?", "tit", robot,
                 (int64_t)kind, stream);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out_seq = row ? db_u64(stmt, 0) : 0;
    return 0;
}

int sqlite_stream_set(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t seq, int64_t now_ms, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    int changes = 0;
    if (db_write(s, err, &changes,
                 "UPDATE streams SET seq = ?, used_ms = ? WHERE robot = ? AND kind = ? AND stream = ?",
                 "uitit", seq, now_ms, robot, (int64_t)kind, stream) < 0)
        return -1;
    if (changes)
        return 0;
    if (db_write(s, err, NULL,
                 "INSERT INTO streams (robot, kind, stream, seq, used_ms) VALUES (?, ?, ?, ?, ?)", "titui",
                 robot, (int64_t)kind, stream, seq, now_ms) < 0)
        return -1;
    return db_write(
        s, err, NULL,
        "DELETE FROM streams WHERE robot = ?1 AND kind = ?2 AND stream IN (SELECT stream FROM streams"
        " WHERE robot = ?1 AND kind = ?2 AND stream <> ?3 ORDER BY used_ms DESC LIMIT -1 OFFSET ?4)",
        "titi", robot, (int64_t)kind, stream, (int64_t)(STORE_STREAMS_PER_ROBOT - 1));
}

int sqlite_report_add(struct store *store, const struct report_row *row, struct err *err)
{
    const struct api_report *report = &row->report;
    return db_write(
        db_of(store), err, NULL,
        "INSERT INTO reports (robot, stream, seq, received_ms, time_ms, kind, release, version, bytes, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "ttuiiiDtut", row->robot, row->stream, report->seq, row->received_ms, report->time_ms,
        (int64_t)report->kind, &report->release, report->version, report->bytes, report->text);
}

static void read_report(sqlite3_stmt *stmt, struct report_row *out)
{
    *out = (struct report_row){
        .received_ms = db_i64(stmt, 3),
        .report = {.seq = db_u64(stmt, 2), .time_ms = db_i64(stmt, 4), .bytes = db_u64(stmt, 8)},
    };
    out->report.kind = (enum report_kind)db_i64(stmt, 5);
    db_text(stmt, 0, out->robot, sizeof out->robot);
    db_text(stmt, 1, out->stream, sizeof out->stream);
    db_digest(stmt, 6, &out->report.release);
    db_text(stmt, 7, out->report.version, sizeof out->report.version);
    db_text(stmt, 9, out->report.text, sizeof out->report.text);
}

int sqlite_report_last(struct store *store, const char *robot, int64_t limit,
                       int (*visit)(const struct report_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT robot, stream, seq, received_ms, time_ms, kind, release, version, bytes, text FROM reports"
        " WHERE robot = ? ORDER BY id DESC LIMIT ?",
        "ti", robot, limit);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct report_row report;
        read_report(stmt, &report);
        if (visit(&report, arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_report_prune(struct store *store, const char *robot, int64_t keep, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "DELETE FROM reports WHERE robot = ?1 AND id <="
                    " (SELECT id FROM reports WHERE robot = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    "ti", robot, keep);
}
