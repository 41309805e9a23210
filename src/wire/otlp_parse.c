#include "base/mem.h"
#include "base/str.h"
#include "otlp.pb-c.h"
#include "wire/otlp_metrics.h"

#include <math.h>

/* ---- memory: a few bytes on the wire can ask for a hundred times as many in structs ---- */

enum { DECODE_BYTES = 16 << 20 };

static void *limited_alloc(void *data, size_t size)
{
    size_t *left = data;
    if (size > *left)
        return NULL;
    *left -= size;
    return malloc(size ? size : 1);
}

static void limited_free(void *data, void *pointer)
{
    free(pointer);
}

/* ---- attributes ---- */

static const Otlp__AnyValue *find(Otlp__KeyValue *const *list, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (list[i]->key && list[i]->value && str_eq(list[i]->key, key))
            return list[i]->value;
    return NULL;
}

static const char *find_text(Otlp__KeyValue *const *list, size_t count, const char *key)
{
    const Otlp__AnyValue *value = find(list, count, key);
    return value ? value->string_value : NULL;
}

static int invalid(struct err *err, const char *metric, const char *cause)
{
    return err_set(err, ERR_INVALID, "OTLP: %s: %s", metric, cause);
}

/* ---- windows ---- */

/* The time and attributes that every kind of point has. */
struct point {
    Otlp__KeyValue *const *attributes;
    size_t attribute_count;
    uint64_t start_ns, end_ns;
};

static bool same_window(const struct otlp_window *a, const struct otlp_window *b)
{
    return str_eq(a->release, b->release) && str_eq(a->version, b->version) && a->start_ms == b->start_ms &&
           a->end_ms == b->end_ms;
}

static struct otlp_window *find_window(struct otlp_export *out, const struct otlp_window *key,
                                       struct err *err)
{
    for (size_t i = 0; i < out->window_count; i++)
        if (same_window(&out->windows[i], key))
            return &out->windows[i];
    if (out->window_count == OTLP_MAX_WINDOWS) {
        err_set(err, ERR_TOO_BIG, "OTLP: more than %d windows in one export", OTLP_MAX_WINDOWS);
        return NULL;
    }
    struct otlp_window *window = &out->windows[out->window_count++];
    *window = *key;
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    return window;
}

/* The window that a point belongs to, in *out; NULL for a point of nobody. */
static int window_of(struct otlp_export *export, const struct point *point, struct otlp_window **out,
                     struct err *err)
{
    const char *release = find_text(point->attributes, point->attribute_count, "muster.release");
    const char *version = find_text(point->attributes, point->attribute_count, "muster.version");
    *out = NULL;
    if (!release || !version)
        return 0;
    struct otlp_window key = {.start_ms = (int64_t)(point->start_ns / 1000000),
                              .end_ms = (int64_t)(point->end_ns / 1000000)};
    if (!str_copy(key.release, sizeof key.release, release) ||
        !str_copy(key.version, sizeof key.version, version))
        return err_set(err, ERR_INVALID, "OTLP: muster.release or muster.version is too long");
    if (otlp_check_window(&key, err) < 0)
        return -1;
    *out = find_window(export, &key, err);
    return *out ? 0 : -1;
}

/* ---- sums ---- */

/* Which of the metric's numbers a point adds to: by its attribute; an unknown reason is the last one
 * ("other"). */
static size_t value_of(const struct otlp_metric *metric, const struct point *point)
{
    const char *word =
        metric->attribute ? find_text(point->attributes, point->attribute_count, metric->attribute) : NULL;
    for (size_t i = 0; word && i < metric->value_count; i++)
        if (str_eq(metric->values[i], word))
            return i;
    return metric->values == otlp_reason_names || !metric->attribute ? metric->value_count - 1
                                                                     : metric->value_count;
}

static int add_count(const struct otlp_metric *metric, const Otlp__NumberDataPoint *in,
                     const struct point *point, struct otlp_window *window, struct err *err)
{
    size_t value = value_of(metric, point);
    if (value == metric->value_count)
        return 0;
    uint64_t *sum = &otlp_counts(metric, window)[value];
    if (!in->has_as_int || in->as_int < 0)
        return invalid(err, metric->name, "must be an integer of 0 or more");
    if (*sum > (uint64_t)INT64_MAX - (uint64_t)in->as_int)
        return invalid(err, metric->name, "is too big");
    *sum += (uint64_t)in->as_int;
    return 0;
}

