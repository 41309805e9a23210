#include "wire/json_stream.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void jsonw_init(struct json_writer *w)
{
    *w = (struct json_writer){.out = BUF_INIT(JSON_WRITER_MAX_BYTES)};
}

void jsonw_init_indented(struct json_writer *w)
{
    jsonw_init(w);
    w->indented = true;
}

void jsonw_fini(struct json_writer *w)
{
    buf_fini(&w->out);
}

char *jsonw_take(struct json_writer *w, struct err *err)
{
    assert(w->depth == 0);
    if (w->err.code != ERR_NONE) {
        *err = w->err;
        return NULL;
    }
    char *text = buf_take(&w->out);
    if (!text)
        (void)err_no_memory(err);
    return text;
}

static void put(struct json_writer *w, const char *data, size_t len)
{
    if (w->err.code == ERR_NONE)
        (void)!buf_put(&w->out, data, len, &w->err);
}

static void puts_raw(struct json_writer *w, const char *text)
{
    put(w, text, strlen(text));
}

/* Length of the UTF-8 sequence at `text`, or 0 if it is none (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_length(const uint8_t *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t len = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return len;
}

static void put_escaped(struct json_writer *w, uint8_t byte)
{
    char text[8];
    if (byte == '"' || byte == '\\')
        snprintf(text, sizeof text, "\\%c", byte);
    else if (byte == '\n')
        snprintf(text, sizeof text, "\\n");
    else
        snprintf(text, sizeof text, "\\u%04x", byte);
    puts_raw(w, text);
}

static void put_string(struct json_writer *w, const char *text)
{
    put(w, "\"", 1);
    const uint8_t *at = (const uint8_t *)text;
    while (*at) {
        size_t plain = 0;
        while (at[plain] >= 0x20 && at[plain] < 0x7f && at[plain] != '"' && at[plain] != '\\')
            plain++;
        put(w, (const char *)at, plain);
        at += plain;
        if (!*at)
            break;
        size_t len = utf8_length(at);
        if (len == 1)
            put_escaped(w, *at);
        else if (len)
            put(w, (const char *)at, len);
        else
            puts_raw(w, "\xef\xbf\xbd");
        at += len ? len : 1;
    }
    put(w, "\"", 1);
}

static void break_line(struct json_writer *w)
{
    if (!w->indented)
        return;
    puts_raw(w, "\n");
    for (int i = 0; i < w->depth; i++)
        puts_raw(w, "  ");
}

/* What stands before every value. */
static void lead(struct json_writer *w, const char *key)
{
    if (w->comma)
        put(w, ",", 1);
    if (w->depth > 0)
        break_line(w);
    w->comma = true;
    if (key) {
        put_string(w, key);
        puts_raw(w, w->indented ? ": " : ":");
    }
}

static void open_any(struct json_writer *w, const char *key, const char *opener, char closer)
{
    assert(w->depth < JSON_WRITER_DEPTH);
    lead(w, key);
    puts_raw(w, opener);
    w->closers[w->depth++] = closer;
    w->comma = false;
}

void jsonw_object(struct json_writer *w, const char *key)
{
    open_any(w, key, "{", '}');
}

void jsonw_array(struct json_writer *w, const char *key)
{
    open_any(w, key, "[", ']');
}

void jsonw_close(struct json_writer *w)
{
    assert(w->depth > 0);
    w->depth--;
    if (w->comma) /* not empty */
        break_line(w);
    put(w, &w->closers[w->depth], 1);
    w->comma = true;
}

void jsonw_text(struct json_writer *w, const char *key, const char *text)
{
    lead(w, key);
    put_string(w, text);
}

void jsonw_raw(struct json_writer *w, const char *key, const char *json)
{
    lead(w, key);
    puts_raw(w, json);
}

void jsonw_nothing(struct json_writer *w, const char *key)
{
    jsonw_raw(w, key, "null");
}

void jsonw_boolean(struct json_writer *w, const char *key, bool value)
{
    jsonw_raw(w, key, value ? "true" : "false");
}

void jsonw_u64(struct json_writer *w, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    jsonw_raw(w, key, text);
}

void jsonw_i64(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    jsonw_raw(w, key, text);
}

void jsonw_real(struct json_writer *w, const char *key, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    jsonw_raw(w, key, isfinite(value) ? text : "null");
}

void jsonw_digest(struct json_writer *w, const char *key, const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    if (digest_is_zero(digest))
        jsonw_nothing(w, key);
    else
        jsonw_text(w, key, text.text);
}
