#include "wire/rollout.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_write.h"
#include "wire/release.h"

enum { MAX_ROBOTS = 1000000, MAX_SECONDS = 30 * 24 * 3600 };

static const struct rollout_spec defaults = {
    .gates = {.max_failures = -1,
              .max_over_budget_share = -1,
              .max_intervention_share = -1,
              .min_accuracy = -1,
              .min_recall = -1,
              .min_precision = -1,
              .max_false_alarms_per_hour = -1,
              .max_false_alarm_ratio = -1,
              .max_drift = -1,
              .min_frames = 1,
              .alpha = 0.01},
    .wave_timeout_s = 900,
};

/* ---- reading ---- */

/* "name:version" with a semantic version behind a name, or a digest. */
static bool is_release(const char *text)
{
    struct digest digest;
    char name[80];
    if (digest_parse(text, &digest))
        return true;
    str_copy(name, sizeof name, text);
    char *colon = strchr(name, ':');
    if (!colon)
        return false;
    *colon = 0;
    return str_is_name(name, 63) && version_valid(colon + 1);
}

static void decode_label(const char *key, struct json_at value, void *arg)
{
    struct rollout_spec *out = arg;
    if (out->select_count == API_MAX_LABELS) {
        json_fail(value, "is one label too many, the limit is %d", API_MAX_LABELS);
        return;
    }
    struct api_label *label = &out->select[out->select_count++];
    if (!str_is_name(key, sizeof label->key - 1))
        json_fail(value, "the label's key must be of 1 to %zu letters, digits and . _ -",
                  sizeof label->key - 1);
    else
        str_copy(label->key, sizeof label->key, key);
    json_as_name(value, label->value, sizeof label->value);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct api_label *)a)->key, ((const struct api_label *)b)->key);
}

static void decode_select(struct json_at root, struct rollout_spec *out)
{
    if (!json_has(root, "select"))
        return;
    json_each(json_child(root, "select"), decode_label, out);
    qsort(out->select, out->select_count, sizeof out->select[0], compare_labels);
}

static void decode_wave(struct json_at at, struct rollout_wave *out)
{
    JSON_ONLY(at, "name", "count", "percent", "bake_s");
    json_get_name(at, "name", out->name, sizeof out->name);
    if (json_has(at, "count") == json_has(at, "percent"))
        json_fail(at, "say either count or percent");
    if (json_has(at, "count"))
        json_get_int(at, "count", 1, MAX_ROBOTS, &out->count);
    if (json_has(at, "percent"))
        json_get_double(at, "percent", 0.001, 100, &out->percent);
    json_get_int(at, "bake_s", 0, MAX_SECONDS, &out->bake_s);
}

/* Waves are cumulative: within counts, and within percents, each must reach further than the one before. */
static void check_order(struct json_at at, const struct rollout_wave *waves, size_t index)
{
    const struct rollout_wave *wave = &waves[index];
    for (size_t i = 0; i < index; i++) {
        if (str_eq(waves[i].name, wave->name))
            json_fail(at, "name: \"%s\" appears twice", wave->name);
        if (wave->count && wave->count <= waves[i].count)
            json_fail(at, "count: is cumulative and must be above %lld", (long long)waves[i].count);
        if (wave->percent > 0 && wave->percent <= waves[i].percent)
            json_fail(at, "percent: is cumulative and must be above %g", waves[i].percent);
    }
}

static void decode_waves(struct json_at root, struct rollout_spec *out)
{
    struct json_at list = json_list(root, "waves", ROLLOUT_MAX_WAVES, &out->wave_count);
    if (out->wave_count == 0)
        json_fail(root, "waves: name at least one");
    for (size_t i = 0; i < out->wave_count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        decode_wave(at, &out->waves[i]);
        check_order(at, out->waves, i);
    }
}

static void get_share(struct json_at gates, const char *key, double *out)
{
    if (json_has(gates, key))
        json_get_double(gates, key, 0, 1, out);
    if (*out == 0 || *out == 1)
        json_fail(gates, "%s: must be above 0 and below 1; leave it out if it is not asked", key);
}

static void get_amount(struct json_at gates, const char *key, double most, double *out)
{
    if (json_has(gates, key))
        json_get_double(gates, key, 0, most, out);
    if (*out == 0)
        json_fail(gates, "%s: must be above 0; leave it out if it is not asked", key);
}

