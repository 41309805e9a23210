#include "robot/agent/command_memory.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"
#include "wire/json_stream.h"

enum { SCHEMA = 1, MAX_FILE_BYTES = 256 << 10 };

struct seen {
    char nonce[33];
    int64_t expires_ms;
};

struct command_memory {
    char *path;
    int64_t floor_ms;
    char rolling[48];
    size_t count;
    struct seen seen[COMMAND_MEMORY_MAX];
};

/* ---- the file ---- */

static int parse(struct command_memory *memory, const struct buf *text, struct err *err)
{
    struct json_reader reader;
    int64_t schema = 0;
    size_t count = 0;
    if (json_read(&reader, memory->path, text->data, text->len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "schema", "floor_ms", "seen", "rolling");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    json_get_int(root, "floor_ms", 0, INT64_MAX, &memory->floor_ms);
    json_get_line(root, "rolling", memory->rolling, sizeof memory->rolling);
    struct json_at list = json_list(root, "seen", COMMAND_MEMORY_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        JSON_ONLY(at, "nonce", "expires_ms");
        json_get_string(at, "nonce", memory->seen[i].nonce, sizeof memory->seen[i].nonce);
        json_get_int(at, "expires_ms", 0, INT64_MAX, &memory->seen[i].expires_ms);
    }
    memory->count = count;
    return json_finish(&reader, err);
}

static int save(struct command_memory *memory, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "schema", SCHEMA);
    jsonw_i64(&w, "floor_ms", memory->floor_ms);
    jsonw_text(&w, "rolling", memory->rolling);
    jsonw_array(&w, "seen");
    for (size_t i = 0; i < memory->count; i++) {
        jsonw_object(&w, NULL);
        jsonw_text(&w, "nonce", memory->seen[i].nonce);
        jsonw_i64(&w, "expires_ms", memory->seen[i].expires_ms);
        jsonw_close(&w);
    }
    jsonw_close(&w);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, err);
    return text ? file_replace(memory->path, text, strlen(text), 0600, err) : -1;
}

static int set_aside(struct command_memory *memory, int64_t now_ms, const struct err *why, struct err *err)
{
    cleanup_free char *aside = mem_printf("%s.damaged", memory->path);
    if (!aside)
        return err_no_memory(err);
    log_error("%s; set aside, commands that are older than now are refused", why->text);
    if (file_rename(memory->path, aside, err) < 0)
        return -1;
    memory->count = 0;
    memory->rolling[0] = 0;
    memory->floor_ms = now_ms + COMMAND_SKEW_MS + COMMAND_MAX_LIFE_MS;
    return save(memory, err);
}

int command_memory_open(const char *path, int64_t now_ms, struct command_memory **out, struct err *err)
{
    cleanup_command_memory struct command_memory *memory = mem_zalloc(1, sizeof *memory);
    cleanup_buf struct buf text = BUF_INIT(MAX_FILE_BYTES);
    if (!memory || !(memory->path = mem_strdup(path)))
        return err_no_memory(err);
    struct err why = {0};
    bool bad = file_read(path, &text, &why) < 0 || parse(memory, &text, &why) < 0;
    if (bad && why.code != ERR_NOT_FOUND && set_aside(memory, now_ms, &why, err) < 0)
        return -1;
    *out = TAKE_PTR(memory);
    return 0;
}

void command_memory_free(struct command_memory *memory)
{
    if (!memory)
        return;
    free(memory->path);
    free(memory);
}

/* ---- what was seen ---- */

int command_memory_check(const struct command_memory *memory, const struct command *command, struct err *err)
{
    for (size_t i = 0; i < memory->count; i++)
        if (strcmp(memory->seen[i].nonce, command->nonce) == 0)
            return err_set(
                err, ERR_REFUSED,
                "seen before: a replay, or this agent was killed while it was carried out; give a new one");
    if (command->verb != COMMAND_STOP && command->expires_ms <= memory->floor_ms)
        return err_set(
            err, ERR_REFUSED,
            "it may have been seen before, what this robot knew of that time is gone; give a new one");
    return 0;
}

static void drop(struct command_memory *memory, size_t index)
{
    memory->floor_ms = MAX(memory->floor_ms, memory->seen[index].expires_ms);
    memory->seen[index] = memory->seen[--memory->count];
}

static void forget_expired(struct command_memory *memory, int64_t now_ms)
{
    for (size_t i = memory->count; i > 0; i--)
        if (memory->seen[i - 1].expires_ms <= now_ms)
            drop(memory, i - 1);
}

static void make_room(struct command_memory *memory)
{
    size_t first = 0;
    for (size_t i = 1; i < memory->count; i++)
        if (memory->seen[i].expires_ms < memory->seen[first].expires_ms)
            first = i;
    if (memory->count == COMMAND_MEMORY_MAX)
        drop(memory, first);
}

int command_memory_add(struct command_memory *memory, const struct command *command, int64_t now_ms,
                       struct err *err)
{
    forget_expired(memory, now_ms);
    make_room(memory);
    struct seen *seen = &memory->seen[memory->count++];
    *seen = (struct seen){.expires_ms = command->expires_ms};
    str_copy(seen->nonce, sizeof seen->nonce, command->nonce);
    return save(memory, err);
}

const char *command_memory_rolling(const struct command_memory *memory)
{
    return memory->rolling;
}

int command_memory_set_rolling(struct command_memory *memory, const char *who, struct err *err)
{
    str_copy(memory->rolling, sizeof memory->rolling, who);
    return save(memory, err);
}
