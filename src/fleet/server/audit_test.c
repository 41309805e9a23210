/* The audit log of a real server: every route that changes something leaves an entry, whoever tampers with its database is found and the
 * entry named, checkpoints prove that it only grows, and an older log is taken over. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/proc.h"
#include "trust/ca.h"
#include "trust/command.h"
#include "trust/incident.h"
#include "trust/merkle/follow.h"
#include "trust/merkle/proof.h"
#include "wire/api.h"
#include "wire/json.h"

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

/* ---- reading the log ---- */

struct newest {
    struct checkpoint checkpoint;
    struct merkle_proof consistency;
    char key[CHECKPOINT_KEY_SIZE];
};

static struct newest newest(const struct harness *h, uint64_t since)
{
    struct newest out = {0};
    struct json_reader reader;
    struct err err = {0};
    char path[96], text[4096], origin[CHECKPOINT_ORIGIN_SIZE];
    struct public_key key;
    snprintf(path, sizeof path, "/api/v1/audit/checkpoint?since=%llu", (unsigned long long)since);
    cleanup_reply struct reply reply = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    assert_ok(json_read(&reader, "checkpoint", reply.body, reply.len, &err), err);
    struct json_at root = json_root(&reader);
    json_get_string(root, "checkpoint", text, sizeof text);
    json_get_string(root, "key", out.key, sizeof out.key);
    struct json_at list = json_list(root, "consistency", MERKLE_PROOF_MAX, &out.consistency.count);
    for (size_t i = 0; i < out.consistency.count; i++) {
        char hash[DIGEST_TEXT_SIZE];
        json_as_string(json_item(list, i), hash, sizeof hash);
        assert_true(digest_parse(hash, &out.consistency.hashes[i]));
    }
    assert_ok(json_finish(&reader, &err), err);
    assert_ok(checkpoint_key_parse(out.key, origin, &key, &err), err);
    assert_ok(checkpoint_open(text, strlen(text), &key, 1, &out.checkpoint, &err), err);
    return out;
}

static uint64_t entries(const struct harness *h)
{
    return newest(h, 0).checkpoint.size;
}

static char *last_entry(const struct harness *h)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/audit?after=%llu", (unsigned long long)entries(h) - 1);
    cleanup_reply struct reply reply = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    return mem_strdup(reply.body);
}

/* ---- every route that changes something ---- */

struct scene {
    struct harness h;
    struct robot_peer robot;
    char rollout[24];
};

static struct reply post(const struct scene *s, const char *path, const char *body)
{
    return harness_call(&s->h, "POST", path, body, body ? strlen(body) : 0);
}

static struct reply do_token(struct scene *s)
{
    return post(s, "/api/v1/enroll-tokens", "{\"robot\":\"r2\"}");
}

static struct reply do_enroll(struct scene *s)
{
    struct err err = {0};
    char token[80], key[160];
    struct api_enroll enroll = {0};
    cleanup_free char *csr = NULL;
    cleanup_reply struct reply made = post(s, "/api/v1/enroll-tokens", "{\"robot\":\"r3\"}");
    assert_true(find_text(made.body, "token", token, sizeof token));
    harness_path(&s->h, "r3.key", key);
    assert_ok(csr_make(key, "r3", &csr, &err), err);
    str_copy(enroll.token, sizeof enroll.token, token);
    str_copy(enroll.csr, sizeof enroll.csr, csr);
    cleanup_free char *text = api_enroll_format(&enroll);
    return post(s, "/api/v1/enroll", text);
}

static struct reply do_renew(struct scene *s)
{
    struct err err = {0};
    cleanup_free char *csr = NULL;
    assert_ok(csr_make(s->robot.key, s->robot.id, &csr, &err), err);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "csr", csr);
    jsonw_close(&w);
    cleanup_free char *body = jsonw_take(&w, &err);
    return robot_call(&s->h, &s->robot, "POST", "/api/v1/renew", body, strlen(body));
}

