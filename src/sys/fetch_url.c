#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch_engine.h"

#include <ctype.h>

static bool is_loopback(const char *host)
{
    return str_eq(host, "localhost") || str_eq(host, "::1") ||
           (str_starts(host, "127.") && strspn(host, "0123456789.") == strlen(host));
}

static bool is_host(const char *host, bool bracketed)
{
    size_t len = strlen(host);
    if (bracketed)
        return len >= 2 && strspn(host, "0123456789abcdefABCDEF:.") == len;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && host[i] != '-' && host[i] != '.' && host[i] != '_')
            return false;
    return len > 0;
}

static bool is_target(const char *target)
{
    for (const char *c = target; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f || *c == '#')
            return false;
    return true;
}

/* Splits "host:port" or "[v6]:port". */
static bool split_authority(char *text, const char *default_port, struct fetch_url *out, bool *out_bracketed)
{
    char *host = text, *port = NULL;
    *out_bracketed = text[0] == '[';
    if (*out_bracketed) {
        char *end = strchr(++host, ']');
        if (!end || (end[1] != 0 && end[1] != ':'))
            return false;
        port = end[1] ? end + 2 : NULL;
        *end = 0;
    } else {
        char *colon = strchr(host, ':');
        port = colon ? colon + 1 : NULL;
        if (colon)
            *colon = 0;
    }
    uint64_t number = 0;
    if (port && (!str_to_u64(port, &number) || number == 0 || number > 65535))
        return false;
    return str_copy(out->host, sizeof out->host, host) &&
           str_copy(out->port, sizeof out->port, port ? port : default_port);
}

int fetch_url_parse(const char *text, struct fetch_url *out, struct err *err)
{
    struct fetch_url url = {.tls = str_starts(text, "https://")};
    if (!url.tls && !str_starts(text, "http://"))
        return err_set(err, ERR_INVALID, "'%.100s' is no https:// address", text);
    const char *authority = text + (url.tls ? 8 : 7);
    size_t len = strcspn(authority, "/?#");
    char copy[FETCH_ORIGIN_SIZE];
    bool bracketed = false, good = len < sizeof copy - 8;
    url.target = authority[len] ? authority + len : "/";
    if (good) {
        memcpy(copy, authority, len);
        copy[len] = 0;
        good = split_authority(copy, url.tls ? "443" : "80", &url, &bracketed);
    }
    if (!good || !is_host(url.host, bracketed) || url.target[0] != '/' || !is_target(url.target))
        return err_set(err, ERR_INVALID, "'%.100s' is a malformed address", text);
    if (!url.tls && !is_loopback(url.host))
        return err_set(err, ERR_INVALID, "'%.100s': plain http is for this machine only; use https://", text);
    snprintf(url.authority, sizeof url.authority, bracketed ? "[%s]:%s" : "%s:%s", url.host, url.port);
    snprintf(url.origin, sizeof url.origin, "%s://%s", url.tls ? "https" : "http", url.authority);
    *out = url;
    return 0;
}

static bool is_line(const char *text)
{
    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c))
            return false;
    return true;
}

static int put_field(struct buf *out, const char *name, const char *value, struct err *err)
{
    if (!is_line(value))
        return err_set(err, ERR_INVALID, "%s must be one line", name);
    return buf_printf(out, err, "%s: %s\r\n", name, value);
}

static bool sends_body(const struct fetch_request *request)
{
    return request->body_len > 0 || str_eq(request->method, "POST") || str_eq(request->method, "PUT");
}

int fetch_request_format(const struct fetch_request *request, const struct fetch_url *url, const char *fields,
                         struct buf *out, struct err *err)
{
    if (!str_is_name(request->method, 7))
        return err_set(err, ERR_INVALID, "'%.20s' is no HTTP method", request->method);
    if (buf_printf(out, err, "%s %s HTTP/1.1\r\n", request->method, url->target) < 0 ||
        put_field(out, "Host", url->authority, err) < 0 || put_field(out, "User-Agent", "muster", err) < 0)
        return -1;
    if (request->content_type && put_field(out, "Content-Type", request->content_type, err) < 0)
        return -1;
    if (request->bearer && (!is_line(request->bearer) ||
                            buf_printf(out, err, "Authorization: Bearer %s\r\n", request->bearer) < 0))
        return err_set(err, ERR_INVALID, "malformed bearer token");
    if (request->resume_from > 0 &&
        buf_printf(out, err, "Range: bytes=%llu-\r\n", (unsigned long long)request->resume_from) < 0)
        return -1;
    if (sends_body(request) && buf_printf(out, err, "Content-Length: %zu\r\n", request->body_len) < 0)
        return -1;
    if (buf_printf(out, err, "%s\r\n", fields ? fields : "") < 0)
        return -1;
    return buf_put(out, request->body, request->body_len, err);
}
