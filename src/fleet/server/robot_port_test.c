/* The robot's side of the server: long poll, numbered reports, telemetry counted once. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "wire/api.h"
#include "wire/assignment.h"
#include "wire/director.h"
#include "wire/otlp.h"

#include <string.h>
#include <unistd.h>

struct fixture {
    struct harness h;
    struct robot_peer robot;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->robot);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_fini(&f->h);
    free(f);
    return 0;
}

/* ---- long poll ---- */

static void ask(const struct fixture *f, const struct robot_peer *robot, struct peer *peer, const char *query)
{
    char path[96];
    size_t len;
    snprintf(path, sizeof path, "/api/v1/director%s", query);
    cleanup_free char *request = format_request("GET", path, "", NULL, 0, &len);
    assert_true(peer_open(peer, f->h.robot_port, true, robot->cert, robot->key));
    assert_true(peer_send(peer, request, len));
}

static void start_rollout(const struct harness *h, const char *version)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"name\":\"go\",\"release\":\"quadrants:%s\",\"select\":{\"site\":\"north\"},\"waves\":"
             "[{\"name\":\"all\",\"percent\":100,\"bake_s\":0}],\"gates\":{\"min_frames\":0},\"on_failure\":"
             "\"rollback\","
             "\"wave_timeout_s\":900}",
             version);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/rollouts", body, strlen(body));
    if (reply.status != 201)
        fail_msg("rollout: %d %s", reply.status, reply.body);
}

static void read_assignment(const struct reply *reply, struct assignment_envelope *out)
{
    struct err err = {0};
    cleanup_director_answer struct director_answer answer = {0};
    assert_int_equal(reply->status, 200);
    assert_ok(director_answer_parse(reply->body, reply->len, &answer, &err), err);
    assert_ok(assignment_parse(answer.assignment, strlen(answer.assignment), out, &err), err);
}

static void test_long_poll_wakes_on_assignment(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    struct digest digest = harness_push(&f->h, "1.0.0");
    ask(f, &f->robot, &peer, "?after=0&wait=60");
    start_rollout(&f->h, "1.0.0");
    cleanup_reply struct reply reply = peer_read_reply(&peer);
    peer_close(&peer);
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    read_assignment(&reply, &envelope);
    assert_int_equal(envelope.assignment.version, 1);
    assert_true(digest_equal(&envelope.assignment.release, &digest));
    assert_string_equal(envelope.assignment.path, "quadrants/1.0.0");
    assert_true(envelope.assignment.length > 0);
    cleanup_reply struct reply again =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/director?after=0", NULL, 0);
    assert_int_equal(again.status, 200);
    cleanup_reply struct reply known =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/director?after=1", NULL, 0);
    assert_int_equal(known.status, 204);
}

static void test_long_poll_ends_by_time_and_by_a_newer_one(void **state)
{
    struct fixture *f = *state;
    struct peer older, newer;
    ask(f, &f->robot, &older, "?after=0&wait=60");
    usleep(100000);
    ask(f, &f->robot, &newer, "?after=0&wait=1");
    cleanup_reply struct reply first = peer_read_reply(&older);
    cleanup_reply struct reply second = peer_read_reply(&newer);
    assert_int_equal(first.status, 204);
    assert_int_equal(second.status, 204);
    peer_close(&older);
    peer_close(&newer);
}

static void test_long_poll_survives_peers_that_hang_up(void **state)
{
    struct fixture *f = *state;
    harness_push(&f->h, "1.0.0");
    for (int i = 0; i < 10; i++) {
        struct peer peer;
        ask(f, &f->robot, &peer, "?after=0&wait=60");
        peer_close(&peer);
    }
    start_rollout(&f->h, "1.0.0");
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/director?wait=10", NULL, 0);
    assert_int_equal(reply.status, 200);
}

