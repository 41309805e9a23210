/* Frames for people to look at, beyond review_test.c: numbers of several robots, what is broken, room; words at the prompt; a rollout that they end. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/store/store.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/api.h"
#include "wire/otlp.h"
#include "wire/sample.h"

#include <string.h>
#include <unistd.h>

static const char stream[] = "0123456789abcdef0123456789abcdef";
static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 5, 0xff, 0xd9};

struct fixture {
    struct harness h;
    struct robot_peer one, two;
    struct digest release;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->one);
    harness_enroll_at(&f->h, "r2", "south", &f->two);
    memset(f->release.bytes, 7, sizeof f->release.bytes);
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

/* ---- samples ---- */

static void make(const struct fixture *f, uint64_t seq, enum sample_reason reason, struct buf *out)
{
    struct err err = {0};
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    *sample = (struct sample){.time_ms = 1700000000000 + (int64_t)seq,
                              .release = f->release,
                              .seq = seq,
                              .reason = reason,
                              .probability = reason == SAMPLE_AUDIT ? 0.0005 : 1,
                              .width = 16,
                              .height = 16,
                              .count = 1,
                              .detections = {{.label = 1, .score = 0.75f, .x1 = 4, .y1 = 5}},
                              .picture = jpeg,
                              .picture_bytes = sizeof jpeg};
    buf_reset(out);
    assert_ok(sample_format(sample, out, &err), err);
}

static int post_bytes(const struct fixture *f, const struct robot_peer *robot, uint64_t seq,
                      const struct buf *bytes, int64_t *out_acked)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/samples?stream=%s&seq=%llu", stream, (unsigned long long)seq);
    cleanup_reply struct reply reply = robot_call(&f->h, robot, "POST", path, bytes->data, bytes->len);
    *out_acked = reply.status == 200 ? find_number(reply.body, "acked") : -1;
    return reply.status;
}

static int64_t post(const struct fixture *f, const struct robot_peer *robot, uint64_t seq,
                    enum sample_reason reason)
{
    int64_t acked = -1;
    cleanup_buf struct buf bytes = BUF_INIT(SAMPLE_MAX_BYTES);
    make(f, seq, reason, &bytes);
    assert_int_equal(post_bytes(f, robot, seq, &bytes, &acked), 200);
    return acked;
}

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, of)) != NULL; at += strlen(of))
        count++;
    return count;
}

/* How often a text is in an answer. */
static size_t count_in(const struct fixture *f, const char *path, const char *text)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    if (reply.status != 200)
        fail_msg("%s: %d %s", path, reply.status, reply.body);
    return occurrences(reply.body, text);
}

static size_t reviews(const struct fixture *f, const char *query)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/reviews?limit=200%s", query);
    return count_in(f, path, "\"received_ms\":");
}

static int say(const struct fixture *f, uint64_t id, const char *word)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/reviews/%llu", (unsigned long long)id);
    cleanup_reply struct reply reply = harness_call(&f->h, "POST", path, word, strlen(word));
    return reply.status;
}

static void each_sample_is_taken_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(post(f, &f->one, 1, SAMPLE_UNSURE), 1);
    assert_int_equal(post(f, &f->one, 1, SAMPLE_UNSURE), 1); /* the answer was lost */
    assert_int_equal(post(f, &f->one, 5, SAMPLE_ALARM), 5);  /* between them some were thinned out */
    assert_int_equal(post(f, &f->one, 3, SAMPLE_ALARM), 5);
    assert_int_equal(reviews(f, ""), 2);
    assert_int_equal(post(f, &f->two, 1, SAMPLE_AUDIT), 1); /* another robot's numbers are its own */
    assert_int_equal(reviews(f, "&robot=r2"), 1);
    assert_int_equal(reviews(f, "&reason=alarm"), 1);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(post(f, &f->one, 5, SAMPLE_ALARM), 5);
    assert_int_equal(reviews(f, ""), 3);
    cleanup_reply struct reply one = harness_call(&f->h, "GET", "/api/v1/reviews/1", NULL, 0);
    assert_int_equal(one.status, 200);
    assert_non_null(strstr(one.body, "\"detections\":[[1,0.75,0,0,4,5]]"));
    assert_non_null(strstr(one.body, "\"site\":\"north\""));
    cleanup_reply struct reply picture = harness_call(&f->h, "GET", "/api/v1/reviews/1/picture", NULL, 0);
    assert_int_equal(picture.status, 200);
    assert_non_null(strstr(picture.head, "image/jpeg"));
    assert_int_equal(picture.len, sizeof jpeg);
    assert_memory_equal(picture.body, jpeg, sizeof jpeg);
}

