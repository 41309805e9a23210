#include "wire/otlp_points.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/otlp_metrics.h"
#include "wire/protobuf_write.h"

#include <math.h>
#include <string.h>

/* ---- what both sides hold to ---- */

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";

/* An instrument's name as OpenTelemetry has it: a letter first. */
static bool is_metric_name(const char *name)
{
    return ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z')) &&
           name[strspn(name, name_characters)] == '\0';
}

/* A line of UTF-8 without control characters; what is no UTF-8 would make the whole message invalid for others. */
static bool is_line(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        int more = *at < 0x80                  ? 0
                   : *at >= 0xc2 && *at < 0xe0 ? 1
                   : *at >= 0xe0 && *at < 0xf0 ? 2
                   : *at >= 0xf0 && *at < 0xf5 ? 3
                                               : -1;
        if (more < 0 || *at < ' ' || *at == 0x7f)
            return false;
        if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
            (*at == 0xf4 && at[1] > 0x8f))
            return false;
        for (at++; more > 0; more--, at++)
            if ((*at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

bool otlp_check_point(const struct otlp_point *point)
{
    return is_metric_name(point->name) && is_line(point->unit) && is_line(point->word) &&
           is_line(point->release) && (!point->attribute[0] || is_metric_name(point->attribute)) &&
           (point->attribute[0] || !point->word[0]) && point->start_ms >= 0 &&
           point->end_ms >= point->start_ms && point->end_ms <= INT64_MAX / 1000000 && isfinite(point->value);
}

/* ---- writing ---- */

static void put_attribute(struct pb_writer *w, uint32_t field, const char *key, const char *text)
{
    size_t at = pb_open(w, field);
    pb_put_text(w, 1, key);
    size_t value = pb_open(w, 2);
    pb_put_text(w, 1, text);
    pb_close(w, value);
    pb_close(w, at);
}

static void put_resource(struct pb_writer *w, const struct otlp_points *in)
{
    size_t resource = pb_open(w, 1);
    put_attribute(w, 1, "service.name", "muster-agent");
    put_attribute(w, 1, "muster.robot", in->robot);
    put_attribute(w, 1, "muster.stream", in->stream);
    size_t at = pb_open(w, 1);
    pb_put_text(w, 1, "muster.seq");
    size_t value = pb_open(w, 2);
    pb_put_varint(w, 3, in->seq);
    pb_close(w, value);
    pb_close(w, at);
    pb_close(w, resource);
}

static void put_point(struct pb_writer *w, const struct otlp_point *point)
{
    size_t at = pb_open(w, 1);
    pb_put_fixed64(w, 2, (uint64_t)point->start_ms * 1000000);
    pb_put_fixed64(w, 3, (uint64_t)point->end_ms * 1000000);
    pb_put_double(w, 4, point->value);
    if (point->release[0])
        put_attribute(w, 7, "muster.release", point->release);
    if (point->attribute[0])
        put_attribute(w, 7, point->attribute, point->word);
    pb_close(w, at);
}

static bool same_metric(const struct otlp_point *a, const struct otlp_point *b)
{
    return a->kind == b->kind && str_eq(a->name, b->name) && str_eq(a->unit, b->unit);
}

/* One metric: all points from `first` on that belong to it. Returns how many. */
static size_t put_metric(struct pb_writer *w, const struct otlp_points *in, size_t first)
{
    const struct otlp_point *head = &in->points[first];
    size_t count = 0, metric = pb_open(w, 2);
    pb_put_text(w, 1, head->name);
    pb_put_text(w, 3, head->unit);
    size_t data = pb_open(w, head->kind == OTLP_GAUGE ? 5 : 7);
    for (; first + count < in->count && same_metric(head, &in->points[first + count]); count++)
        put_point(w, &in->points[first + count]);
    if (head->kind == OTLP_DELTA_SUM) {
        pb_put_varint(w, 2, OTLP_DELTA);
        pb_put_varint(w, 3, 0); /* not monotonic: nobody promises that it only grows */
    }
    pb_close(w, data);
    pb_close(w, metric);
    return count;
}

static int check(const struct otlp_points *in, struct err *err)
{
    if (in->count > OTLP_MAX_POINTS)
        return err_set(err, ERR_INVALID, "OTLP: %zu points, the limit is %d", in->count, OTLP_MAX_POINTS);
    for (size_t i = 0; i < in->count; i++)
        if (!otlp_check_point(&in->points[i]))
            return err_set(err, ERR_INVALID,
                           "OTLP: point %zu (%s): its name, words, times or value are not usable", i,
                           in->points[i].name);
    return otlp_check_source(in->robot, sizeof in->robot, in->stream, in->seq, err);
}

int otlp_points_format(const struct otlp_points *in, struct buf *out, struct err *err)
{
    if (check(in, err) < 0)
        return -1;
    struct pb_writer w = pb_into(out);
    size_t all = pb_open(&w, 1);
    put_resource(&w, in);
    size_t scope = pb_open(&w, 2), name = pb_open(&w, 1);
    pb_put_text(&w, 1, "muster");
    pb_close(&w, name);
    for (size_t i = 0; i < in->count;)
        i += put_metric(&w, in, i);
    pb_close(&w, scope);
    pb_close(&w, all);
    return pb_done(&w, err);
}

int otlp_points_answer(uint64_t skipped, struct buf *out, struct err *err)
{
    if (!skipped)
        return 0;
    struct pb_writer w = pb_into(out);
    size_t partial = pb_open(&w, 1);
    pb_put_varint(&w, 1, MIN(skipped, (uint64_t)INT64_MAX));
    pb_put_text(
        &w, 2,
        "only gauges and delta sums of finite numbers with one attribute are taken, 256 in one export");
    pb_close(&w, partial);
    return pb_done(&w, err);
}
