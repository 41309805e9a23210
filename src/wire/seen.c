#include "wire/seen.h"

#include <string.h>

static void read_one(struct json_at at, struct seen_alarm *out)
{
    int64_t number = 0;
    json_get_int(at, "number", 1, INT64_MAX, &number);
    json_get_digest(at, "release", &out->release);
    json_get_int(at, "time_ms", 1, INT64_MAX / 2, &out->time_ms);
    out->number = (uint64_t)number;
}

void seen_read(struct json_at object, struct seen_list *out)
{
    size_t count = 0;
    *out = (struct seen_list){0};
    if (!json_has(object, "seen"))
        return;
    struct json_at list = json_list(object, "seen", SEEN_MAX, &count);
    for (size_t i = 0; i < count; i++)
        read_one(json_as_object(json_item(list, i)), &out->items[i]);
    out->count = count;
}

int seen_parse(const void *text, size_t len, struct seen_list *out, struct err *err)
{
    struct json_reader reader;
    if (len > SEEN_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "acknowledged alarms: %zu bytes; at most %d", len, SEEN_MAX_BYTES);
    if (json_read(&reader, "acknowledged alarms", text, len, err) < 0)
        return -1;
    seen_read(json_root(&reader), out);
    return json_finish(&reader, err);
}

void seen_write(struct json_writer *w, const struct seen_alarm *seen)
{
    jsonw_object(w, NULL);
    jsonw_u64(w, "number", seen->number);
    jsonw_digest(w, "release", &seen->release);
    jsonw_i64(w, "time_ms", seen->time_ms);
    jsonw_close(w);
}

char *seen_format(const struct seen_list *list)
{
    struct err ignored = {0};
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "seen");
    for (size_t i = 0; i < list->count; i++)
        seen_write(&w, &list->items[i]);
    jsonw_close(&w);
    jsonw_close(&w);
    return jsonw_take(&w, &ignored);
}

static size_t find(const struct seen_list *list, const struct digest *release, int64_t time_ms)
{
    size_t i = 0;
    while (i < list->count &&
           !(list->items[i].time_ms == time_ms && digest_equal(&list->items[i].release, release)))
        i++;
    return i;
}

static void drop(struct seen_list *list, size_t index)
{
    list->count--;
    memmove(list->items + index, list->items + index + 1, (list->count - index) * sizeof list->items[0]);
}

void seen_add(struct seen_list *list, const struct seen_alarm *seen)
{
    size_t same = find(list, &seen->release, seen->time_ms);
    if (same < list->count)
        drop(list, same);
    else if (list->count == SEEN_MAX)
        drop(list, 0);
    list->items[list->count++] = *seen;
}

bool seen_has(const struct seen_list *list, const struct digest *release, int64_t time_ms)
{
    return find(list, release, time_ms) < list->count;
}

uint64_t seen_last(const struct seen_list *list)
{
    return list->count ? list->items[list->count - 1].number : 0;
}
