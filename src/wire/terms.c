#include "wire/terms.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/release.h"

static const char *const kind_words[] = {[TERMS_RELEASE] = "release", [TERMS_OPERATORS] = "operators"};
static const char *const scope_words[] = {[TERMS_OF_RELEASE] = "release", [TERMS_OF_PLAN] = "plan"};

/* ---- reading ---- */

static void read_operator(struct json_at at, struct terms *out)
{
    char *name = out->operators[out->operator_count];
    json_as_name(at, name, sizeof out->operators[0]);
    for (size_t i = 0; i < out->operator_count; i++)
        if (str_eq(out->operators[i], name))
            json_fail(at, "\"%.47s\" is named twice", name);
    out->operator_count++;
}

static void read_approvals(struct json_at at, struct terms *out)
{
    size_t count = 0;
    int64_t threshold = 0;
    int scope = TERMS_OF_RELEASE;
    JSON_ONLY(at, "threshold", "operators", "of");
    json_get_int(at, "threshold", 1, TERMS_MAX_OPERATORS, &threshold);
    struct json_at list = json_list(at, "operators", TERMS_MAX_OPERATORS, &count);
    for (size_t i = 0; i < count; i++)
        read_operator(json_item(list, i), out);
    json_get_choice(at, "of", scope_words, ARRAY_LEN(scope_words), &scope);
    if ((size_t)threshold > count)
        json_fail(at, "threshold: is %lld, but only %zu operators are named", (long long)threshold, count);
    out->threshold = (int)threshold;
    out->scope = (enum terms_scope)scope;
}

static void read_floor(struct json_at at, struct terms *out)
{
    json_get_string(at, "floor", out->floor, sizeof out->floor);
    if (!version_valid(out->floor))
        json_fail(at, "floor: is no version");
}

static void read_terms(struct json_at at, struct terms *out)
{
    int kind = TERMS_RELEASE;
    JSON_ONLY(at, "kind", "fleet", "approvals", "floor");
    json_get_choice(at, "kind", kind_words, ARRAY_LEN(kind_words), &kind);
    json_get_name(at, "fleet", out->fleet, sizeof out->fleet);
    out->kind = (enum terms_kind)kind;
    if (json_has_null(at, "approvals") || json_has_null(at, "floor"))
        json_fail(at, "approvals and floor: must not be null; leave them out");
    if (json_has(at, "approvals"))
        read_approvals(json_child(at, "approvals"), out);
    if (json_has(at, "floor"))
        read_floor(at, out);
    if (out->kind == TERMS_OPERATORS && (out->threshold || out->floor[0]))
        json_fail(at, "approvals and floor: are for releases only");
}

int terms_parse(const char *custom, struct terms *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct terms){0};
    if (!custom)
        return err_set(err, ERR_REFUSED, "the target has no terms of Muster; sign it with `muster sign`");
    if (json_read(&reader, "terms", custom, strlen(custom), err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    read_terms(json_child(root, "muster"), out);
    return json_finish(&reader, err);
}

/* ---- writing ---- */

static json_t *from_approvals(const struct terms *terms)
{
    json_t *names = json_array();
    for (size_t i = 0; i < terms->operator_count; i++) {
        if (json_append(names, json_string(terms->operators[i])) < 0) {
            json_decref(names);
            return NULL;
        }
    }
    return json_pack("{s:i, s:o, s:s}", "threshold", terms->threshold, "operators", names, "of",
                     scope_words[terms->scope]);
}

char *terms_format(const struct terms *terms)
{
    cleanup_json json_t *root =
        json_pack("{s:s, s:s}", "kind", kind_words[terms->kind], "fleet", terms->fleet);
    if (!root || (terms->threshold && json_object_set_new(root, "approvals", from_approvals(terms)) < 0) ||
        json_put_text(root, "floor", terms->floor) < 0)
        return NULL;
    return json_write_new(json_pack("{s:O}", "muster", root));
}
