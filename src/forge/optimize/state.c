#include "forge/optimize/state.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/optimize/optimize.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/json.h"
#include "wire/json_stream.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_MAX_BYTES = 1 << 20 };

static const char file_name[] = OPTIMIZE_WORK "/state.json";

static void read_step(struct json_at at, struct state_step *out)
{
    json_get_line(at, "step", out->name, sizeof out->name);
    json_get_digest(at, "key", &out->key);
    struct json_at files = json_list(at, "files", STATE_MAX_FILES, &out->file_count);
    for (size_t i = 0; i < out->file_count; i++) {
        struct json_at file = json_as_object(json_item(files, i));
        json_get_line(file, "path", out->files[i].path, sizeof out->files[i].path);
        json_get_digest(file, "sha256", &out->files[i].digest);
        if (!str_is_safe_path(out->files[i].path))
            json_fail(file, "path leads out");
    }
}

static int read_state(const char *path, struct state *state, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(STATE_MAX_BYTES);
    struct json_reader reader;
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, buf_text(&text), text.len, err) < 0)
        return -1;
    int64_t schema = 0;
    json_get_int(json_root(&reader), "schema", 1, 1, &schema);
    struct json_at steps = json_list(json_root(&reader), "steps", STATE_MAX_STEPS, &state->count);
    for (size_t i = 0; i < state->count; i++)
        read_step(json_as_object(json_item(steps, i)), &state->steps[i]);
    return json_finish(&reader, err);
}

int state_open(const char *out_dir, struct state *out, struct err *err)
{
    *out = (struct state){.dir = mem_strdup(out_dir)};
    cleanup_free char *path = file_join(out_dir, file_name);
    if (!out->dir || !path)
        return err_no_memory(err);
    struct err ignored = {0};
    if (read_state(path, out, &ignored) < 0)
        out->count = 0;
    return 0;
}

void state_fini(struct state *state)
{
    free(state->dir);
    state->dir = NULL;
}

static bool is_unchanged(const struct state *state, const struct state_file *file)
{
    cleanup_free char *path = file_join(state->dir, file->path);
    struct digest now;
    struct err ignored = {0};
    return path && hash_file(path, &now, NULL, &ignored) == 0 && digest_equal(&now, &file->digest);
}

static struct state_step *find(struct state *state, const char *step)
{
    for (size_t i = 0; i < state->count; i++)
        if (str_eq(state->steps[i].name, step))
            return &state->steps[i];
    return NULL;
}

bool state_done(const struct state *state, const char *step, const struct digest *key)
{
    for (size_t i = 0; i < state->count; i++) {
        const struct state_step *there = &state->steps[i];
        if (!str_eq(there->name, step) || !digest_equal(&there->key, key))
            continue;
        for (size_t k = 0; k < there->file_count; k++)
            if (!is_unchanged(state, &there->files[k]))
                return false;
        return true;
    }
    return false;
}

static void write_step(struct json_writer *w, const struct state_step *step)
{
    jsonw_object(w, NULL);
    jsonw_text(w, "step", step->name);
    jsonw_digest(w, "key", &step->key);
    jsonw_array(w, "files");
    for (size_t i = 0; i < step->file_count; i++) {
        jsonw_object(w, NULL);
        jsonw_text(w, "path", step->files[i].path);
        jsonw_digest(w, "sha256", &step->files[i].digest);
        jsonw_close(w);
    }
    jsonw_close(w);
    jsonw_close(w);
}

static int save(const struct state *state, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "schema", 1);
    jsonw_array(&w, "steps");
    for (size_t i = 0; i < state->count; i++)
        write_step(&w, &state->steps[i]);
    jsonw_close(&w);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, err);
    cleanup_free char *path = file_join(state->dir, file_name);
    if (!text)
        return -1;
    return path ? file_replace(path, text, strlen(text), 0644, err) : err_no_memory(err);
}

static bool take_out(struct state *state, const char *step)
{
    struct state_step *there = find(state, step);
    if (!there)
        return false;
    size_t behind = state->count - (size_t)(there - state->steps) - 1;
    memmove(there, there + 1, behind * sizeof *there);
    state->count--;
    return true;
}

int state_forget(struct state *state, const char *step, struct err *err)
{
    return take_out(state, step) ? save(state, err) : 0;
}

int state_record(struct state *state, const char *step, const struct digest *key, const char *const *files,
                 size_t file_count, struct err *err)
{
    struct state_step done = {.key = *key};
    str_copy(done.name, sizeof done.name, step);
    for (size_t i = 0; i < file_count; i++) {
        if (!files[i][0])
            continue;
        struct state_file *file = &done.files[done.file_count++];
        str_copy(file->path, sizeof file->path, files[i]);
        cleanup_free char *path = file_join(state->dir, files[i]);
        if (!path)
            return err_no_memory(err);
        if (hash_file(path, &file->digest, NULL, err) < 0)
            return -1;
    }
    take_out(state, step);
    if (state->count == STATE_MAX_STEPS) /* of other options, long ago */
        take_out(state, state->steps[0].name);
    state->steps[state->count++] = done;
    return save(state, err);
}
