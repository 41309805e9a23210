#include "fleet/store/db.h"

#include <assert.h>
#include <sys/stat.h>

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_IDLE] = "idle",           [PHASE_ASSIGNED] = "assigned",       [PHASE_DOWNLOADED] = "downloaded",
    [PHASE_VERIFIED] = "verified",   [PHASE_SELF_TESTED] = "self_tested", [PHASE_PROBATION] = "probation",
    [PHASE_COMMITTED] = "committed", [PHASE_ROLLED_BACK] = "rolled_back", [PHASE_FAILED] = "failed",
};

const char *robot_phase_name(enum robot_phase phase)
{
    return (unsigned)phase < PHASE_COUNT ? phase_names[phase] : "idle";
}

static const char *const command_state_names[COMMAND_STATE_COUNT] = {
    [COMMAND_QUEUED] = "queued",   [COMMAND_DELIVERED] = "delivered", [COMMAND_ACCEPTED] = "accepted",
    [COMMAND_REFUSED] = "refused", [COMMAND_EXPIRED] = "expired",
};

const char *command_state_name(enum command_state state)
{
    return (unsigned)state < COMMAND_STATE_COUNT ? command_state_names[state] : "unknown";
}

void store_free(struct store *store)
{
    if (store)
        store->ops->free(store);
}

static void sqlite_free(struct store *store)
{
    struct sqlite_store *s = db_of(store);
    for (size_t i = 0; i < s->statement_count; i++)
        sqlite3_finalize(s->statements[i].stmt);
    sqlite3_close(s->db);
    free(s);
}

static bool sqlite_active(struct store *store)
{
    return !sqlite3_get_autocommit(db_of(store)->db);
}

static int sqlite_begin(struct store *store, struct err *err)
{
    if (sqlite_active(store))
        return 0;
    db_of(store)->marked = false;
    return db_exec(db_of(store), "BEGIN IMMEDIATE", err);
}

static void sqlite_rollback(struct store *store)
{
    if (sqlite_active(store))
        sqlite3_exec(db_of(store)->db, "ROLLBACK", NULL, NULL, NULL);
    db_of(store)->marked = false;
}

static int sqlite_commit(struct store *store, struct err *err)
{
    if (!sqlite_active(store))
        return err_set(err, ERR_INTERNAL, "database: commit without a transaction");
    if (db_exec(db_of(store), "COMMIT", err) < 0) {
        sqlite_rollback(store);
        return -1;
    }
    return 0;
}

static int sqlite_mark(struct store *store, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    assert(!s->marked);
    if (!sqlite_active(store))
        return err_set(err, ERR_INTERNAL, "database: savepoint outside a transaction");
    if (db_exec(s, "SAVEPOINT request", err) < 0)
        return -1;
    s->marked = true;
    return 0;
}

static int sqlite_keep(struct store *store, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (!s->marked || !sqlite_active(store))
        return err_set(err, ERR_INTERNAL, "database: the transaction is gone");
    if (db_exec(s, "RELEASE request", err) < 0)
        return -1; /* still marked: undo takes it back */
    s->marked = false;
    return 0;
}

static void sqlite_undo(struct store *store)
{
    struct sqlite_store *s = db_of(store);
    if (!s->marked)
        return;
    s->marked = false;
    if (sqlite_active(store) &&
        sqlite3_exec(s->db, "ROLLBACK TO request; RELEASE request", NULL, NULL, NULL) != SQLITE_OK)
        sqlite_rollback(store); /* never keep half a request */
}

