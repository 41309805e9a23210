#include "wire/mcap/writer.h"

#include "base/buf.h"
#include "wire/mcap/put.h"

#include <assert.h>
#include <zlib.h>
#include <zstd.h>

enum { MAX_LIST_BYTES = 64 << 20, ZSTD_LEVEL = 1 };
/* In the order of the summary. */
enum group {
    SCHEMAS,
    CHANNELS,
    STATISTICS,
    CHUNK_INDEXES,
    ATTACHMENT_INDEXES,
    METADATA_INDEXES,
    GROUP_COUNT
};

static const uint8_t group_opcode[GROUP_COUNT] = {
    MCAP_SCHEMA, MCAP_CHANNEL, MCAP_STATISTICS, MCAP_CHUNK_INDEX, MCAP_ATTACHMENT_INDEX, MCAP_METADATA_INDEX};

struct channel {
    uint64_t messages;
    struct buf index; /* of the open chunk: (time, offset) pairs */
};

struct times {
    bool any;
    uint64_t first, last;
};

struct mcap_writer {
    struct mcap_options options;
    uint64_t offset;
    uint32_t crc; /* of the section */
    struct buf scratch, chunk, packed;
    struct times chunk_times, times;
    uint64_t messages;
    uint32_t channel_count, chunk_count, attachment_count, metadata_count;
    struct channel channels[MCAP_MAX_CHANNELS];
    struct buf groups[GROUP_COUNT]; /* whole records, for the summary */
};

static void note_time(struct times *times, uint64_t time)
{
    times->first = times->any ? MIN(times->first, time) : time;
    times->last = times->any ? MAX(times->last, time) : time;
    times->any = true;
}

static int emit(struct mcap_writer *w, const void *data, size_t len, struct err *err)
{
    if (w->options.sink(data, len, w->options.arg, err) < 0)
        return -1;
    w->offset += len;
    w->crc = (uint32_t)crc32_z(w->crc, data, len);
    return 0;
}

static int emit_buf(struct mcap_writer *w, const struct buf *buf, struct err *err)
{
    return buf->len ? emit(w, buf->data, buf->len, err) : 0;
}

/* The scratch record: put_open(w, opcode), fields, then put_close fills in its length. */
static struct put put_open(struct mcap_writer *w, uint8_t opcode)
{
    buf_reset(&w->scratch);
    struct put put = {.buf = &w->scratch};
    put_u8(&put, opcode);
    put_u64(&put, 0);
    return put;
}

static int put_close(struct put *put, struct err *err)
{
    if (put->err.code != ERR_NONE) {
        *err = put->err;
        return -1;
    }
    put_u64_at(put->buf, 1, put->buf->len - MCAP_HEAD_BYTES);
    return 0;
}

static int emit_record(struct mcap_writer *w, struct put *put, struct err *err)
{
    return put_close(put, err) < 0 ? -1 : emit_buf(w, &w->scratch, err);
}

/* Into the summary only. */
static int keep_record(struct mcap_writer *w, enum group group, struct put *put, struct err *err)
{
    return put_close(put, err) < 0 ? -1 : buf_put(&w->groups[group], w->scratch.data, w->scratch.len, err);
}

int mcap_writer_new(const struct mcap_options *options, struct mcap_writer **out, struct err *err)
{
    cleanup_mcap_writer struct mcap_writer *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return err_no_memory(err);
    assert(options->chunk_bytes > 0 && options->chunk_bytes <= MCAP_MAX_CHUNK_BYTES);
    w->options = *options;
    w->scratch.max = w->packed.max = MAX_LIST_BYTES;
    w->chunk.max = MCAP_MAX_CHUNK_BYTES;
    for (size_t i = 0; i < MCAP_MAX_CHANNELS; i++)
        w->channels[i].index.max = MAX_LIST_BYTES;
    for (size_t i = 0; i < GROUP_COUNT; i++)
        w->groups[i].max = MAX_LIST_BYTES;
    if (emit(w, MCAP_MAGIC, MCAP_MAGIC_BYTES, err) < 0)
        return -1;
    struct put put = put_open(w, MCAP_HEADER);
    put_text(&put, "");
    put_text(&put, options->library);
    if (emit_record(w, &put, err) < 0)
        return -1;
    *out = TAKE_PTR(w);
    return 0;
}

