#include "fleet/store/db.h"

/* "Must" in ASCII: says whose file this is. */
enum { APPLICATION_ID = 0x4d757374 };

/* One entry per version; an entry is never changed once it was released. */
static const char *const migrations[] = {
    "CREATE TABLE numbers (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE operators (hash BLOB PRIMARY KEY, name TEXT NOT NULL, created_ms INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"

    "CREATE TABLE enroll_tokens (hash BLOB PRIMARY KEY, robot TEXT, labels TEXT NOT NULL, created_ms INTEGER "
    "NOT NULL,"
    " expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL DEFAULT 0, used_key BLOB) STRICT, WITHOUT ROWID;"

    "CREATE TABLE robots (id TEXT PRIMARY KEY, labels TEXT NOT NULL, serial TEXT NOT NULL, revoked INTEGER "
    "NOT NULL,"
    " enrolled_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, counter INTEGER NOT NULL, target BLOB,"
    " target_rollback INTEGER NOT NULL, target_ms INTEGER NOT NULL, running BLOB, committed BLOB,"
    " phase INTEGER NOT NULL, phase_release BLOB, phase_text TEXT NOT NULL, phase_ms INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"

    "CREATE TABLE streams (robot TEXT NOT NULL REFERENCES robots(id), kind INTEGER NOT NULL, stream TEXT NOT "
    "NULL,"
    " seq INTEGER NOT NULL, used_ms INTEGER NOT NULL, PRIMARY KEY (robot, kind, stream)) STRICT, WITHOUT "
    "ROWID;"

    "CREATE TABLE reports (id INTEGER PRIMARY KEY, robot TEXT NOT NULL REFERENCES robots(id), stream TEXT "
    "NOT NULL,"
    " seq INTEGER NOT NULL, received_ms INTEGER NOT NULL, time_ms INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " release BLOB, version TEXT NOT NULL, bytes INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX reports_once ON reports (robot, stream, seq);"
    "CREATE INDEX reports_of_robot ON reports (robot, id);"

    "CREATE TABLE releases (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL,"
    " version TEXT NOT NULL, manifest_bytes INTEGER NOT NULL, size_bytes INTEGER NOT NULL, latency_p99_ms "
    "REAL NOT NULL,"
    " deadline_ms REAL NOT NULL, memory_mib INTEGER NOT NULL, max_miss_share REAL NOT NULL,"
    " created_ms INTEGER NOT NULL, signature TEXT NOT NULL, signed_by TEXT NOT NULL, UNIQUE (name, version)) "
    "STRICT;"

    "CREATE TABLE telemetry (release BLOB NOT NULL REFERENCES releases(digest), robot TEXT NOT NULL,"
    " robots INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, frames INTEGER NOT NULL,"
    " results INTEGER NOT NULL, lost INTEGER NOT NULL, i0 INTEGER NOT NULL, i1 INTEGER NOT NULL, i2 INTEGER "
    "NOT NULL,"
    " i3 INTEGER NOT NULL, i4 INTEGER NOT NULL, i5 INTEGER NOT NULL, i6 INTEGER NOT NULL, i7 INTEGER NOT "
    "NULL,"
    " score_frames INTEGER NOT NULL, score_tp INTEGER NOT NULL, score_fp INTEGER NOT NULL, score_fn INTEGER "
    "NOT NULL,"
    " detections INTEGER NOT NULL, confidence_sum REAL NOT NULL, latency BLOB NOT NULL, frame BLOB NOT NULL,"
    " PRIMARY KEY (release, robot)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX telemetry_of_robot ON telemetry (robot);"

    "CREATE TABLE rollouts (id INTEGER PRIMARY KEY AUTOINCREMENT, release BLOB NOT NULL REFERENCES "
    "releases(digest),"
    " spec TEXT NOT NULL, state TEXT NOT NULL, wave INTEGER NOT NULL, wave_started_ms INTEGER NOT NULL,"
    " bake_started_ms INTEGER NOT NULL, reason TEXT NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER "
    "NOT NULL,"
    " gates TEXT) STRICT;"
    "CREATE INDEX rollouts_open ON rollouts (id) WHERE ended_ms = 0;"

    "CREATE TABLE rollout_robots (rollout INTEGER NOT NULL REFERENCES rollouts(id), robot TEXT NOT NULL"
    " REFERENCES robots(id), wave INTEGER NOT NULL, failed INTEGER NOT NULL, before BLOB, frames INTEGER NOT "
    "NULL,"
    " interventions INTEGER NOT NULL, inferences INTEGER NOT NULL, over_budget INTEGER NOT NULL, tp INTEGER "
    "NOT NULL,"
    " fp INTEGER NOT NULL, fn INTEGER NOT NULL, PRIMARY KEY (rollout, robot)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    " robot TEXT NOT NULL, text TEXT NOT NULL) STRICT;",

    /* Three more reasons before "other", which was the eighth. */
    "ALTER TABLE telemetry ADD COLUMN i8 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE telemetry ADD COLUMN i9 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE telemetry ADD COLUMN i10 INTEGER NOT NULL DEFAULT 0;"
    "UPDATE telemetry SET i10 = i7, i7 = 0;",

    /* What people order, what became of it on each robot, and the log of both. */
    "CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, envelope TEXT NOT NULL, verb TEXT NOT NULL,"
    " operator TEXT NOT NULL, reason TEXT NOT NULL, nonce TEXT NOT NULL UNIQUE, sent_by TEXT NOT NULL,"
    " issued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " lease INTEGER NOT NULL, ttl_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE command_robots (command INTEGER NOT NULL REFERENCES commands(id) ON DELETE CASCADE,"
    " robot TEXT NOT NULL REFERENCES robots(id), state INTEGER NOT NULL, state_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL, lease INTEGER NOT NULL, generation INTEGER NOT NULL, release BLOB,"
    " text TEXT NOT NULL, PRIMARY KEY (command, robot)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX command_robots_open ON command_robots (robot, command) WHERE state <= 1;"
    "CREATE INDEX command_robots_due ON command_robots (expires_ms) WHERE state <= 1;"
    "CREATE INDEX command_robots_of_robot ON command_robots (robot, command);"

    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); "
    "END;"
    "CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;",

    /* What robots' black boxes sealed and sent. */
    "CREATE TABLE incidents (id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL REFERENCES robots(id),"
    " name TEXT NOT NULL, digest BLOB NOT NULL, bytes INTEGER NOT NULL, cause TEXT NOT NULL, text TEXT NOT "
    "NULL,"
    " who TEXT NOT NULL, reason TEXT NOT NULL, severity INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, release BLOB,"
    " frames INTEGER NOT NULL, verdicts INTEGER NOT NULL, UNIQUE (robot, name)) STRICT;"
    "CREATE INDEX incidents_of_robot ON incidents (robot, severity, id);"
    "CREATE INDEX incidents_by_digest ON incidents (digest);"
    "CREATE TABLE incident_uploads (robot TEXT PRIMARY KEY REFERENCES robots(id), digest BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID;",

    /* In which state each robot's guard is. */
    "ALTER TABLE robots ADD COLUMN guard INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE robots ADD COLUMN guard_who TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE robots ADD COLUMN guard_text TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE robots ADD COLUMN guard_ms INTEGER NOT NULL DEFAULT 0;",

    /* What an operator may do where (fleet/rights/rights.h), and until when. Who was one already could do everything. */
    "ALTER TABLE operators ADD COLUMN rights TEXT NOT NULL DEFAULT 'admin';"
    "ALTER TABLE operators ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE operators ADD COLUMN revoked_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX operators_by_name ON operators (name);",

    /* When a robot's assignment was issued, under which plan; what people approved; the plans of rollouts. */
    "ALTER TABLE robots ADD COLUMN issued_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE robots ADD COLUMN target_plan BLOB;"
    "ALTER TABLE rollouts ADD COLUMN plan BLOB;"
    "ALTER TABLE rollout_robots ADD COLUMN before_plan BLOB;"
    "CREATE TABLE rollout_plans (rollout INTEGER NOT NULL REFERENCES rollouts(id), robot TEXT NOT NULL,"
    " wave INTEGER NOT NULL, PRIMARY KEY (rollout, robot)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE approvals (id INTEGER PRIMARY KEY AUTOINCREMENT, release BLOB NOT NULL, plan BLOB NOT NULL,"
    " operator TEXT NOT NULL, reason TEXT NOT NULL, issued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, sent_by TEXT NOT NULL, envelope TEXT NOT NULL,"
    " UNIQUE (release, plan, operator)) STRICT;",

    /* Certificates are renewed; copies of robots are found by them, and quarantined. */
    "ALTER TABLE robots ADD COLUMN next_serial TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE robots ADD COLUMN quarantined_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE robots ADD COLUMN quarantine_text TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE devices (robot TEXT PRIMARY KEY REFERENCES robots(id), key BLOB, request BLOB,"
    " certificate TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE replaced_certificates (robot TEXT NOT NULL REFERENCES robots(id), serial TEXT NOT NULL,"
    " until_ms INTEGER NOT NULL, PRIMARY KEY (robot, serial)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX replaced_certificates_by_end ON replaced_certificates (until_ms);",

    /* The audit log becomes a Merkle tree over the very bytes that the hash chain had (trust/audit.h). A chain that did not hold is
     * told by an entry of its own, for the tree will hold. */
    "CREATE TABLE audit_log (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
    "INSERT INTO audit_log SELECT seq, entry, leaf_hash(entry) FROM audit;"
    "INSERT INTO audit_log SELECT seq, entry, leaf_hash(entry) FROM (SELECT seq, printf('{\"seq\":%d,"
    "\"kind\":\"audit\",\"what\":\"converted\",\"text\":\"the hash chain before the tree does not hold at "
    "entry %d\"}', seq, wrong) AS entry FROM (SELECT max(a.seq) + 1 AS seq, min(CASE WHEN a.hash IS NOT "
    "chain_hash(coalesce(p.hash, zeroblob(32)), a.entry) THEN a.seq END) AS wrong FROM audit a LEFT JOIN "
    "audit p ON p.seq = a.seq - 1) WHERE wrong IS NOT NULL);"
    "DROP TABLE audit;"
    "CREATE TABLE audit_hashes (level INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL,"
    " PRIMARY KEY (level, at)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE audit_checkpoints (size INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, text TEXT NOT NULL)"
    " STRICT;"
    "CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE ON audit_log"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER audit_log_is_never_cut BEFORE DELETE ON audit_log"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER audit_hashes_are_never_changed BEFORE UPDATE ON audit_hashes"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER audit_hashes_are_never_cut BEFORE DELETE ON audit_hashes"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER audit_checkpoints_are_never_changed BEFORE UPDATE ON audit_checkpoints"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER audit_checkpoints_are_never_cut BEFORE DELETE ON audit_checkpoints"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;",

    /* What people said of frames that robots chose, and what they reported as missed; how long releases were at work. */
    "CREATE TABLE reviews (id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL REFERENCES robots(id),"
    " site TEXT NOT NULL, release BLOB, sample BLOB, bytes INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, reason INTEGER NOT "
    "NULL,"
    " probability REAL NOT NULL, score REAL, count INTEGER NOT NULL, seen_ms INTEGER NOT NULL,"
    " verdict INTEGER NOT NULL, missed INTEGER NOT NULL, decided_by TEXT NOT NULL, note TEXT NOT NULL,"
    " decided_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX reviews_open ON reviews (verdict, id);"
    "CREATE INDEX reviews_of_robot ON reviews (robot, verdict, id);"
    "CREATE INDEX reviews_of_release ON reviews (release, id);"
    "CREATE INDEX reviews_of_sample ON reviews (sample) WHERE sample IS NOT NULL;"
    "CREATE TABLE missed (id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL REFERENCES robots(id),"
    " site TEXT NOT NULL, release BLOB, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " reported_ms INTEGER NOT NULL, label TEXT NOT NULL, note TEXT NOT NULL, who TEXT NOT NULL) STRICT;"
    "CREATE INDEX missed_of_release ON missed (release, id);"
    "ALTER TABLE telemetry ADD COLUMN operating_ms INTEGER NOT NULL DEFAULT 0;",

    /* Why something stepped in, and what drifts. */
    "CREATE TABLE decisions (id INTEGER PRIMARY KEY AUTOINCREMENT, robot TEXT NOT NULL, release BLOB,"
    " rollout INTEGER NOT NULL, who TEXT NOT NULL, rule TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;"
    "CREATE INDEX decisions_of_robot ON decisions (robot, id);"
    "CREATE TABLE drift (id INTEGER PRIMARY KEY AUTOINCREMENT, common INTEGER NOT NULL, release BLOB, cause "
    "TEXT NOT NULL,"
    " opened_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, closed_ms INTEGER NOT NULL,"
    " acknowledged_ms INTEGER NOT NULL, acknowledged_by TEXT NOT NULL, log10_e REAL, robots TEXT NOT NULL,"
    " robot_count INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"
    "CREATE INDEX drift_is_open ON drift (release, cause) WHERE closed_ms = 0;",

    /* Which alarms of robots a finding stands for, so that acknowledging it reaches them. */
    "ALTER TABLE drift ADD COLUMN acknowledgement INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX drift_acknowledged ON drift (acknowledgement) WHERE acknowledgement > 0;"
    "CREATE TABLE drift_alarms (robot TEXT NOT NULL REFERENCES robots(id), finding INTEGER NOT NULL "
    "REFERENCES drift(id),"
    " time_ms INTEGER NOT NULL, PRIMARY KEY (robot, finding)) STRICT, WITHOUT ROWID;",
};

