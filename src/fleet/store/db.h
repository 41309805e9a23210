/* A thin layer over SQLite for the sqlite_*.c files: cached statements, typed binding, errors as struct err.
 *
 *     cleanup_stmt sqlite3_stmt *stmt = db_query(s, err, "SELECT seq FROM streams WHERE robot = ?", "t",
 * robot); int row = stmt ? db_step(s, stmt, err) : -1;           // 1 row, 0 end, -1 error
 *
 * Letters of the bind string: t text (const char *), T the same with "" as NULL, i int64_t, u uint64_t, d
 * double, D const struct digest * (zero as NULL), b const void * and size_t. Statements are kept by the
 * address of their text: pass literals. A statement is in use until its reset, so the same operation does not
 * nest in itself.
 */
#ifndef MUSTER_FLEET_STORE_DB_H
#define MUSTER_FLEET_STORE_DB_H

#include "fleet/store/store.h"

#include <sqlite3.h>

enum { DB_MAX_STATEMENTS = 224 };

struct sqlite_store {
    struct store base;
    sqlite3 *db;
    size_t statement_count;
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } statements[DB_MAX_STATEMENTS];
    bool marked;
};

static inline struct sqlite_store *db_of(struct store *store)
{
    return (struct sqlite_store *)(void *)store;
}

int db_error(struct sqlite_store *s, struct err *err,
             const char *what); /* fills *err from the last error; -1 */
int db_exec(struct sqlite_store *s, const char *sql, struct err *err) must_check;

sqlite3_stmt *db_query(struct sqlite_store *s, struct err *err, const char *sql, const char *types, ...);
int db_step(struct sqlite_store *s, sqlite3_stmt *stmt, struct err *err) must_check;
/* A write: wants an open transaction, returns no rows. *out_changes may be NULL. */
int db_write(struct sqlite_store *s, struct err *err, int *out_changes, const char *sql, const char *types,
             ...) must_check;

void db_reset(sqlite3_stmt **slot);
#define cleanup_stmt __attribute__((cleanup(db_reset)))

/* Columns. Text longer than the field is cut. */
void db_text(sqlite3_stmt *stmt, int column, char *out, size_t out_size);
void db_digest(sqlite3_stmt *stmt, int column, struct digest *out); /* zero for NULL or a wrong size */
static inline int64_t db_i64(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt, column);
}
static inline uint64_t db_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* Labels as text: "key=value\n" each. */
enum { DB_LABELS_SIZE = API_MAX_LABELS * (int)sizeof(struct api_label) };
void db_labels_format(const struct api_label *labels, size_t count, char out[DB_LABELS_SIZE]);
size_t db_labels_parse(const char *text, struct api_label labels[API_MAX_LABELS]);

int db_migrate(struct sqlite_store *s, struct err *err) must_check; /* sqlite_schema.c */

/* The operations, by file. */
extern const struct store_ops db_ops; /* sqlite.c */

int sqlite_number_get(struct store *store, const char *key, int64_t *out, struct err *err);
int sqlite_number_set(struct store *store, const char *key, int64_t value, struct err *err);
int sqlite_operator_add(struct store *store, const struct operator_row *row, struct err *err);
int sqlite_operator_find(struct store *store, const struct digest *hash, struct operator_row *out,
                         struct err *err);
int sqlite_operator_each(struct store *store, int (*visit)(const struct operator_row *row, void *arg),
                         void *arg, struct err *err);
int sqlite_operator_revoke(struct store *store, const char *name, int64_t now_ms, int64_t *out_count,
                           struct err *err);
int sqlite_operator_count(struct store *store, int64_t *out, struct err *err);
int sqlite_enroll_add(struct store *store, const struct enroll_token_row *row, struct err *err);
int sqlite_enroll_get(struct store *store, const struct digest *hash, struct enroll_token_row *out,
                      struct err *err);
int sqlite_enroll_use(struct store *store, const struct digest *hash, const char *robot,
                      const struct digest *key, int64_t now_ms, struct err *err);
int sqlite_enroll_void(struct store *store, const char *robot, struct err *err);

int sqlite_device_get(struct store *store, const char *robot, struct device_row *out, struct err *err);
int sqlite_device_begin(struct store *store, const struct device_row *row, struct err *err);
int sqlite_device_save(struct store *store, const struct device_row *row, struct err *err);
int sqlite_certificate_replace(struct store *store, const char *robot, const char *serial, int64_t until_ms,
                               struct err *err);
int sqlite_certificate_replaced(struct store *store, const char *robot, const char *serial, bool *out,
                                struct err *err);
int sqlite_certificate_prune(struct store *store, int64_t now_ms, struct err *err);

int sqlite_robot_get(struct store *store, const char *id, struct robot_row *out, struct err *err);
int sqlite_robot_save(struct store *store, const struct robot_row *row, struct err *err);
int sqlite_robot_seen(struct store *store, const char *id, int64_t seen_ms, struct err *err);
int sqlite_robot_each(struct store *store, const char *after, int64_t limit,
                      int (*visit)(const struct robot_row *row, void *arg), void *arg, struct err *err);