void mcap_writer_free(struct mcap_writer *w)
{
    if (!w)
        return;
    buf_fini(&w->scratch);
    buf_fini(&w->chunk);
    buf_fini(&w->packed);
    for (size_t i = 0; i < MCAP_MAX_CHANNELS; i++)
        buf_fini(&w->channels[i].index);
    for (size_t i = 0; i < GROUP_COUNT; i++)
        buf_fini(&w->groups[i]);
    free(w);
}

uint64_t mcap_writer_offset(const struct mcap_writer *w)
{
    return w->offset;
}

int mcap_writer_private(struct mcap_writer *w, uint8_t opcode, const void *data, size_t len, struct err *err)
{
    assert(opcode >= MCAP_PRIVATE);
    struct put put = put_open(w, opcode);
    put_bytes(&put, data, len);
    return emit_record(w, &put, err);
}

int mcap_writer_channel(struct mcap_writer *w, const struct mcap_topic *topic, uint16_t *out_id,
                        struct err *err)
{
    if (w->channel_count == MCAP_MAX_CHANNELS)
        return err_set(err, ERR_TOO_BIG, "more than %d channels", MCAP_MAX_CHANNELS);
    if (mcap_writer_flush(w, err) < 0)
        return -1;
    uint16_t id = (uint16_t)(w->channel_count + 1);
    struct put put = put_open(w, MCAP_SCHEMA);
    put_u16(&put, id);
    put_text(&put, topic->schema_name);
    put_text(&put, "jsonschema");
    put_text(&put, topic->schema);
    if (emit_record(w, &put, err) < 0 || keep_record(w, SCHEMAS, &put, err) < 0)
        return -1;
    put = put_open(w, MCAP_CHANNEL);
    put_u16(&put, id);
    put_u16(&put, id);
    put_text(&put, topic->topic);
    put_text(&put, "json");
    put_u32(&put, 0);
    if (emit_record(w, &put, err) < 0 || keep_record(w, CHANNELS, &put, err) < 0)
        return -1;
    w->channel_count++;
    *out_id = id;
    return 0;
}

int mcap_writer_message(struct mcap_writer *w, uint16_t channel, const struct mcap_stamp *stamp,
                        const void *data, size_t len, struct err *err)
{
    assert(channel >= 1 && channel <= w->channel_count);
    if (w->chunk.len >= w->options.chunk_bytes && mcap_writer_flush(w, err) < 0)
        return -1;
    struct channel *to = &w->channels[channel - 1];
    struct put index = {.buf = &to->index}, put = {.buf = &w->chunk};
    uint64_t at = w->chunk.len;
    put_u8(&put, MCAP_MESSAGE);
    put_u64(&put, 22 + len);
    put_u16(&put, channel);
    put_u32(&put, stamp->seq);
    put_u64(&put, stamp->log_ns);
    put_u64(&put, stamp->publish_ns);
    put_bytes(&put, data, len);
    put_u64(&index, stamp->log_ns);
    put_u64(&index, at);
    if (put.err.code != ERR_NONE || index.err.code != ERR_NONE) {
        *err = put.err.code != ERR_NONE ? put.err : index.err;
        return err_prefix(err, "message of %zu bytes", len);
    }
    note_time(&w->chunk_times, stamp->log_ns);
    note_time(&w->times, stamp->log_ns);
    to->messages++;
    w->messages++;
    return 0;
}

/* The chunk's records as they go into the file: packed, if that is smaller. */
static int pack_chunk(struct mcap_writer *w, const struct buf **out, const char **out_how, struct err *err)
{
    *out = &w->chunk;
    *out_how = "";
    if (w->options.plain)
        return 0;
    buf_reset(&w->packed);
    size_t room = ZSTD_compressBound(w->chunk.len);
    if (buf_reserve(&w->packed, room, err) < 0)
        return -1;
    size_t len = ZSTD_compress(w->packed.data, room, w->chunk.data, w->chunk.len, ZSTD_LEVEL);
    if (ZSTD_isError(len))
        return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(len));
    if (len >= w->chunk.len)
        return 0;
    w->packed.len = len;
    *out = &w->packed;
    *out_how = "zstd";
    return 0;
}

