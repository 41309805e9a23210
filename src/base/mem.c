#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

void *mem_zalloc(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

void *mem_grow(void *old, size_t count, size_t size)
{
    return reallocarray(old, count ? count : 1, size ? size : 1);
}

void *mem_dup(const void *data, size_t len)
{
    void *copy = malloc(len ? len : 1);
    if (copy && len)
        memcpy(copy, data, len);
    return copy;
}

char *mem_strndup(const char *text, size_t len)
{
    return strndup(text, len);
}

char *mem_strdup(const char *text)
{
    return strdup(text);
}

char *mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return text;
}

void mem_cleanup_free(void *pointer_to_pointer)
{
    void *pointer;
    memcpy(&pointer, pointer_to_pointer, sizeof pointer);
    free(pointer);
}

void mem_cleanup_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

void mem_cleanup_file(FILE **file)
{
    int saved = errno;
    if (*file)
        fclose(*file);
    errno = saved;
}
