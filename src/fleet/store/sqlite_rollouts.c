/* Rollouts, their robots, and events. */
#include "fleet/store/db.h"

#define ROLLOUT_COLUMNS                                                                                      \
    "id, release, spec, state, wave, wave_started_ms, bake_started_ms, reason, started_ms, ended_ms, plan"

void rollout_row_fini(struct rollout_row *row)
{
    free(row->gates);
    row->gates = NULL;
}

static int read_rollout(sqlite3_stmt *stmt, struct rollout_row *out, struct err *err)
{
    struct rollout *rollout = &out->rollout;
    char state[32];
    *out = (struct rollout_row){.started_ms = db_i64(stmt, 8), .ended_ms = db_i64(stmt, 9)};
    rollout->id = db_u64(stmt, 0);
    db_digest(stmt, 1, &rollout->release);
    const char *spec = (const char *)sqlite3_column_text(stmt, 2);
    if (rollout_spec_parse(spec, (size_t)sqlite3_column_bytes(stmt, 2), &rollout->spec, err) < 0)
        return err_prefix(err, "stored rollout %llu", (unsigned long long)rollout->id);
    db_text(stmt, 3, state, sizeof state);
    rollout->wave = (size_t)db_u64(stmt, 4);
    if (!rollout_state_from_name(state, &rollout->state) || rollout->wave >= rollout->spec.wave_count)
        return err_set(err, ERR_CORRUPT, "stored rollout %llu: state %s, wave %zu",
                       (unsigned long long)rollout->id, state, rollout->wave);
    rollout->wave_started_ms = db_i64(stmt, 5);
    rollout->bake_started_ms = db_i64(stmt, 6);
    db_text(stmt, 7, rollout->reason, sizeof rollout->reason);
    db_digest(stmt, 10, &rollout->plan);
    return 0;
}

