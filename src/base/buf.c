#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>

void buf_fini(struct buf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->len = buf->cap = 0;
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = 0;
}

int buf_reserve(struct buf *buf, size_t more, struct err *err)
{
    assert(buf->max > 0);
    if (more > buf->max - buf->len)
        return err_set(err, ERR_TOO_BIG, "needs %zu bytes, the limit is %zu", buf->len + more, buf->max);
    size_t need = buf->len + more;
    if (need <= buf->cap && buf->data)
        return 0;
    size_t cap = MIN(MAX(need, MAX(buf->cap * 2, (size_t)64)), buf->max);
    uint8_t *data = mem_grow(buf->data, cap + 1, 1);
    if (!data)
        return err_no_memory(err);
    data[buf->len] = 0;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int buf_put(struct buf *buf, const void *data, size_t len, struct err *err)
{
    if (buf_reserve(buf, len, err) < 0)
        return -1;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = 0;
    return 0;
}

int buf_puts(struct buf *buf, const char *text, struct err *err)
{
    return buf_put(buf, text, strlen(text), err);
}

int buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        return err_no_memory(err);
    int rc = buf_put(buf, text, (size_t)len, err);
    free(text);
    return rc;
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? (const char *)buf->data : "";
}

char *buf_take(struct buf *buf)
{
    char *text = buf->data ? (char *)buf->data : mem_strdup("");
    buf->data = NULL;
    buf->len = buf->cap = 0;
    return text;
}
