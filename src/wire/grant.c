#include "wire/grant.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/json_write.h"

enum { SCHEMA = 1 };

static void read_hex(struct json_at at, const char *key, uint8_t out[32])
{
    char hex[66] = "";
    json_get_string(at, key, hex, sizeof hex);
    if (strlen(hex) != 64 || !hex_decode(hex, 64, out))
        json_fail(at, "%s: must be 64 lower-case hexadecimal digits", key);
}

static void read_base64(struct json_at at, const char *key, uint8_t *out, size_t wanted)
{
    char text[BASE64_SIZE(GRANT_POINT_BYTES) + 4] = "";
    uint8_t bytes[sizeof text];
    size_t len = 0;
    json_get_string(at, key, text, sizeof text);
    if (!base64_decode(text, strlen(text), bytes, &len) || len != wanted)
        json_fail(at, "%s: must be base64 of %zu bytes", key, wanted);
    else
        memcpy(out, bytes, wanted);
}

static void read_grant(struct json_at at, struct grant *out)
{
    JSON_ONLY(at, "robot", "recipient", "ephemeral", "wrapped");
    json_get_name(at, "robot", out->robot, sizeof out->robot);
    read_hex(at, "recipient", out->recipient.bytes);
    read_base64(at, "ephemeral", out->ephemeral, sizeof out->ephemeral);
    read_base64(at, "wrapped", out->wrapped, sizeof out->wrapped);
}

static void read_robots(struct json_at root, struct grants *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, "robots", GRANTS_MAX_ROBOTS, &count);
    if (count == 0)
        return;
    out->robots = mem_zalloc(count, sizeof *out->robots);
    if (!out->robots) {
        (void)err_no_memory(&root.reader->err);
        return;
    }
    out->count = count;
    for (size_t i = 0; i < count && root.reader->err.code == ERR_NONE; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        read_grant(item, &out->robots[i]);
        if (i > 0 && strcmp(out->robots[i - 1].robot, out->robots[i].robot) >= 0)
            json_fail(item, "\"%.63s\" is out of order; robots are sorted, each once", out->robots[i].robot);
    }
}

int grants_parse(const void *text, size_t len, struct grants *out, struct err *err)
{
    struct json_reader reader;
    int64_t schema = 0;
    *out = (struct grants){0};
    if (json_read(&reader, "grants", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "schema", "fleet", "release", "key", "robots");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    json_get_name(root, "fleet", out->fleet, sizeof out->fleet);
    json_get_digest(root, "release", &out->release);
    read_hex(root, "key", out->key_id);
    read_robots(root, out);
    if (json_finish(&reader, err) == 0)
        return 0;
    grants_fini(out);
    return -1;
}

static json_t *from_grant(const struct grant *grant)
{
    char recipient[65], ephemeral[BASE64_SIZE(GRANT_POINT_BYTES)], wrapped[BASE64_SIZE(GRANT_WRAPPED_BYTES)];
    hex_encode(grant->recipient.bytes, sizeof grant->recipient.bytes, recipient);
    base64_encode(grant->ephemeral, sizeof grant->ephemeral, ephemeral);
    base64_encode(grant->wrapped, sizeof grant->wrapped, wrapped);
    return json_pack("{s:s, s:s, s:s, s:s}", "robot", grant->robot, "recipient", recipient, "ephemeral",
                     ephemeral, "wrapped", wrapped);
}

static json_t *from_robots(const struct grants *grants)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < grants->count; i++)
        if (json_append(list, from_grant(&grants->robots[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

char *grants_format(const struct grants *grants)
{
    char key[65];
    hex_encode(grants->key_id, sizeof grants->key_id, key);
    return json_write_new(json_pack("{s:i, s:s, s:o, s:s, s:o}", "schema", SCHEMA, "fleet", grants->fleet,
                                    "release", json_from_digest(&grants->release), "key", key, "robots",
                                    from_robots(grants)));
}

void grants_fini(struct grants *grants)
{
    free(grants->robots);
    *grants = (struct grants){0};
}

/* The place of a robot: where it is, or where it belongs. */
static size_t place(const struct grants *grants, const char *robot)
{
    size_t low = 0, high = grants->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(grants->robots[middle].robot, robot) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct grant *grants_find(const struct grants *grants, const char *robot)
{
    size_t at = place(grants, robot);
    return at < grants->count && str_eq(grants->robots[at].robot, robot) ? &grants->robots[at] : NULL;
}

void grants_remove(struct grants *grants, const char *robot)
{
    size_t at = place(grants, robot);
    if (!grants_find(grants, robot))
        return;
    grants->count--;
    memmove(&grants->robots[at], &grants->robots[at + 1], (grants->count - at) * sizeof *grants->robots);
}

int grants_put(struct grants *grants, const struct grant *grant, struct err *err)
{
    size_t at = place(grants, grant->robot);
    if (at < grants->count && str_eq(grants->robots[at].robot, grant->robot)) {
        grants->robots[at] = *grant;
        return 0;
    }
    if (grants->count == GRANTS_MAX_ROBOTS)
        return err_set(err, ERR_TOO_BIG, "more than %d robots", GRANTS_MAX_ROBOTS);
    struct grant *grown = mem_grow(grants->robots, grants->count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    grants->robots = grown;
    memmove(&grown[at + 1], &grown[at], (grants->count - at) * sizeof *grown);
    grown[at] = *grant;
    grants->count++;
    return 0;
}

void grants_path(const char *name, const char *version, char out[192])
{
    snprintf(out, 192, GRANTS_PATH_PREFIX "%.64s/%.64s.json", name, version);
}