int sqlite_stream_get(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t *out_seq, struct err *err);
int sqlite_stream_set(struct store *store, const char *robot, enum stream_kind kind, const char *stream,
                      uint64_t seq, int64_t now_ms, struct err *err);
int sqlite_report_add(struct store *store, const struct report_row *row, struct err *err);
int sqlite_report_last(struct store *store, const char *robot, int64_t limit,
                       int (*visit)(const struct report_row *row, void *arg), void *arg, struct err *err);

int sqlite_release_add(struct store *store, const struct release_row *row, struct err *err);
int sqlite_release_sign(struct store *store, const struct release_row *row, struct err *err);
int sqlite_release_get(struct store *store, const struct digest *digest, struct release_row *out,
                       struct err *err);
int sqlite_release_find(struct store *store, const char *name, const char *version, struct digest *out,
                        struct err *err);
int sqlite_release_each(struct store *store, int (*visit)(const struct release_row *row, void *arg),
                        void *arg, struct err *err);
int sqlite_telemetry_get(struct store *store, const struct digest *release, const char *robot,
                         struct telemetry_row *out, struct err *err);
int sqlite_telemetry_save(struct store *store, const struct telemetry_row *row, struct err *err);
int sqlite_telemetry_of_robot(struct store *store, const char *robot,
                              int (*visit)(const struct telemetry_row *row, void *arg), void *arg,
                              struct err *err);

int sqlite_rollout_add(struct store *store, const struct rollout_row *row, uint64_t *out_id, struct err *err);
int sqlite_rollout_save(struct store *store, const struct rollout_row *row, struct err *err);
int sqlite_rollout_get(struct store *store, uint64_t id, struct rollout_row *out, struct err *err);
int sqlite_rollout_each(struct store *store, bool open_only,
                        int (*visit)(const struct rollout_row *row, void *arg), void *arg, struct err *err);
int sqlite_rollout_robot_save(struct store *store, const struct rollout_robot_row *row, struct err *err);
int sqlite_rollout_robot_each(struct store *store, uint64_t rollout,
                              int (*visit)(const struct rollout_robot_row *row, void *arg), void *arg,
                              struct err *err);
int sqlite_rollout_plan_add(struct store *store, uint64_t rollout, const char *robot, int wave,
                            struct err *err);
int sqlite_rollout_plan_each(struct store *store, uint64_t rollout,
                             int (*visit)(const char *robot, int wave, void *arg), void *arg,
                             struct err *err);
int sqlite_approval_save(struct store *store, const struct approval_row *row, struct err *err);
int sqlite_approval_each(struct store *store, const struct digest *release,
                         int (*visit)(const struct approval_row *row, void *arg), void *arg, struct err *err);
int sqlite_event_add(struct store *store, const struct event_row *row, int64_t *out_id, struct err *err);
int sqlite_event_after(struct store *store, int64_t after, int64_t limit,
                       int (*visit)(const struct event_row *row, void *arg), void *arg, struct err *err);
int sqlite_event_last_id(struct store *store, int64_t *out, struct err *err);
int sqlite_report_prune(struct store *store, const char *robot, int64_t keep, struct err *err);
int sqlite_event_prune(struct store *store, int64_t keep, struct err *err);

int sqlite_command_add(struct store *store, const struct command_row *row, uint64_t *out_id, struct err *err);
int sqlite_command_get(struct store *store, uint64_t id, struct command_row *out, struct err *err);
int sqlite_command_each(struct store *store, const struct command_filter *filter,
                        int (*visit)(const struct command_row *row, void *arg), void *arg, struct err *err);
int sqlite_command_robot_save(struct store *store, const struct command_robot_row *row, struct err *err);
int sqlite_command_robot_get(struct store *store, uint64_t command, const char *robot,
                             struct command_robot_row *out, struct err *err);
int sqlite_command_robot_each(struct store *store, uint64_t command,
                              int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                              struct err *err);
int sqlite_command_due(struct store *store, const char *robot, uint64_t after, int64_t now_ms, int64_t limit,
                       int (*visit)(const struct command_row *row, void *arg), void *arg, struct err *err);
int sqlite_command_delivered(struct store *store, const char *robot, uint64_t up_to, int64_t now_ms,
                             struct err *err);
int sqlite_command_overdue(struct store *store, int64_t before_ms, int64_t limit,
                           int (*visit)(const struct command_robot_row *row, void *arg), void *arg,
                           struct err *err);
int sqlite_command_last_id(struct store *store, uint64_t *out, struct err *err);
int sqlite_command_prune(struct store *store, int64_t renewals_ms, int64_t all_ms, struct err *err);
int sqlite_audit_add(struct store *store, const struct audit_row *row, struct err *err);
int sqlite_audit_after(struct store *store, uint64_t after, int64_t limit,
                       int (*visit)(const struct audit_row *row, void *arg), void *arg, struct err *err);
