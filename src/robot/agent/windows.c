#include "robot/agent/windows.h"

#include "base/str.h"
#include "wire/otlp.h"
#include "wire/otlp_points.h"

/* Numbers with a name. */

static int parse_points(const struct forward_record *record, struct otlp_points *out, struct err *err)
{
    uint64_t skipped = 0;
    if (record->len < WINDOW_WATCH_HEAD)
        return err_set(err, ERR_INVALID, "a window is cut short");
    if (otlp_points_parse(record->data + WINDOW_WATCH_HEAD, record->len - WINDOW_WATCH_HEAD, out, &skipped,
                          err) < 0)
        return -1;
    return skipped ? err_set(err, ERR_INVALID, "a window has points that nobody knows") : 0;
}

static struct otlp_point *find_point(struct otlp_points *in, const struct otlp_point *like)
{
    for (size_t i = 0; i < in->count; i++) {
        struct otlp_point *point = &in->points[i];
        if (point->kind == like->kind && str_eq(point->name, like->name) && str_eq(point->word, like->word) &&
            str_eq(point->attribute, like->attribute) && str_eq(point->release, like->release))
            return point;
    }
    return NULL;
}

static double span_ms(const struct otlp_point *point)
{
    return (double)MAX(point->end_ms - point->start_ms, (int64_t)1);
}

static void join_point(struct otlp_point *into, const struct otlp_point *from)
{
    double a = span_ms(into), b = span_ms(from);
    if (into->kind == OTLP_DELTA_SUM)
        into->value += from->value;
    else
        into->value = into->value * (a / (a + b)) + from->value * (b / (a + b));
    into->start_ms = MIN(into->start_ms, from->start_ms);
    into->end_ms = MAX(into->end_ms, from->end_ms);
}

/* 1, or 0 if it would be too many. */
static int join_points(struct otlp_points *into, const struct otlp_points *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct otlp_point *same = find_point(into, &from->points[i]);
        if (!same && into->count == OTLP_MAX_POINTS)
            return 0;
        if (same)
            join_point(same, &from->points[i]);
        else
            into->points[into->count++] = from->points[i];
    }
    return 1;
}

/* The younger one gives the number in the mailbox. */
static int merge_points(const struct forward_record *a, const struct forward_record *b, struct buf *out,
                        struct err *err)
{
    cleanup_free struct otlp_points *older = mem_zalloc(1, sizeof *older);
    cleanup_free struct otlp_points *younger = mem_zalloc(1, sizeof *younger);
    if (!older || !younger)
        return err_no_memory(err);
    if (parse_points(a, older, err) < 0 || parse_points(b, younger, err) < 0)
        return -1;
    if (join_points(younger, older) == 0)
        return 0;
    if (buf_put(out, b->data, WINDOW_WATCH_HEAD, err) < 0 || otlp_points_format(younger, out, err) < 0)
        return -1;
    return 1;
}

/* Windows of releases. */

static void join_window(struct otlp_window *into, const struct otlp_window *from)
{
    into->start_ms = MIN(into->start_ms, from->start_ms);
    into->end_ms = MAX(into->end_ms, from->end_ms);
    into->frames += from->frames;
    into->results += from->results;
    into->lost += from->lost;
    for (size_t i = 0; i < OTLP_REASONS; i++)
        into->interventions[i] += from->interventions[i];
    into->score_tp += from->score_tp;
    into->score_fp += from->score_fp;
    into->score_fn += from->score_fn;
    into->score_frames += from->score_frames;
    exphist_merge(&into->latency_ms, &from->latency_ms);
    exphist_merge(&into->frame_ms, &from->frame_ms);
    into->confidence_sum += from->confidence_sum;
    into->detections += from->detections;
}

static struct otlp_window *find_window(struct otlp_export *in, const struct otlp_window *like)
{
    for (size_t i = 0; i < in->window_count; i++)
        if (str_eq(in->windows[i].release, like->release) && str_eq(in->windows[i].version, like->version))
            return &in->windows[i];
    return NULL;
}

static int join_windows(struct otlp_export *into, const struct otlp_export *from)
{
    for (size_t i = 0; i < from->window_count; i++) {
        struct otlp_window *same = find_window(into, &from->windows[i]);
        if (!same && into->window_count == ARRAY_LEN(into->windows))
            return 0;
        if (same)
            join_window(same, &from->windows[i]);
        else
            into->windows[into->window_count++] = from->windows[i];
    }
    return 1;
}

static int merge_windows(const struct forward_record *a, const struct forward_record *b, struct buf *out,
                         struct err *err)
{
    cleanup_free struct otlp_export *older = mem_zalloc(1, sizeof *older);
    cleanup_free struct otlp_export *younger = mem_zalloc(1, sizeof *younger);
    if (!older || !younger)
        return err_no_memory(err);
    if (otlp_parse(a->data, a->len, older, err) < 0 || otlp_parse(b->data, b->len, younger, err) < 0)
        return -1;
    if (join_windows(younger, older) == 0)
        return 0;
    return otlp_format(younger, out, err) < 0 ? -1 : 1;
}

int window_merge(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                 struct err *err)
{
    if (a->kind != b->kind)
        return 0;
    return a->kind == WINDOW_TALLY ? merge_windows(a, b, out, err) : merge_points(a, b, out, err);
}

/* Sending. */

static int stamp_points(const struct forward_record *record, const char *robot, const char *stream,
                        struct buf *out, struct err *err)
{
    cleanup_free struct otlp_points *points = mem_zalloc(1, sizeof *points);
    if (!points)
        return err_no_memory(err);
    if (parse_points(record, points, err) < 0)
        return -1;
    str_copy(points->robot, sizeof points->robot, robot);
    str_copy(points->stream, sizeof points->stream, stream);
    points->seq = record->seq;
    return otlp_points_format(points, out, err);
}

static int stamp_windows(const struct forward_record *record, const char *robot, const char *stream,
                         struct buf *out, struct err *err)
{
    cleanup_free struct otlp_export *export = mem_zalloc(1, sizeof *export);
    if (!export)
        return err_no_memory(err);
    if (otlp_parse(record->data, record->len, export, err) < 0)
        return -1;
    str_copy(export->robot, sizeof export->robot, robot);
    str_copy(export->stream, sizeof export->stream, stream);
    export->seq = record->seq;
    return otlp_format(export, out, err);
}

int window_stamp(const struct forward_record *record, const char *robot, const char *stream, struct buf *out,
                 struct err *err)
{
    if (record->kind == WINDOW_TALLY)
        return stamp_windows(record, robot, stream, out, err);
    if (record->kind == WINDOW_WATCH)
        return stamp_points(record, robot, stream, out, err);
    return err_set(err, ERR_INVALID, "a window of kind %d", record->kind);
}
