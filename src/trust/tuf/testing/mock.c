#include "trust/tuf/testing/mock_inside.h"

#include "base/clock.h"
#include "base/str.h"

enum { MAX_LOG = 4 << 20 };

void mock_fail(struct tuf_mock *mock, const char *fmt, ...)
{
    char text[200];
    va_list args;
    if (mock->err.code)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err_set(&mock->err, ERR_INTERNAL, "mock: %s", text);
}

const struct err *tuf_mock_error(const struct tuf_mock *mock)
{
    return &mock->err;
}

int64_t tuf_mock_now(const struct tuf_mock *mock)
{
    return mock->now_s;
}

void tuf_mock_at(struct tuf_mock *mock, int64_t now_s)
{
    mock->now_s = now_s;
}

json_t *mock_date(int64_t at_s)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(at_s * 1000, text); /* "2026-01-02T03:04:05.000Z": TUF has no fractions */
    return json_sprintf("%.19sZ", text);
}

struct mock_role *mock_role_find(const struct tuf_mock *mock, const char *name)
{
    const json_t *index = json_object_get(mock->role_index, name);
    return index ? &mock->roles[json_integer_value(index)] : NULL;
}

struct mock_role *mock_role(struct tuf_mock *mock, const char *name)
{
    struct mock_role *role = mock_role_find(mock, name);
    if (!role)
        mock_fail(mock, "there is no role %.80s", name);
    return role;
}

struct mock_role *mock_role_add(struct tuf_mock *mock, const char *name, json_t *body)
{
    struct mock_role *roles = mem_grow(mock->roles, mock->role_count + 1, sizeof roles[0]);
    if (roles)
        mock->roles = roles;
    char *copy = mem_strdup(name);
    if (!roles || !copy || !body ||
        json_object_set_new(mock->role_index, name, json_integer((json_int_t)mock->role_count)) < 0) {
        mock_fail(mock, "out of memory");
        free(copy);
        json_decref(body);
        return NULL;
    }
    roles[mock->role_count] = (struct mock_role){.name = copy, .body = body, .edited = true};
    return &roles[mock->role_count++];
}

/* What every kind has, and its own members. */
static void add_top_level(struct tuf_mock *mock, enum tuf_kind kind)
{
    json_t *body = json_pack("{s:s, s:s, s:i, s:o}", "_type", tuf_kind_name(kind), "spec_version", "1.0.34",
                             "version", 1, "expires", mock_date(mock->now_s + TUF_MOCK_VALID_S));
    if (body && kind == TUF_ROOT)
        json_object_update_missing_new(
            body, json_pack("{s:b, s:{}, s:{}}", "consistent_snapshot", 1, "keys", "roles"));
    else if (body && kind == TUF_TARGETS)
        json_object_set_new(body, "targets", json_object());
    else if (body)
        json_object_set_new(body, "meta", json_object());
    mock_role_add(mock, tuf_kind_name(kind), body);
}

static void add_key(struct tuf_mock *mock, enum tuf_kind kind)
{
    int key = tuf_mock_key(mock, TUF_ED25519);
    const char *role = tuf_kind_name(kind);
    tuf_mock_set(mock, "root",
                 kind == TUF_ROOT        ? "/roles/root"
                 : kind == TUF_TIMESTAMP ? "/roles/timestamp"
                 : kind == TUF_SNAPSHOT  ? "/roles/snapshot"
                                         : "/roles/targets",
                 "{\"keyids\": [], \"threshold\": 1}");
    tuf_mock_trust(mock, "root", role, key);
    tuf_mock_sign(mock, role, key);
}

struct tuf_mock *tuf_mock_new(int64_t now_s)
{
    struct tuf_mock *mock = mem_zalloc(1, sizeof *mock);
    if (!mock)
        return NULL;
    *mock = (struct tuf_mock){.now_s = now_s, .role_index = json_object(), .log = BUF_INIT(MAX_LOG)};
    for (int kind = 0; kind < TUF_KIND_COUNT; kind++)
        add_top_level(mock, (enum tuf_kind)kind);
    for (int kind = 0; kind < TUF_KIND_COUNT; kind++)
        add_key(mock, (enum tuf_kind)kind);
    tuf_mock_publish(mock, "root");
    tuf_mock_release(mock);
    return mock;
}

void tuf_mock_free(struct tuf_mock *mock)
{
    if (!mock)
        return;
    for (size_t i = 0; i < mock->key_count; i++) {
        tuf_signer_free(mock->keys[i].signer);
        free(mock->keys[i].id);
    }
    for (size_t i = 0; i < mock->role_count; i++) {
        free(mock->roles[i].name);
        free(mock->roles[i].signings);
        json_decref(mock->roles[i].body);
    }
    for (size_t i = 0; i < mock->file_count; i++) {
        free(mock->files[i].name);
        free(mock->files[i].role);
        buf_fini(&mock->files[i].bytes);
    }
    json_decref(mock->role_index);
    buf_fini(&mock->log);
    free(mock->keys);
    free(mock->roles);
    free(mock->files);
    free(mock);
}
