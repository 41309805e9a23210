#include "base/mem.h"
#include "base/str.h"
#include "sys/http_wire.h"

#include <ctype.h>

/* A head is taken apart in its own copy: the CRLF of each line and the colon behind each name become NUL. */

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
    size_t len = 0;
    while (is_token_char(text[len]))
        len++;
    return len > 0 && text[len] == 0;
}

static bool is_digits(const char *text, size_t max_len)
{
    size_t len = strspn(text, "0123456789");
    return len > 0 && len <= max_len && text[len] == 0;
}

/* Cuts the next line off. NULL if it does not end in CRLF or holds a control character. */
static char *cut_line(char **rest)
{
    char *line = *rest, *at = line;
    while (*at == '\t' || (unsigned char)*at >= 0x20)
        if (*at++ == 0x7f)
            return NULL;
    if (at[0] != '\r' || at[1] != '\n')
        return NULL;
    *at = 0;
    *rest = at + 2;
    return line;
}

static char *trim(char *value)
{
    while (*value == ' ' || *value == '\t')
        value++;
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = 0;
    return value;
}

static int read_field(char *line, struct http_head *head, struct err *err)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return err_set(err, ERR_INVALID, "a header field without a colon");
    *colon = 0;
    if (!is_token(line))
        return err_set(err, ERR_INVALID, "a header field with a malformed name or a folded line");
    if (head->field_count == HTTP_MAX_FIELDS)
        return err_set(err, ERR_TOO_BIG, "more than %d header fields", HTTP_MAX_FIELDS);
    for (char *c = line; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    head->fields[head->field_count++] = (struct http_field){.name = line, .value = trim(colon + 1)};
    return 0;
}

const char *http_head_find(const struct http_head *head, const char *lower_case_name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (strcmp(head->fields[i].name, lower_case_name) == 0)
            return head->fields[i].value;
    return NULL;
}

static int check_single(const struct http_head *head, struct err *err)
{
    static const char *const single[] = {"host",          "content-length", "transfer-encoding",
                                         "authorization", "content-type",   "range"};
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        int count = 0;
        for (size_t j = 0; j < head->field_count; j++)
            count += strcmp(head->fields[j].name, single[i]) == 0;
        if (count > 1)
            return err_set(err, ERR_INVALID, "%s is there %d times", single[i], count);
    }
    return 0;
}

static bool has_option(const char *list, const char *option)
{
    size_t len = strlen(option);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        if (strncasecmp(at, option, len) == 0 && strchr(", \t", at[len]))
            return true;
    }
    return false;
}

static int read_framing(struct http_head *head, enum http_framing otherwise, struct err *err)
{
    const char *length = http_head_find(head, "content-length");
    const char *coding = http_head_find(head, "transfer-encoding");
    head->framing = otherwise;
    if (length && coding)
        return err_set(err, ERR_INVALID, "both Content-Length and Transfer-Encoding");
    if (coding) {
        head->framing = HTTP_CHUNKED;
        return strcasecmp(coding, "chunked") == 0
                   ? 0
                   : err_set(err, ERR_INVALID, "a Transfer-Encoding but chunked");
    }
    if (length) {
        head->framing = HTTP_LENGTH;
        if (!is_digits(length, 15) || !str_to_u64(length, &head->content_length))
            return err_set(err, ERR_INVALID, "a malformed Content-Length");
    }
    return 0;
}

static int read_fields(char *rest, struct http_head *head, struct err *err)
{
    for (;;) {
        char *line = cut_line(&rest);
        if (!line)
            return err_set(err, ERR_INVALID,
                           "a line that does not end in CRLF, or a control character in it");
        if (!line[0])
            break;
        if (read_field(line, head, err) < 0)
            return -1;
    }
    if (*rest)
        return err_set(err, ERR_INVALID, "bytes behind the head");
    const char *connection = http_head_find(head, "connection");
    head->close = head->close || (connection && has_option(connection, "close"));
    return check_single(head, err);
}

