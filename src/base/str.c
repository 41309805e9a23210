#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

bool str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t len = strlen(text), end = strlen(suffix);
    return len >= end && memcmp(text + len - end, suffix, end) == 0;
}

bool str_copy(char *out, size_t out_size, const char *text)
{
    size_t len = strlen(text);
    size_t take = len < out_size ? len : out_size - 1;
    memcpy(out, text, take);
    out[take] = 0;
    return take == len;
}

bool str_to_u64(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *out = value;
    return true;
}

bool str_to_i64(const char *text, int64_t *out)
{
    if (!isdigit((unsigned char)text[text[0] == '-']))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end)
        return false;
    *out = value;
    return true;
}

bool str_to_double(const char *text, double *out)
{
    char *end;
    if (!text[0] || isspace((unsigned char)text[0]))
        return false;
    double value = strtod(text, &end);
    if (*end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool str_is_name(const char *text, size_t max_len)
{
    size_t len = strlen(text);
    if (len == 0 || len > max_len || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    return true;
}

bool str_is_safe_path(const char *path)
{
    if (!path[0] || path[0] == '/' || strchr(path, '\\'))
        return false;
    for (const char *part = path; part;) {
        const char *slash = strchr(part, '/');
        size_t len = slash ? (size_t)(slash - part) : strlen(part);
        if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part = slash ? slash + 1 : NULL;
    }
    return true;
}