static int add_real(const struct otlp_metric *metric, const Otlp__NumberDataPoint *in,
                    struct otlp_window *window, struct err *err)
{
    double *sum = otlp_real(metric, window);
    if (!in->has_as_double || !isfinite(*sum + in->as_double) || in->as_double < 0)
        return invalid(err, metric->name, "must be a number of 0 or more");
    *sum += in->as_double;
    return 0;
}

static int read_number(const struct otlp_metric *metric, const Otlp__NumberDataPoint *in,
                       struct otlp_export *out, struct err *err)
{
    struct point point = {in->attributes, in->n_attributes, in->start_time_unix_nano, in->time_unix_nano};
    struct otlp_window *window;
    if (window_of(out, &point, &window, err) < 0)
        return -1;
    if (!window)
        return 0;
    if (metric->kind == OTLP_REAL)
        return add_real(metric, in, window, err);
    return add_count(metric, in, &point, window, err);
}

static int read_sum(const struct otlp_metric *metric, const Otlp__Sum *sum, struct otlp_export *out,
                    struct err *err)
{
    if (sum->aggregation_temporality != OTLP_DELTA || !sum->is_monotonic)
        return invalid(err, metric->name, "must be a monotonic delta sum");
    for (size_t i = 0; i < sum->n_data_points; i++)
        if (read_number(metric, sum->data_points[i], out, err) < 0)
            return -1;
    return 0;
}

/* ---- histograms ---- */

static bool has_counts(const Otlp__Buckets *buckets)
{
    for (size_t i = 0; buckets && i < buckets->n_bucket_counts; i++)
        if (buckets->bucket_counts[i])
            return true;
    return false;
}

/* A sender may leave out sum, min and max: the buckets bound them. */
static void fill_bounds(const Otlp__HistogramDataPoint *in, struct exphist *out)
{
    double low = out->used ? exp2(ldexp(out->offset, -out->scale)) : 0;
    double high = out->used ? exp2(ldexp((double)out->offset + out->used, -out->scale)) : 0;
    out->min = in->has_min ? in->min : (out->zero_count ? 0 : low);
    out->max = in->has_max ? in->max : fmin(high, 1e300);
    out->sum = in->has_sum ? in->sum : 0;
}

static int read_buckets(const struct otlp_metric *metric, const Otlp__HistogramDataPoint *in,
                        struct exphist *out, struct err *err)
{
    const Otlp__Buckets *buckets = in->positive;
    if (has_counts(in->negative))
        return invalid(err, metric->name, "holds negative values");
    if (buckets && buckets->n_bucket_counts > EXPHIST_BUCKETS)
        return err_set(err, ERR_TOO_BIG, "OTLP: %s: %zu buckets, the limit is %d", metric->name,
                       buckets->n_bucket_counts, EXPHIST_BUCKETS);
    *out = (struct exphist){.scale = in->scale, .count = in->count, .zero_count = in->zero_count};
    if (out->scale < EXPHIST_MIN_SCALE || out->scale > EXPHIST_MAX_SCALE)
        return invalid(err, metric->name, "the scale must be from -10 to 20");
    if (buckets && buckets->n_bucket_counts) {
        out->offset = buckets->offset;
        out->used = (uint32_t)buckets->n_bucket_counts;
        memcpy(out->counts, buckets->bucket_counts, out->used * sizeof out->counts[0]);
    }
    return 0;
}

static int read_histogram_point(const struct otlp_metric *metric, const Otlp__HistogramDataPoint *in,
                                struct otlp_export *out, struct err *err)
{
    struct point point = {in->attributes, in->n_attributes, in->start_time_unix_nano, in->time_unix_nano};
    struct otlp_window *window;
    struct exphist hist;
    if (window_of(out, &point, &window, err) < 0)
        return -1;
    if (!window || in->count == 0)
        return 0;
    if (otlp_histogram(metric, window)->count)
        return invalid(err, metric->name, "appears twice for one window");
    if (read_buckets(metric, in, &hist, err) < 0)
        return -1;
    fill_bounds(in, &hist);
    *otlp_histogram(metric, window) = hist;
    return otlp_check_window(window, err);
}

