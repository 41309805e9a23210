#include "robot/store/state.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/release.h"

enum { STATE_MAX_BYTES = 32 << 10 };

void robot_state_init(struct robot_state *state)
{
    *state = (struct robot_state){.install = {.next_generation = 1}};
}

/* Reading. */

static void read_digest(struct json_at at, struct digest *out)
{
    char text[DIGEST_TEXT_SIZE] = "";
    json_get_string(at, "release", text, sizeof text);
    if (text[0] && !digest_parse(text, out))
        json_fail(at, "release: not a sha256 digest");
}

static uint64_t read_count(struct json_at at, const char *key)
{
    int64_t value = 0;
    json_get_int(at, key, 0, INT64_MAX - 1, &value);
    return (uint64_t)value;
}

static void read_slot(struct json_at root, const char *key, struct install_slot *out)
{
    if (!json_has(root, key))
        return;
    struct json_at at = json_child(root, key);
    read_digest(at, &out->release);
    out->manifest_size = read_count(at, "manifest_size");
    out->generation = read_count(at, "generation");
    json_get_string(at, "name", out->name, sizeof out->name);
    json_get_string(at, "version", out->version, sizeof out->version);
    if (out->version[0] && !version_valid(out->version))
        json_fail(at, "version: %s is none", out->version);
}

static void read_phase(struct json_at root, enum install_phase *out)
{
    char name[16] = "";
    json_get_string(root, "phase", name, sizeof name);
    for (int phase = 0; phase < INSTALL_PHASE_COUNT; phase++) {
        if (str_eq(name, install_phase_name((enum install_phase)phase))) {
            *out = (enum install_phase)phase;
            return;
        }
    }
    json_fail(root, "phase: unknown phase %s", name);
}

static void read_blocked(struct json_at root, struct robot_state *out)
{
    if (!json_has(root, "blocked"))
        return;
    struct json_at at = json_child(root, "blocked");
    read_digest(at, &out->install.blocked);
    out->install.blocked_counter = read_count(at, "counter");
    json_get_string(at, "reason", out->blocked_reason, sizeof out->blocked_reason);
}

static void read_install(struct json_at root, struct install *out)
{
    read_phase(root, &out->phase);
    read_slot(root, "current", &out->current);
    read_slot(root, "previous", &out->previous);
    read_slot(root, "candidate", &out->candidate);
    out->next_generation = read_count(root, "next_generation");
    out->assignment_counter = read_count(root, "assignment_counter");
    json_get_bool(root, "rollback", &out->rollback);
    json_get_int(root, "probation_since_ms", 0, INT64_MAX - 1, &out->probation_since_ms);
    if (json_has(root, "committed_ms"))
        json_get_int(root, "committed_ms", 0, INT64_MAX - 1, &out->committed_ms);
    if (json_has(root, "previous_cold"))
        json_get_bool(root, "previous_cold", &out->previous_cold);
    if (json_has(root, "gap"))
        json_get_bool(root, "gap", &out->gap);
    if (out->phase == INSTALL_SELF_TEST && out->candidate.generation == 0)
        out->phase = INSTALL_VERIFY; /* of an agent that numbered it later: the step is repeated */
}

static void read_floor(struct json_at at, struct robot_trust *out)
{
    struct robot_floor *floor = &out->floors[out->floor_count++];
    json_get_name(at, "name", floor->name, sizeof floor->name);
    json_get_string(at, "version", floor->version, sizeof floor->version);
    if (!version_valid(floor->version))
        json_fail(at, "version: %s is none", floor->version);
    for (size_t i = 0; i + 1 < out->floor_count; i++)
        if (str_eq(out->floors[i].name, floor->name))
            json_fail(at, "name: %s has two floors", floor->name);
}

static void read_trust(struct json_at root, struct robot_trust *out)
{
    size_t count = 0;
    if (!json_has(root, "trust"))
        return;
    struct json_at at = json_child(root, "trust");
    json_get_u64(at, "accepted", INT64_MAX,
                 &out->accepted); /* whatever an assignment may say: wire/assignment.c */
    json_get_digest_or_null(at, "director", &out->director);
    json_get_digest_or_null(at, "admitted", &out->admitted);
    json_get_bool(at, "rollback", &out->rollback);
    json_get_digest_or_null(at, "refused", &out->refused);
    struct json_at list = json_list(at, "floors", ROBOT_MAX_FLOORS, &count);
    for (size_t i = 0; i < count; i++)
        read_floor(json_as_object(json_item(list, i)), out);
}

int robot_state_parse(const void *text, size_t len, struct robot_state *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "state.json", text, len, err) < 0)
        return -1;
    struct robot_state state;
    robot_state_init(&state);
    struct json_at root = json_root(&reader);
    int64_t schema = 0;
    json_get_int(root, "schema", 1, 1, &schema);
    read_install(root, &state.install);
    read_blocked(root, &state);
    json_get_string(root, "floor", state.floor, sizeof state.floor);
    read_trust(root, &state.trust);
    if (json_finish(&reader, err) < 0)
        return -1;
    if (!install_valid(&state.install) || (state.floor[0] && !version_valid(state.floor)))
        return err_set(err, ERR_CORRUPT, "state.json: contradicts itself");
    *out = state;
    return 0;
}

/* Writing. */

/* Plain ASCII only: what else a reason may hold is shown as '?', so that a cut text is never half a
 * character. */
static int put_string(struct buf *out, const char *key, const char *text, struct err *err)
{
    if (buf_printf(out, err, "\"%s\":\"", key) < 0)
        return -1;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        int rc = *c < 0x20 || *c >= 0x7f   ? buf_puts(out, "?", err)
                 : *c == '"' || *c == '\\' ? buf_printf(out, err, "\\%c", *c)
                                           : buf_put(out, c, 1, err);
        if (rc < 0)
            return -1;
    }
    return buf_puts(out, "\"", err);
}

