#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/http_wire.h"

#include <ctype.h>

/* ---- chunks ---- */

enum chunk_state { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, END_CR, END_LF, DONE };
enum { MAX_SIZE_DIGITS = 12 };

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte outside of a chunk's data. */
static int eat_frame_byte(struct http_chunks *chunks, uint8_t byte)
{
    static const struct {
        uint8_t byte;
        int next;
    } fixed[] = {[SIZE_LF] = {'\n', DATA},
                 [DATA_CR] = {'\r', DATA_LF},
                 [DATA_LF] = {'\n', SIZE},
                 [END_CR] = {'\r', END_LF},
                 [END_LF] = {'\n', DONE}};
    int value = hex_value(byte);
    if (chunks->state == SIZE && value >= 0 && chunks->digits < MAX_SIZE_DIGITS) {
        chunks->digits++;
        chunks->left = chunks->left * 16 + (uint64_t)value;
        return 0;
    }
    if (chunks->state == SIZE && byte == '\r' && chunks->digits > 0) {
        chunks->state = SIZE_LF;
        return 0;
    }
    if (chunks->state == SIZE || byte != fixed[chunks->state].byte)
        return -1;
    chunks->state = fixed[chunks->state].next;
    if (chunks->state == DATA && chunks->left == 0)
        chunks->state = END_CR;
    chunks->digits = 0;
    return 0;
}

int http_chunks_next(struct http_chunks *chunks, const uint8_t *data, size_t len, size_t *eaten,
                     struct http_span *out, struct err *err)
{
    *out = (struct http_span){.data = data, .len = 0};
    for (*eaten = 0; *eaten < len && chunks->state != DONE; (*eaten)++) {
        if (chunks->state == DATA) {
            *out = (struct http_span){.data = data + *eaten, .len = (size_t)MIN(chunks->left, len - *eaten)};
            *eaten += out->len;
            chunks->left -= out->len;
            if (chunks->left == 0)
                chunks->state = DATA_CR;
            return 0;
        }
        if (eat_frame_byte(chunks, data[*eaten]) < 0)
            return err_set(err, ERR_INVALID, "malformed chunk (extensions and trailers are not taken)");
    }
    return chunks->state == DONE;
}

/* ---- targets ---- */

/* Decodes %XX in place. False for a broken escape or one of NUL. */
static bool decode(char *text, bool plus_is_blank)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        char c = plus_is_blank && *in == '+' ? ' ' : *in;
        if (c == '%') {
            int high = hex_value((uint8_t)in[1]), low = high < 0 ? -1 : hex_value((uint8_t)in[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            in += 2;
        }
        *out++ = c;
    }
    *out = 0;
    return true;
}

static bool has_escaped_slash(const char *text)
{
    for (const char *at = text; (at = strchr(at, '%')); at++)
        if (at[1] == '2' && (at[2] | 0x20) == 'f')
            return true;
    return false;
}

static bool has_dot_segment(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        at++;
        size_t len = strcspn(at, "/");
        if ((len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return true;
    }
    return false;
}

int http_target_split(const char *target, char **out_path, char **out_query, struct err *err)
{
    size_t path_len = strcspn(target, "?");
    cleanup_free char *path = mem_strndup(target, path_len);
    cleanup_free char *query = mem_strdup(target[path_len] ? target + path_len + 1 : "");
    if (!path || !query)
        return err_no_memory(err);
    if (path[0] != '/' || has_escaped_slash(path) || !decode(path, false) || has_dot_segment(path))
        return err_set(err, ERR_INVALID, "malformed request: a path with a broken escape or a dot segment");
    *out_path = TAKE_PTR(path);
    *out_query = TAKE_PTR(query);
    return 0;
}

char *http_query_find(const char *query, const char *name)
{
    for (const char *at = query; *at;) {
        size_t len = strcspn(at, "&"), key_len = strcspn(at, "&=");
        cleanup_free char *key = mem_strndup(at, key_len);
        if (key && decode(key, true) && strcmp(key, name) == 0) {
            size_t skip = MIN(key_len + 1, len);
            cleanup_free char *value = mem_strndup(at + skip, len - skip);
            return value && decode(value, true) ? TAKE_PTR(value) : NULL;
        }
        at += len + (at[len] == '&');
    }
    return NULL;
}

/* ---- ranges ---- */

enum http_range http_range_parse(const char *value, uint64_t size, uint64_t *out_first, uint64_t *out_last)
{
    if (!value || !str_starts(value, "bytes=") || strlen(value) > 60)
        return HTTP_RANGE_NONE;
    char text[64];
    str_copy(text, sizeof text, value + 6);
    char *dash = strchr(text, '-');
    if (!dash)
        return HTTP_RANGE_NONE;
    *dash++ = 0;
    uint64_t first = 0, last = UINT64_MAX;
    bool suffix = !text[0];
    if ((!suffix && !str_to_u64(text, &first)) || (dash[0] && !str_to_u64(dash, &last)) ||
        (suffix && !dash[0]))
        return HTTP_RANGE_NONE;
    if (suffix) {
        first = last < size ? size - last : 0;
        last = last ? UINT64_MAX : 0;
        if (last == 0)
            return HTTP_RANGE_BAD;
    }
    if (first > last)
        return HTTP_RANGE_NONE;
    if (first >= size)
        return HTTP_RANGE_BAD;
    *out_first = first;
    *out_last = MIN(last, size - 1);
    return HTTP_RANGE_PART;
}

/* ---- answers ---- */

/* Length of the UTF-8 sequence at `text`, 0 if it is none (overlong and surrogates included). */
static size_t utf8_len(const char *text)
{
    const uint8_t *b = (const uint8_t *)text;
    size_t len = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < len; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
               (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f);
    return bad ? 0 : len;
}

static int put_json_text(struct buf *out, const char *text, struct err *err)
{
    int rc = 0;
    for (size_t len; *text && rc == 0; text += MAX(len, (size_t)1)) {
        len = utf8_len(text);
        if (len == 0)
            rc = buf_puts(out, "?", err);
        else if (*text == '"' || *text == '\\')
            rc = buf_printf(out, err, "\\%c", *text);
        else if (len == 1 && iscntrl((unsigned char)*text))
            rc = buf_printf(out, err, "\\u%04x", (unsigned)*text);
        else
            rc = buf_put(out, text, len, err);
    }
    return rc;
}

char *http_error_json(const struct err *error)
{
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct err err;
    if (buf_printf(&out, &err, "{\"error\":{\"code\":\"%s\",\"message\":\"", err_code_name(error->code)) <
            0 ||
        put_json_text(&out, error->text, &err) < 0 || buf_puts(&out, "\"}}", &err) < 0)
        return NULL;
    return buf_take(&out);
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Unknown";
}