static void decode_gates(struct json_at root, struct rollout_gates *out)
{
    if (!json_has(root, "gates"))
        return;
    struct json_at at = json_child(root, "gates");
    JSON_ONLY(at, "max_failures", "max_over_budget_share", "max_intervention_share", "min_accuracy",
              "min_recall", "min_precision", "max_false_alarms_per_hour", "max_false_alarm_ratio",
              "max_drift", "min_frames", "alpha");
    if (json_has(at, "max_drift"))
        json_get_int(at, "max_drift", 0, MAX_ROBOTS, &out->max_drift);
    if (json_has(at, "max_failures"))
        json_get_int(at, "max_failures", 0, MAX_ROBOTS, &out->max_failures);
    get_share(at, "max_over_budget_share", &out->max_over_budget_share);
    get_share(at, "max_intervention_share", &out->max_intervention_share);
    get_share(at, "min_accuracy", &out->min_accuracy);
    get_share(at, "min_recall", &out->min_recall);
    get_share(at, "min_precision", &out->min_precision);
    get_amount(at, "max_false_alarms_per_hour", 1e6, &out->max_false_alarms_per_hour);
    get_amount(at, "max_false_alarm_ratio", 100, &out->max_false_alarm_ratio);
    if (json_has(at, "min_frames"))
        json_get_int(at, "min_frames", 0, INT32_MAX, &out->min_frames);
    get_share(at, "alpha", &out->alpha);
}

static void decode(struct json_at root, struct rollout_spec *out)
{
    static const char *const failures[] = {"rollback", "pause"};
    int on_failure = 0;
    JSON_ONLY(root, "name", "release", "select", "waves", "gates", "on_failure", "wave_timeout_s");
    json_get_name(root, "name", out->name, sizeof out->name);
    json_get_line(root, "release", out->release, sizeof out->release);
    if (!is_release(out->release))
        json_fail(root, "release: must be name:version, for example detector:2.0.0, or sha256:<digest>");
    decode_select(root, out);
    decode_waves(root, out);
    decode_gates(root, &out->gates);
    if (json_has(root, "on_failure"))
        json_get_choice(root, "on_failure", failures, ARRAY_LEN(failures), &on_failure);
    out->pause_on_failure = on_failure == 1;
    if (json_has(root, "wave_timeout_s"))
        json_get_int(root, "wave_timeout_s", 1, MAX_SECONDS, &out->wave_timeout_s);
}

static int finish(struct json_reader *reader, struct rollout_spec *out, struct err *err)
{
    *out = defaults;
    decode(json_root(reader), out);
    return json_finish(reader, err);
}

int rollout_spec_parse(const void *json, size_t len, struct rollout_spec *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "rollout", json, len, err) < 0)
        return -1;
    return finish(&reader, out, err);
}

int rollout_spec_parse_yaml(const char *name, const void *yaml, size_t len, struct rollout_spec *out,
                            struct err *err)
{
    struct json_reader reader;
    if (yaml_read(&reader, name, yaml, len, err) < 0)
        return -1;
    return finish(&reader, out, err);
}

/* ---- writing ---- */

static json_t *from_select(const struct rollout_spec *spec)
{
    cleanup_json json_t *out = json_object();
    for (size_t i = 0; i < spec->select_count; i++)
        if (json_object_set_new(out, spec->select[i].key, json_string(spec->select[i].value)) < 0)
            return NULL;
    return TAKE_PTR(out);
}

static json_t *from_wave(const struct rollout_wave *wave)
{
    if (wave->count)
        return json_pack("{s:s, s:I, s:I}", "name", wave->name, "count", (json_int_t)wave->count, "bake_s",
                         (json_int_t)wave->bake_s);
    return json_pack("{s:s, s:f, s:I}", "name", wave->name, "percent", wave->percent, "bake_s",
                     (json_int_t)wave->bake_s);
}

static json_t *from_waves(const struct rollout_spec *spec)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < spec->wave_count; i++)
        if (json_append(list, from_wave(&spec->waves[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

static int put_share(json_t *gates, const char *key, double share)
{
    return share < 0 ? 0 : json_object_set_new(gates, key, json_real(share));
}

static json_t *from_gates(const struct rollout_gates *gates)
{
    cleanup_json json_t *out =
        json_pack("{s:I, s:f}", "min_frames", (json_int_t)gates->min_frames, "alpha", gates->alpha);
    if (!out || put_share(out, "max_over_budget_share", gates->max_over_budget_share) < 0 ||
        put_share(out, "max_intervention_share", gates->max_intervention_share) < 0 ||
        put_share(out, "min_accuracy", gates->min_accuracy) < 0 ||
        put_share(out, "min_recall", gates->min_recall) < 0 ||
        put_share(out, "min_precision", gates->min_precision) < 0 ||
        put_share(out, "max_false_alarms_per_hour", gates->max_false_alarms_per_hour) < 0 ||
        put_share(out, "max_false_alarm_ratio", gates->max_false_alarm_ratio) < 0)
        return NULL;
    if (gates->max_drift >= 0 && json_object_set_new(out, "max_drift", json_integer(gates->max_drift)) < 0)
        return NULL;
    if (gates->max_failures >= 0 &&
        json_object_set_new(out, "max_failures", json_integer(gates->max_failures)) < 0)
        return NULL;
    return TAKE_PTR(out);
}

char *rollout_spec_format(const struct rollout_spec *spec)
{
    return json_write_new(json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:s, s:I}", "name", spec->name, "release", spec->release, "select",
        from_select(spec), "waves", from_waves(spec), "gates", from_gates(&spec->gates), "on_failure",
        spec->pause_on_failure ? "pause" : "rollback", "wave_timeout_s", (json_int_t)spec->wave_timeout_s));
}
