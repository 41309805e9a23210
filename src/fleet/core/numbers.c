#include "fleet/core/numbers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/core/fleet.h"
#include "fleet/series/prom.h"

#include <event2/event.h>
#include <stdlib.h>

enum { FLUSH_EVERY_MS = 5000, FLUSH_ROWS = 2000, PRUNE_EVERY_MS = 3600000, TICK_MS = 1000 };

struct numbers {
    struct series_set *series;
    struct series_hours *hours;
    struct remote *remote;
    struct event *timer;
    int64_t flush_ms, prune_ms; /* when next, monotonic */
};

/* ---- time goes by ---- */

static void flush(struct numbers *numbers, size_t limit)
{
    struct err err = {0};
    size_t count;
    if (numbers->hours && series_hours_flush(numbers->hours, numbers->series, limit, &count, &err) < 0)
        log_warn("%s", err.text);
}

static void prune(struct numbers *numbers)
{
    struct err err = {0};
    if (numbers->hours && series_hours_prune(numbers->hours, numbers->series, clock_wall_ms(), &err) < 0)
        log_warn("%s", err.text);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct numbers *numbers = arg;
    int64_t now_ms = clock_mono_ms(), wait_ms = TICK_MS;
    if (now_ms >= numbers->flush_ms) {
        flush(numbers, FLUSH_ROWS);
        numbers->flush_ms = now_ms + FLUSH_EVERY_MS;
    }
    if (now_ms >= numbers->prune_ms) {
        prune(numbers);
        numbers->prune_ms = now_ms + PRUNE_EVERY_MS;
    }
    if (numbers->remote)
        wait_ms = MIN(remote_tick(numbers->remote, now_ms), wait_ms);
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(numbers->timer, &wait);
}

int numbers_open(struct fleet *fleet, const struct remote_options *remote, struct numbers **out,
                 struct err *err)
{
    struct numbers *numbers = *out =
        mem_zalloc(1, sizeof *numbers); /* the caller closes it, also half open */
    cleanup_free char *path = fleet_path(fleet, "series.db");
    struct err broken = {0};
    if (!numbers || !path)
        return err_no_memory(err);
    if (series_new(&numbers->series, err) < 0 ||
        (remote->url && remote_new(remote, &numbers->remote, err) < 0))
        return -1;
    if (series_hours_open(path, NUMBERS_MAX_BYTES, &numbers->hours, &broken) < 0)
        log_warn("%s; hours of series are not kept, delete it for a new one", broken.text);
    numbers->timer = evtimer_new(fleet->base, on_tick, numbers);
    if (!numbers->timer)
        return err_no_memory(err);
    struct timeval wait = {.tv_sec = TICK_MS / 1000};
    event_add(numbers->timer, &wait);
    return 0;
}

void numbers_close(struct numbers *numbers)
{
    if (!numbers)
        return;
    if (numbers->timer)
        event_free(numbers->timer);
    if (numbers->series)
        flush(numbers, SIZE_MAX);
    series_hours_close(numbers->hours);
    remote_free(numbers->remote);
    series_free(numbers->series);
    free(numbers);
}

/* ---- what robots say ---- */

/* What is from the future is of now, as in series.h: a receiver would refuse everybody's samples with it. */
static void send_point(struct remote *remote, const char *robot, const struct otlp_point *point, double value)
{
    int64_t now_ms = clock_wall_ms(),
            time_ms = point->end_ms > now_ms + SERIES_AHEAD_MS ? now_ms : point->end_ms;
    struct series named = {.kind = point->kind};
    char name[PROM_NAME_SIZE], label[PROM_LABEL_SIZE];
    str_copy(named.name, sizeof named.name, point->name);
    str_copy(named.unit, sizeof named.unit, point->unit);
    prom_name(&named, name);
    prom_label(point->attribute, label);
    const struct remote_label labels[] = {
        {"__name__", name}, {"robot", robot}, {"release", point->release}, {label, point->word}};
    remote_put(remote, labels, point->attribute[0] ? 4 : 3, prom_value(&named, value), time_ms);
}

struct lookup {
    const struct otlp_point *point;
    const struct series *found;
};

static int find_point(struct series *series, void *arg)
{
    struct lookup *lookup = arg;
    const struct otlp_point *point = lookup->point;
    if (series->kind != point->kind || !str_eq(series->attribute, point->attribute) ||
        !str_eq(series->word, point->word) || !str_eq(series->release, point->release))
        return 0;
    lookup->found = series;
    return 1;
}

/* Only what has a series: a flood goes no further than here. Deltas go out as the total they make. */
static void send_points(struct numbers *numbers, const char *robot, const struct otlp_points *points)
{
    for (size_t i = 0; i < points->count; i++) {
        struct lookup lookup = {.point = &points->points[i]};
        series_each(numbers->series, robot, points->points[i].name, find_point, &lookup);
        if (lookup.found)
            send_point(numbers->remote, robot, lookup.point,
                       lookup.point->kind == OTLP_GAUGE ? lookup.point->value : lookup.found->total);
    }
}

int numbers_apply(struct fleet *fleet, const char *robot, const struct otlp_points *points, uint64_t skipped,
                  struct err *err)
{
    struct numbers *numbers = fleet->numbers;
    bool overflow;
    series_counters(numbers->series)->skipped += skipped;
    if (!points->count)
        return 0;
    if (series_apply(numbers->series, robot, points, clock_wall_ms(), &overflow, err) < 0)
        return -1;
    if (numbers->remote)
        send_points(numbers, robot, points);
    if (!overflow)
        return 0;
    return fleet_event(
        fleet, "series_overflow", robot, err,
        "sends more than %d series: what is beyond is only counted, as otel.metric.overflow=true",
        SERIES_PER_ROBOT);
}

static void send_number(struct remote *remote, const struct telemetry_row *row, const char *release,
                        const char *name, const char *reason, double value, int64_t time_ms)
{
    const struct remote_label labels[] = {
        {"__name__", name}, {"robot", row->robot}, {"release", release}, {"reason", reason}};
    remote_put(remote, labels, 4, value, time_ms);
}

void numbers_window(struct fleet *fleet, const struct telemetry_row *row, const struct otlp_window *window)
{
    struct remote *remote = fleet->numbers->remote;
    int64_t now_ms = clock_wall_ms(); /* totals are of now, also when the window is late */
    const char *release = window->release;
    if (!remote)
        return;
    send_number(remote, row, release, "muster_robot_frames_total", "", (double)row->frames, now_ms);
    send_number(remote, row, release, "muster_robot_results_total", "", (double)row->results, now_ms);
    send_number(remote, row, release, "muster_robot_frames_lost_total", "", (double)row->lost, now_ms);
    for (int i = 0; i < OTLP_REASONS; i++)
        if (row->interventions[i])
            send_number(remote, row, release, "muster_robot_interventions_total", otlp_reason_names[i],
                        (double)row->interventions[i], now_ms);
    if (!window->latency_ms.count)
        return;
    send_number(remote, row, release, "muster_robot_inference_latency_p50_seconds", "",
                exphist_quantile(&window->latency_ms, 0.5) / 1000, window->end_ms);
    send_number(remote, row, release, "muster_robot_inference_latency_p99_seconds", "",
                exphist_quantile(&window->latency_ms, 0.99) / 1000, window->end_ms);
}

struct series_set *numbers_series(struct numbers *numbers)
{
    return numbers->series;
}

struct series_hours *numbers_hours(struct numbers *numbers)
{
    return numbers->hours;
}

struct remote *numbers_remote(struct numbers *numbers)
{
    return numbers->remote;
}