static bool is_target(const char *target)
{
    for (const char *c = target; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f || *c == '#')
            return false;
    return target[0] == '/';
}

static int read_request_line(char *line, struct http_head *head, struct err *err)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version)
        return err_set(err, ERR_INVALID, "a malformed request line");
    *target++ = 0;
    *version++ = 0;
    if (strcmp(version, "HTTP/1.1") != 0)
        return err_set(err, ERR_INVALID, "a version but HTTP/1.1");
    if (!is_token(line) || strlen(line) > 16)
        return err_set(err, ERR_INVALID, "a malformed method");
    if (!is_target(target))
        return err_set(err, ERR_INVALID, "a target that is not an absolute path");
    head->method = line;
    head->target = target;
    return 0;
}

static int read_status_line(char *line, struct http_head *head, struct err *err)
{
    bool old = str_starts(line, "HTTP/1.0 ");
    if (!old && !str_starts(line, "HTTP/1.1 "))
        return err_set(err, ERR_INVALID, "the answer is not HTTP/1.1");
    const char *code = line + 9;
    bool good = strspn(code, "0123456789") == 3 && (code[3] == ' ' || code[3] == 0) && code[0] != '0';
    if (!good)
        return err_set(err, ERR_INVALID, "a malformed status line");
    head->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    head->close = old;
    return 0;
}

static int open_head(const void *data, size_t len, struct http_head *head, struct err *err)
{
    if (len > HTTP_MAX_HEAD_BYTES)
        return err_set(err, ERR_TOO_BIG, "the head has more than %d bytes", HTTP_MAX_HEAD_BYTES);
    head->text = mem_strndup(data, len);
    if (!head->text)
        return err_no_memory(err);
    return strlen(head->text) == len ? 0 : err_set(err, ERR_INVALID, "a NUL byte in the head");
}

static int parse_request(const void *data, size_t len, struct http_head *head, struct err *err)
{
    if (open_head(data, len, head, err) < 0)
        return -1;
    char *rest = head->text;
    char *line = cut_line(&rest);
    if (!line)
        return err_set(err, ERR_INVALID, "a malformed request line");
    if (read_request_line(line, head, err) < 0 || read_fields(rest, head, err) < 0 ||
        read_framing(head, HTTP_NO_BODY, err) < 0)
        return -1;
    if (!http_head_find(head, "host"))
        return err_set(err, ERR_INVALID, "no Host");
    const char *expect = http_head_find(head, "expect");
    head->expect_continue = expect && strcasecmp(expect, "100-continue") == 0;
    return 0;
}

static int parse_answer(const void *data, size_t len, struct http_head *head, struct err *err)
{
    if (open_head(data, len, head, err) < 0)
        return -1;
    char *rest = head->text;
    char *line = cut_line(&rest);
    if (!line)
        return err_set(err, ERR_INVALID, "a malformed status line");
    if (read_status_line(line, head, err) < 0 || read_fields(rest, head, err) < 0 ||
        read_framing(head, HTTP_UNTIL_CLOSE, err) < 0)
        return -1;
    if (head->status < 200 || head->status == 204 || head->status == 304)
        head->framing = HTTP_NO_BODY;
    head->close = head->close || head->framing == HTTP_UNTIL_CLOSE;
    return 0;
}

int http_head_parse_request(const void *data, size_t len, struct http_head *out, struct err *err)
{
    struct http_head head = {0};
    if (parse_request(data, len, &head, err) < 0) {
        http_head_fini(&head);
        return err_prefix(err, "malformed request");
    }
    *out = head;
    return 0;
}

int http_head_parse_answer(const void *data, size_t len, struct http_head *out, struct err *err)
{
    struct http_head head = {0};
    if (parse_answer(data, len, &head, err) < 0) {
        http_head_fini(&head);
        return err_prefix(err, "malformed answer");
    }
    *out = head;
    return 0;
}

void http_head_fini(struct http_head *head)
{
    free(head->text);
    *head = (struct http_head){0};
}
