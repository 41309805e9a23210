/* Releases and their telemetry. */
#include "fleet/store/db.h"

#include "fleet/telemetry/hist.h"

/* The column signature is of an older version's releases, and empty in others. */
#define RELEASE_COLUMNS                                                                                      \
    "digest, name, version, manifest_bytes, size_bytes, latency_p99_ms, deadline_ms, memory_mib, "           \
    "max_miss_share,"                                                                                        \
    " created_ms, signed_by"

/* Key ids as text, one blank between them. */
static void signers_format(const struct release_row *row, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < row->signer_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", row->signed_by[i]);
}

static void signers_parse(const char *text, struct release_row *row)
{
    while (text && *text && row->signer_count < ARRAY_LEN(row->signed_by)) {
        size_t len = strcspn(text, " ");
        if (len < sizeof row->signed_by[0]) {
            memcpy(row->signed_by[row->signer_count], text, len);
            row->signed_by[row->signer_count++][len] = 0;
        }
        text += len + (text[len] == ' ');
    }
}

static void read_release(sqlite3_stmt *stmt, struct release_row *out)
{
    *out = (struct release_row){
        .manifest_bytes = db_u64(stmt, 3),
        .size_bytes = db_u64(stmt, 4),
        .latency_p99_ms = sqlite3_column_double(stmt, 5),
        .deadline_ms = sqlite3_column_double(stmt, 6),
        .memory_mib = db_i64(stmt, 7),
        .max_miss_share = sqlite3_column_double(stmt, 8),
        .created_ms = db_i64(stmt, 9),
    };
    db_digest(stmt, 0, &out->digest);
    db_text(stmt, 1, out->name, sizeof out->name);
    db_text(stmt, 2, out->version, sizeof out->version);
    signers_parse((const char *)sqlite3_column_text(stmt, 10), out);
}

int sqlite_release_add(struct store *store, const struct release_row *row, struct err *err)
{
    char signers[ARRAY_LEN(row->signed_by) * sizeof row->signed_by[0]];
    signers_format(row, signers, sizeof signers);
    return db_write(db_of(store), err, NULL,
                    "INSERT INTO releases (" RELEASE_COLUMNS ", signature) VALUES (?,?,?,?,?,?,?,?,?,?,?,'')",
                    "Dttuuddidit", &row->digest, row->name, row->version, row->manifest_bytes,
                    row->size_bytes, row->latency_p99_ms, row->deadline_ms, row->memory_mib,
                    row->max_miss_share, row->created_ms, signers);
}

int sqlite_release_sign(struct store *store, const struct release_row *row, struct err *err)
{
    char signers[ARRAY_LEN(row->signed_by) * sizeof row->signed_by[0]];
    signers_format(row, signers, sizeof signers);
    return db_write(db_of(store), err, NULL, "UPDATE releases SET signed_by = ? WHERE digest = ?", "tD",
                    signers, &row->digest);
}

int sqlite_release_get(struct store *store, const struct digest *digest, struct release_row *out,
                       struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " RELEASE_COLUMNS " FROM releases WHERE digest = ?", "D", digest);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "release %.19s… is not known; push it first",
                       digest_format(digest).text);
    read_release(stmt, out);
    return 0;
}

int sqlite_release_find(struct store *store, const char *name, const char *version, struct digest *out,
                        struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT digest FROM releases WHERE name = ? AND version = ?", "tt", name, version);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "release %s:%s is not known; push it first", name, version);
    db_digest(stmt, 0, out);
    return 0;
}

int sqlite_release_each(struct store *store, int (*visit)(const struct release_row *row, void *arg),
                        void *arg, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " RELEASE_COLUMNS " FROM releases ORDER BY id DESC", "");
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct release_row release;
        read_release(stmt, &release);
        if (visit(&release, arg) != 0)
            return 0;
    }
    return row;
}

#define TELEMETRY_COLUMNS                                                                                    \
    "release, robot, robots, first_ms, last_ms, frames, results, lost, i0, i1, i2, i3, i4, i5, i6, i7,"      \
    " i8, i9, i10, score_frames, score_tp, score_fp, score_fn, detections, confidence_sum, latency, frame, " \
    "operating_ms"