static void what_is_broken_is_not_kept(void **state)
{
    struct fixture *f = *state;
    int64_t acked = 0;
    cleanup_buf struct buf good = BUF_INIT(SAMPLE_MAX_BYTES);
    make(f, 1, SAMPLE_AUDIT, &good);
    for (size_t cut = 0; cut < good.len; cut += 1 + good.len / 16) {
        struct buf part = {.data = good.data, .len = cut};
        assert_int_equal(post_bytes(f, &f->one, 1, &part, &acked) / 100, 4);
    }
    good.data[9] ^= 0x40; /* the length of its head */
    assert_int_equal(post_bytes(f, &f->one, 1, &good, &acked) / 100, 4);
    good.data[9] ^= 0x40;
    static const char *const queries[] = {"", "?seq=1", "?stream=x&seq=1",
                                          "?stream=0123456789abcdef0123456789abcdef&seq=0",
                                          "?stream=0123456789abcdef0123456789abcdef&seq=-1"};
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/samples%s", queries[i]);
        cleanup_reply struct reply bad = robot_call(&f->h, &f->one, "POST", path, good.data, good.len);
        assert_int_equal(bad.status, 400);
    }
    assert_int_equal(reviews(f, ""), 0);
    assert_int_equal(post_bytes(f, &f->one, 1, &good, &acked), 200); /* its number is not used up */
    assert_int_equal(reviews(f, ""), 1);
}

/* ---- room ---- */

enum { MOST = 2000 };

/* Rows of robot r1 up to the limit: 1 an alarm, 2 an audit, both open; 3 an alarm that is decided; then open alarms. */
static void fill(const struct fixture *f)
{
    struct err err = {0};
    char path[200];
    struct store *store = NULL;
    snprintf(path, sizeof path, "%s/muster.db", f->h.dir);
    assert_ok(store_open_sqlite(path, &store, &err), err);
    assert_ok(store->ops->begin(store, &err), err);
    for (uint64_t i = 1; i <= MOST; i++) {
        struct review_row row = {
            .bytes = 10, .time_ms = 1, .probability = 1, .reason = i == 2 ? SAMPLE_AUDIT : SAMPLE_ALARM};
        str_copy(row.robot, sizeof row.robot, "r1");
        memset(row.sample.bytes, 1, sizeof row.sample.bytes);
        memcpy(row.sample.bytes, &i, sizeof i);
        assert_ok(store->ops->review_add(store, &row, &row.id, &err), err);
        row.verdict = i == 3 ? REVIEW_TRUE : REVIEW_OPEN;
        assert_ok(store->ops->review_save(store, &row, &err), err);
    }
    assert_ok(store->ops->commit(store, &err), err);
    store_free(store);
}

static int status_of(const struct fixture *f, const char *path)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    return reply.status;
}

static void decided_ones_make_room_before_open_ones_and_alarms_last(void **state)
{
    struct fixture *f = *state;
    harness_stop(&f->h, SIGTERM);
    fill(f);
    harness_start(&f->h);
    post(f, &f->one, 1, SAMPLE_ALARM); /* the decided one's picture goes, the verdict stays */
    assert_int_equal(count_in(f, "/api/v1/reviews/3", "\"verdict\":\"true\""), 1);
    assert_int_equal(count_in(f, "/api/v1/reviews/3", "\"picture\":false"), 1);
    assert_int_equal(status_of(f, "/api/v1/reviews/3/picture"), 404);
    assert_int_equal(status_of(f, "/api/v1/reviews/2"), 200);
    post(f, &f->one, 2, SAMPLE_ALARM); /* then what is open and no alarm */
    assert_int_equal(status_of(f, "/api/v1/reviews/2"), 404);
    assert_int_equal(status_of(f, "/api/v1/reviews/1"), 200);
    post(f, &f->one, 3, SAMPLE_ALARM); /* then the oldest alarm */
    assert_int_equal(status_of(f, "/api/v1/reviews/1"), 404);
    assert_int_equal(status_of(f, "/api/v1/reviews/4"), 200);
    post(f, &f->two, 1, SAMPLE_ALARM); /* another robot's room is its own */
    assert_int_equal(status_of(f, "/api/v1/reviews/4"), 200);
}

/* ---- words ---- */