static int emit_chunk(struct mcap_writer *w, const struct buf *packed, const char *how, struct err *err)
{
    struct put put = put_open(w, MCAP_CHUNK);
    put_u64(&put, w->chunk_times.first);
    put_u64(&put, w->chunk_times.last);
    put_u64(&put, w->chunk.len);
    put_u32(&put, (uint32_t)crc32_z(0, w->chunk.data, w->chunk.len));
    put_text(&put, how);
    put_u64(&put, packed->len);
    put_bytes(&put, packed->data, packed->len);
    return emit_record(w, &put, err);
}

/* `places`: for the chunk's index, (channel, offset) pairs. */
static int emit_message_indexes(struct mcap_writer *w, struct put *places, struct err *err)
{
    for (uint32_t i = 0; i < w->channel_count; i++) {
        struct buf *index = &w->channels[i].index;
        if (index->len == 0)
            continue;
        put_u16(places, (uint16_t)(i + 1));
        put_u64(places, w->offset);
        struct put put = put_open(w, MCAP_MESSAGE_INDEX);
        put_u16(&put, (uint16_t)(i + 1));
        put_u32(&put, (uint32_t)index->len);
        put_bytes(&put, index->data, index->len);
        buf_reset(index);
        if (emit_record(w, &put, err) < 0)
            return -1;
    }
    return 0;
}

int mcap_writer_flush(struct mcap_writer *w, struct err *err)
{
    if (w->chunk.len == 0)
        return 0;
    const struct buf *packed;
    const char *how;
    cleanup_buf struct buf list = BUF_INIT(4096);
    struct put places = {.buf = &list};
    uint64_t start = w->offset;
    if (pack_chunk(w, &packed, &how, err) < 0 || emit_chunk(w, packed, how, err) < 0)
        return -1;
    uint64_t indexes = w->offset;
    if (emit_message_indexes(w, &places, err) < 0)
        return -1;
    struct put put = put_open(w, MCAP_CHUNK_INDEX);
    put_u64(&put, w->chunk_times.first);
    put_u64(&put, w->chunk_times.last);
    put_u64(&put, start);
    put_u64(&put, indexes - start);
    put_u32(&put, (uint32_t)list.len);
    put_bytes(&put, list.data, list.len);
    put_u64(&put, w->offset - indexes);
    put_text(&put, how);
    put_u64(&put, packed->len);
    put_u64(&put, w->chunk.len);
    if (keep_record(w, CHUNK_INDEXES, &put, err) < 0)
        return -1;
    w->chunk_count++;
    w->chunk_times = (struct times){0};
    buf_reset(&w->chunk);
    return w->options.after_chunk ? w->options.after_chunk(w, w->options.arg, err) : 0;
}

int mcap_writer_metadata(struct mcap_writer *w, const char *name, const struct mcap_pair *pairs, size_t count,
                         struct err *err)
{
    if (mcap_writer_flush(w, err) < 0)
        return -1;
    struct put put = put_open(w, MCAP_METADATA);
    put_text(&put, name);
    size_t map = w->scratch.len;
    put_u32(&put, 0);
    for (size_t i = 0; i < count; i++) {
        put_text(&put, pairs[i].key);
        put_text(&put, pairs[i].value);
    }
    if (put.err.code == ERR_NONE)
        put_u32_at(&w->scratch, map, (uint32_t)(w->scratch.len - map - 4));
    uint64_t start = w->offset;
    if (emit_record(w, &put, err) < 0)
        return -1;
    put = put_open(w, MCAP_METADATA_INDEX);
    put_u64(&put, start);
    put_u64(&put, w->offset - start);
    put_text(&put, name);
    w->metadata_count++;
    return keep_record(w, METADATA_INDEXES, &put, err);
}