static void test_counter_ahead_of_the_server_is_jumped_over(void **state)
{
    struct fixture *f = *state;
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    harness_push(&f->h, "1.0.0");
    start_rollout(&f->h, "1.0.0");
    cleanup_reply struct reply first =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/director?wait=10", NULL, 0);
    assert_int_equal(first.status, 200);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/director?after=77&wait=5", NULL, 0);
    read_assignment(&reply, &envelope);
    assert_int_equal(envelope.assignment.version, 78);
}

static void test_revocation_ends_a_held_poll(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    ask(f, &f->robot, &peer, "?after=0&wait=60");
    usleep(100000);
    cleanup_reply struct reply revoked = harness_call(&f->h, "POST", "/api/v1/robots/r1/revoke", "", 0);
    assert_int_equal(revoked.status, 200);
    cleanup_reply struct reply reply = peer_read_reply(&peer);
    assert_int_equal(reply.status, 403);
    peer_close(&peer);
}

/* SIGTERM answers what is held, and exits 0. */
static void test_shutdown_answers_what_is_held(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    ask(f, &f->robot, &peer, "?after=0&wait=60");
    usleep(100000);
    assert_int_equal(harness_stop(&f->h, SIGTERM), 0);
    cleanup_reply struct reply reply = peer_read_reply(&peer);
    assert_int_equal(reply.status, 204);
    peer_close(&peer);
}

/* ---- reports ---- */

static const char stream[] = "0123456789abcdef0123456789abcdef";

static uint64_t send_padded(const struct fixture *f, const char *name, uint64_t first, uint64_t last,
                            const char *padding)
{
    struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    struct err err = {0};
    uint64_t acked = 0;
    str_copy(reports->stream, sizeof reports->stream, name);
    for (uint64_t seq = first; seq <= last; seq++) {
        struct api_report *report = &reports->records[reports->count++];
        *report = (struct api_report){.seq = seq, .time_ms = 1700000000000, .kind = REPORT_GUARD};
        snprintf(report->text, sizeof report->text, "record %d%s", (int)seq, padding);
    }
    cleanup_free char *text = api_reports_format(reports);
    free(reports);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "POST", "/api/v1/reports", text, strlen(text));
    if (reply.status != 200)
        fail_msg("reports: %d %s", reply.status, reply.body);
    assert_ok(api_acked_parse(reply.body, reply.len, &acked, &err), err);
    return acked;
}

static uint64_t send_reports(const struct fixture *f, const char *name, uint64_t first, uint64_t last)
{
    return send_padded(f, name, first, last, "");
}

static void send_guard(const struct fixture *f, uint64_t seq, enum api_guard guard, const char *who,
                       const char *why)
{
    struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    str_copy(reports->stream, sizeof reports->stream, stream);
    reports->count = 1;
    struct api_report *report = &reports->records[0];
    *report = (struct api_report){
        .seq = seq, .time_ms = 1700000000000 + (int64_t)seq, .kind = REPORT_GUARD, .guard = guard};
    str_copy(report->who, sizeof report->who, who);
    str_copy(report->text, sizeof report->text, why);
    cleanup_free char *text = api_reports_format(reports);
    free(reports);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "POST", "/api/v1/reports", text, strlen(text));
    assert_int_equal(reply.status, 200);
}

static void assert_guard(const struct fixture *f, const char *want)
{
    static const char *const paths[] = {"/api/v1/robots", "/api/v1/robots/r1"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_reply struct reply reply = harness_call(&f->h, "GET", paths[i], NULL, 0);
        if (!strstr(reply.body, want))
            fail_msg("no %s in %s", want, reply.body);
    }
}

/* Who is stopped is seen in the list, by the last word about it, which outlives the server. */
static void test_the_guards_state_is_shown(void **state)
{
    struct fixture *f = *state;
    assert_guard(f, "\"guard\":null");
    send_guard(f, 1, API_GUARD_AUTO, "", "start -> auto");
    assert_guard(
        f,
        "\"guard\":{\"state\":\"auto\",\"since_ms\":1700000000001,\"who\":\"\",\"text\":\"start -> auto\"}");
    send_guard(f, 2, API_GUARD_SAFE_STOP, "alice", "auto -> safe_stop: smoke");
    const char *stopped = "\"guard\":{\"state\":\"safe_stop\",\"since_ms\":1700000000002,\"who\":\"alice\","
                          "\"text\":\"auto -> safe_stop: smoke\"}";
    assert_guard(f, stopped);
    send_guard(f, 3, API_GUARD_NONE, "", "something else");
    assert_guard(f, stopped);
    send_guard(f, 1, API_GUARD_AUTO, "", "start -> auto"); /* once more: counts no more */
    assert_guard(f, stopped);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_guard(f, stopped);
}

