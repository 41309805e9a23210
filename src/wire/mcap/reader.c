/* Records, one by one. */
#include "wire/mcap/reader.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Fields of a body. After the first that is not there everything is 0 and `missing` stays. */
struct get {
    const uint8_t *at;
    size_t left;
    bool missing;
};

static struct mcap_slice get_bytes(struct get *get, uint64_t len)
{
    if (get->missing || len > get->left) {
        get->missing = true;
        return (struct mcap_slice){0};
    }
    struct mcap_slice slice = {.data = get->at, .len = (size_t)len};
    get->at += slice.len;
    get->left -= slice.len;
    return slice;
}

static uint64_t get_number(struct get *get, size_t bytes)
{
    struct mcap_slice slice = get_bytes(get, bytes);
    uint64_t value = 0;
    for (size_t i = slice.len; i > 0; i--)
        value = value << 8 | slice.data[i - 1];
    return value;
}

static uint16_t get_u16(struct get *get)
{
    return (uint16_t)get_number(get, 2);
}

static uint32_t get_u32(struct get *get)
{
    return (uint32_t)get_number(get, 4);
}

static uint64_t get_u64(struct get *get)
{
    return get_number(get, 8);
}

static struct mcap_slice get_text(struct get *get)
{
    return get_bytes(get, get_u32(get));
}

static struct get get_from(struct mcap_slice body)
{
    return (struct get){.at = body.data, .left = body.len};
}

/* `exact`: nothing may be left. */
static int get_done(const struct get *get, bool exact, const char *what, struct err *err)
{
    if (get->missing || (exact && get->left > 0))
        return err_set(err, ERR_CORRUPT, "%s record: %s", what, get->missing ? "cut short" : "too long");
    return 0;
}

