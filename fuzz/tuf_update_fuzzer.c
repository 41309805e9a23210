/* deps: trust/tuf/testing trust/tuf trust/rule wire/tuf sys base */
/* A script of what a server does to a client over many updates. The server has the timestamp and the snapshot key; root and targets are
 * signed by honest people, who release "a", "b" and "c" and rotate keys now and then. Each byte of the input picks an act or its argument.
 *
 * Whatever the script: no crash; what is found is what was released under that path; root never goes back, and neither do targets unless a
 * rotation allows it (fast-forward recovery); a refusal says why. */
#include "base/mem.h"
#include "base/str.h"
#include "sys/hash.h"
#include "trust/rule.h"
#include "trust/tuf/testing/mock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1800000000, MAX_ACTS = 16 };

struct script {
    const uint8_t *data;
    size_t size;
    struct tuf_mock *mock;
    struct tuf_shelf *shelf;
    int64_t root, targets;
    bool rotated;
};

static uint8_t next(struct script *script)
{
    if (script->size == 0)
        return 0;
    script->size--;
    return *script->data++;
}

static const char *pick(struct script *script, const char *const *words, size_t count)
{
    return words[next(script) % count];
}
#define PICK(script, ...)                                                                                    \
    pick(script, (const char *const[]){__VA_ARGS__},                                                         \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* A file that the client may well ask for next. */
static void pick_file(struct script *script, char *out, size_t size)
{
    const char *role = PICK(script, "root", "timestamp", "snapshot", "targets", "deep");
    int64_t version = tuf_mock_version(script->mock, role) + (str_eq(role, "root") ? next(script) % 2 : 0);
    if (str_eq(role, "timestamp"))
        snprintf(out, size, "timestamp.json");
    else
        snprintf(out, size, "%d.%s.json", (int)version, role);
}

/* ---- what honest people do ---- */

static void release(struct script *script)
{
    const char *path = PICK(script, "a", "b", "c");
    tuf_mock_target(script->mock, PICK(script, "targets", "deep"), path, path, 1);
    tuf_mock_release(script->mock);
}

static void rotate(struct script *script)
{
    const char *role = PICK(script, "root", "timestamp", "snapshot", "targets");
    tuf_mock_rotate(script->mock, "root", role);
    tuf_mock_publish(script->mock, "root");
    tuf_mock_release(script->mock);
    if (str_eq(role, "targets"))
        tuf_mock_publish(script->mock, "targets");
    script->rotated = true;
}

/* ---- what the server does ---- */

static void cut_file(struct script *script)
{
    char name[64];
    pick_file(script, name, sizeof name);
    const struct buf *file = tuf_mock_file(script->mock, name);
    cleanup_free char *bytes = file ? mem_dup(buf_text(file), file->len) : NULL;
    if (bytes)
        tuf_mock_serve(script->mock, name, bytes, file->len * next(script) / 256);
}

static void bend_file(struct script *script)
{
    char name[64];
    pick_file(script, name, sizeof name);
    const struct buf *file = tuf_mock_file(script->mock, name);
    cleanup_free char *bytes = file ? mem_dup(buf_text(file), file->len) : NULL;
    size_t len = file ? file->len : 0;
    size_t at = (size_t)next(script) * 256 + next(script);
    if (!bytes || len == 0)
        return;
    bytes[at % len] = (char)next(script);
    tuf_mock_serve(script->mock, name, bytes, len);
}

static void own_file(struct script *script)
{
    char name[64];
    pick_file(script, name, sizeof name);
    size_t len = (size_t)next(script) * 4;
    len = MIN(len, script->size);
    tuf_mock_serve(script->mock, name, script->data, len);
    script->data += len;
    script->size -= len;
}

static void hide_file(struct script *script)
{
    char name[64];
    pick_file(script, name, sizeof name);
    if (next(script) % 2)
        tuf_mock_hide(script->mock, name);
    else
        tuf_mock_flood(script->mock, name);
}

static void replay_file(struct script *script)
{
    char name[64];
    pick_file(script, name, sizeof name);
    const char *role = PICK(script, "root", "timestamp", "snapshot", "targets", "deep");
    const struct buf *old = tuf_mock_past(script->mock, role, 1 + next(script) % 8);
    cleanup_free char *bytes = old ? mem_dup(buf_text(old), old->len) : NULL;
    if (bytes)
        tuf_mock_serve(script->mock, name, bytes, old->len);
}

/* With the keys that it has, anything may be signed. */
static void sign_anything(struct script *script)
{
    const char *role = PICK(script, "timestamp", "snapshot");
    const char *pointer =
        PICK(script, "/version", "/expires", "/meta/targets.json/version", "/meta/snapshot.json/version",
             "/meta/snapshot.json/length", "/meta/deep.json", "/meta", "/_type", "/x-muster/issued");
    const char *value =
        PICK(script, "0", "1", "2", "3", "1000000", "-1", "null", "\"2027-01-15T00:00:00Z\"",
             "\"2036-01-01T00:00:00Z\"", "{}", "[]", "1.5", "9223372036854775807", "\"root\"");
    tuf_mock_set(script->mock, role, pointer, "%s", value);
    tuf_mock_republish(script->mock, role);
}

/* ---- the client ---- */

static int64_t version_of(struct script *script, const char *role)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (script->shelf->ops->load(script->shelf, role, &bytes, &err) < 0)
        return 0;
    if (tuf_metadata_parse(bytes.data, bytes.len, &metadata, &err) < 0)
        abort(); /* only what was verified gets there */
    return metadata.version;
}

static void ask(struct script *script)
{
    const char *path = PICK(script, "a", "b", "c", "d");
    struct err err = {0};
    struct digest got, want = hash_bytes(path, 1);
    if (tuf_mock_seek(script->mock, script->shelf, path, &got, &err) == 0) {
        if (!digest_equal(&got, &want) || str_eq(path, "d"))
            abort();
    } else if (!err.text[0] || (err.code != ERR_UNTRUSTED && err.code != ERR_INTERNAL)) {
        abort();
    }
    int64_t root = version_of(script, "root"), targets = version_of(script, "targets");
    if (root < script->root || (targets < script->targets && !script->rotated))
        abort();
    script->root = root;
    script->targets = targets;
}

static void later(struct script *script)
{
    tuf_mock_at(script->mock, tuf_mock_now(script->mock) + next(script) * 3600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const acts[])(struct script *) = {ask,           release,  rotate,    cut_file,
                                                    bend_file,     own_file, hide_file, replay_file,
                                                    sign_anything, later,    ask};
    struct err err = {0};
    cleanup_tuf_mock struct tuf_mock *mock = tuf_mock_new(NOW_S);
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
    struct script script = {.data = data, .size = size, .mock = mock, .shelf = shelf, .root = 1};
    const char *const all[] = {"*", NULL};
    tuf_mock_delegate(mock, "targets", &(struct tuf_mock_delegation){.name = "deep", .paths = all});
    tuf_mock_release(mock);
    if (tuf_mock_anchor(mock, shelf, &err) < 0)
        abort();
    for (int i = 0; i < MAX_ACTS && script.size > 0; i++)
        acts[next(&script) % ARRAY_LEN(acts)](&script);
    ask(&script);
    return 0;
}
