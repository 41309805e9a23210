/* Frames that people look at, what they said, and what they report as missed. */
#include "fleet/store/db.h"

#include <math.h>

#define REVIEW_COLUMNS                                                                                       \
    "id, robot, site, release, sample, bytes, time_ms, received_ms, from_ms, until_ms, reason, probability," \
    " score, count, seen_ms, verdict, missed, decided_by, note, decided_ms"

const char *review_verdict_name(enum review_verdict verdict)
{
    static const char *const names[REVIEW_VERDICTS] = {"open", "true", "false", "unsure"};
    return verdict < REVIEW_VERDICTS ? names[verdict] : "?";
}

static void read_review(sqlite3_stmt *stmt, struct review_row *out)
{
    *out = (struct review_row){
        .id = db_u64(stmt, 0),
        .bytes = db_u64(stmt, 5),
        .time_ms = db_i64(stmt, 6),
        .received_ms = db_i64(stmt, 7),
        .from_ms = db_i64(stmt, 8),
        .until_ms = db_i64(stmt, 9),
        .reason = (enum sample_reason)db_i64(stmt, 10),
        .probability = sqlite3_column_double(stmt, 11),
        .score = sqlite3_column_type(stmt, 12) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(stmt, 12),
        .count = (uint32_t)db_i64(stmt, 13),
        .seen_ms = db_i64(stmt, 14),
        .verdict = (enum review_verdict)db_i64(stmt, 15),
        .missed = (uint32_t)db_i64(stmt, 16),
        .decided_ms = db_i64(stmt, 19)};
    db_text(stmt, 1, out->robot, sizeof out->robot);
    db_text(stmt, 2, out->site, sizeof out->site);
    db_digest(stmt, 3, &out->release);
    db_digest(stmt, 4, &out->sample);
    db_text(stmt, 17, out->decided_by, sizeof out->decided_by);
    db_text(stmt, 18, out->note, sizeof out->note);
}

/* SQLite keeps NaN as NULL. */
int sqlite_review_add(struct store *store, const struct review_row *row, uint64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(s, err, NULL,
                 "INSERT INTO reviews (robot, site, release, sample, bytes, time_ms, received_ms, from_ms, "
                 "until_ms, reason,"
                 " probability, score, count, seen_ms, verdict, missed, decided_by, note, decided_ms)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', '', 0)",
                 "ttDDuiiiiiddi", row->robot, row->site, &row->release, &row->sample, row->bytes,
                 row->time_ms, row->received_ms, row->from_ms, row->until_ms, (int64_t)row->reason,
                 row->probability, row->score, (int64_t)row->count) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

static int take_one(struct sqlite_store *s, sqlite3_stmt *stmt, struct review_row *out, struct err *err)
{
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "there is no such review; see muster review list");
    read_review(stmt, out);
    return 0;
}

int sqlite_review_get(struct store *store, uint64_t id, struct review_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " REVIEW_COLUMNS " FROM reviews WHERE id = ?", "u", id);
    return take_one(s, stmt, out, err);
}

int sqlite_review_save(struct store *store, const struct review_row *row, struct err *err)
{
    return db_write(
        db_of(store), err, NULL,
        "UPDATE reviews SET seen_ms = ?, verdict = ?, missed = ?, decided_by = ?, note = ?, decided_ms = ?"
        " WHERE id = ?",
        "iiittiu", row->seen_ms, (int64_t)row->verdict, (int64_t)row->missed, row->decided_by, row->note,
        row->decided_ms, row->id);
}

/* Open ones as they should be looked at: alarms, then what was chosen for a reason, then random audits; else newest first. */
int sqlite_review_each(struct store *store, const struct review_filter *filter,
                       int (*visit)(const struct review_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " REVIEW_COLUMNS
                 " FROM reviews WHERE (?1 = '' OR robot = ?1) AND (?2 IS NULL OR release = ?2)"
                 " AND (?3 = -1 OR (verdict = 0) = ?3) AND (?4 = -1 OR reason = ?4) AND (?5 = 0 OR id < ?5)"
                 " ORDER BY CASE WHEN ?3 <> 1 THEN 0 WHEN reason = 5 THEN 0 ELSE 1 END, id DESC LIMIT ?6",
                 "tDiiui", filter->robot ? filter->robot : "", &filter->release, (int64_t)filter->open,
                 (int64_t)filter->reason, filter->before, filter->limit);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct review_row row;
        read_review(stmt, &row);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}

