/* Keys and certificates of robots. */
#include "fleet/store/db.h"

int sqlite_device_get(struct store *store, const char *robot, struct device_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT robot, key, request, certificate FROM devices WHERE robot = ?", "t", robot);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "robot %s has not enrolled", robot);
    *out = (struct device_row){0};
    db_text(stmt, 0, out->robot, sizeof out->robot);
    db_digest(stmt, 1, &out->key);
    db_digest(stmt, 2, &out->request);
    db_text(stmt, 3, out->certificate, sizeof out->certificate);
    return 0;
}

int sqlite_device_save(struct store *store, const struct device_row *row, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO devices (robot, key, request, certificate) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (robot) DO UPDATE SET key = excluded.key, request = excluded.request,"
                    " certificate = excluded.certificate",
                    "tDDt", row->robot, &row->key, &row->request, row->certificate);
}

int sqlite_device_begin(struct store *store, const struct device_row *row, struct err *err)
{
    if (db_write(db_of(store), err, NULL, "DELETE FROM replaced_certificates WHERE robot = ?", "t",
                 row->robot) < 0)
        return -1;
    return sqlite_device_save(store, row, err);
}

int sqlite_certificate_replace(struct store *store, const char *robot, const char *serial, int64_t until_ms,
                               struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO replaced_certificates (robot, serial, until_ms) VALUES (?, ?, ?)"
                    " ON CONFLICT (robot, serial) DO UPDATE SET until_ms = excluded.until_ms",
                    "tti", robot, serial, until_ms);
}

int sqlite_certificate_replaced(struct store *store, const char *robot, const char *serial, bool *out,
                                struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT 1 FROM replaced_certificates WHERE robot = ? AND serial = ?", "tt", robot, serial);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    *out = row == 1;
    return 0;
}

int sqlite_certificate_prune(struct store *store, int64_t now_ms, struct err *err)
{
    return db_write(db_of(store), err, NULL, "DELETE FROM replaced_certificates WHERE until_ms < ?", "i",
                    now_ms);
}
