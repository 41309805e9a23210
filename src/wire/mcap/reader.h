/* Reads MCAP files (format.h) from memory, record by record. The bytes are foreign: every length is checked against what
 * is there, nothing is copied, and a chunk is unpacked into a buffer with a limit. Pure.
 *
 *     struct mcap_cursor file;
 *     struct mcap_record record;
 *     mcap_open(&file, data, size, &err);                         magic at the front
 *     while ((more = mcap_next(&file, &record, &err)) == 1)       0: the footer was the last one; -1: damaged, cut
 *         if (record.opcode == MCAP_CHUNK) …
 *
 *     mcap_read(data, size, &visitor, &err)                       all of it, with schemas, channels, CRCs
 *
 * What is read here is that of Muster's own writer and of others that write the same kinds of record; compression "zstd"
 * and none. Slices point into the bytes that were given, or (messages) into the unpacked chunk during the visit.
 */
#ifndef MUSTER_WIRE_MCAP_READER_H
#define MUSTER_WIRE_MCAP_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/mcap/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mcap_slice {
    const uint8_t *data;
    size_t len;
};

struct mcap_cursor {
    const uint8_t *data;
    size_t size, at;
    bool nested; /* the records of a chunk: no footer, no magic */
};

struct mcap_record {
    uint8_t opcode;
    struct mcap_slice body;
    size_t offset; /* of its opcode in the data of the cursor */
};

struct mcap_channel {
    uint16_t id, schema_id;
    struct mcap_slice topic, encoding;
};

struct mcap_schema {
    uint16_t id;
    struct mcap_slice name, encoding, data;
};

struct mcap_message {
    uint16_t channel;
    uint32_t seq;
    uint64_t log_ns, publish_ns;
    struct mcap_slice data;
};

struct mcap_chunk {
    uint64_t first_ns, last_ns, plain_bytes;
    uint32_t crc;
    struct mcap_slice how, records;
};

struct mcap_attachment {
    uint64_t log_ns;
    struct mcap_slice name, media_type, data;
};

struct mcap_footer {
    uint64_t summary, offsets;
    uint32_t crc;
};

/* INVALID: no MCAP file. */
int mcap_open(struct mcap_cursor *cursor, const void *data, size_t size, struct err *err) must_check;
void mcap_open_chunk(struct mcap_cursor *cursor, const struct buf *plain);
/* 1, 0 or -1 (CORRUPT with the offset). Bytes behind the last magic are an error too. */
int mcap_next(struct mcap_cursor *cursor, struct mcap_record *out, struct err *err) must_check;

/* Bodies. -1: CORRUPT, the body does not fit its kind. */
int mcap_parse_schema(struct mcap_slice body, struct mcap_schema *out, struct err *err) must_check;
int mcap_parse_channel(struct mcap_slice body, struct mcap_channel *out, struct err *err) must_check;
int mcap_parse_message(struct mcap_slice body, struct mcap_message *out, struct err *err) must_check;
int mcap_parse_chunk(struct mcap_slice body, struct mcap_chunk *out, struct err *err) must_check;
int mcap_parse_attachment(struct mcap_slice body, struct mcap_attachment *out,
                          struct err *err) must_check; /* and its CRC */
int mcap_parse_footer(struct mcap_slice body, struct mcap_footer *out, struct err *err) must_check;
/* The name of a Metadata record; its value for `key` with mcap_metadata_get (false: there is none, or it is too long). */
int mcap_parse_metadata(struct mcap_slice body, struct mcap_slice *out_name, struct mcap_slice *out_map,
                        struct err *err) must_check;
bool mcap_metadata_get(struct mcap_slice map, const char *key, char *out, size_t out_size);

/* Unpacks a chunk and checks size and CRC. `out->max` is the limit: TOO_BIG. */
int mcap_unpack(const struct mcap_chunk *chunk, struct buf *out, struct err *err) must_check;

bool mcap_slice_is(struct mcap_slice slice, const char *text);

/* A whole file in order: checks the CRCs of chunks, data section and summary, and that each message has a channel and each channel a
 * schema. Members of the visitor may be NULL; a visit that returns -1 ends it with *err as it set it. */
struct mcap_visitor {
    int (*message)(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                   struct err *err);
    int (*metadata)(struct mcap_slice name, struct mcap_slice map, void *arg, struct err *err);
    int (*attachment)(const struct mcap_attachment *attachment, void *arg, struct err *err);
    void *arg;
};
int mcap_read(const void *data, size_t size, const struct mcap_visitor *visitor, struct err *err) must_check;

#endif
