#include "fleet/series/series.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, STREAMS = 8 };
static const int64_t SILENT_MS = 2 * HOUR_MS;

struct stream {
    char name[33];
    uint64_t seq;
};

struct robot {
    char id[64];
    size_t count; /* without the overflow */
    struct series *series[SERIES_PER_ROBOT];
    struct series *overflow; /* NULL: never */
    size_t next_stream;
    struct stream streams[STREAMS]; /* the last ones heard of */
};

struct series_set {
    size_t robot_count, robot_space;
    struct robot **robots; /* by id */
    size_t count;
    size_t flush_robot; /* where series_flush goes on */
    struct series_counters counters;
};

int series_new(struct series_set **out, struct err *err)
{
    *out = mem_zalloc(1, sizeof **out);
    return *out ? 0 : err_no_memory(err);
}

static void free_series(struct series *series)
{
    if (series)
        free(series->minutes);
    free(series);
}

static void free_robot(struct robot *robot)
{
    for (size_t i = 0; i < robot->count; i++)
        free_series(robot->series[i]);
    free_series(robot->overflow);
    free(robot);
}

void series_free(struct series_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->robot_count; i++)
        free_robot(set->robots[i]);
    free(set->robots);
    free(set);
}

size_t series_count(const struct series_set *set)
{
    return set->count;
}

struct series_counters *series_counters(struct series_set *set)
{
    return &set->counters;
}

/* ---- robots ---- */

