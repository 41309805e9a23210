#include "wire/signals_json.h"
#include "base/mem.h"
#include "wire/json_tree.h"

#include <math.h>

static const char member_name[] = "signals", box_name[] = "novel_box";
static const double most = 3.4028235e38; /* FLT_MAX in its fewest digits, a little more than FLT_MAX */

json_t *json_from_float(float value)
{
    if (!isfinite(value))
        return json_null();
    char text[32];
    double out = (double)value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        out = strtod(text, NULL);
        if ((float)out == value)
            break;
    }
    return json_real(out);
}

void json_as_float(struct json_at at, float *out)
{
    double value = NAN;
    if (!at.value || !json_is_null(at.value))
        json_as_double(at, -most, most, &value);
    *out = (float)value;
}

static json_t *box_of(const struct frame_signals *signals)
{
    json_t *box = json_array();
    for (size_t i = 0; box && i < ARRAY_LEN(signals->novel_box); i++)
        if (json_append(box, json_from_float(signals->novel_box[i])) < 0)
            return json_decref(box), NULL;
    return box;
}

static bool has_box(const struct frame_signals *signals)
{
    const float *box = signals->novel_box;
    for (int i = 0; i < 4; i++)
        if (!isfinite(box[i]))
            return false;
    return box[2] > box[0] && box[3] > box[1];
}

json_t *json_from_signals(const struct frame_signals *signals)
{
    json_t *out = json_object();
    for (int i = 0; out && i < SIGNALS; i++)
        if (isfinite(signals->values[i]) &&
            json_object_set_new(out, signal_infos[i].name, json_from_float(signals->values[i])) < 0)
            return json_decref(out), NULL;
    if (out && has_box(signals) && json_object_set_new(out, box_name, box_of(signals)) < 0)
        return json_decref(out), NULL;
    return out;
}

void json_get_signals(struct json_at at, struct frame_signals *out)
{
    *out = (struct frame_signals){0};
    for (int i = 0; i < SIGNALS; i++)
        out->values[i] = NAN;
    if (!json_has(at, member_name))
        return;
    struct json_at signals = json_child(at, member_name);
    out->valid = 1;
    for (int i = 0; i < SIGNALS; i++) {
        double value = NAN;
        if (json_has(signals, signal_infos[i].name))
            json_get_double(signals, signal_infos[i].name, -most, most, &value);
        out->values[i] = (float)value;
    }
    size_t count = 0;
    if (!json_has(signals, box_name))
        return;
    struct json_at box = json_list(signals, box_name, 4, &count);
    for (size_t i = 0; i < count; i++)
        json_as_float(json_item(box, i), &out->novel_box[i]);
}
