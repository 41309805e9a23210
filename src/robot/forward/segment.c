#include "robot/forward/segment.h"

#include "robot/forward/crc32c.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = {'M', 'F', 'W', 'D', 'S', 'E', 'G', '1'};

static void put(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | in[i - 1];
    return value;
}

void segment_put_head(const struct segment_head *head, uint8_t out[SEGMENT_HEADER])
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, magic, sizeof magic);
    out[8] = (uint8_t)head->class;
    memcpy(out + 16, head->stream, SEGMENT_STREAM);
    put(out + 32, head->gap, 8);
    put(out + 40, head->until, 8);
    put(out + 48, crc32c(0, out, 48), 4);
}

bool segment_get_head(const uint8_t *data, size_t len, struct segment_head *out)
{
    if (len < SEGMENT_HEADER || memcmp(data, magic, sizeof magic) != 0 ||
        get(data + 48, 4) != crc32c(0, data, 48) || data[8] >= FORWARD_CLASSES)
        return false;
    *out = (struct segment_head){.class = (enum forward_class)data[8]};
    memcpy(out->stream, data + 16, SEGMENT_STREAM);
    out->gap = get(data + 32, 8);
    out->until = get(data + 40, 8);
    return true;
}

int segment_put_record(const struct forward_record *record, uint32_t skipped, struct buf *out,
                       struct err *err)
{
    uint8_t head[SEGMENT_RECORD];
    put(head, record->len, 4);
    head[8] = (uint8_t)record->class;
    head[9] = record->kind;
    put(head + 10, record->level, 2);
    put(head + 12, skipped, 4);
    put(head + 16, record->seq, 8);
    put(head + 24, (uint64_t)record->time_ms, 8);
    uint32_t crc = crc32c(0, head + 8, SEGMENT_RECORD - 8);
    put(head + 4, crc32c(crc, record->data, record->len), 4);
    if (buf_reserve(out, SEGMENT_RECORD + record->len, err) < 0)
        return -1;
    return buf_put(out, head, sizeof head, err) < 0 || buf_put(out, record->data, record->len, err) < 0 ? -1
                                                                                                        : 0;
}

bool segment_get_record(const uint8_t *data, size_t len, uint64_t offset, struct segment_entry *out)
{
    if (offset > len || len - offset < SEGMENT_RECORD)
        return false;
    const uint8_t *head = data + offset;
    uint64_t bytes = get(head, 4);
    if (bytes > FORWARD_MAX_RECORD || bytes > len - offset - SEGMENT_RECORD || head[8] >= FORWARD_CLASSES ||
        get(head + 4, 4) != crc32c(0, head + 8, SEGMENT_RECORD - 8 + bytes))
        return false;
    *out = (struct segment_entry){
        .record = {.class = (enum forward_class)head[8],
                   .kind = head[9],
                   .level = (uint32_t)get(head + 10, 2),
                   .seq = get(head + 16, 8),
                   .time_ms = (int64_t)get(head + 24, 8),
                   .data = head + SEGMENT_RECORD,
                   .len = (size_t)bytes},
        .skipped = (uint32_t)get(head + 12, 4),
        .offset = offset,
        .size = SEGMENT_RECORD + bytes,
    };
    return true;
}

int segment_write_at(int fd, const void *data, size_t len, uint64_t offset, struct err *err)
{
    const uint8_t *bytes = data;
    for (size_t done = 0; done < len;) {
        ssize_t wrote = pwrite(fd, bytes + done, len - done, (off_t)(offset + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_errno(err, "log");
        done += (size_t)wrote;
    }
    return 0;
}
