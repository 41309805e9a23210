#include "wire/decision.h"
#include "base/mem.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/signals_json.h"

#include <float.h>
#include <math.h>

enum { DECISION_MAX_BYTES = 8 << 10 };

static const char *const decider_words[DECIDERS] = {
    [DECIDER_GUARD] = "guard",
    [DECIDER_ROLLOUT] = "rollout",
    [DECIDER_DRIFT] = "drift",
    [DECIDER_AGENT] = "agent",
};

const char *decider_name(enum decider who)
{
    return (unsigned)who < DECIDERS ? decider_words[who] : "?";
}

/* Text that may be left out, and is then "". */
static void get_line(struct json_at at, const char *key, char *out, size_t out_size)
{
    out[0] = 0;
    if (json_has(at, key))
        json_get_line(at, key, out, out_size);
}

static void get_number(struct json_at at, const char *key, double *out)
{
    *out = NAN;
    if (json_has(at, key))
        json_get_double(at, key, -DBL_MAX, DBL_MAX, out);
}

static void read_words(struct json_at root, struct decision *out)
{
    get_line(root, "robot", out->robot, sizeof out->robot);
    get_line(root, "version", out->version, sizeof out->version);
    get_line(root, "engine", out->engine, sizeof out->engine);
    json_get_line(root, "rule", out->rule, sizeof out->rule);
    get_line(root, "subject", out->subject, sizeof out->subject);
    get_line(root, "unit", out->unit, sizeof out->unit);
    json_get_line(root, "because", out->because, sizeof out->because);
    get_line(root, "otherwise", out->otherwise, sizeof out->otherwise);
}

static void read_numbers(struct json_at root, struct decision *out)
{
    json_get_int(root, "time_ms", 0, INT64_MAX / 2, &out->time_ms);
    get_number(root, "value", &out->value);
    get_number(root, "limit", &out->limit);
    get_number(root, "margin", &out->margin);
    json_get_u64(root, "count", INT64_MAX, &out->count);
}

/* Members that are not known here are passed over: a robot may be newer than its server. */
int decision_parse(const void *text, size_t len, struct decision *out, struct err *err)
{
    struct json_reader reader;
    int who = 0;
    *out = (struct decision){0};
    if (len > DECISION_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "decision: %zu bytes, the limit is %d", len, DECISION_MAX_BYTES);
    if (json_read(&reader, "decision", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_get_choice(root, "who", decider_words, DECIDERS, &who);
    out->who = (enum decider)who;
    if (json_has(root, "release"))
        json_get_digest(root, "release", &out->release);
    read_words(root, out);
    read_numbers(root, out);
    json_get_signals(root, &out->signals);
    return json_finish(&reader, err);
}

static int put_line(json_t *root, const char *key, const char *text)
{
    return text[0] ? json_object_set_new(root, key, json_from_line(text)) : 0;
}

static int put_number(json_t *root, const char *key, double value)
{
    return isfinite(value) ? json_object_set_new(root, key, json_real(value)) : 0;
}

static int put_optional(json_t *root, const struct decision *d)
{
    int bad = put_line(root, "robot", d->robot) | put_line(root, "version", d->version) |
              put_line(root, "engine", d->engine) | put_line(root, "subject", d->subject) |
              put_line(root, "unit", d->unit) | put_line(root, "otherwise", d->otherwise) |
              put_number(root, "value", d->value) | put_number(root, "limit", d->limit) |
              put_number(root, "margin", d->margin);
    if (!digest_is_zero(&d->release))
        bad |= json_object_set_new(root, "release", json_from_digest(&d->release));
    if (d->signals.valid)
        bad |= json_object_set_new(root, "signals", json_from_signals(&d->signals));
    return bad;
}

char *decision_format(const struct decision *decision)
{
    json_t *root = json_pack("{s:I, s:s, s:o, s:o, s:I}", "time_ms", (json_int_t)MAX(decision->time_ms, 0),
                             "who", decider_name(decision->who), "rule", json_from_line(decision->rule),
                             "because", json_from_line(decision->because), "count",
                             (json_int_t)MIN(decision->count, (uint64_t)INT64_MAX));
    if (root && put_optional(root, decision) != 0) {
        json_decref(root);
        return NULL;
    }
    return json_write_new(root);
}
