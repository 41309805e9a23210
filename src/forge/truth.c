#include "forge/truth.h"

#include "base/str.h"
#include "wire/json.h"

enum { UNKNOWN = -1 };
static const double longest_s = 1e7;

struct reading {
    const struct release *release;
    struct truth *truth;
    size_t file_room, event_room;
    bool out_of_memory;
};

void truth_free(struct truth *truth)
{
    if (!truth)
        return;
    free(truth->files);
    free(truth->events);
    free(truth);
}

/* Room for one more at the end of an array that doubles. */
static bool grow(struct reading *reading, void **items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t wanted = MAX(2 * *room, 64);
    void *grown = mem_grow(*items, wanted, size);
    if (!grown) {
        reading->out_of_memory = true;
        return false;
    }
    *items = grown;
    *room = wanted;
    return true;
}

static int find_label(const struct release *release, const char *name)
{
    for (size_t i = 0; i < release->label_count; i++)
        if (str_eq(release->labels[i], name))
            return (int)i;
    return UNKNOWN;
}

static uint32_t known_label(const struct reading *reading, struct json_at at, const char *name)
{
    int label = find_label(reading->release, name);
    if (label == UNKNOWN && at.reader->err.code == ERR_NONE) {
        json_fail(at, "\"%.40s\" is no label of the release", name);
        at.reader->err.code = ERR_REFUSED;
    }
    return label == UNKNOWN ? 0 : (uint32_t)label;
}

static struct truth_file *add_file(struct reading *reading, struct json_at at, const char *name)
{
    struct truth *truth = reading->truth;
    if (at.reader->err.code != ERR_NONE || reading->out_of_memory)
        return NULL;
    if (truth->file_count == TRUTH_MAX_FILES) {
        json_fail(at, "more than %d files", TRUTH_MAX_FILES);
        return NULL;
    }
    if (strlen(name) >= TRUTH_NAME_SIZE || !str_is_safe_path(name)) {
        json_fail(at, "a file must be a path below the folder, shorter than %d bytes", TRUTH_NAME_SIZE);
        return NULL;
    }
    if (!grow(reading, (void **)&truth->files, truth->file_count, &reading->file_room, sizeof *truth->files))
        return NULL;
    struct truth_file *file = &truth->files[truth->file_count++];
    *file = (struct truth_file){.first = truth->event_count};
    str_copy(file->name, sizeof file->name, name);
    return file;
}

/* ---- labels.json ---- */

static void read_label(const char *key, struct json_at value, void *arg)
{
    struct reading *reading = arg;
    char label[64] = "";
    json_as_string(value, label, sizeof label);
    struct truth_file *file = add_file(reading, value, key);
    if (file)
        file->label = known_label(reading, value, label);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct truth_file *)a)->name, ((const struct truth_file *)b)->name);
}

/* ---- events.json ---- */

static void read_event(struct reading *reading, struct json_at item, struct truth_file *file)
{
    struct truth *truth = reading->truth;
    struct event event = {0};
    char label[64] = "";
    JSON_ONLY(item, "label", "from_s", "to_s");
    json_get_string(item, "label", label, sizeof label);
    json_get_double(item, "from_s", 0, longest_s, &event.from_s);
    json_get_double(item, "to_s", event.from_s, longest_s, &event.to_s);
    event.label = known_label(reading, item, label);
    if (truth->event_count == TRUTH_MAX_EVENTS)
        json_fail(item, "more than %d events", TRUTH_MAX_EVENTS);
    if (item.reader->err.code != ERR_NONE || reading->out_of_memory ||
        !grow(reading, (void **)&truth->events, truth->event_count, &reading->event_room,
              sizeof *truth->events))
        return;
    truth->events[truth->event_count++] = event;
    file->count++;
}

static void read_series(struct reading *reading, struct json_at item)
{
    char name[TRUTH_NAME_SIZE] = "";
    size_t count = 0;
    JSON_ONLY(item, "file", "events");
    json_get_line(item, "file", name, sizeof name);
    struct json_at list = json_list(item, "events", TRUTH_MAX_EVENTS, &count);
    struct truth_file *file = add_file(reading, item, name);
    for (size_t i = 0; file && i < count; i++)
        read_event(reading, json_as_object(json_item(list, i)), file);
}

static void read_wanted(struct reading *reading, struct json_at root)
{
    struct truth *truth = reading->truth;
    struct json_at list = json_list(root, "labels", RELEASE_MAX_LABELS, &truth->label_count);
    for (size_t i = 0; i < truth->label_count; i++) {
        char label[64] = "";
        json_as_string(json_item(list, i), label, sizeof label);
        truth->labels[i] = known_label(reading, list, label);
    }
}

static void read_seconds(struct json_at root, const char *key, double *out)
{
    *out = 1;
    if (json_has(root, key))
        json_get_double(root, key, 0, longest_s, out);
}

static void read_events(struct reading *reading, struct json_at root)
{
    size_t count = 0;
    JSON_ONLY(root, "rate_hz", "labels", "tolerance_s", "join_s", "series");
    json_get_double(root, "rate_hz", 1e-3, 1e6, &reading->truth->rate_hz);
    read_seconds(root, "tolerance_s", &reading->truth->tolerance_s);
    read_seconds(root, "join_s", &reading->truth->join_s);
    read_wanted(reading, root);
    struct json_at list = json_list(root, "series", TRUTH_MAX_FILES, &count);
    for (size_t i = 0; i < count && root.reader->err.code == ERR_NONE; i++)
        read_series(reading, json_as_object(json_item(list, i)));
}

/* ---- both ---- */

static int finish(struct reading *reading, struct json_reader *reader, struct truth **out, struct err *err)
{
    int result = json_finish(reader, err);
    if (result == 0 && reading->out_of_memory)
        result = err_no_memory(err);
    if (result == 0 && reading->truth->file_count == 0)
        result = err_set(err, ERR_INVALID, "%s: names no files", reader->name);
    if (result < 0)
        truth_free(reading->truth);
    else
        *out = reading->truth;
    return result;
}

static int begin(struct reading *reading, struct json_reader *reader, const char *name, const void *text,
                 size_t len, struct err *err)
{
    reading->truth = mem_zalloc(1, sizeof *reading->truth);
    if (!reading->truth)
        return err_no_memory(err);
    if (json_read(reader, name, text, len, err) < 0) {
        truth_free(reading->truth);
        return -1;
    }
    return 0;
}

int truth_parse_labels(const void *text, size_t len, const struct release *release, struct truth **out,
                       struct err *err)
{
    struct json_reader reader;
    struct reading reading = {.release = release};
    if (begin(&reading, &reader, "labels.json", text, len, err) < 0)
        return -1;
    json_each(json_root(&reader), read_label, &reading);
    if (reading.truth->file_count)
        qsort(reading.truth->files, reading.truth->file_count, sizeof *reading.truth->files, by_name);
    return finish(&reading, &reader, out, err);
}

int truth_parse_events(const void *text, size_t len, const struct release *release, struct truth **out,
                       struct err *err)
{
    struct json_reader reader;
    struct reading reading = {.release = release};
    if (begin(&reading, &reader, "events.json", text, len, err) < 0)
        return -1;
    read_events(&reading, json_root(&reader));
    return finish(&reading, &reader, out, err);
}
