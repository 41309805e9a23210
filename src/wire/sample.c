#include "wire/sample.h"
#include "base/mem.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/signals_json.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { HEAD_MAX = 32 << 10, PREFIX = 16, MAX_SIDE = 1 << 16, DETECTION_ITEMS = 6 };

static const char magic[8] = {'M', 'S', 'A', 'M', 'P', 'L', 'E', '1'};

static const char *const reason_words[SAMPLE_REASONS] = {
    [SAMPLE_AUDIT] = "audit",       [SAMPLE_UNSURE] = "unsure",
    [SAMPLE_NOVEL] = "novel",       [SAMPLE_INTERVENTION] = "intervention",
    [SAMPLE_OPERATOR] = "operator", [SAMPLE_ALARM] = "alarm",
};

const char *sample_reason_name(enum sample_reason reason)
{
    return (unsigned)reason < SAMPLE_REASONS ? reason_words[reason] : "?";
}

/* ---- reading ---- */

static void read_detection(struct json_at at, struct detection *out)
{
    int64_t label = 0;
    json_as_int(json_item(at, 0), 0, UINT32_MAX, &label);
    *out = (struct detection){.label = (uint32_t)label};
    float *const numbers[] = {&out->score, &out->x0, &out->y0, &out->x1, &out->y1};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        json_as_float(json_item(at, i + 1), numbers[i]);
}

static void read_answer(struct json_at root, struct sample *out)
{
    size_t count = 0;
    out->is_values = json_has(root, "values");
    if (out->is_values) {
        struct json_at list = json_list(root, "values", SAMPLE_MAX_VALUES, &count);
        for (size_t i = 0; i < count; i++)
            json_as_float(json_item(list, i), &out->values[i]);
    } else {
        struct json_at list = json_list(root, "detections", SAMPLE_MAX_DETECTIONS, &count);
        for (size_t i = 0; i < count; i++)
            read_detection(json_item(list, i), &out->detections[i]);
    }
    out->count = (uint32_t)count;
}

static void read_side(struct json_at root, const char *key, uint32_t *out)
{
    int64_t side = 0;
    json_get_int(root, key, 0, MAX_SIDE, &side);
    *out = (uint32_t)side;
}

static void read_times(struct json_at root, struct sample *out)
{
    json_get_int(root, "time_ms", 0, INT64_MAX / 2, &out->time_ms);
    if (json_has(root, "from_ms"))
        json_get_int(root, "from_ms", 0, INT64_MAX / 2, &out->from_ms);
    if (json_has(root, "until_ms"))
        json_get_int(root, "until_ms", 0, INT64_MAX / 2, &out->until_ms);
    if (out->until_ms < out->from_ms)
        json_fail(root, "until_ms: is before from_ms");
}

static void read_head(struct json_at root, struct sample *out)
{
    int reason = 0;
    json_get_digest(root, "release", &out->release);
    json_get_choice(root, "reason", reason_words, SAMPLE_REASONS, &reason);
    out->reason = (enum sample_reason)reason;
    json_get_double(root, "probability", SAMPLE_LEAST_PROBABILITY, 1, &out->probability);
    json_get_u64(root, "seq", INT64_MAX, &out->seq);
    json_get_u64(root, "stream", INT64_MAX, &out->stream);
    read_side(root, "width", &out->width);
    read_side(root, "height", &out->height);
    if (json_has(root, "rate_hz"))
        json_get_double(root, "rate_hz", 0, 1e9, &out->rate_hz);
    read_times(root, out);
    read_answer(root, out);
    json_get_signals(root, &out->signals);
}

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

