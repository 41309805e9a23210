/* YAML into the JSON values of json.h: only what JSON can say, typed by the YAML 1.2 core schema. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"

#include <errno.h>
#include <yaml.h>

struct yaml_source {
    const char *name;
    yaml_parser_t parser;
    struct err *err;
};

static void event_cleanup(yaml_event_t *event)
{
    yaml_event_delete(event);
}

#define cleanup_event __attribute__((cleanup(event_cleanup)))

static int refuse(struct yaml_source *source, const yaml_event_t *event, const char *cause)
{
    return err_set(source->err, ERR_INVALID, "%s: line %zu: %s", source->name, event->start_mark.line + 1,
                   cause);
}

static int next_event(struct yaml_source *source, yaml_event_t *out)
{
    if (yaml_parser_parse(&source->parser, out))
        return 0;
    const yaml_parser_t *parser = &source->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return err_no_memory(source->err);
    return err_set(source->err, ERR_INVALID, "%s: line %zu: %s", source->name, parser->problem_mark.line + 1,
                   parser->problem ? parser->problem : "no YAML");
}

/* ---- plain scalars, YAML 1.2 core schema ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(text, *words))
            return true;
    return false;
}

static size_t digits_in(const char *text)
{
    return strspn(text, "0123456789");
}

/* [-+]? [0-9]+ */
static bool is_decimal(const char *text)
{
    text += *text == '-' || *text == '+';
    return *text && text[digits_in(text)] == 0;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = digits_in(text), part = 0;
    text += whole;
    if (*text == '.') {
        part = digits_in(++text);
        text += part;
    }
    if (whole + part == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        if (digits_in(text) == 0)
            return false;
        text += digits_in(text);
    }
    return *text == 0;
}

static json_t *integer_of(struct yaml_source *source, const yaml_event_t *event, const char *text, int base)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, base);
    if (errno || *end) {
        refuse(source, event, "the integer is too big; put it in quotes if it is text");
        return NULL;
    }
    return json_integer(value);
}

static json_t *real_of(struct yaml_source *source, const yaml_event_t *event, const char *text)
{
    double value;
    if (str_to_double(text, &value))
        return json_real(value);
    refuse(source, event, "the number is too big; put it in quotes if it is text");
    return NULL;
}