int sqlite_rollout_add(struct store *store, const struct rollout_row *row, uint64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    const struct rollout *rollout = &row->rollout;
    cleanup_free char *spec = rollout_spec_format(&rollout->spec);
    if (!spec)
        return err_no_memory(err);
    if (db_write(s, err, NULL,
                 "INSERT INTO rollouts (release, spec, state, wave, wave_started_ms, bake_started_ms, reason,"
                 " started_ms, ended_ms, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "DttuiitiiD", &rollout->release, spec, rollout_state_name(rollout->state),
                 (uint64_t)rollout->wave, rollout->wave_started_ms, rollout->bake_started_ms, rollout->reason,
                 row->started_ms, row->ended_ms, &rollout->plan) < 0)
        return -1;
    *out_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_rollout_save(struct store *store, const struct rollout_row *row, struct err *err)
{
    const struct rollout *rollout = &row->rollout;
    return db_write(
        db_of(store), err, NULL,
        "UPDATE rollouts SET state = ?, wave = ?, wave_started_ms = ?, bake_started_ms = ?, reason = ?,"
        " ended_ms = ?, gates = ? WHERE id = ?",
        "tuiitiTu", rollout_state_name(rollout->state), (uint64_t)rollout->wave, rollout->wave_started_ms,
        rollout->bake_started_ms, rollout->reason, row->ended_ms, row->gates ? row->gates : "", rollout->id);
}

int sqlite_rollout_get(struct store *store, uint64_t id, struct rollout_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " ROLLOUT_COLUMNS ", gates FROM rollouts WHERE id = ?", "u", id);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "rollout %llu is not known", (unsigned long long)id);
    if (read_rollout(stmt, out, err) < 0)
        return -1;
    const char *gates = (const char *)sqlite3_column_text(stmt, 11);
    if (gates && !(out->gates = mem_strdup(gates)))
        return err_no_memory(err);
    return 0;
}

int sqlite_rollout_each(struct store *store, bool open_only,
                        int (*visit)(const struct rollout_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE ended_ms = 0 OR ? = 0 ORDER BY id DESC", "i",
        (int64_t)open_only);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct rollout_row rollout;
        if (read_rollout(stmt, &rollout, err) < 0)
            return -1;
        if (visit(&rollout, arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_rollout_robot_save(struct store *store, const struct rollout_robot_row *row, struct err *err)
{
    const struct rollout_evidence *base = &row->baseline;
    return db_write(
        db_of(store), err, NULL,
        "INSERT OR REPLACE INTO rollout_robots (rollout, robot, wave, failed, before, frames, interventions,"
        " inferences, over_budget, tp, fp, fn, before_plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "utiiDuuuuuuuD", row->rollout, row->robot, (int64_t)row->wave, (int64_t)row->failed, &row->before,
        base->frames, base->interventions, base->inferences, base->over_budget, base->tp, base->fp, base->fn,
        &row->before_plan);
}

static void read_rollout_robot(sqlite3_stmt *stmt, struct rollout_robot_row *out)
{
    *out = (struct rollout_robot_row){
        .rollout = db_u64(stmt, 0),
        .wave = (int)db_i64(stmt, 2),
        .failed = db_i64(stmt, 3) != 0,
        .baseline = {.frames = db_u64(stmt, 5),
                     .interventions = db_u64(stmt, 6),
                     .inferences = db_u64(stmt, 7),
                     .over_budget = db_u64(stmt, 8),
                     .tp = db_u64(stmt, 9),
                     .fp = db_u64(stmt, 10),
                     .fn = db_u64(stmt, 11)},
    };
    db_text(stmt, 1, out->robot, sizeof out->robot);
    db_digest(stmt, 4, &out->before);
    db_digest(stmt, 12, &out->before_plan);
}

int sqlite_rollout_robot_each(struct store *store, uint64_t rollout,
                              int (*visit)(const struct rollout_robot_row *row, void *arg), void *arg,
                              struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err,
        "SELECT rollout, robot, wave, failed, before, frames, interventions, inferences, over_budget, tp, fp,"
        " fn, before_plan FROM rollout_robots WHERE rollout = ? ORDER BY wave, robot",
        "u", rollout);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct rollout_robot_row robot;
        read_rollout_robot(stmt, &robot);
        if (visit(&robot, arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_rollout_plan_add(struct store *store, uint64_t rollout, const char *robot, int wave,
                            struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO rollout_plans (rollout, robot, wave) VALUES (?, ?, ?)", "uti", rollout,
                    robot, (int64_t)wave);
}

int sqlite_rollout_plan_each(struct store *store, uint64_t rollout,
                             int (*visit)(const char *robot, int wave, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(
        s, err, "SELECT robot, wave FROM rollout_plans WHERE rollout = ? ORDER BY robot", "u", rollout);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        char robot[API_ID_SIZE];
        db_text(stmt, 0, robot, sizeof robot);
        if (visit(robot, (int)db_i64(stmt, 1), arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_event_add(struct store *store, const struct event_row *row, int64_t *out_id, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    if (db_write(s, err, NULL, "INSERT INTO events (time_ms, kind, robot, text) VALUES (?, ?, ?, ?)", "ittt",
                 row->time_ms, row->kind, row->robot, row->text) < 0)
        return -1;
    *out_id = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int sqlite_event_after(struct store *store, int64_t after, int64_t limit,
                       int (*visit)(const struct event_row *row, void *arg), void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT id, time_ms, kind, robot, text FROM events WHERE id > ? ORDER BY id LIMIT ?",
                 "ii", after, limit);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct event_row event = {.id = db_i64(stmt, 0), .time_ms = db_i64(stmt, 1)};
        db_text(stmt, 2, event.kind, sizeof event.kind);
        db_text(stmt, 3, event.robot, sizeof event.robot);
        db_text(stmt, 4, event.text, sizeof event.text);
        if (visit(&event, arg) != 0)
            return 0;
    }
    return row;
}

int sqlite_event_last_id(struct store *store, int64_t *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt = db_query(s, err, "SELECT coalesce(max(id), 0) FROM events", "");
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    *out = db_i64(stmt, 0);
    return 0;
}

int sqlite_event_prune(struct store *store, int64_t keep, struct err *err)
{
    return db_write(db_of(store), err, NULL,
                    "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", "i", keep);
}
