#include "base/str.h"
#include "base/testing.h"
#include "fleet/series/hours.h"
#include "fleet/series/prom.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MINUTE = 60000, HOUR = 3600000 };
static const int64_t NOW = 1700000000000 / HOUR * HOUR + 30 * MINUTE;
static struct otlp_points points;
static uint64_t random_state = 1;

static size_t below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % limit;
}

static void begin(uint64_t seq)
{
    points = (struct otlp_points){.seq = seq};
    str_copy(points.stream, sizeof points.stream, "00112233445566778899aabbccddeeff");
}

static void point(const char *name, enum otlp_point_kind kind, int64_t end_ms, double value)
{
    struct otlp_point *p = &points.points[points.count++];
    *p = (struct otlp_point){.kind = kind, .start_ms = end_ms, .end_ms = end_ms, .value = value};
    str_copy(p->name, sizeof p->name, name);
    str_copy(p->unit, sizeof p->unit, "1");
}

static bool apply(struct series_set *set, const char *robot)
{
    struct err err = {0};
    bool overflow;
    assert_ok(series_apply(set, robot, &points, NOW, &overflow, &err), err);
    return overflow;
}

static int keep_first(struct series *series, void *arg)
{
    *(struct series **)arg = series;
    return 1;
}

static struct series *find(struct series_set *set, const char *robot, const char *name)
{
    struct series *series = NULL;
    series_each(set, robot, name, keep_first, &series);
    return series;
}

static struct series_set *new_set(void)
{
    struct err err = {0};
    struct series_set *set;
    assert_ok(series_new(&set, &err), err);
    return set;
}