static void words_that_are_none_change_nothing(void **state)
{
    struct fixture *f = *state;
    post(f, &f->one, 1, SAMPLE_ALARM);
    assert_int_equal(say(f, 1, "{\"verdict\": \"true\", \"note\": \"fell\"}"), 200);
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"verdict\": \"open\"}",
                                      "{\"verdict\": \"false\", \"missed\": -1}",
                                      "{\"verdict\": \"false\", \"missed\": 101}",
                                      "{\"verdict\": \"false\", \"who\": \"eve\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(say(f, 1, bad[i]), 400);
    cleanup_reply struct reply robot = robot_call(&f->h, &f->one, "GET", "/api/v1/reviews", NULL, 0);
    assert_int_equal(robot.status, 404); /* robots do not read what people say */
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(count_in(f, "/api/v1/reviews/1", "\"verdict\":\"true\""), 1);
    assert_int_equal(count_in(f, "/api/v1/reviews/1", "\"note\":\"fell\""), 1);
    assert_int_equal(count_in(f, "/api/v1/audit", "\\\"kind\\\":\\\"review\\\""), 1);
}

static int report_missed(const struct fixture *f, const char *robot, const struct digest *release,
                         int64_t until_ms)
{
    char body[256];
    snprintf(body, sizeof body,
             "{\"robot\":\"%s\",\"from_ms\":1000,\"until_ms\":%lld,\"label\":\"fall\",\"release\":\"%s\"}",
             robot, (long long)until_ms, digest_format(release).text);
    cleanup_reply struct reply reply = harness_call(&f->h, "POST", "/api/v1/missed", body, strlen(body));
    return reply.status;
}

static void what_was_missed_is_reported(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(report_missed(f, "r1", &f->release, 2000), 201);
    assert_int_equal(report_missed(f, "r1", &f->release, 500), 400); /* ends before it begins */
    assert_int_equal(report_missed(f, "r9", &f->release, 2000), 404);
    assert_int_equal(count_in(f, "/api/v1/missed", "\"label\":\"fall\""), 1);
    assert_int_equal(count_in(f, "/api/v1/missed", "\"site\":\"north\""), 1);
    assert_int_equal(count_in(f, "/api/v1/audit", "missed: fall"), 1);
}

/* ---- figures ---- */

static int send_window(const struct fixture *f, const struct robot_peer *robot, uint64_t seq)
{
    struct err err = {0};
    cleanup_free struct otlp_export *export = mem_zalloc(1, sizeof *export);
    cleanup_buf struct buf body = BUF_INIT(1 << 20);
    struct otlp_window *window = &export->windows[0];
    str_copy(export->robot, sizeof export->robot, robot->id);
    str_copy(export->stream, sizeof export->stream, stream);
    export->seq = seq;
    export->window_count = 1;
    str_copy(window->release, sizeof window->release, digest_format(&f->release).text);
    str_copy(window->version, sizeof window->version, "1.0.0");
    window->end_ms = clock_wall_ms();
    window->start_ms = window->end_ms - 3600000;
    window->frames = window->results = 100;
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    exphist_add(&window->latency_ms, 1, 100);
    assert_ok(otlp_format(export, &body, &err), err);
    cleanup_reply struct reply reply = robot_call(&f->h, robot, "POST", "/v1/metrics", body.data, body.len);
    return reply.status;
}

static char *muster_review(const struct fixture *f, const char *verb, const char *a, const char *b)
{
    struct err err = {0};
    char url[80], ca[160], token[160];
    int status = -1;
    struct buf out = BUF_INIT(1 << 20);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", f->h.operator_port);
    snprintf(ca, sizeof ca, "%s/ca.pem", f->h.dir);
    harness_path(&f->h, "token", token);
    assert_ok(file_replace(token, f->h.token, strlen(f->h.token), 0600, &err), err);
    const char *const argv[] = {
        MUSTER_BUILD_BIN "/muster", "review", verb, "-s", url, "--ca", ca, "-t", token, a, b, NULL};
    assert_ok(proc_run(argv, 30000, &out, &status, &err), err);
    assert_int_equal(status, 0);
    return buf_take(&out);
}

