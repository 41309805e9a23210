/* Reading protobuf fields one by one over memory, without copying. Private to wire/.
 *
 *     struct pb_reader reader = pb_over(data, len);
 *     struct pb_field field;
 *     while (pb_next(&reader, &field))
 *         …
 *     if (reader.broken) …             // truncated, overlong varint, field number 0, a group
 */
#ifndef MUSTER_WIRE_PROTOBUF_H
#define MUSTER_WIRE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* of the others: borrowed */
    size_t len;
};

struct pb_reader {
    const uint8_t *at, *end;
    bool broken;
};

struct pb_reader pb_over(const uint8_t *data, size_t len);
bool pb_next(struct pb_reader *reader, struct pb_field *out); /* false at the end, and when broken */

/* Numbers packed one after the other, without tags. False at the end, and when broken. */
bool pb_next_varint(struct pb_reader *reader, uint64_t *out);

#endif
