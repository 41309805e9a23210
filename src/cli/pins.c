#include "cli/pins.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"
#include "wire/json_stream.h"

enum { FILE_MAX = 4 << 20, SCHEMA = 1 };

static void read_pins(struct json_at root, struct pins *out)
{
    int64_t schema = 0;
    size_t count = 0;
    JSON_ONLY(root, "schema", "robots");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    struct json_at list = json_list(root, "robots", PINS_MAX, &count);
    for (size_t i = 0; i < count && root.reader->err.code == ERR_NONE; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        char robot[64] = "";
        struct digest key = {0};
        JSON_ONLY(item, "robot", "key");
        json_get_name(item, "robot", robot, sizeof robot);
        json_get_digest(item, "key", &key);
        if (pins_find(out, robot))
            json_fail(item, "\"%s\" stands there twice", robot);
        else if (root.reader->err.code == ERR_NONE && pins_set(out, robot, &key, &root.reader->err) < 0)
            break;
    }
}

int pins_open(const char *keys_dir, struct pins *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(FILE_MAX);
    struct json_reader reader;
    *out = (struct pins){.path = file_join(keys_dir, "robots.json")};
    if (!out->path)
        return err_no_memory(err);
    if (file_read(out->path, &text, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return 0;
    }
    if (json_read(&reader, out->path, text.data, text.len, err) < 0)
        return -1;
    read_pins(json_root(&reader), out);
    return json_finish(&reader, err);
}

int pins_save(const struct pins *pins, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "schema", SCHEMA);
    jsonw_array(&w, "robots");
    for (size_t i = 0; i < pins->count; i++) {
        jsonw_object(&w, NULL);
        jsonw_text(&w, "robot", pins->items[i].robot);
        jsonw_digest(&w, "key", &pins->items[i].key);
        jsonw_close(&w);
    }
    jsonw_close(&w);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, err);
    return text ? file_replace(pins->path, text, strlen(text), 0644, err) : -1;
}

void pins_close(struct pins *pins)
{
    free(pins->path);
    free(pins->items);
    *pins = (struct pins){0};
}

static size_t place(const struct pins *pins, const char *robot)
{
    size_t low = 0, high = pins->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(pins->items[middle].robot, robot) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct pin *pins_find(const struct pins *pins, const char *robot)
{
    size_t at = place(pins, robot);
    return at < pins->count && str_eq(pins->items[at].robot, robot) ? &pins->items[at] : NULL;
}

int pins_set(struct pins *pins, const char *robot, const struct digest *key, struct err *err)
{
    size_t at = place(pins, robot);
    if (at < pins->count && str_eq(pins->items[at].robot, robot)) {
        pins->items[at].key = *key;
        return 0;
    }
    if (pins->count == PINS_MAX)
        return err_set(err, ERR_TOO_BIG, "more than %d robots", PINS_MAX);
    struct pin *grown = mem_grow(pins->items, pins->count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    pins->items = grown;
    memmove(&grown[at + 1], &grown[at], (pins->count - at) * sizeof *grown);
    grown[at] = (struct pin){.key = *key};
    str_copy(grown[at].robot, sizeof grown[at].robot, robot);
    pins->count++;
    return 0;
}