static int put_release(struct buf *out, const char *key, const struct digest *digest, struct err *err)
{
    struct digest_text text = digest_format(digest);
    return buf_printf(out, err, "\"%s\":{\"release\":\"%s\",", key, text.text);
}

static int put_slot(struct buf *out, const char *key, const struct install_slot *slot, struct err *err)
{
    if (digest_is_zero(&slot->release))
        return 0;
    if (put_release(out, key, &slot->release, err) < 0 ||
        buf_printf(out, err, "\"manifest_size\":%llu,\"generation\":%llu,",
                   (unsigned long long)slot->manifest_size, (unsigned long long)slot->generation) < 0 ||
        put_string(out, "name", slot->name, err) < 0 || buf_puts(out, ",", err) < 0 ||
        put_string(out, "version", slot->version, err) < 0)
        return -1;
    return buf_puts(out, "},", err);
}

static int put_blocked(struct buf *out, const struct robot_state *state, struct err *err)
{
    if (digest_is_zero(&state->install.blocked))
        return 0;
    if (put_release(out, "blocked", &state->install.blocked, err) < 0 ||
        buf_printf(out, err, "\"counter\":%llu,", (unsigned long long)state->install.blocked_counter) < 0 ||
        put_string(out, "reason", state->blocked_reason, err) < 0)
        return -1;
    return buf_puts(out, "},", err);
}

static int put_install(struct buf *out, const struct install *install, struct err *err)
{
    if (buf_printf(out, err, "{\"schema\":1,\"phase\":\"%s\",", install_phase_name(install->phase)) < 0 ||
        put_slot(out, "current", &install->current, err) < 0 ||
        put_slot(out, "previous", &install->previous, err) < 0 ||
        put_slot(out, "candidate", &install->candidate, err) < 0)
        return -1;
    return buf_printf(out, err,
                      "\"next_generation\":%llu,\"assignment_counter\":%llu,\"rollback\":%s,"
                      "\"probation_since_ms\":%lld,\"committed_ms\":%lld,\"previous_cold\":%s,\"gap\":%s,",
                      (unsigned long long)install->next_generation,
                      (unsigned long long)install->assignment_counter, install->rollback ? "true" : "false",
                      (long long)install->probation_since_ms, (long long)install->committed_ms,
                      install->previous_cold ? "true" : "false", install->gap ? "true" : "false");
}

static int put_digest(struct buf *out, const char *key, const struct digest *digest, struct err *err)
{
    struct digest_text text = digest_format(digest);
    return digest_is_zero(digest) ? buf_printf(out, err, "\"%s\":null,", key)
                                  : buf_printf(out, err, "\"%s\":\"%s\",", key, text.text);
}

static int put_floors(struct buf *out, const struct robot_trust *trust, struct err *err)
{
    for (size_t i = 0; i < trust->floor_count; i++) {
        if (buf_puts(out, i ? ",{" : "{", err) < 0 ||
            put_string(out, "name", trust->floors[i].name, err) < 0 || buf_puts(out, ",", err) < 0 ||
            put_string(out, "version", trust->floors[i].version, err) < 0 || buf_puts(out, "}", err) < 0)
            return -1;
    }
    return 0;
}

static int put_trust(struct buf *out, const struct robot_trust *trust, struct err *err)
{
    if (buf_printf(out, err, ",\"trust\":{\"accepted\":%llu,", (unsigned long long)trust->accepted) < 0 ||
        put_digest(out, "director", &trust->director, err) < 0 ||
        put_digest(out, "admitted", &trust->admitted, err) < 0 ||
        put_digest(out, "refused", &trust->refused, err) < 0 ||
        buf_printf(out, err, "\"rollback\":%s,\"floors\":[", trust->rollback ? "true" : "false") < 0 ||
        put_floors(out, trust, err) < 0)
        return -1;
    return buf_puts(out, "]}", err);
}

char *robot_state_format(const struct robot_state *state)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(STATE_MAX_BYTES);
    if (put_install(&out, &state->install, &err) < 0 || put_blocked(&out, state, &err) < 0 ||
        put_string(&out, "floor", state->floor, &err) < 0 || put_trust(&out, &state->trust, &err) < 0 ||
        buf_puts(&out, "}\n", &err) < 0)
        return NULL;
    return buf_take(&out);
}

/* Floors. */

static const char *higher(const char *a, const char *b)
{
    if (!a[0] || !b[0])
        return a[0] ? a : b;
    return version_compare(a, b) < 0 ? b : a;
}

const char *robot_state_floor(const struct robot_state *state, const char *name)
{
    for (size_t i = 0; i < state->trust.floor_count; i++)
        if (str_eq(state->trust.floors[i].name, name))
            return higher(state->floor, state->trust.floors[i].version);
    return state->floor;
}

bool robot_trust_raise_floor(struct robot_trust *trust, const char *name, const char *version)
{
    size_t at = 0;
    while (at < trust->floor_count && !str_eq(trust->floors[at].name, name))
        at++;
    if (at == ROBOT_MAX_FLOORS)
        return false;
    struct robot_floor *floor = &trust->floors[at];
    if (at == trust->floor_count) {
        trust->floor_count++;
        *floor = (struct robot_floor){0};
        str_copy(floor->name, sizeof floor->name, name);
    }
    if (!floor->version[0] || version_compare(floor->version, version) < 0)
        str_copy(floor->version, sizeof floor->version, version);
    return true;
}