static struct reply report(struct scene *s, enum report_kind kind, uint64_t seq)
{
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    str_copy(reports->stream, sizeof reports->stream, "0123456789abcdef0123456789abcdef");
    reports->count = 1;
    reports->records[0] = (struct api_report){.seq = seq, .time_ms = 1, .kind = kind};
    str_copy(reports->records[0].text, sizeof reports->records[0].text, "[audit.fork] so it is");
    cleanup_free char *body = api_reports_format(reports);
    return robot_call(&s->h, &s->robot, "POST", "/api/v1/reports", body, strlen(body));
}

static struct reply do_report(struct scene *s)
{
    return report(s, REPORT_FAILED, 1);
}

static int into_buf(const void *data, size_t len, void *arg, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static struct reply do_incident(struct scene *s)
{
    struct err err = {0};
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    cleanup_incident_signer struct incident_signer *signer = NULL;
    cleanup_incident_writer struct incident_writer *w = NULL;
    struct incident_facts facts = {.id = "000001-20260102T030405Z-1-hold",
                                   .cause = "hold",
                                   .severity = 1,
                                   .time_ms = 1000,
                                   .text = "aisle"};
    str_copy(facts.robot, sizeof facts.robot, s->robot.id);
    struct incident_sink sink = {into_buf, &file};
    assert_ok(incident_signer_load(s->robot.key, s->robot.cert, &signer, &err), err);
    assert_ok(incident_begin(&sink, &facts, signer, &w, &err), err);
    assert_ok(incident_finish(w, &err), err);
    struct digest digest = hash_bytes(file.data, file.len);
    char path[192], body[128];
    snprintf(path, sizeof path, "/api/v1/incidents/%s?offset=0&total=%zu", digest_format(&digest).text,
             file.len);
    cleanup_reply struct reply part = robot_call(&s->h, &s->robot, "PUT", path, file.data, file.len);
    assert_int_equal(part.status, 201);
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digest_format(&digest).text);
    return robot_call(&s->h, &s->robot, "POST", "/api/v1/incidents", body, strlen(body));
}

static struct reply do_release(struct scene *s)
{
    uint64_t length;
    struct digest digest = harness_upload(&s->h, "1.0.0", &length);
    harness_publish(&s->h, "targets", desk_release(&s->h.desk, "quadrants", "1.0.0", &digest, length, NULL));
    return harness_post_release(&s->h, &digest);
}

static struct reply do_rollout(struct scene *s)
{
    struct reply reply =
        post(s, "/api/v1/rollouts",
             "{\"name\":\"first\",\"release\":\"quadrants:1.0.0\",\"select\":{\"site\":\"north\"},"
             "\"waves\":[{\"name\":\"all\",\"percent\":100,\"bake_s\":60}],\"gates\":{}}");
    if (reply.status == 201)
        snprintf(s->rollout, sizeof s->rollout, "%lld", (long long)find_number(reply.body, "id"));
    return reply;
}

static struct reply wish(const struct scene *s, const char *what)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/rollouts/%s/%s", s->rollout, what);
    return post(s, path, NULL);
}

static struct reply do_pause(struct scene *s)
{
    return wish(s, "pause");
}

static struct reply do_resume(struct scene *s)
{
    return wish(s, "resume");
}

static struct reply do_abort(struct scene *s)
{
    return wish(s, "abort");
}

static struct reply do_command(struct scene *s)
{
    struct err err = {0};
    char ids[1][64] = {"r1"};
    cleanup_signing_key struct signing_key *key = NULL;
    struct command command = {.verb = COMMAND_HOLD,
                              .issued_ms = clock_wall_ms(),
                              .expires_ms = clock_wall_ms() + 60000,
                              .robots = ids,
                              .robot_count = 1};
    str_copy(command.operator_name, sizeof command.operator_name, "alice");
    str_copy(command.reason, sizeof command.reason, "test");
    str_copy(command.nonce, sizeof command.nonce, "00112233445566778899aabbccddeeff");
    assert_ok(signing_key_generate(&key, &err), err);
    cleanup_free char *text = command_sign(&command, key, &err);
    return post(s, "/api/v1/commands", text);
}