int sample_parse(const void *data, size_t len, struct sample *out, struct err *err)
{
    const uint8_t *bytes = data;
    struct json_reader reader;
    memset(out, 0, sizeof *out);
    if (len < PREFIX || memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(err, ERR_INVALID, "sample: does not begin with MSAMPLE1");
    size_t head = u32_at(bytes + 8), picture = u32_at(bytes + 12);
    if (head > HEAD_MAX || picture > SAMPLE_MAX_PICTURE)
        return err_set(err, ERR_TOO_BIG,
                       "sample: head of %zu and picture of %zu bytes, the limits are %d and %d", head,
                       picture, HEAD_MAX, SAMPLE_MAX_PICTURE);
    if (len != PREFIX + head + picture)
        return err_set(err, ERR_INVALID, "sample: has %zu bytes, and says %zu", len, PREFIX + head + picture);
    if (json_read(&reader, "sample", bytes + PREFIX, head, err) < 0)
        return -1;
    read_head(json_root(&reader), out);
    out->picture = bytes + PREFIX + head;
    out->picture_bytes = picture;
    return json_finish(&reader, err);
}

/* ---- writing ---- */

static json_t *detection_json(const struct detection *d)
{
    const float numbers[DETECTION_ITEMS - 1] = {d->score, d->x0, d->y0, d->x1, d->y1};
    json_t *out = json_pack("[I]", (json_int_t)d->label);
    for (size_t i = 0; out && i < ARRAY_LEN(numbers); i++)
        if (json_append(out, json_from_float(numbers[i])) < 0)
            return json_decref(out), NULL;
    return out;
}

static json_t *answer_json(const struct sample *sample)
{
    json_t *out = json_array();
    for (size_t i = 0; out && i < sample->count; i++)
        if (json_append(out, sample->is_values ? json_from_float(sample->values[i])
                                               : detection_json(&sample->detections[i])) < 0)
            return json_decref(out), NULL;
    return out;
}

static int put_optional(json_t *root, const struct sample *sample)
{
    int bad = 0;
    if (sample->rate_hz > 0)
        bad |= json_object_set_new(root, "rate_hz", json_real(sample->rate_hz));
    if (sample->until_ms) {
        bad |= json_object_set_new(root, "from_ms", json_integer(sample->from_ms));
        bad |= json_object_set_new(root, "until_ms", json_integer(sample->until_ms));
    }
    if (sample->signals.valid)
        bad |= json_object_set_new(root, "signals", json_from_signals(&sample->signals));
    return bad;
}

static char *head_text(const struct sample *sample)
{
    json_t *root = json_pack("{s:I, s:o, s:I, s:I, s:s, s:f, s:I, s:I, s:o}", "time_ms",
                             (json_int_t)sample->time_ms, "release", json_from_digest(&sample->release),
                             "seq", (json_int_t)MIN(sample->seq, (uint64_t)INT64_MAX), "stream",
                             (json_int_t)MIN(sample->stream, (uint64_t)INT64_MAX), "reason",
                             sample_reason_name(sample->reason), "probability", sample->probability, "width",
                             (json_int_t)sample->width, "height", (json_int_t)sample->height,
                             sample->is_values ? "values" : "detections", answer_json(sample));
    if (root && put_optional(root, sample) != 0) {
        json_decref(root);
        return NULL;
    }
    return json_write_new(root);
}

static int check(const struct sample *sample, struct err *err)
{
    uint32_t most = sample->is_values ? SAMPLE_MAX_VALUES : SAMPLE_MAX_DETECTIONS;
    if ((unsigned)sample->reason >= SAMPLE_REASONS || sample->count > most)
        return err_set(err, ERR_INVALID, "sample: reason %d, %u answers", (int)sample->reason, sample->count);
    if (!(sample->probability >= SAMPLE_LEAST_PROBABILITY && sample->probability <= 1))
        return err_set(err, ERR_INVALID, "sample: a probability of %g", sample->probability);
    if (sample->time_ms < 0 || sample->from_ms < 0 || sample->until_ms < sample->from_ms)
        return err_set(err, ERR_INVALID, "sample: times that cannot be");
    if (sample->picture_bytes > SAMPLE_MAX_PICTURE || sample->width > MAX_SIDE || sample->height > MAX_SIDE)
        return err_set(err, ERR_TOO_BIG, "sample: a picture of %zu bytes, %u x %u", sample->picture_bytes,
                       sample->width, sample->height);
    return 0;
}

static int put_u32(struct buf *out, size_t value, struct err *err)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    return buf_put(out, bytes, sizeof bytes, err);
}

int sample_format(const struct sample *sample, struct buf *out, struct err *err)
{
    if (check(sample, err) < 0)
        return -1;
    cleanup_free char *head = head_text(sample);
    if (!head)
        return err_no_memory(err);
    size_t len = strlen(head);
    if (len > HEAD_MAX)
        return err_set(err, ERR_TOO_BIG, "sample: a head of %zu bytes, the limit is %d", len, HEAD_MAX);
    if (buf_reserve(out, PREFIX + len + sample->picture_bytes, err) < 0 ||
        buf_put(out, magic, sizeof magic, err) < 0 || put_u32(out, len, err) < 0 ||
        put_u32(out, sample->picture_bytes, err) < 0 || buf_put(out, head, len, err) < 0)
        return -1;
    return sample->picture_bytes ? buf_put(out, sample->picture, sample->picture_bytes, err) : 0;
}
