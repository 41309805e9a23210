/* A whole file, with everything that has to fit together. */
#include "base/mem.h"
#include "wire/mcap/reader.h"

#include <stdlib.h>
#include <zlib.h>

struct walk {
    const struct mcap_visitor *visitor;
    const uint8_t *data;
    bool ended; /* DataEnd was seen */
    size_t schema_count, channel_count;
    uint16_t schemas[MCAP_MAX_CHANNELS];
    struct mcap_channel channels[MCAP_MAX_CHANNELS];
    struct buf plain;
};

static const struct mcap_channel *find_channel(const struct walk *walk, uint16_t id)
{
    for (size_t i = 0; i < walk->channel_count; i++)
        if (walk->channels[i].id == id)
            return &walk->channels[i];
    return NULL;
}

static bool has_schema(const struct walk *walk, uint16_t id)
{
    for (size_t i = 0; i < walk->schema_count; i++)
        if (walk->schemas[i] == id)
            return true;
    return id == 0;
}

static int take_schema(struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_schema schema;
    if (mcap_parse_schema(record->body, &schema, err) < 0)
        return -1;
    if (has_schema(walk, schema.id))
        return 0;
    if (walk->schema_count == MCAP_MAX_CHANNELS)
        return err_set(err, ERR_TOO_BIG, "more than %d schemas", MCAP_MAX_CHANNELS);
    walk->schemas[walk->schema_count++] = schema.id;
    return 0;
}

static int take_channel(struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_channel channel;
    if (mcap_parse_channel(record->body, &channel, err) < 0)
        return -1;
    if (find_channel(walk, channel.id))
        return 0;
    if (!has_schema(walk, channel.schema_id))
        return err_set(err, ERR_CORRUPT, "channel %u: its schema is missing", channel.id);
    if (walk->channel_count == MCAP_MAX_CHANNELS)
        return err_set(err, ERR_TOO_BIG, "more than %d channels", MCAP_MAX_CHANNELS);
    walk->channels[walk->channel_count++] = channel;
    return 0;
}

static int take_message(const struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_message message;
    if (mcap_parse_message(record->body, &message, err) < 0)
        return -1;
    const struct mcap_channel *channel = find_channel(walk, message.channel);
    if (!channel)
        return err_set(err, ERR_CORRUPT, "message on channel %u, which is unknown", message.channel);
    const struct mcap_visitor *visitor = walk->visitor;
    return visitor->message ? visitor->message(channel, &message, visitor->arg, err) : 0;
}

static int take_chunk(struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_chunk chunk;
    struct mcap_cursor inside;
    struct mcap_record message;
    if (mcap_parse_chunk(record->body, &chunk, err) < 0 || mcap_unpack(&chunk, &walk->plain, err) < 0)
        return -1;
    mcap_open_chunk(&inside, &walk->plain);
    int more;
    while ((more = mcap_next(&inside, &message, err)) == 1)
        if (message.opcode == MCAP_MESSAGE && take_message(walk, &message, err) < 0)
            return -1;
    return more;
}

static int take_metadata(const struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_slice name, map;
    const struct mcap_visitor *visitor = walk->visitor;
    if (mcap_parse_metadata(record->body, &name, &map, err) < 0)
        return -1;
    return visitor->metadata ? visitor->metadata(name, map, visitor->arg, err) : 0;
}

static int take_attachment(const struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_attachment attachment;
    const struct mcap_visitor *visitor = walk->visitor;
    if (mcap_parse_attachment(record->body, &attachment, err) < 0)
        return -1;
    return visitor->attachment ? visitor->attachment(&attachment, visitor->arg, err) : 0;
}

static uint32_t number32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int take_data_end(struct walk *walk, const struct mcap_record *record, struct err *err)
{
    if (record->body.len != 4)
        return err_set(err, ERR_CORRUPT, "end of the data: wrong length");
    uint32_t crc = number32(record->body.data);
    if (crc != 0 && crc != crc32_z(0, walk->data, record->offset))
        return err_set(err, ERR_CORRUPT, "the CRC of the data section does not hold");
    walk->ended = true;
    return 0;
}

static int take_footer(const struct walk *walk, const struct mcap_record *record, struct err *err)
{
    struct mcap_footer footer;
    if (mcap_parse_footer(record->body, &footer, err) < 0)
        return -1;
    if (!walk->ended)
        return err_set(err, ERR_CORRUPT, "footer before the end of the data");
    if (footer.summary == 0 || footer.crc == 0)
        return 0;
    if (footer.summary > record->offset || footer.offsets > record->offset)
        return err_set(err, ERR_CORRUPT, "footer: the summary is not where it says");
    size_t until = record->offset + MCAP_HEAD_BYTES + MCAP_FOOTER_BYTES - 4;
    if (footer.crc != crc32_z(0, walk->data + footer.summary, until - (size_t)footer.summary))
        return err_set(err, ERR_CORRUPT, "the CRC of the summary does not hold");
    return 0;
}

static int take_record(struct walk *walk, const struct mcap_record *record, struct err *err)
{
    if (record->opcode == MCAP_FOOTER)
        return take_footer(walk, record, err);
    if (walk->ended) /* the summary says the same again */
        return 0;
    static int (*const takers[])(struct walk *, const struct mcap_record *, struct err *) = {
        [MCAP_SCHEMA] = take_schema, [MCAP_CHANNEL] = take_channel, [MCAP_CHUNK] = take_chunk};
    if (record->opcode < ARRAY_LEN(takers) && takers[record->opcode])
        return takers[record->opcode](walk, record, err);
    if (record->opcode == MCAP_MESSAGE)
        return take_message(walk, record, err);
    if (record->opcode == MCAP_METADATA)
        return take_metadata(walk, record, err);
    if (record->opcode == MCAP_ATTACHMENT)
        return take_attachment(walk, record, err);
    return record->opcode == MCAP_DATA_END ? take_data_end(walk, record, err) : 0;
}

int mcap_read(const void *data, size_t size, const struct mcap_visitor *visitor, struct err *err)
{
    struct mcap_cursor file;
    struct mcap_record record;
    if (mcap_open(&file, data, size, err) < 0)
        return -1;
    struct walk *walk = mem_zalloc(1, sizeof *walk);
    if (!walk)
        return err_no_memory(err);
    walk->visitor = visitor;
    walk->data = data;
    walk->plain.max = MCAP_MAX_CHUNK_BYTES;
    int more;
    while ((more = mcap_next(&file, &record, err)) == 1)
        if (take_record(walk, &record, err) < 0) {
            more = -1;
            break;
        }
    buf_fini(&walk->plain);
    free(walk);
    return more;
}
