#include "trust/tuf/name.h"
#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_.-~", c));
}

char *tuf_name_encode(const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = mem_zalloc(strlen(name) + 1, 3), *out = text;
    for (; text && *name; name++) {
        if (is_plain(*name)) {
            *out++ = *name;
            continue;
        }
        *out++ = '%';
        *out++ = digits[(unsigned char)*name >> 4];
        *out++ = digits[(unsigned char)*name & 15];
    }
    return text;
}