const struct store_ops db_ops = {
    .free = sqlite_free,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .active = sqlite_active,
    .mark = sqlite_mark,
    .keep = sqlite_keep,
    .undo = sqlite_undo,
    .number_get = sqlite_number_get,
    .number_set = sqlite_number_set,
    .operator_add = sqlite_operator_add,
    .operator_find = sqlite_operator_find,
    .operator_each = sqlite_operator_each,
    .operator_revoke = sqlite_operator_revoke,
    .operator_count = sqlite_operator_count,
    .enroll_add = sqlite_enroll_add,
    .enroll_get = sqlite_enroll_get,
    .enroll_use = sqlite_enroll_use,
    .enroll_void = sqlite_enroll_void,
    .device_get = sqlite_device_get,
    .device_begin = sqlite_device_begin,
    .device_save = sqlite_device_save,
    .certificate_replace = sqlite_certificate_replace,
    .certificate_replaced = sqlite_certificate_replaced,
    .certificate_prune = sqlite_certificate_prune,
    .robot_get = sqlite_robot_get,
    .robot_save = sqlite_robot_save,
    .robot_seen = sqlite_robot_seen,
    .robot_each = sqlite_robot_each,
    .stream_get = sqlite_stream_get,
    .stream_set = sqlite_stream_set,
    .report_add = sqlite_report_add,
    .report_last = sqlite_report_last,
    .release_add = sqlite_release_add,
    .release_sign = sqlite_release_sign,
    .release_get = sqlite_release_get,
    .release_find = sqlite_release_find,
    .release_each = sqlite_release_each,
    .telemetry_get = sqlite_telemetry_get,
    .telemetry_save = sqlite_telemetry_save,
    .telemetry_of_robot = sqlite_telemetry_of_robot,
    .rollout_add = sqlite_rollout_add,
    .rollout_save = sqlite_rollout_save,
    .rollout_get = sqlite_rollout_get,
    .rollout_each = sqlite_rollout_each,
    .rollout_robot_save = sqlite_rollout_robot_save,
    .rollout_robot_each = sqlite_rollout_robot_each,
    .rollout_plan_add = sqlite_rollout_plan_add,
    .rollout_plan_each = sqlite_rollout_plan_each,
    .approval_save = sqlite_approval_save,
    .approval_each = sqlite_approval_each,
    .event_add = sqlite_event_add,
    .event_after = sqlite_event_after,
    .event_last_id = sqlite_event_last_id,
    .report_prune = sqlite_report_prune,
    .event_prune = sqlite_event_prune,
    .command_add = sqlite_command_add,
    .command_get = sqlite_command_get,
    .command_each = sqlite_command_each,
    .command_robot_save = sqlite_command_robot_save,
    .command_robot_get = sqlite_command_robot_get,
    .command_robot_each = sqlite_command_robot_each,
    .command_due = sqlite_command_due,
    .command_delivered = sqlite_command_delivered,
    .command_overdue = sqlite_command_overdue,
    .command_last_id = sqlite_command_last_id,
    .command_prune = sqlite_command_prune,
    .audit_add = sqlite_audit_add,
    .audit_after = sqlite_audit_after,
    .audit_last = sqlite_audit_last,
    .audit_hash_add = sqlite_audit_hash_add,
    .audit_hashes = sqlite_audit_hashes,
    .audit_hash_count = sqlite_audit_hash_count,
    .audit_checkpoint_add = sqlite_audit_checkpoint_add,
    .audit_checkpoint_after = sqlite_audit_checkpoint_after,
    .audit_checkpoint_last = sqlite_audit_checkpoint_last,
    .incident_add = sqlite_incident_add,
    .incident_get = sqlite_incident_get,
    .incident_find = sqlite_incident_find,
    .incident_by_digest = sqlite_incident_by_digest,
    .incident_each = sqlite_incident_each,
    .incident_sum = sqlite_incident_sum,
    .incident_victim = sqlite_incident_victim,
    .incident_drop = sqlite_incident_drop,
    .incident_upload_get = sqlite_incident_upload_get,
    .incident_upload_set = sqlite_incident_upload_set,
    .decision_add = sqlite_decision_add,
    .decision_each = sqlite_decision_each,
    .decision_prune = sqlite_decision_prune,
    .drift_add = sqlite_drift_add,
    .drift_save = sqlite_drift_save,
    .drift_get = sqlite_drift_get,
    .drift_open = sqlite_drift_open,
    .drift_each = sqlite_drift_each,
    .drift_alarm_save = sqlite_drift_alarm_save,
    .drift_seen_each = sqlite_drift_seen_each,
    .drift_seen_last = sqlite_drift_seen_last,
    .review_add = sqlite_review_add,
    .review_get = sqlite_review_get,
    .review_save = sqlite_review_save,
    .review_each = sqlite_review_each,
    .review_sum = sqlite_review_sum,
    .review_victim = sqlite_review_victim,
    .review_forget = sqlite_review_forget,
    .alarm_counts = sqlite_alarm_counts,
    .missed_add = sqlite_missed_add,
    .missed_each = sqlite_missed_each,
};

static int configure(struct sqlite_store *s, struct err *err)
{
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, 5000);
    if (db_exec(
            s,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;"
            "PRAGMA trusted_schema = OFF",
            err) < 0)
        return -1;
    return db_migrate(s, err);
}

int store_open_sqlite(const char *path, struct store **out, struct err *err)
{
    struct sqlite_store *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_no_memory(err);
    s->base.ops = &db_ops;
    mode_t old = umask(0077); /* it holds token hashes */
    int rc =
        sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int failed =
        rc != SQLITE_OK ? (s->db ? db_error(s, err, "cannot open") : err_no_memory(err)) : configure(s, err);
    umask(old);
    if (failed < 0) {
        sqlite_free(&s->base);
        return err_prefix(err, "%s", path);
    }
    *out = &s->base;
    return 0;
}
