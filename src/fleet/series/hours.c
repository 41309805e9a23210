#include "fleet/series/hours.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { HOUR_MS = 3600000, BYTES_FOR_A_NAME = 1024 /* of the file's size, at least */ };

enum statement { FIND, NAME, ADD, GET, STATEMENTS };
static const char *const texts[STATEMENTS] = {
    [FIND] =
        "SELECT id FROM names WHERE robot = ? AND name = ? AND attribute = ? AND word = ? AND release = ?"
        " AND kind = ?",
    [NAME] = "INSERT INTO names (robot, name, attribute, word, release, kind) VALUES (?, ?, ?, ?, ?, ?)",
    [ADD] = "INSERT INTO hours (hour, series, sum, weight, least, most) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (hour, series) DO UPDATE SET sum = sum + excluded.sum, weight = weight + "
            "excluded.weight,"
            " least = min(least, excluded.least), most = max(most, excluded.most)",
    [GET] = "SELECT sum, weight, least, most FROM hours WHERE hour = ? AND series = ?",
};

struct series_hours {
    sqlite3 *db;
    uint64_t max_bytes;
    sqlite3_stmt *statements[STATEMENTS];
};

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;"
    "CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL, name TEXT "
    "NOT NULL,"
    " attribute TEXT NOT NULL, word TEXT NOT NULL, release TEXT NOT NULL, kind INTEGER NOT NULL,"
    " UNIQUE (robot, name, attribute, word, release, kind)) STRICT;"
    "CREATE TABLE IF NOT EXISTS hours (hour INTEGER NOT NULL, series INTEGER NOT NULL, sum REAL NOT NULL,"
    " weight REAL NOT NULL, least REAL NOT NULL, most REAL NOT NULL, PRIMARY KEY (hour, series)) STRICT,"
    " WITHOUT ROWID;";

static int fail(const struct series_hours *hours, const char *what, struct err *err)
{
    return err_set(err, ERR_IO, "series: %s: %s", what, sqlite3_errmsg(hours->db));
}

