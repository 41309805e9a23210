/* A growing byte buffer with a mandatory maximum.
 *
 * Invariants: len <= cap <= max; data is NULL exactly while cap is 0; if data is not NULL then data[len] is
 * 0, so text can be read as a C string (buf_text gives "" for an empty one). A write that would pass `max`
 * fails with ERR_TOO_BIG and leaves the buffer as it was.
 */
#ifndef MUSTER_BASE_BUF_H
#define MUSTER_BASE_BUF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max; /* bytes; never 0 */
};

#define BUF_INIT(max_bytes)                                                                                  \
    {                                                                                                        \
        .max = (max_bytes)                                                                                   \
    }

void buf_fini(struct buf *buf);
void buf_reset(struct buf *buf); /* len = 0, memory kept */
int buf_reserve(struct buf *buf, size_t more, struct err *err) must_check;
int buf_put(struct buf *buf, const void *data, size_t len, struct err *err) must_check;
int buf_puts(struct buf *buf, const char *text, struct err *err) must_check;
int buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))) must_check;
const char *buf_text(const struct buf *buf);

/* Gives the memory to the caller (free() it; NUL-terminated) and leaves the buffer empty. NULL if out of
 * memory. */
char *buf_take(struct buf *buf);

#define cleanup_buf __attribute__((cleanup(buf_fini)))

#endif
