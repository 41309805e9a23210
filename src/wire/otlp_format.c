#include "base/mem.h"
#include "otlp.pb-c.h"
#include "wire/otlp_metrics.h"

#include <assert.h>
#include <math.h>

/* The messages of one export, all in one piece of memory that ends with it. The sizes of an export are fixed
 * by struct otlp_export, so the memory always suffices: at most 4 windows * 19 sums and 2 histograms, each
 * under 1 KiB. */
struct draft {
    uint8_t *memory;
    size_t used;
};

enum { DRAFT_BYTES = 256 << 10 };

static void *take(struct draft *draft, size_t bytes)
{
    void *piece = draft->memory + draft->used;
    draft->used += (bytes + 15) / 16 * 16;
    assert(draft->used <= DRAFT_BYTES);
    return piece;
}

static void *take_message(struct draft *draft, const ProtobufCMessageDescriptor *type)
{
    void *message = take(draft, type->sizeof_message);
    protobuf_c_message_init(type, message);
    return message;
}

static Otlp__KeyValue *attribute(struct draft *draft, const char *key)
{
    Otlp__KeyValue *out = take_message(draft, &otlp__key_value__descriptor);
    out->key = (char *)key; /* protobuf-c does not write to it */
    out->value = take_message(draft, &otlp__any_value__descriptor);
    return out;
}

static Otlp__KeyValue *text_attribute(struct draft *draft, const char *key, const char *value)
{
    Otlp__KeyValue *out = attribute(draft, key);
    out->value->string_value = (char *)value;
    return out;
}

static Otlp__KeyValue *int_attribute(struct draft *draft, const char *key, uint64_t value)
{
    Otlp__KeyValue *out = attribute(draft, key);
    out->value->has_int_value = true;
    out->value->int_value = (int64_t)value;
    return out;
}

static Otlp__KeyValue **point_attributes(struct draft *draft, const struct otlp_window *window,
                                         const char *key, const char *value, size_t *out_count)
{
    Otlp__KeyValue **list = take(draft, 3 * sizeof(Otlp__KeyValue *));
    list[0] = text_attribute(draft, "muster.release", window->release);
    list[1] = text_attribute(draft, "muster.version", window->version);
    *out_count = 2;
    if (key)
        list[(*out_count)++] = text_attribute(draft, key, value);
    return list;
}

/* ---- points ---- */

static uint64_t to_nanoseconds(int64_t ms)
{
    return (uint64_t)ms * 1000000;
}

static Otlp__NumberDataPoint *number_point(struct draft *draft, const struct otlp_metric *metric,
                                           const struct otlp_window *window, size_t value)
{
    Otlp__NumberDataPoint *out = take_message(draft, &otlp__number_data_point__descriptor);
    out->has_start_time_unix_nano = out->has_time_unix_nano = true;
    out->start_time_unix_nano = to_nanoseconds(window->start_ms);
    out->time_unix_nano = to_nanoseconds(window->end_ms);
    out->attributes = point_attributes(draft, window, metric->attribute,
                                       metric->attribute ? metric->values[value] : NULL, &out->n_attributes);
    return out;
}

static void add_number(struct draft *draft, const struct otlp_metric *metric, struct otlp_window *window,
                       size_t value, Otlp__Sum *sum)
{
    bool real = metric->kind == OTLP_REAL;
    double amount = real ? *otlp_real(metric, window) : 0;
    uint64_t count = real ? 0 : otlp_counts(metric, window)[value];
    if (amount == 0 && count == 0 && !metric->always)
        return;
    Otlp__NumberDataPoint *point = number_point(draft, metric, window, value);
    point->has_as_double = real;
    point->as_double = amount;
    point->has_as_int = !real;
    point->as_int = (int64_t)count;
    sum->data_points[sum->n_data_points++] = point;
}

static Otlp__Buckets *buckets_of(struct draft *draft, struct exphist *hist)
{
    Otlp__Buckets *out = take_message(draft, &otlp__buckets__descriptor);
    out->has_offset = true;
    out->offset = hist->offset;
    out->n_bucket_counts = hist->used;
    out->bucket_counts = hist->counts;
    return out;
}

static Otlp__HistogramDataPoint *histogram_point(struct draft *draft, struct otlp_window *window,
                                                 struct exphist *hist)
{
    Otlp__HistogramDataPoint *out = take_message(draft, &otlp__histogram_data_point__descriptor);
    out->attributes = point_attributes(draft, window, NULL, NULL, &out->n_attributes);
    out->has_start_time_unix_nano = out->has_time_unix_nano = out->has_count = out->has_zero_count = true;
    out->start_time_unix_nano = to_nanoseconds(window->start_ms);
    out->time_unix_nano = to_nanoseconds(window->end_ms);
    out->count = hist->count;
    out->zero_count = hist->zero_count;
    out->has_sum = out->has_min = out->has_max = out->has_scale = true;
    out->sum = hist->sum;
    out->min = hist->min;
    out->max = hist->max;
    out->scale = hist->scale;
    out->positive = buckets_of(draft, hist);
    return out;
}

/* ---- metrics ---- */

static Otlp__Sum *sum_of(struct draft *draft, const struct otlp_metric *metric, struct otlp_export *in)
{
    Otlp__Sum *sum = take_message(draft, &otlp__sum__descriptor);
    sum->has_aggregation_temporality = sum->has_is_monotonic = sum->is_monotonic = true;
    sum->aggregation_temporality = OTLP_DELTA;
    sum->data_points = take(draft, in->window_count * metric->value_count * sizeof *sum->data_points);
    for (size_t w = 0; w < in->window_count; w++)
        for (size_t value = 0; value < metric->value_count; value++)
            add_number(draft, metric, &in->windows[w], value, sum);
    return sum->n_data_points ? sum : NULL;
}