static int pragma_get(struct sqlite_store *s, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        rc = rc == SQLITE_OK ? SQLITE_ERROR : rc;
    if (rc != SQLITE_OK)
        db_error(s, err, sql);
    sqlite3_finalize(stmt);
    return rc == SQLITE_OK ? 0 : -1;
}

static int check_owner(struct sqlite_store *s, int64_t version, struct err *err)
{
    int64_t application = 0, tables = 0;
    if (pragma_get(s, "PRAGMA application_id", &application, err) < 0 ||
        pragma_get(s, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    bool fresh = version == 0 && application == 0 && tables == 0;
    if (!fresh && application != APPLICATION_ID)
        return err_set(err, ERR_CORRUPT, "database: this SQLite file is not a Muster database");
    if (version > (int64_t)ARRAY_LEN(migrations))
        return err_set(err, ERR_UNSUPPORTED,
                       "database: its version %lld is newer than this program's %zu; upgrade musterd",
                       (long long)version, ARRAY_LEN(migrations));
    return 0;
}

static int apply(struct sqlite_store *s, size_t index, struct err *err)
{
    char finish[96];
    snprintf(finish, sizeof finish, "PRAGMA application_id = %d; PRAGMA user_version = %zu; COMMIT",
             APPLICATION_ID, index + 1);
    if (db_exec(s, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    if (db_exec(s, migrations[index], err) < 0 || db_exec(s, finish, err) < 0) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return err_prefix(err, "migration %zu", index + 1);
    }
    return 0;
}

int db_migrate(struct sqlite_store *s, struct err *err)
{
    int64_t version = 0;
    if (db_audit_functions(s, err) < 0 || pragma_get(s, "PRAGMA user_version", &version, err) < 0 ||
        check_owner(s, version, err) < 0)
        return -1;
    for (size_t i = (size_t)version; i < ARRAY_LEN(migrations); i++)
        if (apply(s, i, err) < 0)
            return -1;
    return 0;
}