/* How many records the server shows, and that each is there once, newest first. */
static int count_reports(const struct fixture *f)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", "/api/v1/robots/r1", NULL, 0);
    int count = 0;
    int64_t last = INT64_MAX;
    for (const char *at = reply.body; (at = strstr(at, "\"seq\":")); at += 6) {
        int64_t seq = strtoll(at + 6, NULL, 10);
        assert_true(seq < last);
        last = seq;
        count++;
    }
    return count;
}

static void test_reports_count_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_reports(f, stream, 1, 3), 3);
    assert_int_equal(send_reports(f, stream, 1, 3), 3); /* replay */
    assert_int_equal(send_reports(f, stream, 6, 8), 3); /* a hole */
    assert_int_equal(send_reports(f, stream, 2, 5), 5); /* overlap */
    assert_int_equal(send_reports(f, stream, 6, 8), 8);
    assert_int_equal(count_reports(f), 8);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(send_reports(f, stream, 5, 9), 9);
    assert_int_equal(count_reports(f), 9);
    assert_int_equal(send_reports(f, "ffffffffffffffffffffffffffffffff", 1, 1),
                     1); /* a new stream begins anew */
    assert_int_equal(send_reports(f, "ffffffffffffffffffffffffffffff00", 2, 2), 0);
}

/* ---- telemetry ---- */

static int send_window(const struct fixture *f, const char *robot, uint64_t seq, const struct digest *release,
                       uint64_t frames, double latency_ms)
{
    struct otlp_export *export = mem_zalloc(1, sizeof *export);
    struct err err = {0};
    cleanup_buf struct buf body = BUF_INIT(1 << 20);
    struct otlp_window *window = &export->windows[0];
    str_copy(export->robot, sizeof export->robot, robot);
    str_copy(export->stream, sizeof export->stream, stream);
    export->seq = seq;
    export->window_count = 1;
    struct digest_text text = digest_format(release);
    str_copy(window->release, sizeof window->release, text.text);
    str_copy(window->version, sizeof window->version, "1.0.0");
    window->start_ms = 1700000000000;
    window->end_ms = 1700000010000;
    window->frames = window->results = frames;
    window->score_tp = frames;
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    exphist_add(&window->latency_ms, latency_ms, frames);
    assert_ok(otlp_format(export, &body, &err), err);
    free(export);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "POST", "/v1/metrics", body.data, body.len);
    return reply.status;
}

static int send_export(const struct fixture *f, const char *robot, uint64_t seq, const struct digest *release,
                       uint64_t frames)
{
    return send_window(f, robot, seq, release, frames, 10);
}

static int64_t fleet_frames(const struct fixture *f)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", "/api/v1/releases", NULL, 0);
    assert_int_equal(reply.status, 200);
    return find_number(reply.body, "frames");
}

static void test_exports_count_once(void **state)
{
    struct fixture *f = *state;
    struct digest release = harness_push(&f->h, "1.0.0"), unknown = {{1}};
    assert_int_equal(send_export(f, "r1", 1, &release, 100), 200);
    assert_int_equal(send_export(f, "r1", 1, &release, 100), 200); /* replay */
    assert_int_equal(send_export(f, "r1", 2, &release, 50), 200);
    assert_int_equal(send_export(f, "r1", 4, &release, 7), 200);    /* one never came */
    assert_int_equal(send_export(f, "r1", 3, &release, 1000), 200); /* too late: counted as lost */
    assert_int_equal(fleet_frames(f), 157);
    assert_int_equal(send_export(f, "r2", 5, &release, 1), 403); /* somebody else's name */
    assert_int_equal(send_export(f, "r1", 5, &unknown, 1), 200); /* nobody pushed it: no row */
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(send_export(f, "r1", 5, &release, 1000), 200);
    assert_int_equal(fleet_frames(f), 157);
    assert_int_equal(send_export(f, "r1", 6, &release, 3), 200);
    assert_int_equal(fleet_frames(f), 160);
}

