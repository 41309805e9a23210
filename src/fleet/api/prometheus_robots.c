#include "fleet/api/prometheus_robots.h"
#include "base/str.h"
#include "fleet/core/numbers.h"
#include "fleet/series/prom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char name[PROM_NAME_SIZE];
    const struct series *series;
};

struct rows {
    size_t count, space;
    struct row *items;
};

static int count_one(struct series *series, void *arg)
{
    (void)series;
    ((struct rows *)arg)->space++;
    return 0;
}

static int collect(struct series *series, void *arg)
{
    struct rows *rows = arg;
    if (rows->count == rows->space)
        return 1;
    if (series->heard_ms == 0 || !isfinite(prom_newest(series)))
        return 0; /* a sum beyond all numbers: "-nan" would be the end of everybody's scrape */
    struct row *row = &rows->items[rows->count++];
    prom_name(series, row->name);
    row->series = series;
    return 0;
}

static int by_identity(const struct series *a, const struct series *b)
{
    int order = strcmp(a->robot, b->robot);
    if (!order)
        order = strcmp(a->release, b->release);
    if (!order)
        order = strcmp(a->attribute, b->attribute);
    return order ? order : strcmp(a->word, b->word);
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : by_identity(x->series, y->series);
}

int prometheus_escape(const char *text, struct buf *out, struct err *err)
{
    for (; *text; text++) {
        const char *escape = *text == '\\' ? "\\\\" : *text == '"' ? "\\\"" : *text == '\n' ? "\\n" : NULL;
        if ((escape ? buf_puts(out, escape, err) : buf_put(out, text, 1, err)) < 0)
            return -1;
    }
    return 0;
}

static int put_label(const char *name, const char *value, bool first, struct buf *out, struct err *err)
{
    if (buf_printf(out, err, "%s%s=\"", first ? "{" : ",", name) < 0 ||
        prometheus_escape(value, out, err) < 0)
        return -1;
    return buf_puts(out, "\"", err);
}

static int put_row(const struct series *series, const char *name, struct buf *out, struct err *err)
{
    char label[PROM_LABEL_SIZE];
    if (buf_puts(out, name, err) < 0 || put_label("robot", series->robot, true, out, err) < 0)
        return -1;
    if (series->release[0] && put_label("release", series->release, false, out, err) < 0)
        return -1;
    prom_label(series->attribute, label);
    if (series->attribute[0] && put_label(label, series->word, false, out, err) < 0)
        return -1;
    return buf_printf(out, err, "} %.10g\n", prom_newest(series));
}

/* Names that become the same in Prometheus are one metric of the first one's kind; what then has the same labels is shown once. */
static int put_rows(const struct rows *rows, struct buf *out, struct err *err)
{
    const struct row *head = NULL, *last = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        const char *kind = row->series->kind == OTLP_GAUGE ? "gauge" : "counter";
        if (!head || !str_eq(head->name, row->name)) {
            head = row;
            last = NULL;
            if (buf_printf(out, err, "# HELP %s As robots say, newest value: OTLP %s.\n# TYPE %s %s\n",
                           row->name, row->series->name, row->name, kind) < 0)
                return -1;
        }
        if (row->series->kind != head->series->kind || (last && by_identity(last->series, row->series) == 0))
            continue;
        last = row;
        if (put_row(row->series, row->name, out, err) < 0)
            return -1;
    }
    return 0;
}

int prometheus_robots(struct fleet *fleet, struct buf *out, struct err *err)
{
    struct series_set *set = numbers_series(fleet->numbers);
    struct rows rows = {0};
    if (series_count(set) > PROMETHEUS_MAX_SERIES)
        return 0;
    series_each(set, NULL, NULL, count_one, &rows);
    rows.items = mem_zalloc(rows.space ? rows.space : 1, sizeof *rows.items);
    if (!rows.items)
        return err_no_memory(err);
    series_each(set, NULL, NULL, collect, &rows);
    qsort(rows.items, rows.count, sizeof *rows.items, by_name);
    int rc = put_rows(&rows, out, err);
    free(rows.items);
    return rc;
}

static int put_number(const char *name, const char *type, const char *help, uint64_t value, struct buf *out,
                      struct err *err)
{
    return buf_printf(out, err, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                      (unsigned long long)value);
}

static int put_remote(const struct remote *remote, struct buf *out, struct err *err)
{
    struct remote_counters counters;
    remote_look(remote, &counters);
    if (put_number("muster_remote_write_requests_total", "counter", "Requests of remote write.",
                   counters.requests, out, err) < 0 ||
        put_number("muster_remote_write_retries_total", "counter", "Requests that have to be made again.",
                   counters.retries, out, err) < 0 ||
        put_number("muster_remote_write_pending", "gauge", "Samples that wait for remote write.",
                   counters.pending, out, err) < 0)
        return -1;
    return buf_printf(
        out, err,
        "# HELP muster_remote_write_samples_total Samples of remote write by what became of them.\n"
        "# TYPE muster_remote_write_samples_total counter\n"
        "muster_remote_write_samples_total{outcome=\"sent\"} %llu\n"
        "muster_remote_write_samples_total{outcome=\"dropped\"} %llu\n"
        "muster_remote_write_samples_total{outcome=\"refused\"} %llu\n",
        (unsigned long long)counters.sent, (unsigned long long)counters.dropped,
        (unsigned long long)counters.refused);
}

int prometheus_numbers(struct fleet *fleet, struct buf *out, struct err *err)
{
    struct series_set *set = numbers_series(fleet->numbers);
    const struct series_counters *counters = series_counters(set);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"muster_series", "gauge", "Series of all robots.", series_count(set)},
        {"muster_series_exposed", "gauge", "1: they are here; 0: too many, ask /api/v1/series.",
         series_count(set) <= PROMETHEUS_MAX_SERIES},
        {"muster_points_total", "counter", "Points of series applied.", counters->points},
        {"muster_points_overflowed_total", "counter", "Points beyond a robot's number of series.",
         counters->overflowed},
        {"muster_points_skipped_total", "counter", "Points of a shape that is not taken.", counters->skipped},
        {"muster_points_too_old_total", "counter", "Points from before what is kept.", counters->too_old},
        {"muster_points_moved_total", "counter", "Points from the future, taken as of now.", counters->moved},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (put_number(rows[i].name, rows[i].type, rows[i].help, rows[i].value, out, err) < 0)
            return -1;
    const struct remote *remote = numbers_remote(fleet->numbers);
    return remote ? put_remote(remote, out, err) : 0;
}