/* Where it is, or would be. */
static size_t place_of(const struct series_set *set, const char *id)
{
    size_t low = 0, high = set->robot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(set->robots[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct robot *find_robot(const struct series_set *set, const char *id)
{
    size_t at = place_of(set, id);
    return at < set->robot_count && str_eq(set->robots[at]->id, id) ? set->robots[at] : NULL;
}

static int need_robot(struct series_set *set, const char *id, struct robot **out, struct err *err)
{
    *out = find_robot(set, id);
    if (*out)
        return 0;
    if (set->robot_count == set->robot_space) {
        size_t space = MAX(2 * set->robot_space, (size_t)16);
        struct robot **grown = mem_grow(set->robots, space, sizeof(struct robot *));
        if (!grown)
            return err_no_memory(err);
        set->robots = grown;
        set->robot_space = space;
    }
    struct robot *robot = mem_zalloc(1, sizeof *robot);
    if (!robot)
        return err_no_memory(err);
    str_copy(robot->id, sizeof robot->id, id);
    size_t at = place_of(set, id);
    memmove(set->robots + at + 1, set->robots + at, (set->robot_count - at) * sizeof(struct robot *));
    set->robots[at] = robot;
    set->robot_count++;
    *out = robot;
    return 0;
}

static bool is_replay(struct robot *robot, const char *name, uint64_t seq)
{
    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *stream = &robot->streams[i];
        if (!str_eq(stream->name, name))
            continue;
        if (seq <= stream->seq)
            return true;
        stream->seq = seq;
        return false;
    }
    struct stream *stream = &robot->streams[robot->next_stream++ % STREAMS];
    str_copy(stream->name, sizeof stream->name, name);
    stream->seq = seq;
    return false;
}

/* ---- series ---- */

static uint64_t hash_text(uint64_t hash, const char *text) /* FNV-1a */
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    while (*text++);
    return hash;
}

static uint64_t hash_of(const struct otlp_point *point)
{
    uint64_t hash = hash_text(0xcbf29ce484222325u, point->name);
    hash = hash_text(hash, point->attribute);
    hash = hash_text(hash, point->word);
    return hash_text(hash, point->release) + (uint64_t)point->kind;
}

static bool is_it(const struct series *series, const struct otlp_point *point, uint64_t hash)
{
    return series->hash == hash && series->kind == point->kind && str_eq(series->name, point->name) &&
           str_eq(series->attribute, point->attribute) && str_eq(series->word, point->word) &&
           str_eq(series->release, point->release);
}

static void name_series(struct series *series, const struct robot *robot, const struct otlp_point *point)
{
    *series = (struct series){.kind = point->kind, .hash = hash_of(point), .last_ms = INT64_MIN};
    str_copy(series->robot, sizeof series->robot, robot->id);
    str_copy(series->name, sizeof series->name, point->name);
    str_copy(series->unit, sizeof series->unit, point->unit);
    str_copy(series->attribute, sizeof series->attribute, point->attribute);
    str_copy(series->word, sizeof series->word, point->word);
    str_copy(series->release, sizeof series->release, point->release);
}

/* One that nobody has said anything of for long, with nothing left to flush; NULL: none. */
static struct series *find_silent(const struct robot *robot, int64_t now_ms)
{
    struct series *oldest = NULL;
    for (size_t i = 0; i < robot->count; i++) {
        struct series *series = robot->series[i];
        if (series->heard_ms < now_ms - SILENT_MS && !series->hour_count &&
            (!oldest || series->heard_ms < oldest->heard_ms))
            oldest = series;
    }
    return oldest;
}

/* NULL in *out: there is no room for it. */
static int need_series(struct series_set *set, struct robot *robot, const struct otlp_point *point,
                       int64_t now_ms, struct series **out, struct err *err)
{
    uint64_t hash = hash_of(point);
    for (size_t i = 0; i < robot->count; i++)
        if (is_it(robot->series[i], point, hash)) {
            *out = robot->series[i];
            return 0;
        }
    *out = NULL;
    if (robot->count == SERIES_PER_ROBOT || set->count >= SERIES_MAX) {
        *out = find_silent(robot, now_ms);
        if (*out) {
            free((*out)->minutes);
            name_series(*out, robot, point);
        }
        return 0;
    }
    struct series *series = mem_zalloc(1, sizeof *series);
    if (!series)
        return err_no_memory(err);
    name_series(series, robot, point);
    robot->series[robot->count++] = *out = series;
    set->count++;
    return 0;
}

static int need_overflow(struct robot *robot, bool *out_new, struct series **out, struct err *err)
{
    static const struct otlp_point what = {.name = SERIES_OVERFLOW_NAME,
                                           .unit = "{point}",
                                           .kind = OTLP_DELTA_SUM,
                                           .attribute = "otel.metric.overflow",
                                           .word = "true"};
    if (!robot->overflow) {
        robot->overflow = mem_zalloc(1, sizeof *robot->overflow);
        if (!robot->overflow)
            return err_no_memory(err);
        name_series(robot->overflow, robot, &what);
        *out_new = true;
    }
    *out = robot->overflow;
    return 0;
}

/* ---- windows ---- */

static int need_minute(struct series *series, uint32_t minute, struct series_minute **out, struct err *err)
{
    size_t at = series->minute_count;
    *out = NULL;
    while (at > 0 && series->minutes[at - 1].minute > minute)
        at--;
    if (at > 0 && series->minutes[at - 1].minute == minute) {
        *out = &series->minutes[at - 1];
        return 0;
    }
    if (series->minute_count && minute + SERIES_MINUTES <= series->minutes[series->minute_count - 1].minute)
        return 0; /* before the ring */
    if (series->minute_count == SERIES_MINUTES) {
        if (at == 0)
            return 0;
        memmove(series->minutes, series->minutes + 1, --at * sizeof *series->minutes);
        series->minutes[at] = (struct series_minute){.minute = minute};
        *out = &series->minutes[at];
        return 0;
    }
    if (series->minute_count == series->minute_space) {
        size_t space = MIN(MAX(2 * series->minute_space, (size_t)8), (size_t)SERIES_MINUTES);
        struct series_minute *grown = mem_grow(series->minutes, space, sizeof *grown);
        if (!grown)
            return err_no_memory(err);
        series->minutes = grown;
        series->minute_space = space;
    }
    memmove(series->minutes + at + 1, series->minutes + at,
            (series->minute_count - at) * sizeof *series->minutes);
    series->minutes[at] = (struct series_minute){.minute = minute};
    series->minute_count++;
    *out = &series->minutes[at];
    return 0;
}

/* The ring may hold what is older than two hours if nothing newer pushed it out. */
static void drop_old_minutes(struct series *series)
{
    size_t old = 0;
    uint32_t newest = series->minute_count ? series->minutes[series->minute_count - 1].minute : 0;
    while (old < series->minute_count && series->minutes[old].minute + SERIES_MINUTES <= newest)
        old++;
    if (!old)
        return;
    series->minute_count -= old;
    memmove(series->minutes, series->minutes + old, series->minute_count * sizeof *series->minutes);
}

static bool add_to_hour(struct series *series, uint32_t hour, double value)
{
    struct series_hour *slot = NULL;
    for (size_t i = 0; i < series->hour_count && !slot; i++)
        if (series->hours[i].hour == hour)
            slot = &series->hours[i];
    if (!slot) {
        if (series->hour_count == SERIES_OPEN_HOURS)
            return false;
        slot = &series->hours[series->hour_count++];
        *slot = (struct series_hour){.hour = hour, .least = value, .most = value};
    }
    slot->sum += value;
    slot->weight += 1;
    slot->least = fmin(slot->least, value);
    slot->most = fmax(slot->most, value);
    return true;
}

static int add_value(struct series_set *set, struct series *series, int64_t time_ms, double value,
                     int64_t now_ms, struct err *err)
{
    struct series_minute *minute;
    if (need_minute(series, (uint32_t)(time_ms / MINUTE_MS), &minute, err) < 0)
        return -1;
    if (minute) {
        minute->sum += (float)value;
        minute->weight += 1;
        drop_old_minutes(series);
    }
    if (!add_to_hour(series, (uint32_t)(time_ms / HOUR_MS), value))
        set->counters.too_old++; /* more hours at once than fit; the next flush makes room */
    if (time_ms >= series->last_ms) {
        series->last_ms = time_ms;
        series->last = value;
    }
    series->total += value;
    series->heard_ms = now_ms;
    return 0;
}

static int apply_point(struct series_set *set, struct robot *robot, const struct otlp_point *point,
                       int64_t now_ms, bool *out_new_overflow, struct err *err)
{
    struct series *series;
    int64_t time_ms = point->end_ms;
    double value = point->value;
    set->counters.points++;
    if (time_ms > now_ms + SERIES_AHEAD_MS) {
        time_ms = now_ms;
        set->counters.moved++;
    }
    if (time_ms < now_ms - (int64_t)SERIES_KEEP_HOURS * HOUR_MS) {
        set->counters.too_old++;
        return 0;
    }
    if (need_series(set, robot, point, now_ms, &series, err) < 0)
        return -1;
    if (!series) {
        set->counters.overflowed++;
        value = 1;
        if (need_overflow(robot, out_new_overflow, &series, err) < 0)
            return -1;
    }
    return add_value(set, series, time_ms, value, now_ms, err);
}

int series_apply(struct series_set *set, const char *robot, const struct otlp_points *points, int64_t now_ms,
                 bool *out_new_overflow, struct err *err)
{
    struct robot *who;
    *out_new_overflow = false;
    if (need_robot(set, robot, &who, err) < 0)
        return -1;
    if (is_replay(who, points->stream, points->seq))
        return 0;
    for (size_t i = 0; i < points->count; i++)
        if (apply_point(set, who, &points->points[i], now_ms, out_new_overflow, err) < 0)
            return -1;
    return 0;
}

/* ---- looking ---- */

static int visit_robot(struct robot *robot, const char *name, int (*visit)(struct series *series, void *arg),
                       void *arg)
{
    for (size_t i = 0; i < robot->count; i++)
        if ((!name || str_eq(name, robot->series[i]->name)) && visit(robot->series[i], arg) != 0)
            return 1;
    if (robot->overflow && (!name || str_eq(name, SERIES_OVERFLOW_NAME)))
        return visit(robot->overflow, arg);
    return 0;
}

void series_each(struct series_set *set, const char *robot, const char *name,
                 int (*visit)(struct series *series, void *arg), void *arg)
{
    struct robot *one = robot ? find_robot(set, robot) : NULL;
    if (one)
        visit_robot(one, name, visit, arg);
    for (size_t i = 0; !robot && i < set->robot_count; i++)
        if (visit_robot(set->robots[i], name, visit, arg) != 0)
            return;
}

double series_minute_value(const struct series *series, const struct series_minute *minute)
{
    return series->kind == OTLP_GAUGE && minute->weight > 0 ? (double)minute->sum / (double)minute->weight
                                                            : (double)minute->sum;
}

double series_hour_value(enum otlp_point_kind kind, const struct series_hour *hour)
{
    return kind == OTLP_GAUGE && hour->weight > 0 ? hour->sum / hour->weight : hour->sum;
}

/* ---- flushing ---- */

struct flush {
    size_t left, written;
    int (*write)(struct series *series, const struct series_hour *hour, void *arg, struct err *err);
    void *arg;
    struct err *err;
    int rc;
};

static int flush_one(struct series *series, void *arg)
{
    struct flush *flush = arg;
    while (series->hour_count && flush->left) {
        if (flush->write(series, &series->hours[series->hour_count - 1], flush->arg, flush->err) < 0) {
            flush->rc = -1;
            return 1;
        }
        series->hour_count--;
        flush->left--;
        flush->written++;
    }
    return flush->left == 0;
}

int series_flush(struct series_set *set, size_t limit,
                 int (*write)(struct series *series, const struct series_hour *hour, void *arg,
                              struct err *err),
                 void *arg, size_t *out_count, struct err *err)
{
    struct flush flush = {.left = limit, .write = write, .arg = arg, .err = err};
    for (size_t i = 0; i < set->robot_count && flush.left && flush.rc == 0; i++) {
        size_t at = set->flush_robot++ % set->robot_count; /* everybody's turn comes */
        if (visit_robot(set->robots[at], NULL, flush_one, &flush) != 0 && flush.left == 0)
            set->flush_robot = at; /* not done with this one */
    }
    *out_count = flush.written;
    return flush.rc;
}
