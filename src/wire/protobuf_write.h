/* Writing protobuf fields one by one into a buffer. Private to wire/. The other way round: protobuf.h.
 *
 *     struct pb_writer w = {.out = &buf};
 *     size_t at = pb_open(&w, 1);            // a message in field 1
 *     pb_put_text(&w, 2, "name");
 *     pb_close(&w, at);
 *     return pb_done(&w, err);               // the first error of all calls, then the buffer is as it was before
 */
#ifndef MUSTER_WIRE_PROTOBUF_WRITE_H
#define MUSTER_WIRE_PROTOBUF_WRITE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct pb_writer {
    struct buf *out;
    size_t start;   /* length of the buffer before */
    struct err err; /* the first one */
};

struct pb_writer pb_into(struct buf *out);
size_t pb_open(struct pb_writer *w, uint32_t field);
void pb_close(struct pb_writer *w, size_t at); /* what pb_open gave; inner messages first */
void pb_put_varint(struct pb_writer *w, uint32_t field, uint64_t value);
void pb_put_fixed64(struct pb_writer *w, uint32_t field, uint64_t value);
void pb_put_double(struct pb_writer *w, uint32_t field, double value);
void pb_put_text(struct pb_writer *w, uint32_t field, const char *text);
int pb_done(struct pb_writer *w, struct err *err) must_check;

#endif