int sqlite_review_sum(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                      struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT count(*), coalesce(sum(bytes), 0) FROM reviews WHERE robot = ? AND sample IS NOT NULL", "t",
        robot);
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out_count = db_u64(stmt, 0);
    *out_bytes = db_u64(stmt, 1);
    return 0;
}

int sqlite_review_victim(struct store *store, const char *robot, struct review_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT " REVIEW_COLUMNS " FROM reviews WHERE robot = ? AND sample IS NOT NULL"
                 " ORDER BY verdict = 0, reason = 5, id LIMIT 1",
                 "t", robot);
    return take_one(s, stmt, out, err);
}

static int is_last(struct store *store, uint64_t id, bool *out_last, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT EXISTS (SELECT 1 FROM reviews AS other JOIN reviews AS it"
                 " ON other.sample = it.sample WHERE it.id = ?1 AND other.id <> ?1)",
                 "u", id);
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out_last = db_i64(stmt, 0) == 0;
    return 0;
}

/* Without a verdict there is nothing left to know about it. */
int sqlite_review_forget(struct store *store, uint64_t id, bool *out_last, struct err *err)
{
    if (is_last(store, id, out_last, err) < 0)
        return -1;
    if (db_write(db_of(store), err, NULL, "DELETE FROM reviews WHERE id = ? AND verdict = 0", "u", id) < 0)
        return -1;
    return db_write(db_of(store), err, NULL, "UPDATE reviews SET sample = NULL, bytes = 0 WHERE id = ?", "u",
                    id);
}

int sqlite_alarm_counts(struct store *store, const struct digest *release, const char *robot,
                        struct rollout_alarms *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    *out = (struct rollout_alarms){0};
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err,
                 "SELECT coalesce(sum(verdict = 1), 0), coalesce(sum(verdict = 2), 0),"
                 " (SELECT count(*) FROM missed WHERE release = ?1 AND robot = ?2)"
                 " FROM reviews WHERE release = ?1 AND robot = ?2 AND reason = 5 AND verdict BETWEEN 1 AND 2",
                 "Dt", release, robot);
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    out->judged_true = db_u64(stmt, 0);
    out->judged_false = db_u64(stmt, 1);
    out->missed = db_u64(stmt, 2);
    return 0;
}

int sqlite_missed_add(struct store *store, const struct missed_row *row, uint64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(s, err, NULL,
                 "INSERT INTO missed (robot, site, release, from_ms, until_ms, reported_ms, label, note, who)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "ttDiiittt", row->robot, row->site, &row->release, row->from_ms, row->until_ms,
                 row->reported_ms, row->label, row->note, row->who) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_missed_each(struct store *store, const struct digest *release,
                       int (*visit)(const struct missed_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT id, robot, site, release, from_ms, until_ms, reported_ms, label, note, who FROM missed"
        " WHERE (?1 IS NULL OR release = ?1) ORDER BY id DESC",
        "D", release);
    int got = -1;
    while (stmt && (got = db_step(s, stmt, err)) == 1) {
        struct missed_row row = {.id = db_u64(stmt, 0),
                                 .from_ms = db_i64(stmt, 4),
                                 .until_ms = db_i64(stmt, 5),
                                 .reported_ms = db_i64(stmt, 6)};
        db_text(stmt, 1, row.robot, sizeof row.robot);
        db_text(stmt, 2, row.site, sizeof row.site);
        db_digest(stmt, 3, &row.release);
        db_text(stmt, 7, row.label, sizeof row.label);
        db_text(stmt, 8, row.note, sizeof row.note);
        db_text(stmt, 9, row.who, sizeof row.who);
        if (visit(&row, arg) != 0)
            return 0;
    }
    return got;
}