/* One robot that says absurd things must not make the release's numbers unreadable for all others. */
static void test_absurd_numbers_stay_harmless(void **state)
{
    struct fixture *f = *state;
    struct digest release = harness_push(&f->h, "1.0.0");
    for (uint64_t seq = 1; seq <= 4; seq++)
        assert_int_equal(send_window(f, "r1", seq, &release, INT64_MAX, 10), 200);
    assert_int_equal(fleet_frames(f), INT64_MAX);
    for (uint64_t seq = 5; seq <= 8; seq++)
        assert_int_equal(send_window(f, "r1", seq, &release, 1, 1.7e308), 200);
    assert_int_equal(send_export(f, "r1", 9, &release, 3), 200);
    assert_int_equal(fleet_frames(f), INT64_MAX);
}

/* ---- events ---- */

/* Reads the stream until `needle` comes; false: it never did. */
static bool stream_has(const struct fixture *f, const char *last_id, const char *needle, const char *never)
{
    struct peer peer;
    struct err err = {0};
    char headers[256];
    size_t len;
    cleanup_buf struct buf text = BUF_INIT(8 << 20);
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n%s", f->h.token, last_id);
    cleanup_free char *request = format_request("GET", "/api/v1/events", headers, NULL, 0, &len);
    assert_true(peer_open(&peer, f->h.console_port, false, NULL, NULL));
    assert_true(peer_send(&peer, request, len));
    bool found = false;
    while (!found) {
        char piece[512];
        long got = peer_read(&peer, piece, sizeof piece);
        if (got <= 0)
            break;
        assert_ok(buf_put(&text, piece, (size_t)got, &err), err);
        found = strstr(buf_text(&text), needle) != NULL;
    }
    peer_close(&peer);
    assert_null(never ? strstr(buf_text(&text), never) : NULL);
    return found;
}

static void test_event_stream_resumes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_reports(f, stream, 1, 5), 5);
    assert_true(stream_has(f, "", "record 5", NULL));
    assert_true(stream_has(f, "Last-Event-ID: 0\r\n", "\"kind\":\"enrolled\"", NULL));
    /* The event of record 2 has id 3 (enrolled, 1, 2, …). */
    assert_true(stream_has(f, "Last-Event-ID: 3\r\n", "record 5", "record 2"));
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_true(stream_has(f, "Last-Event-ID: 3\r\n", "record 5", "record 2"));
}

/* More than the server keeps unsent for one peer: who was away for long still gets everything. */
static void test_event_stream_catches_up(void **state)
{
    enum { PARTS = 24 };
    struct fixture *f = *state;
    char padding[130];
    memset(padding, '.', sizeof padding - 1);
    padding[sizeof padding - 1] = 0;
    for (uint64_t last = API_MAX_RECORDS; last <= PARTS * API_MAX_RECORDS; last += API_MAX_RECORDS)
        assert_int_equal(send_padded(f, stream, last - API_MAX_RECORDS + 1, last, padding), last);
    char needle[32];
    snprintf(needle, sizeof needle, "record %d.", PARTS * API_MAX_RECORDS);
    assert_true(stream_has(f, "Last-Event-ID: 0\r\n", needle, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_long_poll_wakes_on_assignment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_poll_ends_by_time_and_by_a_newer_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_poll_survives_peers_that_hang_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counter_ahead_of_the_server_is_jumped_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revocation_ends_a_held_poll, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown_answers_what_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reports_count_once_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_guards_state_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exports_count_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absurd_numbers_stay_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_stream_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_stream_catches_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