static struct reply do_revoke(struct scene *s)
{
    return post(s, "/api/v1/robots/r3/revoke", NULL);
}

static struct reply do_release_quarantine(struct scene *s)
{
    sqlite3 *db = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/muster.db", s->h.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE robots SET quarantined_ms = 1, quarantine_text = 'two' WHERE id = 'r1'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    return post(s, "/api/v1/robots/r1/release-quarantine", NULL);
}

static struct reply do_missed(struct scene *s)
{
    return post(s, "/api/v1/missed", "{\"robot\":\"r1\",\"from_ms\":1,\"until_ms\":2,\"label\":\"fall\"}");
}

/* In an order in which each can succeed. `said`: what its entry says. Without an act: why it leaves none. */
static const struct {
    enum http_method method;
    const char *pattern;
    struct reply (*act)(struct scene *s);
    const char *said;
} acts[] = {
    {HTTP_POST, "/api/v1/enroll-tokens", do_token, "\\\"kind\\\":\\\"token\\\""},
    {HTTP_POST, "/api/v1/enroll", do_enroll, "\\\"kind\\\":\\\"enrolled\\\""},
    {HTTP_POST, "/api/v1/robots/:id/revoke", do_revoke, "\\\"kind\\\":\\\"revoked\\\""},
    {HTTP_POST, "/api/v1/renew", do_renew, "\\\"kind\\\":\\\"renewed\\\""},
    {HTTP_POST, "/api/v1/reports", do_report, "\\\"what\\\":\\\"failed\\\""},
    {HTTP_POST, "/api/v1/incidents", do_incident, "\\\"kind\\\":\\\"incident\\\""},
    {HTTP_POST, "/api/v1/releases", do_release, "\\\"kind\\\":\\\"release\\\""},
    {HTTP_POST, "/api/v1/rollouts", do_rollout, "\\\"what\\\":\\\"start\\\""},
    {HTTP_POST, "/api/v1/rollouts/:id/pause", do_pause, "\\\"what\\\":\\\"pause\\\""},
    {HTTP_POST, "/api/v1/rollouts/:id/resume", do_resume, "\\\"what\\\":\\\"resume\\\""},
    {HTTP_POST, "/api/v1/rollouts/:id/abort", do_abort, "\\\"what\\\":\\\"abort\\\""},
    {HTTP_POST, "/api/v1/commands", do_command, "\\\"kind\\\":\\\"command\\\""},
    {HTTP_POST, "/api/v1/robots/:id/release-quarantine", do_release_quarantine,
     "\\\"kind\\\":\\\"released\\\""},
    {HTTP_POST, "/api/v1/approvals", NULL, "approvals: fleet.server.trust_test"},
    {HTTP_POST, "/api/v1/tuf/:role", NULL, "metadata: fleet.server.trust_test"},
    {HTTP_POST, "/api/v1/missed", do_missed, "missed: fall"},
    {HTTP_POST, "/api/v1/reviews/:id", NULL, "verdicts: fleet.server.review_test"},
    {HTTP_POST, "/api/v1/drift/:id/acknowledge", NULL, "findings of drift: fleet.server.drift_test"},
    {HTTP_POST, "/api/v1/samples", NULL, "frames that mean nothing before somebody says what is on them"},
    {HTTP_POST, "/v1/metrics", NULL, "counts, not acts"},
    {HTTP_PUT, "/api/v1/incidents/:digest", NULL, "bytes that mean nothing before POST /api/v1/incidents"},
    {HTTP_PUT, "/api/v1/blobs/:digest", NULL, "bytes that mean nothing before POST /api/v1/releases"},
};

