/* Little-endian fields into a buffer. The first error stays; what comes behind it is left out. */
#ifndef MUSTER_WIRE_MCAP_PUT_H
#define MUSTER_WIRE_MCAP_PUT_H

#include "base/buf.h"

#include <string.h>

struct put {
    struct buf *buf;
    struct err err;
};

static inline void put_bytes(struct put *put, const void *data, size_t len)
{
    if (put->err.code == ERR_NONE && buf_put(put->buf, data, len, &put->err) < 0)
        return; /* kept in put->err */
}

static inline void put_number(struct put *put, uint64_t value, size_t bytes)
{
    uint8_t out[8];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    put_bytes(put, out, bytes);
}

static inline void put_u8(struct put *put, uint8_t value)
{
    put_number(put, value, 1);
}

static inline void put_u16(struct put *put, uint16_t value)
{
    put_number(put, value, 2);
}

static inline void put_u32(struct put *put, uint32_t value)
{
    put_number(put, value, 4);
}

static inline void put_u64(struct put *put, uint64_t value)
{
    put_number(put, value, 8);
}

static inline void put_text(struct put *put, const char *text)
{
    size_t len = strlen(text);
    put_u32(put, (uint32_t)len);
    put_bytes(put, text, len);
}

/* Over what is there already. */
static inline void put_number_at(struct buf *buf, size_t at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf->data[at + i] = (uint8_t)(value >> (8 * i));
}

static inline void put_u32_at(struct buf *buf, size_t at, uint32_t value)
{
    put_number_at(buf, at, value, 4);
}

static inline void put_u64_at(struct buf *buf, size_t at, uint64_t value)
{
    put_number_at(buf, at, value, 8);
}

#endif