bool mcap_slice_is(struct mcap_slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

int mcap_open(struct mcap_cursor *cursor, const void *data, size_t size, struct err *err)
{
    *cursor = (struct mcap_cursor){.data = data, .size = size, .at = MCAP_MAGIC_BYTES};
    if (size < MCAP_MAGIC_BYTES || memcmp(data, MCAP_MAGIC, MCAP_MAGIC_BYTES) != 0)
        return err_set(err, ERR_INVALID, "this is no MCAP file");
    return 0;
}

void mcap_open_chunk(struct mcap_cursor *cursor, const struct buf *plain)
{
    *cursor = (struct mcap_cursor){.data = plain->data, .size = plain->len, .nested = true};
}

/* Behind the footer: the magic, then nothing. */
static int check_end(const struct mcap_cursor *cursor, struct err *err)
{
    if (cursor->size - cursor->at == MCAP_MAGIC_BYTES &&
        memcmp(cursor->data + cursor->at, MCAP_MAGIC, MCAP_MAGIC_BYTES) == 0)
        return 0;
    return err_set(err, ERR_CORRUPT, "byte %zu: the end of the file is not right", cursor->at);
}

int mcap_next(struct mcap_cursor *cursor, struct mcap_record *out, struct err *err)
{
    size_t left = cursor->size - cursor->at;
    if (cursor->nested && left == 0)
        return 0;
    if (left < MCAP_HEAD_BYTES)
        return err_set(err, ERR_CORRUPT, "byte %zu: the file breaks off", cursor->at);
    struct get get = {.at = cursor->data + cursor->at, .left = left};
    *out = (struct mcap_record){.opcode = (uint8_t)get_number(&get, 1), .offset = cursor->at};
    out->body = get_bytes(&get, get_u64(&get));
    if (get.missing)
        return err_set(err, ERR_CORRUPT, "byte %zu: a record reaches beyond the end of the file", cursor->at);
    if (out->opcode == 0)
        return err_set(err, ERR_CORRUPT, "byte %zu: opcode 0", cursor->at);
    cursor->at = cursor->size - get.left;
    if (out->opcode != MCAP_FOOTER || cursor->nested)
        return 1;
    if (check_end(cursor, err) < 0)
        return -1;
    cursor->nested = true; /* so that the next call says 0 */
    cursor->at = cursor->size;
    return 1;
}

int mcap_parse_schema(struct mcap_slice body, struct mcap_schema *out, struct err *err)
{
    struct get get = get_from(body);
    out->id = get_u16(&get);
    out->name = get_text(&get);
    out->encoding = get_text(&get);
    out->data = get_text(&get);
    return get_done(&get, true, "schema", err);
}

int mcap_parse_channel(struct mcap_slice body, struct mcap_channel *out, struct err *err)
{
    struct get get = get_from(body);
    out->id = get_u16(&get);
    out->schema_id = get_u16(&get);
    out->topic = get_text(&get);
    out->encoding = get_text(&get);
    get_text(&get);
    return get_done(&get, true, "channel", err);
}

int mcap_parse_message(struct mcap_slice body, struct mcap_message *out, struct err *err)
{
    struct get get = get_from(body);
    out->channel = get_u16(&get);
    out->seq = get_u32(&get);
    out->log_ns = get_u64(&get);
    out->publish_ns = get_u64(&get);
    out->data = get_bytes(&get, get.left);
    return get_done(&get, true, "message", err);
}

int mcap_parse_chunk(struct mcap_slice body, struct mcap_chunk *out, struct err *err)
{
    struct get get = get_from(body);
    out->first_ns = get_u64(&get);
    out->last_ns = get_u64(&get);
    out->plain_bytes = get_u64(&get);
    out->crc = get_u32(&get);
    out->how = get_text(&get);
    out->records = get_bytes(&get, get_u64(&get));
    return get_done(&get, true, "chunk", err);
}

int mcap_parse_attachment(struct mcap_slice body, struct mcap_attachment *out, struct err *err)
{
    struct get get = get_from(body);
    out->log_ns = get_u64(&get);
    get_u64(&get);
    out->name = get_text(&get);
    out->media_type = get_text(&get);
    out->data = get_bytes(&get, get_u64(&get));
    size_t covered = body.len - get.left;
    uint32_t crc = get_u32(&get);
    if (get_done(&get, true, "attachment", err) < 0)
        return -1;
    if (crc != 0 && crc != crc32_z(0, body.data, covered))
        return err_set(err, ERR_CORRUPT, "attachment record: its CRC does not hold");
    return 0;
}

int mcap_parse_footer(struct mcap_slice body, struct mcap_footer *out, struct err *err)
{
    struct get get = get_from(body);
    out->summary = get_u64(&get);
    out->offsets = get_u64(&get);
    out->crc = get_u32(&get);
    return get_done(&get, true, "footer", err);
}

int mcap_parse_metadata(struct mcap_slice body, struct mcap_slice *out_name, struct mcap_slice *out_map,
                        struct err *err)
{
    struct get get = get_from(body);
    *out_name = get_text(&get);
    *out_map = get_text(&get);
    return get_done(&get, true, "metadata", err);
}

bool mcap_metadata_get(struct mcap_slice map, const char *key, char *out, size_t out_size)
{
    struct get get = get_from(map);
    while (!get.missing && get.left > 0) {
        struct mcap_slice name = get_text(&get), value = get_text(&get);
        if (get.missing || !mcap_slice_is(name, key))
            continue;
        if (value.len >= out_size || memchr(value.data, 0, value.len))
            return false;
        memcpy(out, value.data, value.len);
        out[value.len] = 0;
        return true;
    }
    return false;
}

static int unzstd(const struct mcap_chunk *chunk, struct buf *out, struct err *err)
{
    size_t len =
        ZSTD_decompress(out->data, (size_t)chunk->plain_bytes, chunk->records.data, chunk->records.len);
    if (ZSTD_isError(len) || len != chunk->plain_bytes)
        return err_set(err, ERR_CORRUPT, "chunk: it cannot be unpacked");
    out->len = len;
    return 0;
}

int mcap_unpack(const struct mcap_chunk *chunk, struct buf *out, struct err *err)
{
    buf_reset(out);
    if (chunk->plain_bytes > out->max)
        return err_set(err, ERR_TOO_BIG, "chunk: unpacked it has more than %zu bytes", out->max);
    if (buf_reserve(out, (size_t)chunk->plain_bytes, err) < 0)
        return -1;
    if (mcap_slice_is(chunk->how, "zstd")) {
        if (unzstd(chunk, out, err) < 0)
            return -1;
    } else if (chunk->how.len > 0) {
        return err_set(err, ERR_UNSUPPORTED, "chunk: only zstd or no compression is known here");
    } else if (chunk->records.len != chunk->plain_bytes) {
        return err_set(err, ERR_CORRUPT, "chunk: its sizes contradict each other");
    } else if (buf_put(out, chunk->records.data, chunk->records.len, err) < 0) {
        return -1;
    }
    if (chunk->crc != 0 && chunk->crc != crc32_z(0, out->data, out->len))
        return err_set(err, ERR_CORRUPT, "chunk: its CRC does not hold");
    return 0;
}
