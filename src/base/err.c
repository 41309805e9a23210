#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>

struct code_row {
    const char *name;
    int http;
    int exit;
    bool retry;
};

/* The one table: a code's name, HTTP status, exit status, and whether trying again can help. */
static const struct code_row table[ERR_CODE_COUNT] = {
    [ERR_NONE] = {"none", 200, 0, false},
    [ERR_INVALID] = {"invalid", 400, 3, false},
    [ERR_USAGE] = {"usage", 400, 2, false},
    [ERR_NOT_FOUND] = {"not_found", 404, 4, false},
    [ERR_EXISTS] = {"exists", 409, 1, false},
    [ERR_CONFLICT] = {"conflict", 409, 3, false},
    [ERR_DENIED] = {"denied", 403, 3, false},
    [ERR_UNTRUSTED] = {"untrusted", 422, 3, false},
    [ERR_REFUSED] = {"refused", 422, 3, false},
    [ERR_TOO_BIG] = {"too_big", 413, 3, false},
    [ERR_BUSY] = {"busy", 429, 1, true},
    [ERR_TIMEOUT] = {"timeout", 504, 5, true},
    [ERR_UNREACHABLE] = {"unreachable", 502, 5, true},
    [ERR_CORRUPT] = {"corrupt", 500, 3, false},
    [ERR_IO] = {"io", 500, 1, true},
    [ERR_NO_SPACE] = {"no_space", 507, 1, true},
    [ERR_NO_MEMORY] = {"no_memory", 503, 1, true},
    [ERR_UNSUPPORTED] = {"unsupported", 501, 1, false},
    [ERR_INTERNAL] = {"internal", 500, 1, false},
};

static enum err_code code_from_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EFBIG:
        return ERR_TOO_BIG;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE:
        return ERR_UNREACHABLE;
    default:
        return ERR_IO;
    }
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    assert(err && code > ERR_NONE && code < ERR_CODE_COUNT);
    va_list args;
    va_start(args, fmt);
    err->code = code;
    err->os_errno = 0;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return -1;
}

int err_errno(struct err *err, const char *fmt, ...)
{
    int number = errno;
    va_list args;
    va_start(args, fmt);
    err->code = code_from_errno(number);
    err->os_errno = number;
    int used = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text) {
        char reason[96];
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s",
                 strerror_r(number, reason, sizeof reason));
    }
    return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", old);
    return -1;
}

int err_no_memory(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out of memory");
}

static const struct code_row *row_of(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT ? &table[code] : &table[ERR_INTERNAL];
}

const char *err_code_name(enum err_code code)
{
    return row_of(code)->name;
}

enum err_code err_code_from_name(const char *name)
{
    for (int code = 0; code < ERR_CODE_COUNT; code++)
        if (strcmp(table[code].name, name) == 0)
            return (enum err_code)code;
    return ERR_INTERNAL;
}

int err_http_status(enum err_code code)
{
    return row_of(code)->http;
}

enum err_code err_code_from_http(int status)
{
    if (status == 401)
        return ERR_DENIED;
    if (status == 408)
        return ERR_TIMEOUT;
    if (status == 409)
        return ERR_CONFLICT;
    if (status == 500)
        return ERR_IO;
    if (status == 503)
        return ERR_BUSY;
    for (int code = ERR_INVALID; code < ERR_CODE_COUNT; code++)
        if (table[code].http == status)
            return (enum err_code)code;
    return status >= 500 ? ERR_UNREACHABLE : ERR_INVALID;
}

int err_exit_status(enum err_code code)
{
    return row_of(code)->exit;
}

bool err_retryable(enum err_code code)
{
    return row_of(code)->retry;
}
