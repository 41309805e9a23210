/* What the server gives, and a client that asks for it. */
#include "base/str.h"
#include "trust/rule.h"
#include "trust/tuf/testing/mock_inside.h"

enum { MAX_FILE = 64 << 20 };

void mock_file_put(struct tuf_mock *mock, const char *name, const char *role, int64_t version,
                   enum mock_answer answer, const void *bytes, size_t len)
{
    struct mock_file *files = mem_grow(mock->files, mock->file_count + 1, sizeof files[0]);
    if (files)
        mock->files = files;
    struct mock_file file = {.name = mem_strdup(name),
                             .role = role ? mem_strdup(role) : NULL,
                             .version = version,
                             .answer = answer,
                             .bytes = BUF_INIT(MAX_FILE)};
    if (!files || !file.name || buf_put(&file.bytes, bytes, len, &mock->err) < 0) {
        mock_fail(mock, "out of memory");
        free(file.name);
        free(file.role);
        buf_fini(&file.bytes);
        return;
    }
    files[mock->file_count++] = file;
}

static const struct mock_file *find(const struct tuf_mock *mock, const char *name)
{
    for (size_t i = mock->file_count; i-- > 0;)
        if (str_eq(mock->files[i].name, name))
            return &mock->files[i];
    return NULL;
}

const struct buf *tuf_mock_file(const struct tuf_mock *mock, const char *name)
{
    const struct mock_file *file = find(mock, name);
    return file && file->answer == MOCK_GIVE ? &file->bytes : NULL;
}

const struct buf *tuf_mock_past(const struct tuf_mock *mock, const char *role, int64_t version)
{
    for (size_t i = mock->file_count; i-- > 0;)
        if (str_eq(mock->files[i].role, role) && mock->files[i].version == version)
            return &mock->files[i].bytes;
    return NULL;
}

void tuf_mock_serve(struct tuf_mock *mock, const char *name, const void *bytes, size_t len)
{
    mock_file_put(mock, name, NULL, 0, MOCK_GIVE, bytes, len);
}

void tuf_mock_hide(struct tuf_mock *mock, const char *name)
{
    mock_file_put(mock, name, NULL, 0, MOCK_LACK, "", 0);
}

void tuf_mock_flood(struct tuf_mock *mock, const char *name)
{
    mock_file_put(mock, name, NULL, 0, MOCK_FLOOD, "", 0);
}

void tuf_mock_patch(struct tuf_mock *mock, const char *name, const char *pointer, const char *json_format,
                    ...)
{
    const struct buf *bytes = tuf_mock_file(mock, name);
    json_t *whole = bytes ? json_loadb(buf_text(bytes), bytes->len, 0, NULL) : NULL;
    va_list args;
    va_start(args, json_format);
    json_t *value = mock_vparse(mock, json_format, args);
    va_end(args);
    if (!whole || !value || mock_point(whole, pointer, json_incref(value)) < 0)
        mock_fail(mock, "%.60s cannot be edited at %.80s", name, pointer);
    cleanup_free char *text = whole ? json_dumps(whole, JSON_INDENT(1)) : NULL;
    if (text)
        tuf_mock_serve(mock, name, text, strlen(text));
    json_decref(whole);
    json_decref(value);
}

void tuf_mock_on_want(struct tuf_mock *mock, void (*hook)(struct tuf_mock *, const char *, void *), void *arg)
{
    mock->hook = hook;
    mock->hook_arg = arg;
}

const char *tuf_mock_log(const struct tuf_mock *mock)
{
    return buf_text(&mock->log);
}

void tuf_mock_log_clear(struct tuf_mock *mock)
{
    buf_reset(&mock->log);
}

static void answer(struct tuf_mock *mock, struct tuf_update *update, const struct tuf_want *want)
{
    cleanup_free char *name = mem_strdup(want->name);
    if (!name || buf_printf(&mock->log, &mock->err, "%s%s", mock->log.len ? " " : "", name) < 0)
        return;
    uint64_t max_bytes = want->max_bytes;
    if (mock->hook)
        mock->hook(mock, name, mock->hook_arg);
    const struct mock_file *file = find(mock, name);
    if (!file || file->answer == MOCK_LACK)
        tuf_update_lack(update);
    else if (file->answer == MOCK_FLOOD || file->bytes.len > max_bytes)
        tuf_update_overflow(update);
    else
        tuf_update_give(update, buf_text(&file->bytes), file->bytes.len);
}

int tuf_mock_pump(struct tuf_mock *mock, struct tuf_update *update, struct err *err)
{
    struct tuf_want want;
    enum tuf_step step;
    while (!mock->err.code && (step = tuf_update_step(update, &want, err)) == TUF_WANT)
        answer(mock, update, &want);
    if (!mock->err.code)
        return step == TUF_DONE ? 0 : -1;
    *err = mock->err;
    return -1;
}

int tuf_mock_anchor(const struct tuf_mock *mock, struct tuf_shelf *shelf, struct err *err)
{
    const struct buf *root = tuf_mock_past(mock, "root", tuf_mock_version(mock, "root"));
    if (!root)
        return err_set(err, ERR_INTERNAL, "mock: no root was published");
    return tuf_trust(shelf, root->data, root->len, err);
}

int tuf_mock_run(struct tuf_mock *mock, struct tuf_shelf *shelf, const struct tuf_limits *limits,
                 const char *path, struct digest *out, struct err *err)
{
    struct tuf_update_options options = {.shelf = shelf, .now_s = mock->now_s};
    cleanup_tuf_update struct tuf_update *update = NULL;
    if (limits)
        options.limits = *limits;
    if (tuf_update_new(&options, &update, err) < 0)
        return -1;
    if (path)
        tuf_update_seek(update, path);
    else
        tuf_update_refresh(update);
    if (tuf_mock_pump(mock, update, err) < 0)
        return -1;
    const struct tuf_target *target = path ? tuf_update_target(update) : NULL;
    if (path && !target)
        return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "%s", path);
    if (target && out)
        memcpy(out->bytes, target->hashes.sha256, sizeof out->bytes);
    return 0;
}

int tuf_mock_refresh(struct tuf_mock *mock, struct tuf_shelf *shelf, struct err *err)
{
    return tuf_mock_run(mock, shelf, NULL, NULL, NULL, err);
}

int tuf_mock_seek(struct tuf_mock *mock, struct tuf_shelf *shelf, const char *path, struct digest *out,
                  struct err *err)
{
    return tuf_mock_run(mock, shelf, NULL, path, out, err);
}