static void windows_do_not_depend_on_the_order(void **state)
{
    enum { COUNT = 110 };
    size_t order[COUNT];
    cleanup_series struct series_set *sorted = new_set(), *shuffled = new_set();
    for (size_t i = 0; i < COUNT; i++)
        order[i] = i;
    for (size_t i = COUNT; i > 1; i--) {
        size_t j = below(i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
    for (size_t i = 0; i < COUNT; i++) {
        begin(i + 1);
        point("g", OTLP_GAUGE, NOW - (int64_t)i * MINUTE / 2, (double)(i % 7));
        apply(sorted, "a");
        begin(i + 1);
        point("g", OTLP_GAUGE, NOW - (int64_t)order[i] * MINUTE / 2, (double)(order[i] % 7));
        apply(shuffled, "a");
    }
    struct series *one = find(sorted, "a", "g"), *two = find(shuffled, "a", "g");
    assert_int_equal(one->minute_count, two->minute_count);
    assert_memory_equal(one->minutes, two->minutes, one->minute_count * sizeof *one->minutes);
    assert_true(one->last == two->last && one->last_ms == NOW && two->last_ms == NOW);
    for (size_t i = 1; i < one->minute_count; i++)
        assert_true(one->minutes[i].minute > one->minutes[i - 1].minute);
}

static void an_export_counts_once(void **state)
{
    cleanup_series struct series_set *set = new_set();
    for (int again = 0; again < 3; again++) {
        begin(5);
        point("s", OTLP_DELTA_SUM, NOW, 10);
        apply(set, "a");
    }
    begin(4);
    point("s", OTLP_DELTA_SUM, NOW, 10);
    apply(set, "a");
    assert_true(find(set, "a", "s")->total == 10);
}

static void the_ring_is_two_hours(void **state)
{
    cleanup_series struct series_set *set = new_set();
    for (int i = 0; i < 1000; i++) {
        begin((uint64_t)i + 1);
        point("g", OTLP_GAUGE, NOW - (int64_t)below(600) * MINUTE, 1);
        apply(set, "a");
        struct series *series = find(set, "a", "g");
        assert_true(series->minute_count <= SERIES_MINUTES);
        if (series->minute_count)
            assert_true(series->minutes[0].minute + SERIES_MINUTES >
                        series->minutes[series->minute_count - 1].minute);
    }
}

static void a_flood_is_bounded_counted_and_told_once(void **state)
{
    cleanup_series struct series_set *set = new_set();
    int told = 0;
    for (uint64_t seq = 1; seq <= 50; seq++) {
        begin(seq);
        for (int i = 0; i < OTLP_MAX_POINTS; i++) {
            char name[32];
            snprintf(name, sizeof name, "flood.%llu.%d", (unsigned long long)seq, i);
            point(name, OTLP_GAUGE, NOW, 1);
        }
        told += apply(set, "hostile");
    }
    begin(1);
    point("g", OTLP_GAUGE, NOW, 4);
    assert_false(apply(set, "honest"));
    assert_int_equal(told, 1);
    assert_int_equal(series_count(set), SERIES_PER_ROBOT + 1);
    struct series *overflow = find(set, "hostile", SERIES_OVERFLOW_NAME);
    assert_true(overflow->total == 50 * OTLP_MAX_POINTS - SERIES_PER_ROBOT);
    assert_int_equal(series_counters(set)->overflowed, 50 * OTLP_MAX_POINTS - SERIES_PER_ROBOT);
    assert_string_equal(overflow->attribute, "otel.metric.overflow");
    assert_true(find(set, "honest", "g")->last == 4);
}

static int drop(struct series *series, const struct series_hour *hour, void *arg, struct err *err)
{
    return 0;
}

static void what_is_silent_makes_room(void **state)
{
    struct err err = {0};
    bool overflow;
    size_t count;
    cleanup_series struct series_set *set = new_set();
    for (int i = 0; i < SERIES_PER_ROBOT; i++) {
        char name[32];
        snprintf(name, sizeof name, "old.%d", i);
        begin((uint64_t)i + 1);
        point(name, OTLP_GAUGE, NOW, 1);
        apply(set, "a");
    }
    assert_ok(series_flush(set, 1000, drop, NULL, &count, &err), err);
    assert_int_equal(count, SERIES_PER_ROBOT);
    begin(SERIES_PER_ROBOT + 1);
    point("new", OTLP_GAUGE, NOW + 3 * HOUR, 1);
    assert_ok(series_apply(set, "a", &points, NOW + 3 * HOUR, &overflow, &err), err);
    assert_false(overflow);
    assert_non_null(find(set, "a", "new"));
    assert_int_equal(series_count(set), SERIES_PER_ROBOT);
}

static void jumping_clocks_do_not_hide_what_is_true(void **state)
{
    cleanup_series struct series_set *set = new_set();
    begin(1);
    point("g", OTLP_GAUGE, NOW + 400 * 24 * (int64_t)HOUR, 1);
    point("g", OTLP_GAUGE, NOW - 400 * 24 * (int64_t)HOUR, 2);
    point("g", OTLP_GAUGE, NOW + MINUTE, 3);
    apply(set, "a");
    struct series *series = find(set, "a", "g");
    assert_true(series->last == 3 && series->last_ms == NOW + MINUTE);
    assert_int_equal(series_counters(set)->moved, 1);
    assert_int_equal(series_counters(set)->too_old, 1);
}

/* ---- hours ---- */

struct seen {
    size_t count;
    double sum, least, most;
};

static int see(const struct series_hour *hour, void *arg)
{
    struct seen *seen = arg;
    seen->sum += hour->sum;
    seen->least = seen->count ? fmin(seen->least, hour->least) : hour->least;
    seen->most = seen->count ? fmax(seen->most, hour->most) : hour->most;
    seen->count++;
    return 0;
}

static void hours_survive_and_add_up(void **state)
{
    struct err err = {0};
    struct seen seen = {0};
    size_t count;
    uint32_t hour = (uint32_t)(NOW / HOUR);
    char path[] = "/tmp/muster-series-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    double total = 0;
    for (int life = 0; life < 3; life++) {
        cleanup_series struct series_set *set = new_set();
        cleanup_series_hours struct series_hours *hours = NULL;
        assert_ok(series_hours_open(path, 1 << 30, &hours, &err), err);
        for (uint64_t seq = 1; seq <= 30; seq++) {
            begin(seq);
            point("s", OTLP_DELTA_SUM, NOW - (int64_t)below(5) * HOUR, (double)seq);
            total += (double)seq;
            apply(set, "a");
            assert_ok(series_hours_flush(hours, set, 100, &count, &err), err);
        }
        seen = (struct seen){0};
        assert_ok(series_hours_each(hours, find(set, "a", "s"), hour - 10, hour, see, &seen, &err), err);
        assert_true(seen.sum == total && seen.count == 5 && seen.least >= 1 && seen.most <= 30);
        assert_ok(series_hours_prune(hours, set, NOW + (SERIES_KEEP_HOURS - 100) * (int64_t)HOUR, &err), err);
    }
    cleanup_series struct series_set *set = new_set();
    cleanup_series_hours struct series_hours *hours = NULL;
    assert_ok(series_hours_open(path, 1 << 30, &hours, &err), err);
    begin(1);
    point("s", OTLP_DELTA_SUM, NOW, 1);
    apply(set, "a");
    assert_ok(series_hours_prune(hours, set, NOW + (SERIES_KEEP_HOURS + 1) * (int64_t)HOUR, &err), err);
    seen = (struct seen){0};
    assert_ok(series_hours_each(hours, find(set, "a", "s"), hour - 10, hour, see, &seen, &err), err);
    assert_int_equal(seen.count, 0);
    assert_int_equal(unlink(path), 0);
}

static void a_file_that_is_too_big_loses_its_oldest_days(void **state)
{
    struct err err = {0};
    size_t count;
    struct seen seen = {0};
    cleanup_series struct series_set *set = new_set();
    cleanup_series_hours struct series_hours *hours = NULL;
    assert_ok(series_hours_open(":memory:", 100000, &hours, &err), err);
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        begin(seq);
        for (int i = 0; i < 4; i++) {
            char name[8] = {(char)('a' + i)};
            point(name, OTLP_GAUGE, NOW - (int64_t)(2000 - seq) * HOUR, 1);
        }
        apply(set, "a");
        assert_ok(series_hours_flush(hours, set, 100, &count, &err), err);
    }
    uint32_t hour = (uint32_t)(NOW / HOUR);
    assert_ok(series_hours_prune(hours, set, NOW, &err), err);
    assert_ok(series_hours_each(hours, find(set, "a", "a"), hour - 2100, hour, see, &seen, &err), err);
    assert_true(seen.count > 24 && seen.count < 1500);
    seen = (struct seen){0};
    assert_ok(series_hours_each(hours, find(set, "a", "a"), hour, hour, see, &seen, &err), err);
    assert_int_equal(seen.count, 1); /* the newest are there */
}

static void names_that_nobody_uses_any_more_go(void **state)
{
    struct err err = {0};
    size_t count;
    struct seen seen = {0};
    cleanup_series struct series_set *set = new_set();
    cleanup_series_hours struct series_hours *hours = NULL;
    char path[] = "/tmp/muster-names-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(series_hours_open(path, 200000, &hours, &err), err);
    for (uint64_t seq = 1; seq <= 1000; seq++) { /* 24 hours later each ten */
        int64_t time_ms = NOW - (int64_t)(1000 - seq) / 10 * 24 * HOUR;
        char name[16];
        snprintf(name, sizeof name, "n%llu", (unsigned long long)seq);
        begin(seq);
        point(name, OTLP_GAUGE, time_ms, 1);
        bool overflow;
        assert_ok(series_apply(set, "a", &points, time_ms, &overflow, &err), err);
        assert_ok(series_hours_flush(hours, set, 100, &count, &err), err);
        if (seq % 10 == 0)
            assert_ok(series_hours_prune(hours, set, time_ms, &err), err);
    }
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM names", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_true(sqlite3_column_int(stmt, 0) <= 910);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    uint32_t hour = (uint32_t)(NOW / HOUR);
    assert_ok(series_hours_each(hours, find(set, "a", "n1000"), hour, hour, see, &seen, &err), err);
    assert_int_equal(seen.count, 1);
    unlink(path);
}

/* ---- names ---- */

static void names_are_prometheus_names(void **state)
{
    static const struct {
        const char *name, *unit;
        enum otlp_point_kind kind;
        const char *expected;
    } rows[] = {
        {"muster.system.cpu.utilization", "1", OTLP_GAUGE, "muster_robot_system_cpu_utilization_ratio"},
        {"muster.labels", "{detection}", OTLP_DELTA_SUM, "muster_robot_labels_total"},
        {"muster.battery.temperature", "Cel", OTLP_GAUGE, "muster_robot_battery_temperature_celsius"},
        {"muster.link.receive", "bit/s", OTLP_GAUGE, "muster_robot_link_receive_bytes_per_second"},
        {"io.bytes", "By", OTLP_DELTA_SUM, "muster_robot_io_bytes_total"},
        {"x/y-z", "odd unit", OTLP_GAUGE, "muster_robot_x_y_z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct series series = {.kind = rows[i].kind};
        char name[PROM_NAME_SIZE];
        str_copy(series.name, sizeof series.name, rows[i].name);
        str_copy(series.unit, sizeof series.unit, rows[i].unit);
        prom_name(&series, name);
        assert_string_equal(name, rows[i].expected);
    }
    struct series bits = {.unit = "bit/s", .kind = OTLP_GAUGE, .last = 800};
    assert_true(prom_newest(&bits) == 100);
    char label[PROM_LABEL_SIZE];
    prom_label("muster.signal", label);
    assert_string_equal(label, "signal");
    prom_label("robot", label);
    assert_string_equal(label, "attribute_robot");
    prom_label("__name__", label);
    assert_string_equal(label, "attribute___name__");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_do_not_depend_on_the_order),
        cmocka_unit_test(an_export_counts_once),
        cmocka_unit_test(the_ring_is_two_hours),
        cmocka_unit_test(a_flood_is_bounded_counted_and_told_once),
        cmocka_unit_test(what_is_silent_makes_room),
        cmocka_unit_test(jumping_clocks_do_not_hide_what_is_true),
        cmocka_unit_test(hours_survive_and_add_up),
        cmocka_unit_test(a_file_that_is_too_big_loses_its_oldest_days),
        cmocka_unit_test(names_that_nobody_uses_any_more_go),
        cmocka_unit_test(names_are_prometheus_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
