/* GET /api/v1/series?robot=&name=&from=&until=: what robots told in numbers. Minutes of the last two hours, hours before that. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/core/numbers.h"

#include <math.h>

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, MOST_SERIES = 1000 };

struct listing {
    struct call *call;
    struct json_writer *w;
    int64_t from_ms, until_ms;
    bool points, hours; /* with points; and these are hours */
    const char *robot;  /* the last one looked at */
    bool visible;       /* it was */
    size_t count;
    struct err *err;
    int rc;
};

static void put_point(struct json_writer *w, int64_t time_ms, double value)
{
    jsonw_array(w, NULL);
    jsonw_i64(w, NULL, time_ms);
    jsonw_real(w, NULL, value);
    jsonw_close(w);
}

static void put_minutes(const struct listing *l, const struct series *series)
{
    for (size_t i = 0; i < series->minute_count; i++) {
        int64_t time_ms = (int64_t)series->minutes[i].minute * MINUTE_MS;
        if (time_ms + MINUTE_MS > l->from_ms && time_ms <= l->until_ms)
            put_point(l->w, time_ms, series_minute_value(series, &series->minutes[i]));
    }
}

/* What is on disk and what is not yet, by time. */
struct hours {
    const struct series *series;
    struct json_writer *w;
};

static void add_open(const struct series *series, struct series_hour *hour)
{
    for (size_t i = 0; i < series->hour_count; i++)
        if (series->hours[i].hour == hour->hour) {
            hour->sum += series->hours[i].sum;
            hour->weight += series->hours[i].weight;
        }
}

static int put_hour(const struct series_hour *stored, void *arg)
{
    const struct hours *hours = arg;
    struct series_hour hour = *stored;
    add_open(hours->series, &hour);
    put_point(hours->w, (int64_t)hour.hour * HOUR_MS, series_hour_value(hours->series->kind, &hour));
    return 0;
}

static int put_hours(struct listing *l, struct series *series)
{
    struct series_hours *stored = numbers_hours(l->call->fleet->numbers);
    struct hours hours = {.series = series, .w = l->w};
    uint32_t from = (uint32_t)(l->from_ms / HOUR_MS), until = (uint32_t)(l->until_ms / HOUR_MS);
    return stored ? series_hours_each(stored, series, from, until, put_hour, &hours, l->err) : 0;
}

static void put_identity(struct json_writer *w, const struct series *series)
{
    jsonw_text(w, "robot", series->robot);
    jsonw_text(w, "name", series->name);
    jsonw_text(w, "unit", series->unit);
    jsonw_text(w, "kind", series->kind == OTLP_GAUGE ? "gauge" : "delta");
    if (series->attribute[0]) {
        jsonw_text(w, "attribute", series->attribute);
        jsonw_text(w, "word", series->word);
    }
    if (series->release[0])
        jsonw_text(w, "release", series->release);
    jsonw_i64(w, "last_ms", series->last_ms);
    jsonw_real(w, "last", series->last);
}

static int list_one(struct series *series, void *arg)
{
    struct listing *l = arg;
    if (!l->robot || !str_eq(l->robot, series->robot))
        l->visible = call_sees(l->call, series->robot);
    l->robot = series->robot;
    if (!l->visible)
        return 0;
    if (l->count++ == MOST_SERIES)
        return 1;
    jsonw_object(l->w, NULL);
    put_identity(l->w, series);
    if (l->points) {
        jsonw_array(l->w, "points");
        if (!l->hours)
            put_minutes(l, series);
        else if (put_hours(l, series) < 0)
            l->rc = -1;
        jsonw_close(l->w);
    }
    jsonw_close(l->w);
    return l->rc;
}

static int read_times(struct call *call, struct listing *l, struct err *err)
{
    uint64_t now_ms = (uint64_t)clock_wall_ms(), from_ms, until_ms;
    if (call_query_u64(call, "until", now_ms, INT64_MAX / 2, &until_ms, err) < 0 ||
        call_query_u64(call, "from", MIN(until_ms, now_ms) - MIN(now_ms, (uint64_t)HOUR_MS), INT64_MAX / 2,
                       &from_ms, err) < 0)
        return -1;
    if (from_ms > until_ms)
        return err_set(err, ERR_INVALID, "from is after until; both are Unix time in ms");
    until_ms = MIN(until_ms, now_ms + SERIES_AHEAD_MS);
    l->from_ms = (int64_t)MIN(from_ms, until_ms);
    l->until_ms = (int64_t)until_ms;
    l->hours = l->from_ms < (int64_t)now_ms - (int64_t)SERIES_MINUTES * MINUTE_MS;
    return 0;
}

/* Without a name there are no points: what there is, and what it was last. */
int series_get(struct call *call, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    const char *robot = http_query(call->request, "robot"), *name = http_query(call->request, "name");
    struct listing l = {.call = call, .w = &w, .points = name != NULL, .err = err};
    jsonw_init(&w);
    if (robot && call_may_id(call, RIGHT_SEE, robot, err) < 0)
        return -1;
    if (read_times(call, &l, err) < 0)
        return -1;
    jsonw_object(&w, NULL);
    jsonw_array(&w, "series");
    series_each(numbers_series(call->fleet->numbers), robot, name, list_one, &l);
    if (l.rc < 0)
        return -1;
    jsonw_close(&w);
    jsonw_i64(&w, "step_ms", l.hours ? HOUR_MS : MINUTE_MS);
    jsonw_boolean(&w, "more", l.count > MOST_SERIES);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
