/* Frames and alarms for people: taken in once, shown, judged, on record, and what comes of it. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "wire/otlp.h"
#include "wire/sample.h"

#include <string.h>

#define STREAM "00112233445566778899aabbccddeeff"

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
    harness_enroll_at(&f->h, "r1", "north", &f->one);
    harness_enroll_at(&f->h, "r2", "south", &f->two);
    f->release = harness_push(&f->h, "1.0.0");
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

static const uint8_t picture[] = {0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 0xff, 0xd9};

static int send_sample(struct fixture *f, const struct robot_peer *robot, uint64_t seq,
                       enum sample_reason reason, double probability)
{
    cleanup_buf struct buf body = BUF_INIT(SAMPLE_MAX_BYTES);
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    struct err err = {0};
    char path[120];
    *sample = (struct sample){.time_ms = 1700000000000 + (int64_t)seq,
                              .release = f->release,
                              .seq = seq,
                              .stream = 7,
                              .reason = reason,
                              .probability = probability,
                              .width = 64,
                              .height = 48,
                              .count = 1,
                              .picture = picture,
                              .picture_bytes = sizeof picture};
    sample->detections[0] =
        (struct detection){.label = 3, .score = 0.625f, .x0 = 1, .y0 = 2, .x1 = 30, .y1 = 40};
    assert_ok(sample_format(sample, &body, &err), err);
    snprintf(path, sizeof path, "/api/v1/samples?stream=" STREAM "&seq=%llu", (unsigned long long)seq);
    cleanup_reply struct reply reply = robot_call(&f->h, robot, "POST", path, body.data, body.len);
    if (reply.status == 200)
        assert_true(find_number(reply.body, "acked") >= (int64_t)seq);
    return reply.status;
}

static int64_t reviews(struct fixture *f, const char *query)
{
    char path[160];
    snprintf(path, sizeof path, "/api/v1/reviews?limit=200%s", query);
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    int64_t count = 0;
    for (const char *at = reply.body; (at = strstr(at, "\"probability\":")); at++)
        count++;
    return count;
}

static struct reply judge(struct fixture *f, uint64_t id, const char *body)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/reviews/%llu", (unsigned long long)id);
    return harness_call(&f->h, "POST", path, body, strlen(body));
}

static struct reply accuracy(struct fixture *f)
{
    char path[160];
    snprintf(path, sizeof path, "/api/v1/accuracy?release=%s", digest_format(&f->release).text);
    return harness_call(&f->h, "GET", path, NULL, 0);
}

static void work_an_hour(struct fixture *f, const struct robot_peer *robot)
{
    struct err err = {0};
    cleanup_buf struct buf body = BUF_INIT(1 << 20);
    cleanup_free struct otlp_export *export = mem_zalloc(1, sizeof *export);
    str_copy(export->robot, sizeof export->robot, robot->id);
    str_copy(export->stream, sizeof export->stream, STREAM);
    export->seq = 1;
    export->window_count = 1;
    struct otlp_window *window = &export->windows[0];
    str_copy(window->release, sizeof window->release, digest_format(&f->release).text);
    str_copy(window->version, sizeof window->version, "1.0.0");
    window->start_ms = 1700000000000;
    window->end_ms = window->start_ms + 3600000;
    window->frames = 10;
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    assert_ok(otlp_format(export, &body, &err), err);
    cleanup_reply struct reply reply = robot_call(&f->h, robot, "POST", "/v1/metrics", body.data, body.len);
    assert_int_equal(reply.status, 200);
}

static void a_sample_is_taken_in_once_also_over_a_kill(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(send_sample(f, &f->one, 1, SAMPLE_AUDIT, 0.0005), 200);
        assert_int_equal(send_sample(f, &f->one, 2, SAMPLE_ALARM, 1), 200);
        assert_int_equal(reviews(f, ""), 2);
        harness_stop(&f->h, SIGKILL);
        harness_start(&f->h);
    }
    cleanup_reply struct reply shown = harness_call(&f->h, "GET", "/api/v1/reviews/1/picture", NULL, 0);
    assert_int_equal(shown.status, 200);
    assert_int_equal(shown.len, sizeof picture);
    assert_memory_equal(shown.body, picture, sizeof picture);
}

static void what_is_no_sample_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {
        "/api/v1/samples?stream=" STREAM "&seq=1", "/api/v1/samples?stream=" STREAM "&seq=0",
        "/api/v1/samples?stream=xyz&seq=1", "/api/v1/samples?seq=1", "/api/v1/samples"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_reply struct reply reply = robot_call(&f->h, &f->one, "POST", paths[i], "nonsense", 8);
        assert_true(reply.status >= 400 && reply.status < 500);
    }
    assert_int_equal(reviews(f, ""), 0);
}

static void the_queue_has_alarms_first_and_filters(void **state)
{
    struct fixture *f = *state;
    char reason[16];
    assert_int_equal(send_sample(f, &f->one, 1, SAMPLE_ALARM, 1), 200);
    assert_int_equal(send_sample(f, &f->one, 2, SAMPLE_UNSURE, 0.1), 200);
    assert_int_equal(send_sample(f, &f->two, 1, SAMPLE_AUDIT, 0.0005), 200);
    cleanup_reply struct reply list = harness_call(&f->h, "GET", "/api/v1/reviews?state=open", NULL, 0);
    assert_true(find_text(list.body, "reason", reason, sizeof reason));
    assert_string_equal(reason, "alarm");
    assert_int_equal(reviews(f, "&robot=r1"), 2);
    assert_int_equal(reviews(f, "&reason=audit"), 1);
    assert_int_equal(reviews(f, "&before=2"), 1);
    cleanup_reply struct reply said = judge(f, 1, "{\"verdict\": \"true\"}");
    assert_int_equal(said.status, 200);
    assert_int_equal(reviews(f, "&state=open"), 2);
    assert_int_equal(reviews(f, "&state=decided"), 1);
    cleanup_reply struct reply wrong = harness_call(&f->h, "GET", "/api/v1/reviews?state=closed", NULL, 0);
    assert_int_equal(wrong.status, 400);
}

static void a_verdict_can_be_changed_and_each_is_on_record(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_sample(f, &f->one, 1, SAMPLE_ALARM, 1), 200);
    cleanup_reply struct reply seen = judge(f, 1, "{\"verdict\": \"seen\"}");
    assert_int_equal(seen.status, 200);
    assert_true(find_number(seen.body, "seen_ms") > 0);
    assert_int_equal(reviews(f, "&state=open"), 1);
    cleanup_reply struct reply first = judge(f, 1, "{\"verdict\": \"true\"}");
    cleanup_reply struct reply second =
        judge(f, 1, "{\"verdict\": \"false\", \"missed\": 2, \"note\": \"sat down\"}");
    assert_true(first.status == 200 && second.status == 200);
    assert_int_equal(find_number(second.body, "missed"), 2);
    cleanup_reply struct reply log = harness_call(&f->h, "GET", "/api/v1/audit", NULL, 0);
    assert_non_null(strstr(log.body, "review 1: true, 0 missed"));
    assert_non_null(strstr(log.body, "review 1: false, 2 missed"));
    cleanup_reply struct reply wrong = judge(f, 1, "{\"verdict\": \"maybe\"}");
    cleanup_reply struct reply unknown = judge(f, 99, "{\"verdict\": \"true\"}");
    assert_int_equal(wrong.status, 400);
    assert_int_equal(unknown.status, 404);
}

static void accuracy_follows_from_verdicts(void **state)
{
    struct fixture *f = *state;
    static const char *const words[] = {"true", "true", "true", "false"};
    static const char missed[] =
        "{\"robot\": \"r1\", \"from_ms\": 5, \"until_ms\": 6, \"label\": \"fall\", \"release\": \"%s\"}";
    cleanup_reply struct reply before = accuracy(f);
    assert_int_equal(before.status, 200);
    assert_non_null(strstr(before.body, "\"value\":null"));
    for (uint64_t i = 0; i < ARRAY_LEN(words); i++) {
        char body[32];
        assert_int_equal(send_sample(f, i < 3 ? &f->one : &f->two, i + 1, SAMPLE_ALARM, 1), 200);
        snprintf(body, sizeof body, "{\"verdict\": \"%s\"}", words[i]);
        cleanup_reply struct reply said = judge(f, i + 1, body);
        assert_int_equal(said.status, 200);
    }
    work_an_hour(f, &f->one);
    work_an_hour(f, &f->two);
    cleanup_free char *body = mem_printf(missed, digest_format(&f->release).text);
    cleanup_reply struct reply reported = harness_call(&f->h, "POST", "/api/v1/missed", body, strlen(body));
    assert_int_equal(reported.status, 201);
    cleanup_reply struct reply after = accuracy(f);
    assert_non_null(strstr(after.body, "\"site\":null,\"operating_hours\":2"));
    assert_non_null(strstr(after.body, "\"site\":\"north\",\"operating_hours\":1"));
    assert_non_null(strstr(after.body, "\"site\":\"south\""));
    assert_non_null(strstr(after.body, "\"precision\":{\"value\":0.75,\"low\":"));
    assert_non_null(strstr(after.body, "\"recall\":{\"value\":0.75,\"low\":"));
    assert_non_null(strstr(after.body, "\"false_per_hour\":{\"value\":0.5,\"low\":"));
    assert_non_null(strstr(after.body, "no labelled data"));
    cleanup_reply struct reply alarms = harness_call(&f->h, "GET", "/api/v1/alarms", NULL, 0);
    assert_int_equal(find_number(alarms.body, "answered"), 4);
    assert_true(find_number(alarms.body, "operator_hours") >= 1);
    assert_int_equal(find_number(alarms.body, "open"), 0);
    cleanup_reply struct reply none = harness_call(&f->h, "GET", "/api/v1/accuracy?release=abc", NULL, 0);
    assert_int_equal(none.status, 400);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_sample_is_taken_in_once_also_over_a_kill),
        WITH(what_is_no_sample_is_refused),
        WITH(the_queue_has_alarms_first_and_filters),
        WITH(a_verdict_can_be_changed_and_each_is_on_record),
        WITH(accuracy_follows_from_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