static int run(struct series_hours *hours, const char *sql, struct err *err)
{
    return sqlite3_exec(hours->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(hours, "database", err);
}

int series_hours_open(const char *path, uint64_t max_bytes, struct series_hours **out, struct err *err)
{
    cleanup_series_hours struct series_hours *hours = mem_zalloc(1, sizeof *hours);
    if (!hours)
        return err_no_memory(err);
    hours->max_bytes = max_bytes;
    if (sqlite3_open_v2(path, &hours->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        return fail(hours, path, err);
    if (run(hours, schema, err) < 0)
        return -1;
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(hours->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &hours->statements[i],
                               NULL) != SQLITE_OK)
            return fail(hours, path, err);
    *out = TAKE_PTR(hours);
    return 0;
}

void series_hours_close(struct series_hours *hours)
{
    if (!hours)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(hours->statements[i]);
    sqlite3_close(hours->db);
    free(hours);
}

static sqlite3_stmt *bind_name(struct series_hours *hours, enum statement which, const struct series *series)
{
    const char *const words[] = {series->robot, series->name, series->attribute, series->word,
                                 series->release};
    sqlite3_stmt *stmt = hours->statements[which];
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        sqlite3_bind_text(stmt, (int)i + 1, words[i], -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, (int)ARRAY_LEN(words) + 1, (int)series->kind);
    return stmt;
}

/* 0 in series->stored_id after it: not there. */
static int find_id(struct series_hours *hours, struct series *series, struct err *err)
{
    if (series->stored_id)
        return 0;
    sqlite3_stmt *stmt = bind_name(hours, FIND, series);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        series->stored_id = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : fail(hours, "looking for a name", err);
}

static int need_id(struct series_hours *hours, struct series *series, struct err *err)
{
    if (find_id(hours, series, err) < 0 || series->stored_id)
        return series->stored_id ? 0 : -1;
    sqlite3_stmt *stmt = bind_name(hours, NAME, series);
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    if (rc != SQLITE_DONE)
        return fail(hours, "a new name", err);
    series->stored_id = sqlite3_last_insert_rowid(hours->db);
    return 0;
}

static int write_hour(struct series *series, const struct series_hour *hour, void *arg, struct err *err)
{
    struct series_hours *hours = arg;
    if (need_id(hours, series, err) < 0)
        return -1;
    sqlite3_stmt *stmt = hours->statements[ADD];
    sqlite3_bind_int64(stmt, 1, hour->hour);
    sqlite3_bind_int64(stmt, 2, series->stored_id);
    sqlite3_bind_double(stmt, 3, hour->sum);
    sqlite3_bind_double(stmt, 4, hour->weight);
    sqlite3_bind_double(stmt, 5, hour->least);
    sqlite3_bind_double(stmt, 6, hour->most);
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? 0 : fail(hours, "an hour", err);
}

/* A transaction that fails takes back what series_flush has let go: those hours are lost, and the error says so. */
int series_hours_flush(struct series_hours *hours, struct series_set *set, size_t limit, size_t *out_count,
                       struct err *err)
{
    *out_count = 0;
    if (run(hours, "BEGIN", err) < 0)
        return -1;
    int rc = series_flush(set, limit, write_hour, hours, out_count, err);
    struct err second = {0};
    if (run(hours, "COMMIT", rc < 0 ? &second : err) == 0)
        return rc;
    sqlite3_exec(hours->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

int series_hours_each(struct series_hours *hours, struct series *series, uint32_t from, uint32_t until,
                      int (*visit)(const struct series_hour *hour, void *arg), void *arg, struct err *err)
{
    if (find_id(hours, series, err) < 0)
        return -1;
    sqlite3_stmt *stmt = hours->statements[GET];
    if (until >= SERIES_KEEP_HOURS && from < until - SERIES_KEEP_HOURS)
        from = until - SERIES_KEEP_HOURS;
    for (uint32_t at = from; series->stored_id && at <= until; at++) {
        sqlite3_bind_int64(stmt, 1, at);
        sqlite3_bind_int64(stmt, 2, series->stored_id);
        int rc = sqlite3_step(stmt);
        struct series_hour hour = {.hour = at};
        if (rc == SQLITE_ROW) {
            hour.sum = sqlite3_column_double(stmt, 0);
            hour.weight = sqlite3_column_double(stmt, 1);
            hour.least = sqlite3_column_double(stmt, 2);
            hour.most = sqlite3_column_double(stmt, 3);
        }
        sqlite3_reset(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return fail(hours, "reading", err);
        if (rc == SQLITE_ROW && visit(&hour, arg) != 0)
            return 0;
    }
    return 0;
}

static int64_t number(struct series_hours *hours, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(hours->db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static int drop_before(struct series_hours *hours, int64_t hour, struct err *err)
{
    char sql[96];
    snprintf(sql, sizeof sql, "DELETE FROM hours WHERE hour < %lld", (long long)hour);
    return run(hours, sql, err);
}

static bool is_too_big(struct series_hours *hours)
{
    int64_t pages = number(hours, "PRAGMA page_count") - number(hours, "PRAGMA freelist_count");
    return pages * number(hours, "PRAGMA page_size") > (int64_t)hours->max_bytes;
}

static int forget_id(struct series *series, void *arg)
{
    (void)arg;
    series->stored_id = 0;
    return 0;
}

/* A robot that calls its numbers something else every two hours would fill the file with names otherwise. */
static int drop_names(struct series_hours *hours, struct series_set *set, struct err *err)
{
    int64_t names = number(hours, "SELECT count(*) FROM names");
    if (names <= (int64_t)(hours->max_bytes / BYTES_FOR_A_NAME))
        return 0;
    series_each(set, NULL, NULL, forget_id, NULL);
    return run(hours, "DELETE FROM names WHERE id NOT IN (SELECT series FROM hours)", err);
}

int series_hours_prune(struct series_hours *hours, struct series_set *set, int64_t now_ms, struct err *err)
{
    if (drop_before(hours, now_ms / HOUR_MS - SERIES_KEEP_HOURS, err) < 0)
        return -1;
    for (int days = 0; days < SERIES_KEEP_HOURS / 24 && is_too_big(hours); days++) {
        int64_t first = number(hours, "SELECT min(hour) FROM hours");
        if (first < 0)
            break;
        if (drop_before(hours, first + 24, err) < 0)
            return -1;
    }
    return drop_names(hours, set, err);
}