static void assert_listed(struct api_routes routes)
{
    for (size_t i = 0; i < routes.count; i++) {
        const struct api_route *route = &routes.items[i];
        bool listed = route->method == HTTP_GET || route->method == HTTP_HEAD;
        assert_false(listed && route->writes);
        for (size_t j = 0; j < ARRAY_LEN(acts); j++)
            listed = listed || (acts[j].method == route->method && str_eq(acts[j].pattern, route->pattern));
        if (!listed)
            fail_msg("%s changes something: which entry does it leave?", route->pattern);
    }
}

static void every_route_that_writes_leaves_an_entry(void **state)
{
    struct scene *s = mem_zalloc(1, sizeof *s);
    assert_listed(api_operator_routes());
    assert_listed(api_robot_routes());
    harness_init(&s->h);
    harness_start(&s->h);
    harness_enroll(&s->h, "r1", &s->robot);
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        uint64_t before = entries(&s->h);
        if (!acts[i].act)
            continue;
        cleanup_reply struct reply reply = acts[i].act(s);
        if (reply.status / 100 != 2)
            fail_msg("%s: %d %s", acts[i].pattern, reply.status, reply.body);
        char path[96];
        snprintf(path, sizeof path, "/api/v1/audit?after=%llu", (unsigned long long)before);
        cleanup_reply struct reply said = harness_call(&s->h, "GET", path, NULL, 0);
        if (!strstr(said.body, acts[i].said))
            fail_msg("%s: no entry says %s: %s", acts[i].pattern, acts[i].said, said.body);
    }
    harness_fini(&s->h);
    free(s);
}

