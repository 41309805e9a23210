#include "fleet/rights/rights.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

static const char *const role_names[ROLE_COUNT] = {"viewer", "operator", "releaser", "safety", "admin"};

static const struct {
    const char *name;
    bool roles[ROLE_COUNT];
} table[RIGHT_COUNT] = {
#define RIGHT(id, name, viewer, operator_, releaser, safety, admin, what)                                    \
    [RIGHT_##id] = {name, {viewer, operator_, releaser, safety, admin}},
#include "fleet/rights/rights.def"
#undef RIGHT
};

const char *role_name(enum role role)
{
    return role_names[role];
}

const char *right_name(enum right right)
{
    return table[right].name;
}

bool role_has(enum role role, enum right right)
{
    return table[right].roles[role];
}

/* ---- the decision ---- */

static bool has_label(const struct api_label *labels, size_t count, const struct api_label *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(labels[i].key, wanted->key))
            return str_eq(labels[i].value, wanted->value);
    return false;
}

static bool selects(const struct grant *grant, const struct api_label *labels, size_t count)
{
    for (size_t i = 0; i < grant->label_count; i++)
        if (!has_label(labels, count, &grant->labels[i]))
            return false;
    return true;
}

bool rights_on_robot(const struct rights *rights, enum right right, const struct api_label *labels,
                     size_t count)
{
    for (size_t i = 0; i < rights->count; i++)
        if (role_has(rights->grants[i].role, right) && selects(&rights->grants[i], labels, count))
            return true;
    return false;
}

bool rights_on_fleet(const struct rights *rights, enum right right)
{
    for (size_t i = 0; i < rights->count; i++)
        if (role_has(rights->grants[i].role, right) && rights->grants[i].label_count == 0)
            return true;
    return false;
}

bool rights_somewhere(const struct rights *rights, enum right right)
{
    for (size_t i = 0; i < rights->count; i++)
        if (role_has(rights->grants[i].role, right))
            return true;
    return false;
}

/* ---- the text ---- */

static int parse_role(const char *text, size_t len, enum role *out, struct err *err)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        if (strlen(role_names[role]) == len && memcmp(role_names[role], text, len) == 0)
            return *out = (enum role)role, 0;
    return err_set(err, ERR_INVALID,
                   "%.*s is no role; there are viewer, operator, releaser, safety and admin",
                   (int)MIN(len, (size_t)40), text);
}

static bool copy_part(char *out, size_t size, const char *text, size_t len)
{
    if (len == 0 || len >= size)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* A value may hold anything but the three signs of this form and control characters. */
static bool plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

static int parse_label(const char *text, size_t len, struct grant *grant, struct err *err)
{
    const char *equals = memchr(text, '=', len);
    if (grant->label_count == API_MAX_LABELS)
        return err_set(err, ERR_INVALID, "a grant has at most %d labels", API_MAX_LABELS);
    struct api_label *label = &grant->labels[grant->label_count];
    if (!equals || !copy_part(label->key, sizeof label->key, text, (size_t)(equals - text)) ||
        !copy_part(label->value, sizeof label->value, equals + 1, len - (size_t)(equals - text) - 1) ||
        !str_is_name(label->key, sizeof label->key - 1) || !plain(label->value))
        return err_set(err, ERR_INVALID, "%.*s is no label; write KEY=VALUE", (int)MIN(len, (size_t)60),
                       text);
    for (size_t i = 0; i < grant->label_count; i++)
        if (str_eq(grant->labels[i].key, label->key))
            return err_set(err, ERR_INVALID, "label %s stands twice in one grant; nothing would match",
                           label->key);
    grant->label_count++;
    return 0;
}

static int parse_grant(const char *text, size_t len, struct grant *grant, struct err *err)
{
    const char *colon = memchr(text, ':', len), *end = text + len;
    *grant = (struct grant){0};
    if (parse_role(text, colon ? (size_t)(colon - text) : len, &grant->role, err) < 0)
        return -1;
    if (colon && colon + 1 == end)
        return err_set(err, ERR_INVALID, "a ':' without labels behind it; leave it out for the whole fleet");
    for (const char *at = colon ? colon + 1 : end; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t part = comma ? (size_t)(comma - at) : (size_t)(end - at);
        if (parse_label(at, part, grant, err) < 0)
            return -1;
        at += part;
        if (comma && ++at == end)
            return err_set(err, ERR_INVALID, "a ',' without a label behind it");
    }
    return 0;
}

int rights_parse(const char *text, struct rights *out, struct err *err)
{
    *out = (struct rights){0};
    if (strlen(text) >= RIGHTS_TEXT_SIZE)
        return err_set(err, ERR_INVALID, "grants of more than %d characters", RIGHTS_TEXT_SIZE - 1);
    for (const char *at = text;;) {
        size_t len = strcspn(at, ";");
        if (out->count == RIGHTS_MAX_GRANTS)
            return err_set(err, ERR_INVALID, "at most %d grants", RIGHTS_MAX_GRANTS);
        if (parse_grant(at, len, &out->grants[out->count], err) < 0)
            return -1;
        out->count++;
        if (!at[len])
            return 0;
        at += len + 1;
    }
}

void rights_format(const struct rights *rights, char out[RIGHTS_TEXT_SIZE])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < rights->count; i++) {
        const struct grant *grant = &rights->grants[i];
        used += (size_t)snprintf(out + used, RIGHTS_TEXT_SIZE - used, "%s%s", i ? ";" : "",
                                 role_name(grant->role));
        for (size_t j = 0; j < grant->label_count && used < RIGHTS_TEXT_SIZE; j++)
            used += (size_t)snprintf(out + used, RIGHTS_TEXT_SIZE - used, "%c%s=%s", j ? ',' : ':',
                                     grant->labels[j].key, grant->labels[j].value);
        if (used >= RIGHTS_TEXT_SIZE)
            return;
    }
}
