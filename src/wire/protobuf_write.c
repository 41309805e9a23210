#include "wire/protobuf_write.h"
#include "wire/protobuf.h"

#include <endian.h>
#include <string.h>

enum { VARINT_MAX_BYTES = 10 };

struct pb_writer pb_into(struct buf *out)
{
    return (struct pb_writer){.out = out, .start = out->len};
}

static void put(struct pb_writer *w, const void *data, size_t len)
{
    if (w->err.code == ERR_NONE)
        (void)!buf_put(w->out, data, len, &w->err);
}

static size_t varint(uint64_t value, uint8_t out[VARINT_MAX_BYTES])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (uint8_t)(value | 0x80);
    out[len++] = (uint8_t)value;
    return len;
}

static void put_raw_varint(struct pb_writer *w, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    put(w, bytes, varint(value, bytes));
}

static void put_tag(struct pb_writer *w, uint32_t field, enum pb_type type)
{
    put_raw_varint(w, (uint64_t)field << 3 | (uint64_t)type);
}

size_t pb_open(struct pb_writer *w, uint32_t field)
{
    put_tag(w, field, PB_BYTES);
    return w->out->len;
}

/* The length goes in front of what was written since; that moves up by the one or few bytes it takes. */
void pb_close(struct pb_writer *w, size_t at)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    size_t len = w->out->len - at, size = varint(len, bytes);
    if (w->err.code != ERR_NONE || buf_put(w->out, bytes, size, &w->err) < 0)
        return;
    memmove(w->out->data + at + size, w->out->data + at, len);
    memcpy(w->out->data + at, bytes, size);
}

void pb_put_varint(struct pb_writer *w, uint32_t field, uint64_t value)
{
    put_tag(w, field, PB_VARINT);
    put_raw_varint(w, value);
}

void pb_put_fixed64(struct pb_writer *w, uint32_t field, uint64_t value)
{
    uint64_t le = htole64(value);
    put_tag(w, field, PB_FIXED64);
    put(w, &le, sizeof le);
}

void pb_put_double(struct pb_writer *w, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    pb_put_fixed64(w, field, bits);
}

void pb_put_text(struct pb_writer *w, uint32_t field, const char *text)
{
    size_t len = strlen(text);
    put_tag(w, field, PB_BYTES);
    put_raw_varint(w, len);
    put(w, text, len);
}

int pb_done(struct pb_writer *w, struct err *err)
{
    if (w->err.code == ERR_NONE)
        return 0;
    w->out->len = w->start;
    if (w->out->data)
        w->out->data[w->start] = 0;
    *err = w->err;
    return -1;
}