static void people_see_figures_by_site(void **state)
{
    struct fixture *f = *state;
    f->release = harness_push(&f->h, "1.0.0");
    assert_int_equal(send_window(f, &f->one, 1), 200);
    for (uint64_t i = 1; i <= 4; i++) {
        char id[4] = {(char)('0' + i), 0};
        post(f, &f->one, i, SAMPLE_ALARM);
        free(muster_review(f, "label", id, i == 4 ? "false" : "true"));
    }
    post(f, &f->two, 1, SAMPLE_ALARM); /* nobody judges it */
    assert_int_equal(report_missed(f, "r1", &f->release, 2000), 201);
    cleanup_free char *queue = muster_review(f, "list", NULL, NULL);
    assert_non_null(strstr(queue, "r2"));
    assert_null(strstr(queue, "r1 "));
    cleanup_free char *table = muster_review(f, "accuracy", "quadrants:1.0.0", NULL);
    const char *north = strstr(table, "\nnorth "), *south = strstr(table, "\nsouth ");
    assert_true(north && south && north < south);
    assert_non_null(strstr(north, "  0.75 (0."));
    assert_null(strstr(south, "0.75"));
    assert_non_null(strstr(south, "  -  ")); /* nothing known is not nothing wrong */
    assert_non_null(strstr(table, "3 true, 1 false, 0 unsure, 1 open, 1 missed"));
    assert_non_null(strstr(table, "without labels: not to be believed, "));
    cleanup_free char *json = muster_review(f, "accuracy", "quadrants:1.0.0", "--json");
    assert_non_null(strstr(json, "\"groups\":["));
}

/* ---- a rollout ---- */

static void commit_release(const struct fixture *f)
{
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    str_copy(reports->stream, sizeof reports->stream, stream);
    reports->count = 1;
    reports->records[0] =
        (struct api_report){.seq = 1, .kind = REPORT_COMMITTED, .time_ms = 1, .release = f->release};
    str_copy(reports->records[0].version, sizeof reports->records[0].version, "1.0.0");
    cleanup_free char *text = api_reports_format(reports);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->one, "POST", "/api/v1/reports", text, strlen(text));
    assert_int_equal(reply.status, 200);
}

static void start_rollout(const struct fixture *f)
{
    static const char body[] =
        "{\"name\":\"go\",\"release\":\"quadrants:1.0.0\",\"select\":{\"site\":\"north\"},\"waves\":"
        "[{\"name\":\"all\",\"percent\":100,\"bake_s\":600}],\"gates\":{\"min_frames\":1,\"min_recall\":0.9},"
        "\"on_failure\":\"rollback\",\"wave_timeout_s\":900}";
    cleanup_reply struct reply made = harness_call(&f->h, "POST", "/api/v1/rollouts", body, sizeof body - 1);
    assert_int_equal(made.status, 201);
    cleanup_reply struct reply assigned =
        robot_call(&f->h, &f->one, "GET", "/api/v1/director?after=0&wait=10", NULL, 0);
    assert_int_equal(assigned.status, 200);
}

static void a_release_that_misses_falls_is_taken_back(void **state)
{
    struct fixture *f = *state;
    f->release = harness_push(&f->h, "1.0.0");
    start_rollout(f);
    commit_release(f);
    assert_int_equal(send_window(f, &f->one, 1), 200);
    post(f, &f->one, 1, SAMPLE_ALARM);
    assert_int_equal(say(f, 1, "{\"verdict\": \"true\"}"), 200);
    usleep(200000);
    assert_int_equal(count_in(f, "/api/v1/rollouts/1", "\"state\":\"roll"),
                     0); /* one found says nothing bad */
    for (int i = 0; i < 30; i++)
        assert_int_equal(report_missed(f, "r1", &f->release, 2000 + i), 201);
    for (int i = 0; i < 100 && !count_in(f, "/api/v1/rollouts/1", "\"state\":\"roll"); i++)
        usleep(100000);
    assert_int_equal(count_in(f, "/api/v1/rollouts/1", "\"state\":\"roll"), 1);
    cleanup_reply struct reply why = harness_call(&f->h, "GET", "/api/v1/decisions?rollout=1", NULL, 0);
    assert_int_equal(why.status, 200);
    const char *gate = strstr(why.body, "\"rule\":\"recall\"");
    assert_non_null(gate); /* which gate, and what would have been otherwise */
    assert_non_null(strstr(why.body, "recall of at least 0.9"));
    assert_int_equal(count_in(f, "/api/v1/decisions?rollout=2", "\"rule\""), 0);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh(each_sample_is_taken_once),
        fresh(what_is_broken_is_not_kept),
        fresh(decided_ones_make_room_before_open_ones_and_alarms_last),
        fresh(words_that_are_none_change_nothing),
        fresh(what_was_missed_is_reported),
        fresh(people_see_figures_by_site),
        fresh(a_release_that_misses_falls_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