/* Tokens are made beside a server that runs. */
static void operators_tokens_leave_entries(void **state)
{
    struct harness *h = *state;
    struct err err = {0};
    char path[160];
    int status = -1;
    uint64_t before = entries(h);
    harness_path(h, "bob.token", path);
    const char *const make[] = {
        MUSTER_BUILD_BIN "/musterd", "token", "--dir", h->dir, "--name", "bob", "--token-file", path, NULL};
    const char *const revoke[] = {
        MUSTER_BUILD_BIN "/musterd", "token", "--dir", h->dir, "--revoke", "bob", NULL};
    assert_ok(proc_run(make, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    assert_int_equal(entries(h), before + 1);
    cleanup_free char *made = last_entry(h);
    assert_non_null(
        strstr(made, "\\\"what\\\":\\\"make\\\",\\\"why\\\":\\\"admin\\\",\\\"text\\\":\\\"bob\\\""));
    assert_ok(proc_run(revoke, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    assert_int_equal(entries(h), before + 2);
}

/* ---- it only grows ---- */

static void tokens(const struct harness *h, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll-tokens", "{}", 2);
        assert_int_equal(reply.status, 201);
    }
}

static void checkpoints_extend_each_other_over_kills(void **state)
{
    struct harness *h = *state;
    struct newest before = newest(h, 0);
    for (int round = 0; round < 3; round++) {
        tokens(h, 3);
        struct newest now = newest(h, before.checkpoint.size);
        assert_int_equal(now.checkpoint.size, before.checkpoint.size + 3);
        assert_true(merkle_check_consistency(before.checkpoint.size, &before.checkpoint.root,
                                             now.checkpoint.size, &now.checkpoint.root, &now.consistency));
        assert_string_equal(now.checkpoint.origin, before.checkpoint.origin);
        before = now;
        harness_stop(h, SIGKILL);
        harness_start(h);
    }
}

/* As a client of tlog-tiles reads it. A robot sees hashes and no entries. */
static void tiles_are_those_of_tlog_tiles(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    char path[96];
    harness_enroll(h, "r9", &robot);
    struct newest now = newest(h, 0);
    cleanup_reply struct reply note = harness_call(h, "GET", "/api/v1/audit/checkpoint", NULL, 0);
    assert_int_equal(note.status, 200);
    assert_true(str_starts(note.body, now.checkpoint.origin));
    snprintf(path, sizeof path, "/api/v1/audit/tile/0/000.p/%llu", (unsigned long long)now.checkpoint.size);
    cleanup_reply struct reply hashes = robot_call(h, &robot, "GET", path, NULL, 0);
    assert_int_equal(hashes.status, 200);
    assert_int_equal(hashes.len, now.checkpoint.size * 32);
    snprintf(path, sizeof path, "/api/v1/audit/tile/entries/000.p/%llu",
             (unsigned long long)now.checkpoint.size);
    cleanup_reply struct reply bundle = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(bundle.status, 200);
    struct merkle_tree tree = {0};
    struct err err = {0};
    size_t at = 0;
    for (uint64_t i = 0; i < now.checkpoint.size; i++) {
        size_t len = (size_t)(uint8_t)bundle.body[at] << 8 | (uint8_t)bundle.body[at + 1];
        struct digest leaf = merkle_leaf(bundle.body + at + 2, len);
        assert_memory_equal(leaf.bytes, hashes.body + i * 32, 32);
        assert_ok(merkle_append(&tree, &leaf, NULL, NULL, &err), err);
        at += 2 + len;
    }
    assert_int_equal(at, bundle.len);
    struct digest root = merkle_root(&tree);
    assert_true(digest_equal(&root, &now.checkpoint.root));
    cleanup_reply struct reply secret = robot_call(h, &robot, "GET", path, NULL, 0);
    assert_int_equal(secret.status, 404);
    cleanup_reply struct reply beyond = harness_call(h, "GET", "/api/v1/audit/tile/0/001.p/1", NULL, 0);
    assert_int_equal(beyond.status, 404);
}

/* ---- a database in other hands ---- */

static sqlite3 *open_database(const struct harness *h)
{
    sqlite3 *db = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/muster.db", h->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static void leaf_of(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct digest hash =
        merkle_leaf(sqlite3_value_blob(values[0]), (size_t)sqlite3_value_bytes(values[count - 1]));
    sqlite3_result_blob(context, hash.bytes, sizeof hash.bytes, SQLITE_TRANSIENT);
}

static sqlite3 *take_over(const struct harness *h)
{
    sqlite3 *db = open_database(h);
    sqlite3_create_function(db, "leaf", 1, SQLITE_UTF8, NULL, leaf_of, NULL, NULL);
    run_sql(db,
            "DROP TRIGGER audit_log_is_never_changed; DROP TRIGGER audit_log_is_never_cut;"
            "DROP TRIGGER audit_checkpoints_are_never_changed; DROP TRIGGER audit_checkpoints_are_never_cut");
    return db;
}

/* What a server says now, followed as muster audit verify does. The number behind the last one that is sound; 0: all of it. */
static uint64_t first_wrong(struct peer *peer, const struct harness *h, const struct checkpoint *end)
{
    char headers[160];
    size_t len;
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", h->token);
    cleanup_free char *request = format_request("GET", "/api/v1/audit", headers, NULL, 0, &len);
    assert_true(peer_send(peer, request, len));
    cleanup_reply struct reply reply = peer_read_reply(peer);
    assert_int_equal(reply.status, 200);
    struct json_reader reader;
    struct err err = {0};
    struct follow follow = {0};
    size_t count = 0;
    bool sound = true;
    assert_ok(json_read(&reader, "audit", reply.body, reply.len, &err), err);
    struct json_at list = json_list(json_root(&reader), "entries", 1000, &count);
    for (size_t i = 0; i < count && sound; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        char entry[4096] = "";
        uint64_t seq = 0;
        struct digest hash = {0};
        json_get_u64(at, "seq", INT64_MAX, &seq);
        json_get_digest(at, "hash", &hash);
        json_get_string(at, "entry", entry, sizeof entry);
        sound =
            reader.err.code == ERR_NONE && follow_entry(&follow, seq, entry, strlen(entry), &hash, &err) == 0;
    }
    sound = json_finish(&reader, &err) == 0 && sound;
    if (!sound || follow.tree.size < end->size)
        return follow.tree.size + 1;
    return follow_checkpoint(&follow, end, &err) < 0 ? 1 : 0;
}

/* One bit of one column of one row. */
static void flip(sqlite3 *db, const char *column, uint64_t seq, size_t bit)
{
    sqlite3_stmt *stmt = NULL;
    cleanup_free char *select = mem_printf("SELECT CAST(%s AS BLOB) FROM audit_log WHERE seq = ?", column);
    cleanup_free char *update = mem_printf("UPDATE audit_log SET %s = %s WHERE seq = ?2", column,
                                           str_eq(column, "hash") ? "?1" : "CAST(?1 AS TEXT)");
    assert_int_equal(sqlite3_prepare_v2(db, select, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int len = sqlite3_column_bytes(stmt, 0);
    cleanup_free uint8_t *data = mem_dup(sqlite3_column_blob(stmt, 0), (size_t)len);
    sqlite3_finalize(stmt);
    data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(sqlite3_prepare_v2(db, update, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_bind_blob(stmt, 1, data, len, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 2, (sqlite3_int64)seq);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
}

static size_t length_of(sqlite3 *db, uint64_t seq)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT length(CAST(entry AS BLOB)) FROM audit_log WHERE seq = ?",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    size_t len = (size_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return len;
}

/* Every bit of every entry and of its hash, in the database of a server that runs. */
static void every_changed_bit_is_located(void **state)
{
    struct harness *h = *state;
    struct peer peer;
    tokens(h, 2);
    struct checkpoint end = newest(h, 0).checkpoint;
    sqlite3 *db = take_over(h);
    run_sql(db, "PRAGMA synchronous = OFF");
    assert_true(peer_open(&peer, h->operator_port, true, NULL, NULL));
    assert_int_equal(first_wrong(&peer, h, &end), 0);
    for (uint64_t seq = 1; seq <= end.size; seq++) {
        const struct {
            const char *column;
            size_t bits;
        } columns[] = {{"entry", length_of(db, seq) * 8}, {"hash", 256}};
        for (size_t i = 0; i < ARRAY_LEN(columns); i++)
            for (size_t bit = 0; bit < columns[i].bits; bit++) {
                flip(db, columns[i].column, seq, bit);
                uint64_t found = first_wrong(&peer, h, &end);
                if (found != seq)
                    fail_msg("bit %zu of %s of entry %llu: found at %llu", bit, columns[i].column,
                             (unsigned long long)seq, (unsigned long long)found);
                flip(db, columns[i].column, seq, bit);
            }
    }
    assert_int_equal(first_wrong(&peer, h, &end), 0);
    peer_close(&peer);
    sqlite3_close(db);
}

/* muster audit verify with what else is known; *out: what it says. */
static int verify(const struct harness *h, const char *option, const char *file, struct buf *out)
{
    struct err err = {0};
    char url[64], ca[128], token[160];
    int status = -1;
    snprintf(url, sizeof url, "https://127.0.0.1:%u", h->operator_port);
    snprintf(ca, sizeof ca, "%s/ca.pem", h->dir);
    harness_path(h, "token", token);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster",
                                "audit",
                                "verify",
                                "--server",
                                url,
                                "--ca",
                                ca,
                                "--token-file",
                                token,
                                option,
                                file,
                                NULL};
    char command[1024] = "exec";
    for (size_t i = 0; argv[i]; i++)
        snprintf(command + strlen(command), sizeof command - strlen(command), " %s", argv[i]);
    snprintf(command + strlen(command), sizeof command - strlen(command), " 2>&1");
    const char *const shell[] = {"/bin/sh", "-c", command, NULL};
    buf_reset(out);
    assert_ok(proc_run(shell, 60000, out, &status, &err), err);
    return status;
}

static void assert_says(const struct harness *h, const char *option, const char *file, const char *what)
{
    cleanup_buf struct buf out = BUF_INIT(1 << 16);
    int status = verify(h, option, file, &out);
    if (status != 3 || !strstr(buf_text(&out), what))
        fail_msg("\"%s\" (%d), wanted \"%s\"", buf_text(&out), status, what);
}

/* Each way to tamper, in the database of a server that is then started again, as a thorough attacker would do it: with all hashes made
 * anew. With the key of the server he may sign it as well; then only others know. */
static void tampering_is_located_by_the_command_line(void **state)
{
    static const struct {
        const char *sql;
        bool start_over;   /* the server forgets its tree and its checkpoints, and signs what it finds */
        const char *alone; /* what is said without anything remembered; NULL: nothing is wrong in itself */
        const char *remembered;
    } cases[] = {
        {"UPDATE audit_log SET entry = replace(entry, 'token', 'taken') WHERE seq = 4", false,
         "entry 4 was changed", "entry 4 was changed"},
        {"UPDATE audit_log SET entry = replace(entry, 'token', 'taken') WHERE seq = 4;"
         "UPDATE audit_log SET hash = leaf(entry)",
         false, "entries 4 to 6 are not those that were signed",
         "entry 4 is not the one that was there before"},
        {"UPDATE audit_log SET entry = replace(entry, 'token', 'taken') WHERE seq = 4;"
         "UPDATE audit_log SET hash = leaf(entry)",
         true, NULL, "entry 4 is not the one that was there before"},
        {"DELETE FROM audit_log WHERE seq = 2", false, "entry 2 is missing", "entry 2 is missing"},
        {"DELETE FROM audit_log WHERE seq = 5; UPDATE audit_log SET seq = 5, entry = replace(entry, "
         "'\"seq\":6', '\"seq\":5')"
         " WHERE seq = 6; UPDATE audit_log SET hash = leaf(entry)",
         true, NULL, "entry 5 is not the one that was there before"},
        {"DELETE FROM audit_log WHERE seq > 4", false, "entries from 5 on are missing: the end was cut off",
         "entries from 5 on are missing"},
        {"DELETE FROM audit_log WHERE seq > 4", true, NULL,
         "entries from 5 on are missing: the end was cut off"},
        {"UPDATE audit_log SET seq = -seq WHERE seq >= 3; UPDATE audit_log SET seq = 1 - seq, entry = "
         "replace(entry, '\"seq\":'"
         " || -seq, '\"seq\":' || (1 - seq)) WHERE seq < 0;"
         "INSERT INTO audit_log SELECT 3, replace(entry, '\"seq\":2', '\"seq\":3'), hash FROM audit_log "
         "WHERE seq = 2;"
         "UPDATE audit_log SET hash = leaf(entry)",
         true, NULL, "entry 3 is not the one that was there before"},
        {"UPDATE audit_checkpoints SET text = replace(text, char(10) || '3' || char(10), char(10) || '4' || "
         "char(10))"
         " WHERE size = 3",
         false, "the stored checkpoint behind that of", "the stored checkpoint behind that of"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct harness h;
        cleanup_buf struct buf out = BUF_INIT(1 << 16);
        char remember[160], witness[160];
        struct err err = {0};
        harness_init(&h);
        harness_start(&h);
        tokens(&h, 2);
        assert_int_equal(entries(&h), 3); /* signed at 3 and at 6 */
        tokens(&h, 3);
        assert_int_equal(entries(&h), 6);
        harness_path(&h, "remembered", remember);
        harness_path(&h, "witness", witness);
        if (verify(&h, "--remember", remember, &out) != 0)
            fail_msg("%s", buf_text(&out));
        cleanup_reply struct reply note = harness_call(&h, "GET", "/api/v1/audit/checkpoint", NULL, 0);
        assert_ok(file_replace(witness, note.body, note.len, 0600, &err), err);
        harness_stop(&h, SIGTERM);
        sqlite3 *db = take_over(&h);
        run_sql(db, cases[i].sql);
        if (cases[i].start_over)
            run_sql(db, "DROP TRIGGER audit_hashes_are_never_cut; DELETE FROM audit_hashes; DELETE FROM "
                        "audit_checkpoints");
        sqlite3_close(db);
        harness_start(&h);
        if (cases[i].alone)
            assert_says(&h, "", "", cases[i].alone);
        else if (verify(&h, "", "", &out) != 0)
            fail_msg("case %zu: %s", i, buf_text(&out));
        assert_says(&h, "--remember", remember, cases[i].remembered);
        if (cases[i].start_over)
            assert_says(&h, "--witness", witness,
                        entries(&h) < 6 ? "missing: the end was cut off" : "this is not the log that");
        harness_fini(&h);
    }
}

/* ---- an older log ---- */

/* The hash chain that was before: its entries become leaves as they are; a chain that does not hold is told. */
static void an_older_log_is_taken_over(void **state)
{
    for (int sound = 0; sound < 2; sound++) {
        struct harness h;
        struct digest head = {0};
        cleanup_buf struct buf out = BUF_INIT(1 << 16);
        harness_init(&h);
        sqlite3 *db = open_database(&h);
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        int version = sqlite3_column_int(stmt, 0);
        sqlite3_finalize(stmt);
        /* Undoes the migrations from the one that made the tree on: that one, reviews, drift, alarms. */
        cleanup_free char *back = mem_printf(
            "DROP TABLE decisions; DROP TABLE drift_alarms; DROP TABLE drift; DROP TABLE reviews;"
            "DROP TABLE missed;"
            "ALTER TABLE telemetry DROP COLUMN operating_ms;"
            "DROP TABLE audit_log; DROP TABLE audit_hashes; DROP TABLE audit_checkpoints;"
            "CREATE TABLE audit (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
            "PRAGMA user_version = %d",
            version - 4);
        run_sql(db, back);
        for (int seq = 1; seq <= 300; seq++) {
            char entry[96], hex[65];
            uint8_t bytes[32 + sizeof entry];
            int len =
                snprintf(entry, sizeof entry, "{\"seq\":%d,\"kind\":\"command\",\"who\":\"alice\"}", seq);
            memcpy(bytes, head.bytes, 32);
            memcpy(bytes + 32, entry, (size_t)len);
            head = hash_bytes(bytes, 32 + (size_t)len);
            hex_encode(head.bytes, 32, hex);
            cleanup_free char *insert =
                mem_printf("INSERT INTO audit VALUES (%d, '%s', x'%s')", seq, entry, hex);
            run_sql(db, insert);
        }
        if (!sound)
            run_sql(db, "UPDATE audit SET entry = replace(entry, 'alice', 'malory') WHERE seq = 123");
        sqlite3_close(db);
        harness_start(&h);
        assert_int_equal(entries(&h), sound ? 300 : 301);
        if (!sound) {
            cleanup_free char *told = last_entry(&h);
            assert_non_null(strstr(told, "does not hold at entry 123"));
        }
        if (verify(&h, "", "", &out) != 0)
            fail_msg("%s", buf_text(&out));
        harness_fini(&h);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_that_writes_leaves_an_entry),
        WITH(operators_tokens_leave_entries),
        WITH(checkpoints_extend_each_other_over_kills),
        WITH(tiles_are_those_of_tlog_tiles),
        WITH(every_changed_bit_is_located),
        cmocka_unit_test(tampering_is_located_by_the_command_line),
        cmocka_unit_test(an_older_log_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
