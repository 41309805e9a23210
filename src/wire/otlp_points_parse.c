#include "base/str.h"
#include "wire/otlp_metrics.h"
#include "wire/otlp_points.h"
#include "wire/protobuf.h"

#include <endian.h>
#include <math.h>
#include <string.h>

struct reading {
    struct otlp_points *out;
    uint64_t skipped;
    bool broken; /* no protobuf */
};

static struct pb_reader inside(const struct pb_field *field)
{
    return pb_over(field->data, field->len);
}

static bool is(const struct pb_field *field, uint32_t number, enum pb_type type)
{
    return field->number == number && field->type == type;
}

static uint64_t fixed64(const struct pb_field *field)
{
    uint64_t le;
    memcpy(&le, field->data, sizeof le);
    return le64toh(le);
}

/* False if it does not fit, or holds a zero. */
static bool take_text(const struct pb_field *field, char *out, size_t size)
{
    if (field->len >= size || memchr(field->data, 0, field->len))
        return false;
    if (field->len)
        memcpy(out, field->data, field->len);
    out[field->len] = '\0';
    return true;
}

/* A KeyValue whose value is text or an integer. */
struct pair {
    char key[32], text[72];
    int64_t number;
    bool is_text, is_number, fits;
};

static void read_pair(struct reading *r, const struct pb_field *in, struct pair *out)
{
    *out = (struct pair){.fits = true};
    struct pb_reader reader = inside(in);
    struct pb_field field, value;
    while (pb_next(&reader, &field)) {
        if (is(&field, 1, PB_BYTES))
            out->fits = take_text(&field, out->key, sizeof out->key) && out->fits;
        if (!is(&field, 2, PB_BYTES))
            continue;
        struct pb_reader values = inside(&field);
        while (pb_next(&values, &value)) {
            out->is_text = is(&value, 1, PB_BYTES);
            out->is_number = is(&value, 3, PB_VARINT);
            if (out->is_text)
                out->fits = take_text(&value, out->text, sizeof out->text) && out->fits;
            if (out->is_number)
                out->number = (int64_t)value.value;
        }
        r->broken |= values.broken;
    }
    r->broken |= reader.broken;
}

/* False: the point has an attribute that cannot be kept. */
static bool take_attribute(const struct pair *pair, struct otlp_point *out)
{
    if (str_eq(pair->key, "muster.version"))
        return true;
    if (!pair->fits || !pair->is_text)
        return false;
    if (str_eq(pair->key, "muster.release"))
        return str_copy(out->release, sizeof out->release, pair->text);
    if (out->attribute[0])
        return false;
    return str_copy(out->attribute, sizeof out->attribute, pair->key) &&
           str_copy(out->word, sizeof out->word, pair->text);
}

static bool take_point_field(struct reading *r, const struct pb_field *field, struct otlp_point *out)
{
    struct pair pair;
    uint64_t bits;
    if (is(field, 2, PB_FIXED64))
        out->start_ms = (int64_t)(fixed64(field) / 1000000);
    if (is(field, 3, PB_FIXED64))
        out->end_ms = (int64_t)(fixed64(field) / 1000000);
    if (is(field, 4, PB_FIXED64)) {
        bits = fixed64(field);
        memcpy(&out->value, &bits, sizeof bits);
    }
    if (is(field, 6, PB_FIXED64))
        out->value = (double)(int64_t)fixed64(field);
    if (!is(field, 7, PB_BYTES))
        return true;
    read_pair(r, field, &pair);
    return take_attribute(&pair, out);
}

/* A gauge says when, not since when: without a start it is of that moment. */
static void read_point(struct reading *r, const struct pb_field *in, const struct otlp_point *metric)
{
    struct otlp_point point = *metric;
    struct pb_reader reader = inside(in);
    struct pb_field field;
    bool usable = true;
    point.value = NAN;
    point.start_ms = -1;
    while (pb_next(&reader, &field))
        usable = take_point_field(r, &field, &point) && usable;
    r->broken |= reader.broken;
    if (point.start_ms <= 0 && point.kind == OTLP_GAUGE)
        point.start_ms = point.end_ms;
    if (!usable || !otlp_check_point(&point) || r->out->count == OTLP_MAX_POINTS)
        r->skipped++;
    else
        r->out->points[r->out->count++] = point;
}

/* Gauge and Sum alike: 1 points; a Sum also 2 temporality. */
static void read_data(struct reading *r, const struct pb_field *data, const struct otlp_point *metric,
                      bool usable)
{
    struct pb_field field;
    uint64_t temporality = 0;
    struct pb_reader first = inside(data);
    while (pb_next(&first, &field))
        if (is(&field, 2, PB_VARINT))
            temporality = field.value;
    r->broken |= first.broken;
    usable = usable && (metric->kind == OTLP_GAUGE || temporality == OTLP_DELTA);
    struct pb_reader second = inside(data);
    while (pb_next(&second, &field)) {
        if (!is(&field, 1, PB_BYTES))
            continue;
        if (usable)
            read_point(r, &field, metric);
        else
            r->skipped++;
    }
}