static int read_histogram(const struct otlp_metric *metric, const Otlp__Histogram *histogram,
                          struct otlp_export *out, struct err *err)
{
    if (histogram->aggregation_temporality != OTLP_DELTA)
        return invalid(err, metric->name, "must be a delta histogram");
    for (size_t i = 0; i < histogram->n_data_points; i++)
        if (read_histogram_point(metric, histogram->data_points[i], out, err) < 0)
            return -1;
    return 0;
}

/* ---- the message ---- */

static const struct otlp_metric *metric_by_name(const char *name)
{
    for (size_t i = 0; name && i < OTLP_METRICS; i++)
        if (str_eq(otlp_metrics[i].name, name))
            return &otlp_metrics[i];
    return NULL;
}

static int read_metric(const Otlp__Metric *in, struct otlp_export *out, struct err *err)
{
    const struct otlp_metric *metric = metric_by_name(in->name);
    if (!metric)
        return 0;
    if (metric->kind == OTLP_HISTOGRAM && in->exponential_histogram && !in->sum)
        return read_histogram(metric, in->exponential_histogram, out, err);
    if (metric->kind != OTLP_HISTOGRAM && in->sum && !in->exponential_histogram)
        return read_sum(metric, in->sum, out, err);
    return invalid(err, metric->name, "is of another kind than it should be");
}

/* Windows and points may come as two parts of one export; two exports in one message may not. */
static bool is_another(const struct otlp_export *out, const char *robot, const char *stream,
                       const Otlp__AnyValue *seq)
{
    return out->seq && !(str_eq(robot, out->robot) && str_eq(stream, out->stream) && seq &&
                         seq->has_int_value && (uint64_t)seq->int_value == out->seq);
}

static int read_source(const Otlp__Resource *resource, struct otlp_export *out, struct err *err)
{
    Otlp__KeyValue *const *list = resource->attributes;
    const char *robot = find_text(list, resource->n_attributes, "muster.robot");
    const char *stream = find_text(list, resource->n_attributes, "muster.stream");
    const Otlp__AnyValue *seq = find(list, resource->n_attributes, "muster.seq");
    if (is_another(out, robot, stream, seq))
        return err_set(err, ERR_INVALID, "OTLP: more than one muster.stream in one export");
    if (!robot || !str_copy(out->robot, sizeof out->robot, robot))
        return err_set(err, ERR_INVALID, "OTLP: muster.robot is missing or too long");
    if (!stream || !str_copy(out->stream, sizeof out->stream, stream))
        return err_set(err, ERR_INVALID, "OTLP: muster.stream is too long");
    if (!seq || !seq->has_int_value || seq->int_value < 1)
        return err_set(err, ERR_INVALID, "OTLP: muster.seq is missing or no integer of 1 or more");
    out->seq = (uint64_t)seq->int_value;
    return otlp_check_source(out->robot, sizeof out->robot, out->stream, out->seq, err);
}

static int read_resource(const Otlp__ResourceMetrics *in, struct otlp_export *out, struct err *err)
{
    const Otlp__Resource *resource = in->resource;
    if (!resource || !find_text(resource->attributes, resource->n_attributes, "muster.stream"))
        return 0;
    if (read_source(resource, out, err) < 0)
        return -1;
    for (size_t s = 0; s < in->n_scope_metrics; s++)
        for (size_t m = 0; m < in->scope_metrics[s]->n_metrics; m++)
            if (read_metric(in->scope_metrics[s]->metrics[m], out, err) < 0)
                return -1;
    return 0;
}

static int read_request(const Otlp__Request *request, struct otlp_export *out, struct err *err)
{
    for (size_t i = 0; i < request->n_resource_metrics; i++)
        if (read_resource(request->resource_metrics[i], out, err) < 0)
            return -1;
    return 0;
}

int otlp_parse(const uint8_t *data, size_t len, struct otlp_export *out, struct err *err)
{
    if (len > OTLP_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "OTLP: %zu bytes, the limit is %d", len, OTLP_MAX_BYTES);
    memset(out, 0, sizeof *out);
    size_t left = DECODE_BYTES;
    ProtobufCAllocator allocator = {.alloc = limited_alloc, .free = limited_free, .allocator_data = &left};
    Otlp__Request *request = otlp__request__unpack(&allocator, len, len ? data : (const uint8_t *)"");
    if (!request)
        return err_set(err, ERR_INVALID, "OTLP: no ExportMetricsServiceRequest, or one with too many parts");
    int rc = read_request(request, out, err);
    otlp__request__free_unpacked(request, &allocator);
    return rc;
}