static Otlp__Histogram *histogram_of(struct draft *draft, const struct otlp_metric *metric,
                                     struct otlp_export *in)
{
    Otlp__Histogram *out = take_message(draft, &otlp__histogram__descriptor);
    out->has_aggregation_temporality = true;
    out->aggregation_temporality = OTLP_DELTA;
    out->data_points = take(draft, in->window_count * sizeof *out->data_points);
    for (size_t w = 0; w < in->window_count; w++) {
        struct exphist *hist = otlp_histogram(metric, &in->windows[w]);
        if (hist->count)
            out->data_points[out->n_data_points++] = histogram_point(draft, &in->windows[w], hist);
    }
    return out->n_data_points ? out : NULL;
}

static void add_metric(struct draft *draft, const struct otlp_metric *metric, struct otlp_export *in,
                       Otlp__ScopeMetrics *scope)
{
    Otlp__Metric *out = take_message(draft, &otlp__metric__descriptor);
    out->name = (char *)metric->name;
    out->unit = (char *)metric->unit;
    if (metric->kind == OTLP_HISTOGRAM)
        out->exponential_histogram = histogram_of(draft, metric, in);
    else
        out->sum = sum_of(draft, metric, in);
    if (out->sum || out->exponential_histogram)
        scope->metrics[scope->n_metrics++] = out;
}

static Otlp__ScopeMetrics *scope_of(struct draft *draft, struct otlp_export *in)
{
    Otlp__ScopeMetrics *scope = take_message(draft, &otlp__scope_metrics__descriptor);
    scope->scope = take_message(draft, &otlp__scope__descriptor);
    scope->scope->name = (char *)"muster";
    scope->metrics = take(draft, OTLP_METRICS * sizeof *scope->metrics);
    for (size_t i = 0; i < OTLP_METRICS; i++)
        add_metric(draft, &otlp_metrics[i], in, scope);
    return scope;
}

static Otlp__Resource *resource_of(struct draft *draft, const struct otlp_export *in)
{
    Otlp__Resource *out = take_message(draft, &otlp__resource__descriptor);
    out->attributes = take(draft, 4 * sizeof *out->attributes);
    out->attributes[out->n_attributes++] = text_attribute(draft, "service.name", "muster-agent");
    out->attributes[out->n_attributes++] = text_attribute(draft, "muster.robot", in->robot);
    out->attributes[out->n_attributes++] = text_attribute(draft, "muster.stream", in->stream);
    out->attributes[out->n_attributes++] = int_attribute(draft, "muster.seq", in->seq);
    return out;
}

static Otlp__Request *request_of(struct draft *draft, struct otlp_export *in)
{
    Otlp__Request *request = take_message(draft, &otlp__request__descriptor);
    request->resource_metrics = take(draft, sizeof *request->resource_metrics);
    request->n_resource_metrics = 1;
    Otlp__ResourceMetrics *metrics = take_message(draft, &otlp__resource_metrics__descriptor);
    request->resource_metrics[0] = metrics;
    metrics->resource = resource_of(draft, in);
    metrics->scope_metrics = take(draft, sizeof *metrics->scope_metrics);
    metrics->scope_metrics[0] = scope_of(draft, in);
    metrics->n_scope_metrics = 1;
    return request;
}

static int check_counts(const struct otlp_window *window, struct err *err)
{
    for (size_t i = 0; i < OTLP_METRICS; i++) {
        const struct otlp_metric *metric = &otlp_metrics[i];
        const uint64_t *counts = otlp_counts(metric, (struct otlp_window *)window);
        for (size_t value = 0; metric->kind == OTLP_COUNT && value < metric->value_count; value++)
            if (counts[value] > INT64_MAX)
                return err_set(err, ERR_INVALID, "OTLP: %s is too big", metric->name);
    }
    return 0;
}

static int check(const struct otlp_export *in, struct err *err)
{
    if (in->window_count > OTLP_MAX_WINDOWS)
        return err_set(err, ERR_INVALID, "OTLP: %zu windows, the limit is %d", in->window_count,
                       OTLP_MAX_WINDOWS);
    for (size_t i = 0; i < in->window_count; i++)
        if (otlp_check_window(&in->windows[i], err) < 0 || check_counts(&in->windows[i], err) < 0)
            return -1;
    return otlp_check_source(in->robot, sizeof in->robot, in->stream, in->seq, err);
}

int otlp_format(const struct otlp_export *in, struct buf *out, struct err *err)
{
    if (check(in, err) < 0)
        return -1;
    cleanup_free uint8_t *memory = mem_zalloc(DRAFT_BYTES, 1);
    if (!memory)
        return err_no_memory(err);
    struct draft draft = {.memory = memory};
    Otlp__Request *request = request_of(&draft, (struct otlp_export *)in); /* only read */
    size_t size = otlp__request__get_packed_size(request);
    if (size > OTLP_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "OTLP: %zu bytes, the limit is %d", size, OTLP_MAX_BYTES);
    if (buf_reserve(out, size, err) < 0)
        return -1;
    out->len += otlp__request__pack(request, out->data + out->len);
    out->data[out->len] = 0;
    return 0;
}