static bool is_window_metric(const char *name)
{
    for (size_t i = 0; i < OTLP_METRICS; i++)
        if (str_eq(otlp_metrics[i].name, name))
            return true;
    return false;
}

static void read_metric(struct reading *r, const struct pb_field *in)
{
    struct otlp_point metric = {0};
    struct pb_field field, data = {0};
    bool fits = true;
    struct pb_reader reader = inside(in);
    while (pb_next(&reader, &field)) {
        if (is(&field, 1, PB_BYTES))
            fits = take_text(&field, metric.name, sizeof metric.name) && fits;
        if (is(&field, 3, PB_BYTES))
            fits = take_text(&field, metric.unit, sizeof metric.unit) && fits;
        if (field.type == PB_BYTES && (field.number == 5 || (field.number >= 7 && field.number <= 11)))
            data = field; /* a oneof: the last one counts */
    }
    r->broken |= reader.broken;
    if (fits && is_window_metric(metric.name))
        return;
    if (data.number != 5 && data.number != 7) {
        r->skipped++;
        return;
    }
    metric.kind = data.number == 5 ? OTLP_GAUGE : OTLP_DELTA_SUM;
    read_data(r, &data, &metric, fits);
}

static void read_scope(struct reading *r, const struct pb_field *in)
{
    struct pb_reader reader = inside(in);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (is(&field, 2, PB_BYTES))
            read_metric(r, &field);
    r->broken |= reader.broken;
}

struct source {
    char robot[64], stream[33];
    uint64_t seq;
    bool ours, fits;
};

static void read_source(struct reading *r, const struct pb_field *in, struct source *out)
{
    struct pb_reader reader = inside(in);
    struct pb_field field;
    struct pair pair;
    while (pb_next(&reader, &field)) {
        if (!is(&field, 1, PB_BYTES))
            continue;
        read_pair(r, &field, &pair);
        if (str_eq(pair.key, "muster.robot"))
            out->fits =
                pair.is_text && pair.fits && str_copy(out->robot, sizeof out->robot, pair.text) && out->fits;
        if (str_eq(pair.key, "muster.stream")) {
            out->ours = true;
            out->fits = pair.is_text && pair.fits && str_copy(out->stream, sizeof out->stream, pair.text) &&
                        out->fits;
        }
        if (str_eq(pair.key, "muster.seq"))
            out->seq = pair.is_number && pair.number > 0 ? (uint64_t)pair.number : 0;
    }
    r->broken |= reader.broken;
}

static int take_source(struct otlp_points *out, const struct source *source, struct err *err)
{
    if (!source->fits)
        return err_set(err, ERR_INVALID, "OTLP: muster.robot or muster.stream is too long or no text");
    if (out->seq && (out->seq != source->seq || !str_eq(out->stream, source->stream) ||
                     !str_eq(out->robot, source->robot)))
        return err_set(err, ERR_INVALID, "OTLP: more than one muster.stream in one export");
    str_copy(out->robot, sizeof out->robot, source->robot);
    str_copy(out->stream, sizeof out->stream, source->stream);
    out->seq = source->seq;
    return otlp_check_source(out->robot, sizeof out->robot, out->stream, out->seq, err);
}

static int read_resource(struct reading *r, const struct pb_field *in, struct err *err)
{
    struct source source = {.fits = true};
    struct pb_field field;
    struct pb_reader first = inside(in);
    while (pb_next(&first, &field))
        if (is(&field, 1, PB_BYTES))
            read_source(r, &field, &source);
    r->broken |= first.broken;
    if (!source.ours || r->broken)
        return 0;
    if (take_source(r->out, &source, err) < 0)
        return -1;
    struct pb_reader second = inside(in);
    while (pb_next(&second, &field))
        if (is(&field, 2, PB_BYTES))
            read_scope(r, &field);
    return 0;
}

int otlp_points_parse(const uint8_t *data, size_t len, struct otlp_points *out, uint64_t *out_skipped,
                      struct err *err)
{
    memset(out, 0, sizeof *out);
    *out_skipped = 0;
    if (len > OTLP_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "OTLP: %zu bytes, the limit is %d", len, OTLP_MAX_BYTES);
    struct reading reading = {.out = out};
    struct pb_reader reader = pb_over(data, len);
    struct pb_field field;
    while (pb_next(&reader, &field))
        if (is(&field, 1, PB_BYTES) && read_resource(&reading, &field, err) < 0)
            return -1;
    if (reader.broken || reading.broken)
        return err_set(err, ERR_INVALID, "OTLP: no ExportMetricsServiceRequest");
    *out_skipped = reading.skipped;
    return 0;
}
