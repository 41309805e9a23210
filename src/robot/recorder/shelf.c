#include "robot/recorder/shelf.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

#define SUFFIX ".mcap"
#define SENT ".sent"

void shelf_id(uint32_t number, int64_t time_ms, int severity, const char *cause, char out[INCIDENT_ID_SIZE])
{
    char when[CLOCK_RFC3339_SIZE], compact[CLOCK_RFC3339_SIZE];
    size_t len = 0;
    clock_rfc3339(time_ms, when);
    for (const char *c = when; *c && *c != '.'; c++)
        if (*c != '-' && *c != ':')
            compact[len++] = *c;
    compact[len] = 0;
    snprintf(out, INCIDENT_ID_SIZE, "%06u-%sZ-%d-%s", number % SHELF_NUMBERS, compact, severity, cause);
}

/* NNNNNN-YYYYMMDDThhmmssZ-S-cause */
bool shelf_parse(const char *id, struct shelf_item *out)
{
    enum { NUMBER = 6, TIME = 7, TIME_END = 23, SEVERITY = 24, CAUSE = 26 };
    char number[NUMBER + 1];
    uint64_t value;
    if (!str_is_name(id, INCIDENT_ID_SIZE - 1) || strlen(id) <= CAUSE)
        return false;
    memcpy(number, id, NUMBER);
    number[NUMBER] = 0;
    if (!str_to_u64(number, &value) || id[NUMBER] != '-' || id[TIME_END] != '-' || id[SEVERITY + 1] != '-' ||
        id[SEVERITY] < '0' || id[SEVERITY] > '3')
        return false;
    *out = (struct shelf_item){.number = (uint32_t)value, .severity = id[SEVERITY] - '0'};
    str_copy(out->id, sizeof out->id, id);
    return true;
}

int shelf_path(const char *dir, const char *id, const char *suffix, char *out, size_t size, struct err *err)
{
    int len = snprintf(out, size, "%s/%s%s", dir, id, suffix);
    return len > 0 && (size_t)len < size ? 0 : err_set(err, ERR_INVALID, "%s: the path is too long", dir);
}

struct reading {
    const char *dir;
    struct shelf_list *list;
};

static bool strip(const char *name, const char *suffix, char *out, size_t size)
{
    if (!str_ends(name, suffix) || !str_copy(out, size, name))
        return false;
    out[strlen(out) - strlen(suffix)] = 0;
    return true;
}

static int take_name(const char *name, void *arg)
{
    struct reading *reading = arg;
    struct shelf_list *list = reading->list;
    char id[INCIDENT_ID_SIZE + 8], path[512];
    struct shelf_item item;
    struct err ignored = {0};
    if (!strip(name, SUFFIX, id, sizeof id) || !shelf_parse(id, &item) ||
        shelf_path(reading->dir, id, SENT, path, sizeof path, &ignored) < 0)
        return 0;
    item.sent = file_exists(path);
    if (shelf_path(reading->dir, id, SUFFIX, path, sizeof path, &ignored) < 0 ||
        file_size(path, &item.bytes, &ignored) < 0)
        return 0;
    if (list->count == SHELF_MAX)
        memmove(list->items, list->items + 1, --list->count * sizeof list->items[0]);
    list->items[list->count++] = item;
    return 0;
}

int shelf_read(const char *dir, struct shelf_list *out, struct err *err)
{
    struct reading reading = {dir, out};
    out->count = 0;
    if (!file_exists(dir))
        return 0;
    return file_list(dir, take_name, &reading, err);
}

static int sweep_name(const char *name, void *arg)
{
    const char *dir = arg;
    char id[INCIDENT_ID_SIZE + 8], path[512];
    struct err ignored = {0};
    bool lost = strstr(name, SUFFIX FILE_TEMP_MARK) != NULL;
    if (!lost && strip(name, SENT, id, sizeof id) &&
        shelf_path(dir, id, SUFFIX, path, sizeof path, &ignored) == 0)
        lost = !file_exists(path);
    if (lost && shelf_path(dir, name, "", path, sizeof path, &ignored) == 0)
        unlink(path);
    return 0;
}

int shelf_sweep(const char *dir, struct err *err)
{
    return file_list(dir, sweep_name, (void *)(uintptr_t)dir, err);
}

uint32_t shelf_next_number(const struct shelf_list *list)
{
    return list->count ? (list->items[list->count - 1].number + 1) % SHELF_NUMBERS : 1;
}

static bool goes_before(const struct shelf_item *a, const struct shelf_item *b)
{
    if (a->severity != b->severity)
        return a->severity < b->severity;
    return a->sent != b->sent ? a->sent : a->number < b->number;
}

const struct shelf_item *shelf_victim(const struct shelf_list *list)
{
    const struct shelf_item *victim = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (!victim || goes_before(&list->items[i], victim))
            victim = &list->items[i];
    return victim;
}

static int drop(const char *dir, struct shelf_list *list, const struct shelf_item *victim, struct err *err)
{
    char path[512];
    if (shelf_path(dir, victim->id, SUFFIX, path, sizeof path, err) < 0)
        return -1;
    if (unlink(path) < 0)
        return err_errno(err, "%s", path);
    if (shelf_path(dir, victim->id, SENT, path, sizeof path, err) == 0)
        unlink(path);
    size_t index = (size_t)(victim - list->items);
    list->count--;
    memmove(&list->items[index], &list->items[index + 1], (list->count - index) * sizeof list->items[0]);
    return 0;
}

static uint64_t bytes_of(const struct shelf_list *list)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += list->items[i].bytes;
    return bytes;
}

int shelf_bytes(const char *dir, uint64_t *out, struct err *err)
{
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    if (shelf_read(dir, list, err) < 0)
        return -1;
    *out = bytes_of(list);
    return 0;
}

int shelf_make_room(const char *dir, const struct shelf_limits *limits, int severity, uint64_t bytes,
                    struct err *err)
{
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    if (shelf_read(dir, list, err) < 0)
        return -1;
    while (list->count > 0 && (list->count >= limits->events || bytes_of(list) + bytes > limits->bytes)) {
        const struct shelf_item *victim = shelf_victim(list);
        if (victim->severity > severity)
            return err_set(err, ERR_NO_SPACE, "the shelf is full of graver events");
        if (drop(dir, list, victim, err) < 0)
            return -1;
    }
    return 0;
}

int shelf_mark_sent(const char *dir, const char *id, struct err *err)
{
    char path[512];
    if (shelf_path(dir, id, SENT, path, sizeof path, err) < 0)
        return -1;
    return file_replace(path, "", 0, 0600, err);
}
