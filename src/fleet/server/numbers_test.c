/* What robots tell in numbers, from the robot port to the operators' and to Prometheus. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/series/series.h"
#include "fleet/testing/harness.h"
#include "wire/otlp_points.h"

#include <string.h>
#include <unistd.h>

static const char stream[] = "00112233445566778899aabbccddeeff";

struct fixture {
    struct harness h;
    struct robot_peer robot;
    struct otlp_points points;
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

static void begin(struct fixture *f, const char *robot, uint64_t seq)
{
    f->points = (struct otlp_points){.seq = seq};
    str_copy(f->points.robot, sizeof f->points.robot, robot);
    str_copy(f->points.stream, sizeof f->points.stream, stream);
}

static void point(struct fixture *f, const char *name, enum otlp_point_kind kind, const char *word,
                  int64_t age_ms, double value)
{
    struct otlp_point *p = &f->points.points[f->points.count++];
    *p = (struct otlp_point){.kind = kind, .end_ms = clock_wall_ms() - age_ms, .value = value};
    p->start_ms = p->end_ms - 10000;
    str_copy(p->name, sizeof p->name, name);
    str_copy(p->unit, sizeof p->unit, "1");
    str_copy(p->attribute, sizeof p->attribute, *word ? "muster.signal" : "");
    str_copy(p->word, sizeof p->word, word);
}

static int send(struct fixture *f)
{
    struct err err = {0};
    cleanup_buf struct buf body = BUF_INIT(1 << 20);
    assert_ok(otlp_points_format(&f->points, &body, &err), err);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "POST", "/v1/metrics", body.data, body.len);
    return reply.status;
}

static bool says(struct fixture *f, const char *path, const char *text)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    bool found = strstr(reply.body, text) != NULL;
    if (!found)
        print_message("%s\n", reply.body);
    return found;
}

static void numbers_are_shown(void **state)
{
    struct fixture *f = *state;
    begin(f, "r1", 1);
    point(f, "muster.signal", OTLP_GAUGE, "luma \"x\"\\", 0, 0.5);
    point(f, "muster.system.cpu.utilization", OTLP_GAUGE, "", 0, 0.25);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 0, 3);
    assert_int_equal(send(f), 200);
    assert_int_equal(send(f), 200); /* again: once */
    begin(f, "r1", 2);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 0, 4);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 1800000, 5); /* late: half an hour ago */
    assert_int_equal(send(f), 200);
    assert_true(says(f, "/metrics", "muster_robot_signal{robot=\"r1\",signal=\"luma \\\"x\\\"\\\\\"} 0.5\n"));
    assert_true(says(f, "/metrics", "muster_robot_system_cpu_utilization_ratio{robot=\"r1\"} 0.25\n"));
    assert_true(
        says(f, "/metrics",
             "# TYPE muster_robot_labels_total counter\nmuster_robot_labels_total{robot=\"r1\"} 12\n"));
    assert_true(says(f, "/metrics", "muster_series 3\n"));
    assert_true(says(f, "/metrics", "muster_export_replays_total 1\n"));
    assert_true(says(f, "/api/v1/series?robot=r1", "\"name\":\"muster.signal\""));
    assert_true(says(f, "/api/v1/series?name=muster.labels", "\"last\":4"));
    cleanup_reply struct reply reply =
        harness_call(&f->h, "GET", "/api/v1/series?robot=r1&name=muster.labels", NULL, 0);
    const char *points = strstr(reply.body, "\"points\":[["), *late = points ? strstr(points, ",5]") : NULL;
    assert_non_null(late);
    assert_non_null(strstr(late, "]]")); /* it is not the last one */
    cleanup_reply struct reply none = harness_call(&f->h, "GET", "/api/v1/series?robot=r9", NULL, 0);
    assert_int_equal(none.status, 404);
    cleanup_reply struct reply wrong = harness_call(&f->h, "GET", "/api/v1/series?from=5&until=4", NULL, 0);
    assert_int_equal(wrong.status, 400);
}

static void sums_beyond_all_numbers_break_nobodys_scrape(void **state)
{
    struct fixture *f = *state;
    begin(f, "r1", 1);
    for (int i = 0; i < 2; i++)
        point(f, "muster.confidence.bin", OTLP_DELTA_SUM, "3", 0, 1.7e308);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 0, 3);
    assert_int_equal(send(f), 200);
    assert_true(says(f, "/metrics", "muster_robot_labels_total{robot=\"r1\"} 3\n"));
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", "/metrics", NULL, 0);
    assert_null(strstr(reply.body, "} inf"));
    assert_null(strstr(reply.body, "nan\n"));
}

static void hours_outlive_the_server(void **state)
{
    struct fixture *f = *state;
    begin(f, "r1", 1);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 5 * 3600000, 7);
    assert_int_equal(send(f), 200);
    assert_true(WIFEXITED(harness_stop(&f->h, SIGTERM)));
    harness_start(&f->h);
    begin(f, "r1", 2);
    point(f, "muster.labels", OTLP_DELTA_SUM, "", 0, 1);
    assert_int_equal(send(f), 200);
    char path[96];
    snprintf(path, sizeof path, "/api/v1/series?robot=r1&name=muster.labels&from=%lld",
             (long long)(clock_wall_ms() - 6 * 3600000));
    assert_true(says(f, path, ",7]"));
    assert_true(says(f, path, "\"step_ms\":3600000"));
}

static void a_flood_is_told_and_hurts_nobody(void **state)
{
    struct fixture *f = *state;
    for (uint64_t seq = 1; seq <= 8; seq++) {
        begin(f, "r1", seq);
        for (int i = 0; i < OTLP_MAX_POINTS; i++) {
            char name[32];
            snprintf(name, sizeof name, "flood.%llu.%d", (unsigned long long)seq, i);
            point(f, name, OTLP_GAUGE, "", 0, 1);
        }
        assert_int_equal(send(f), 200);
    }
    char expected[128];
    snprintf(expected, sizeof expected,
             "muster_robot_series_overflow_total{robot=\"r1\",otel_metric_overflow=\"true\"} %d\n",
             8 * OTLP_MAX_POINTS - SERIES_PER_ROBOT);
    assert_true(says(f, "/metrics", expected));
}

static void names_of_others_and_odd_shapes(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    cleanup_buf struct buf body = BUF_INIT(1 << 20);
    begin(f, "r2", 1);
    point(f, "g", OTLP_GAUGE, "", 0, 1);
    assert_int_equal(send(f), 403);
    begin(f, "r1", 1);
    for (int i = 0; i < 200; i++)
        point(f, "g", OTLP_GAUGE, "", 0, 1);
    assert_ok(otlp_points_format(&f->points, &body, &err), err);
    assert_ok(otlp_points_format(&f->points, &body, &err), err); /* 400 points in one export */
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->robot, "POST", "/v1/metrics", body.data, body.len);
    assert_int_equal(reply.status, 200);
    const uint8_t *partial = (const uint8_t *)reply.body; /* 1 { 1: 144, 2: why } */
    assert_true(reply.len > 6 && partial[0] == 0x0a && partial[2] == 0x08 && partial[3] == 0x90 &&
                partial[4] == 0x01);
    assert_true(says(f, "/metrics", "muster_points_skipped_total 144\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_beyond_all_numbers_break_nobodys_scrape, setup, teardown),
        cmocka_unit_test_setup_teardown(hours_outlive_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_is_told_and_hurts_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(names_of_others_and_odd_shapes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