static json_t *plain_value(struct yaml_source *source, const yaml_event_t *event, const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const no_json[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    if (is_one_of(text, no_json)) {
        refuse(source, event, "infinity and NaN are not allowed");
        return NULL;
    }
    if (is_decimal(text))
        return integer_of(source, event, text, 10);
    if (str_starts(text, "0x") && text[2] && strspn(text + 2, "0123456789abcdefABCDEF") == strlen(text + 2))
        return integer_of(source, event, text + 2, 16);
    if (str_starts(text, "0o") && text[2] && strspn(text + 2, "01234567") == strlen(text + 2))
        return integer_of(source, event, text + 2, 8);
    if (is_float(text))
        return real_of(source, event, text);
    return json_string(text);
}

/* ---- nodes ---- */

static json_t *parse_node(struct yaml_source *source, const yaml_event_t *event, int depth);

static int check_scalar(struct yaml_source *source, const yaml_event_t *event)
{
    if (event->data.scalar.anchor)
        return refuse(source, event, "anchors (&) are not allowed");
    if (event->data.scalar.tag)
        return refuse(source, event, "tags (!) are not allowed");
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return refuse(source, event, "text with a NUL byte is not allowed");
    return 0;
}

static json_t *parse_scalar(struct yaml_source *source, const yaml_event_t *event)
{
    if (check_scalar(source, event) < 0)
        return NULL;
    const char *text = (const char *)event->data.scalar.value;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return plain_value(source, event, text);
    return json_string(text);
}

static json_t *parse_list(struct yaml_source *source, int depth)
{
    cleanup_json json_t *list = json_array();
    for (;;) {
        cleanup_event yaml_event_t event = {0};
        if (!list || next_event(source, &event) < 0)
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return TAKE_PTR(list);
        if (json_append(list, parse_node(source, &event, depth)) < 0)
            return NULL;
    }
}

static int parse_key(struct yaml_source *source, const yaml_event_t *event, const json_t *object)
{
    if (event->type == YAML_ALIAS_EVENT)
        return refuse(source, event, "aliases (*) are not allowed");
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(source, event, "a key must be text");
    if (check_scalar(source, event) < 0)
        return -1;
    if (json_object_get(object, (const char *)event->data.scalar.value))
        return refuse(source, event, "the key appears twice");
    return 0;
}

static json_t *parse_map(struct yaml_source *source, int depth)
{
    cleanup_json json_t *object = json_object();
    for (;;) {
        cleanup_event yaml_event_t key = {0};
        cleanup_event yaml_event_t event = {0};
        if (!object || next_event(source, &key) < 0)
            return NULL;
        if (key.type == YAML_MAPPING_END_EVENT)
            return TAKE_PTR(object);
        if (parse_key(source, &key, object) < 0 || next_event(source, &event) < 0)
            return NULL;
        json_t *value = parse_node(source, &event, depth);
        if (!value || json_object_set_new(object, (const char *)key.data.scalar.value, value) < 0)
            return NULL;
    }
}

/* NULL with source->err set, or out of memory. */
static json_t *parse_node(struct yaml_source *source, const yaml_event_t *event, int depth)
{
    if (event->type == YAML_SCALAR_EVENT)
        return parse_scalar(source, event);
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    if (event->type == YAML_ALIAS_EVENT)
        refuse(source, event, "aliases (*) are not allowed");
    else if (depth == JSON_MAX_DEPTH)
        refuse(source, event, "nested too deeply");
    else if (is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        refuse(source, event, "anchors (&) are not allowed");
    else if (is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        refuse(source, event, "tags (!) are not allowed");
    else
        return is_map ? parse_map(source, depth + 1) : parse_list(source, depth + 1);
    return NULL;
}

/* ---- documents ---- */

static int expect(struct yaml_source *source, yaml_event_type_t type, const char *cause)
{
    cleanup_event yaml_event_t event = {0};
    if (next_event(source, &event) < 0)
        return -1;
    return event.type == type ? 0 : refuse(source, &event, cause);
}

static json_t *parse_document(struct yaml_source *source)
{
    if (expect(source, YAML_STREAM_START_EVENT, "no YAML") < 0 ||
        expect(source, YAML_DOCUMENT_START_EVENT, "the document is empty") < 0)
        return NULL;
    cleanup_event yaml_event_t event = {0};
    if (next_event(source, &event) < 0)
        return NULL;
    cleanup_json json_t *root = parse_node(source, &event, 0);
    if (!root || expect(source, YAML_DOCUMENT_END_EVENT, "text behind the document") < 0 ||
        expect(source, YAML_STREAM_END_EVENT, "a second document is not allowed") < 0)
        return NULL;
    return TAKE_PTR(root);
}

int yaml_read(struct json_reader *reader, const char *name, const void *text, size_t len, struct err *err)
{
    *reader = (struct json_reader){.name = name};
    if (len > YAML_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "%s: %zu bytes, the limit is %d", name, len, YAML_MAX_BYTES);
    struct err cause = {0};
    struct yaml_source source = {.name = name, .err = &cause};
    if (!yaml_parser_initialize(&source.parser))
        return err_no_memory(err);
    yaml_parser_set_encoding(&source.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&source.parser, len ? text : (const unsigned char *)"", len);
    json_t *root = parse_document(&source);
    yaml_parser_delete(&source.parser);
    if (root)
        return json_reader_init(reader, name, root, err);
    if (cause.code == ERR_NONE)
        err_set(&cause, ERR_INVALID, "%s: out of memory, or text that is no UTF-8", name);
    json_tame(cause.text);
    *err = cause;
    return -1;
}