int sqlite_audit_last(struct store *store, uint64_t *out_seq, struct err *err);
int sqlite_audit_hash_add(struct store *store, unsigned level, uint64_t at, const struct digest *hash,
                          struct err *err);
int sqlite_audit_hashes(struct store *store, unsigned level, uint64_t at, size_t count, struct digest *out,
                        struct err *err);
int sqlite_audit_hash_count(struct store *store, unsigned level, uint64_t *out, struct err *err);
int sqlite_audit_checkpoint_add(struct store *store, const struct audit_checkpoint_row *row, struct err *err);
int sqlite_audit_checkpoint_after(struct store *store, uint64_t size, int64_t limit,
                                  int (*visit)(const struct audit_checkpoint_row *row, void *arg), void *arg,
                                  struct err *err);
int sqlite_audit_checkpoint_last(struct store *store, struct audit_checkpoint_row *out, struct err *err);
/* SQL functions that the conversion of an older audit log needs. */
int db_audit_functions(struct sqlite_store *s, struct err *err) must_check;

int sqlite_incident_add(struct store *store, const struct incident_row *row, uint64_t *out_id,
                        struct err *err);
int sqlite_incident_get(struct store *store, uint64_t id, struct incident_row *out, struct err *err);
int sqlite_incident_find(struct store *store, const char *robot, const char *name, struct incident_row *out,
                         struct err *err);
int sqlite_incident_by_digest(struct store *store, const struct digest *digest, struct incident_row *out,
                              struct err *err);
int sqlite_incident_each(struct store *store, const char *robot, uint64_t before, int64_t limit,
                         int (*visit)(const struct incident_row *row, void *arg), void *arg, struct err *err);
int sqlite_incident_sum(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                        struct err *err);
int sqlite_incident_victim(struct store *store, const char *robot, struct incident_row *out, struct err *err);
int sqlite_incident_drop(struct store *store, uint64_t id, struct err *err);
int sqlite_incident_upload_get(struct store *store, const char *robot, struct digest *out, struct err *err);
int sqlite_incident_upload_set(struct store *store, const char *robot, const struct digest *digest,
                               struct err *err);

int sqlite_decision_add(struct store *store, const struct decision_row *row, uint64_t *out_id,
                        struct err *err);
int sqlite_decision_each(struct store *store, const struct decision_filter *filter,
                         int (*visit)(const struct decision_row *row, void *arg), void *arg, struct err *err);
int sqlite_decision_prune(struct store *store, const char *robot, int64_t keep, struct err *err);
int sqlite_drift_add(struct store *store, const struct drift_row *row, uint64_t *out_id, struct err *err);
int sqlite_drift_save(struct store *store, const struct drift_row *row, struct err *err);
int sqlite_drift_get(struct store *store, uint64_t id, struct drift_row *out, struct err *err);
int sqlite_drift_open(struct store *store, const struct digest *release, const char *cause,
                      struct drift_row *out, struct err *err);
int sqlite_drift_each(struct store *store, bool open_only, int64_t limit,
                      int (*visit)(const struct drift_row *row, void *arg), void *arg, struct err *err);
int sqlite_drift_alarm_save(struct store *store, uint64_t finding, const char *robot, int64_t time_ms,
                            struct err *err);
int sqlite_drift_seen_each(struct store *store, const char *robot, uint64_t after, int64_t limit,
                           int (*visit)(const struct seen_alarm *seen, void *arg), void *arg,
                           struct err *err);
int sqlite_drift_seen_last(struct store *store, uint64_t *out, struct err *err);

int sqlite_review_add(struct store *store, const struct review_row *row, uint64_t *out_id, struct err *err);
int sqlite_review_get(struct store *store, uint64_t id, struct review_row *out, struct err *err);
int sqlite_review_save(struct store *store, const struct review_row *row, struct err *err);
int sqlite_review_each(struct store *store, const struct review_filter *filter,
                       int (*visit)(const struct review_row *row, void *arg), void *arg, struct err *err);
int sqlite_review_sum(struct store *store, const char *robot, uint64_t *out_count, uint64_t *out_bytes,
                      struct err *err);
int sqlite_review_victim(struct store *store, const char *robot, struct review_row *out, struct err *err);
int sqlite_review_forget(struct store *store, uint64_t id, bool *out_last, struct err *err);
int sqlite_alarm_counts(struct store *store, const struct digest *release, const char *robot,
                        struct rollout_alarms *out, struct err *err);
int sqlite_missed_add(struct store *store, const struct missed_row *row, uint64_t *out_id, struct err *err);
int sqlite_missed_each(struct store *store, const struct digest *release,
                       int (*visit)(const struct missed_row *row, void *arg), void *arg, struct err *err);

#endif
