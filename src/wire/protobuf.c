#include "wire/protobuf.h"

struct pb_reader pb_over(const uint8_t *data, size_t len)
{
    return (struct pb_reader){.at = data, .end = len ? data + len : data};
}

static bool stop(struct pb_reader *reader)
{
    reader->broken = true;
    return false;
}

static bool take_varint(struct pb_reader *reader, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (reader->at == reader->end)
            return stop(reader);
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return stop(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return stop(reader);
}

static bool take_bytes(struct pb_reader *reader, struct pb_field *field, uint64_t len)
{
    if (len > (uint64_t)(reader->end - reader->at))
        return stop(reader);
    field->data = reader->at;
    field->len = (size_t)len;
    reader->at += len;
    return true;
}

static bool take_payload(struct pb_reader *reader, struct pb_field *field, unsigned type)
{
    uint64_t len;
    field->type = (enum pb_type)type;
    switch (type) {
    case PB_VARINT:
        return take_varint(reader, &field->value);
    case PB_FIXED64:
        return take_bytes(reader, field, 8);
    case PB_BYTES:
        return take_varint(reader, &len) && take_bytes(reader, field, len);
    case PB_FIXED32:
        return take_bytes(reader, field, 4);
    default: /* groups and what does not exist */
        return stop(reader);
    }
}

bool pb_next(struct pb_reader *reader, struct pb_field *out)
{
    uint64_t tag;
    if (reader->broken || reader->at == reader->end || !take_varint(reader, &tag))
        return false;
    *out = (struct pb_field){.number = (uint32_t)(tag >> 3)};
    if (tag >> 3 == 0 || tag >> 32)
        return stop(reader);
    return take_payload(reader, out, (unsigned)(tag & 7));
}

bool pb_next_varint(struct pb_reader *reader, uint64_t *out)
{
    return !reader->broken && reader->at != reader->end && take_varint(reader, out);
}