int mcap_writer_attach(struct mcap_writer *w, const char *name, const char *media_type, uint64_t time_ns,
                       const void *data, size_t len, struct err *err)
{
    if (mcap_writer_flush(w, err) < 0)
        return -1;
    struct put put = put_open(w, MCAP_ATTACHMENT);
    put_u64(&put, time_ns);
    put_u64(&put, time_ns);
    put_text(&put, name);
    put_text(&put, media_type);
    put_u64(&put, len);
    put_bytes(&put, data, len);
    if (put.err.code == ERR_NONE)
        put_u32(&put,
                (uint32_t)crc32_z(0, w->scratch.data + MCAP_HEAD_BYTES, w->scratch.len - MCAP_HEAD_BYTES));
    uint64_t start = w->offset;
    if (emit_record(w, &put, err) < 0)
        return -1;
    put = put_open(w, MCAP_ATTACHMENT_INDEX);
    put_u64(&put, start);
    put_u64(&put, w->offset - start);
    put_u64(&put, time_ns);
    put_u64(&put, time_ns);
    put_u64(&put, len);
    put_text(&put, name);
    put_text(&put, media_type);
    w->attachment_count++;
    return keep_record(w, ATTACHMENT_INDEXES, &put, err);
}

static int keep_statistics(struct mcap_writer *w, struct err *err)
{
    struct put put = put_open(w, MCAP_STATISTICS);
    put_u64(&put, w->messages);
    put_u16(&put, (uint16_t)w->channel_count); /* one schema each */
    put_u32(&put, w->channel_count);
    put_u32(&put, w->attachment_count);
    put_u32(&put, w->metadata_count);
    put_u32(&put, w->chunk_count);
    put_u64(&put, w->times.first);
    put_u64(&put, w->times.last);
    put_u32(&put, w->channel_count * 10);
    for (uint32_t i = 0; i < w->channel_count; i++) {
        put_u16(&put, (uint16_t)(i + 1));
        put_u64(&put, w->channels[i].messages);
    }
    return keep_record(w, STATISTICS, &put, err);
}

static int emit_data_end(struct mcap_writer *w, struct err *err)
{
    uint32_t crc = w->crc;
    struct put put = put_open(w, MCAP_DATA_END);
    put_u32(&put, crc);
    int done = emit_record(w, &put, err);
    w->crc = 0; /* the summary begins */
    return done;
}

static int emit_summary(struct mcap_writer *w, uint64_t *out_offsets, struct err *err)
{
    uint64_t starts[GROUP_COUNT];
    for (int i = 0; i < GROUP_COUNT; i++) {
        starts[i] = w->offset;
        if (emit_buf(w, &w->groups[i], err) < 0)
            return -1;
    }
    *out_offsets = w->offset;
    for (int i = 0; i < GROUP_COUNT; i++) {
        if (w->groups[i].len == 0)
            continue;
        struct put put = put_open(w, MCAP_SUMMARY_OFFSET);
        put_u8(&put, group_opcode[i]);
        put_u64(&put, starts[i]);
        put_u64(&put, w->groups[i].len);
        if (emit_record(w, &put, err) < 0)
            return -1;
    }
    return 0;
}

static int emit_footer(struct mcap_writer *w, uint64_t summary, uint64_t offsets, struct err *err)
{
    struct put put = put_open(w, MCAP_FOOTER);
    put_u64(&put, summary);
    put_u64(&put, offsets);
    put_u32(&put, 0);
    if (put_close(&put, err) < 0)
        return -1;
    size_t covered = w->scratch.len - 4;
    put_u32_at(&w->scratch, covered, (uint32_t)crc32_z(w->crc, w->scratch.data, covered));
    if (emit_buf(w, &w->scratch, err) < 0)
        return -1;
    return emit(w, MCAP_MAGIC, MCAP_MAGIC_BYTES, err);
}

int mcap_writer_finish(struct mcap_writer *w, struct err *err)
{
    if (mcap_writer_flush(w, err) < 0 || keep_statistics(w, err) < 0 || emit_data_end(w, err) < 0)
        return -1;
    uint64_t summary = w->offset, offsets = 0;
    if (emit_summary(w, &offsets, err) < 0)
        return -1;
    if (w->options.before_footer && w->options.before_footer(w, w->options.arg, err) < 0)
        return -1;
    return emit_footer(w, summary, offsets, err);
}