static int read_hist(sqlite3_stmt *stmt, int column, struct exphist *out, struct err *err)
{
    const void *data = sqlite3_column_blob(stmt, column);
    return hist_decode(data, (size_t)sqlite3_column_bytes(stmt, column), out, err);
}

static int read_telemetry(sqlite3_stmt *stmt, struct telemetry_row *out, struct err *err)
{
    *out = (struct telemetry_row){
        .robots = db_u64(stmt, 2),
        .first_ms = db_i64(stmt, 3),
        .last_ms = db_i64(stmt, 4),
        .frames = db_u64(stmt, 5),
        .results = db_u64(stmt, 6),
        .lost = db_u64(stmt, 7),
        .score_frames = db_u64(stmt, 19),
        .score_tp = db_u64(stmt, 20),
        .score_fp = db_u64(stmt, 21),
        .score_fn = db_u64(stmt, 22),
        .detections = db_u64(stmt, 23),
        .confidence_sum = sqlite3_column_double(stmt, 24),
        .operating_ms = db_i64(stmt, 27),
    };
    db_digest(stmt, 0, &out->release);
    db_text(stmt, 1, out->robot, sizeof out->robot);
    for (int i = 0; i < OTLP_REASONS; i++)
        out->interventions[i] = db_u64(stmt, 8 + i);
    if (read_hist(stmt, 25, &out->latency_ms, err) < 0 || read_hist(stmt, 26, &out->frame_ms, err) < 0)
        return err_prefix(err, "telemetry of robot \"%s\"", out->robot);
    return 0;
}

int sqlite_telemetry_get(struct store *store, const struct digest *release, const char *robot,
                         struct telemetry_row *out, struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " TELEMETRY_COLUMNS " FROM telemetry WHERE release = ? AND robot = ?", "Dt",
                 release, robot);
    int row = stmt ? db_step(s, stmt, err) : -1;
    if (row < 0)
        return -1;
    if (!row)
        return err_set(err, ERR_NOT_FOUND, "no telemetry of this release yet");
    return read_telemetry(stmt, out, err);
}

int sqlite_telemetry_save(struct store *store, const struct telemetry_row *row, struct err *err)
{
    uint8_t latency[HIST_MAX_BYTES], frame[HIST_MAX_BYTES];
    size_t latency_len = hist_encode(&row->latency_ms, latency),
           frame_len = hist_encode(&row->frame_ms, frame);
    const uint64_t *i = row->interventions;
    return db_write(db_of(store), err, NULL,
                    "INSERT OR REPLACE INTO telemetry (" TELEMETRY_COLUMNS
                    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    "Dtuii"
                    "uuu"
                    "uuuuuuuuuuu"
                    "uuuu"
                    "udbbi",
                    &row->release, row->robot, row->robots, row->first_ms, row->last_ms, row->frames,
                    row->results, row->lost, i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9],
                    i[10], row->score_frames, row->score_tp, row->score_fp, row->score_fn, row->detections,
                    row->confidence_sum, latency, latency_len, frame, frame_len, row->operating_ms);
}

int sqlite_telemetry_of_robot(struct store *store, const char *robot,
                              int (*visit)(const struct telemetry_row *row, void *arg), void *arg,
                              struct err *err)
{
    struct sqlite_store *s = db_of(store);
    cleanup_stmt sqlite3_stmt *stmt =
        db_query(s, err, "SELECT " TELEMETRY_COLUMNS " FROM telemetry WHERE robot = ? ORDER BY last_ms DESC",
                 "t", robot);
    if (!stmt)
        return -1;
    int row;
    while ((row = db_step(s, stmt, err)) == 1) {
        struct telemetry_row telemetry;
        if (read_telemetry(stmt, &telemetry, err) < 0)
            return -1;
        if (visit(&telemetry, arg) != 0)
            return 0;
    }
    return row;
}
