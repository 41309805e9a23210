/* Another stream: of this log's own making, or taken over. */
#include "robot/forward/inside.h"

#include "base/hex.h"
#include "base/log.h"
#include "sys/file.h"

#include <string.h>
#include <sys/random.h>

static int put_gap(struct buf *out, int64_t now_ms, const char *why, struct err *err)
{
    struct gap gap = {.class = FORWARD_EVENT, .from_ms = now_ms, .until_ms = now_ms};
    char text[FORWARD_MAX_GAP];
    const struct forward_record record = {
        .class = FORWARD_EVENT,
        .kind = FORWARD_KIND_GAP,
        .seq = 1,
        .time_ms = now_ms,
        .len = gap_format(&gap, why, text),
        .data = (const uint8_t *)text,
    };
    return segment_put_record(&record, 0, out, err);
}

/* Everything of EVENT that waits, numbered anew. A whole record of each segment counts, whatever is missing between them. */
static int collect(const struct forward *forward, struct buf *out, uint64_t *seq, struct err *err)
{
    const struct lane *lane = &forward->lanes[FORWARD_EVENT];
    for (size_t i = 0; i < lane->count; i++) {
        cleanup_free char *path = forward_path(forward, lane->segments[i].number, "seg");
        cleanup_file_map struct file_map map = {0};
        struct segment_entry entry;
        if (!path)
            return err_no_memory(err);
        if (file_map(path, &map, err) < 0)
            return -1;
        uint64_t offset = SEGMENT_HEADER, left = lane->segments[i].count;
        for (; left > 0 && segment_get_record(map.data, map.size, offset, &entry); left--) {
            offset += entry.size;
            if (entry.record.seq <= forward->marks.of[FORWARD_EVENT].acked)
                continue;
            entry.record.seq = ++*seq;
            if (segment_put_record(&entry.record, 0, out, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int write_segment(struct forward *forward, const struct marks *marks, const struct buf *records,
                         uint64_t count, struct segment *out, struct err *err)
{
    struct segment_head head = {.class = FORWARD_EVENT};
    memcpy(head.stream, marks->stream, sizeof head.stream);
    cleanup_close int fd = -1;
    if (forward_create(forward, &head, forward->next_number, "seg", &fd, err) < 0 ||
        segment_write_at(fd, records->data, records->len, SEGMENT_HEADER, err) < 0)
        return -1;
    if (fdatasync(fd) < 0)
        return err_errno(err, "log");
    *out = (struct segment){.number = forward->next_number++,
                            .class = FORWARD_EVENT,
                            .first = 1,
                            .last = count,
                            .count = count,
                            .bytes = SEGMENT_HEADER + records->len};
    return file_fsync_dir(forward->dir, err);
}

/* In the marks stands which stream counts: until they are written, the old one. */
static int change_over(struct forward *forward, const struct marks *marks, const struct segment *segment,
                       struct err *err)
{
    struct lane *lane = &forward->lanes[FORWARD_EVENT];
    if (forward_save_marks(forward, marks, err) < 0)
        return -1;
    hex_encode(marks->stream, SEGMENT_STREAM, forward->stream);
    forward_close_places(lane);
    struct err ignored = {0};
    while (lane->count > 0 && forward_remove(forward, lane, 0, &ignored) == 0)
        continue;
    lane->count = 0;
    struct segment *place = forward_add_segment(forward, FORWARD_EVENT, err);
    if (!place)
        return -1;
    *place = *segment;
    lane->bytes = segment->bytes;
    lane->last = lane->pending = segment->count;
    lane->skipped = 0;
    return 0;
}

int forward_restart(struct forward *forward, int64_t now_ms, const char *why, struct err *err)
{
    cleanup_buf struct buf records = BUF_INIT((size_t)forward->options.quota_bytes);
    cleanup_free struct marks *marks = mem_dup(&forward->marks, sizeof forward->marks);
    uint64_t count = 1;
    struct segment segment;
    if (!marks)
        return err_no_memory(err);
    if (getrandom(marks->stream, SEGMENT_STREAM, 0) != SEGMENT_STREAM)
        return err_errno(err, "no random numbers");
    memset(&marks->of[FORWARD_EVENT], 0, sizeof marks->of[FORWARD_EVENT]);
    log_warn("log %s: a new stream: %s", forward->dir, why);
    if (forward_seal(&forward->lanes[FORWARD_EVENT], err) < 0 || put_gap(&records, now_ms, why, err) < 0 ||
        collect(forward, &records, &count, err) < 0 ||
        write_segment(forward, marks, &records, count, &segment, err) < 0)
        return -1;
    return change_over(forward, marks, &segment, err);
}

int forward_adopt(struct forward *forward, const char *stream, uint64_t first, struct err *err)
{
    struct lane *lane = &forward->lanes[FORWARD_EVENT];
    struct marks marks = forward->marks;
    if (lane->last != 0 || lane->count != 0 || first == 0)
        return err_set(err, ERR_CONFLICT, "log: it has events of its own already");
    if (strlen(stream) != 2 * SEGMENT_STREAM || !hex_decode(stream, strlen(stream), marks.stream))
        return err_set(err, ERR_INVALID, "log: a stream is 32 lower-case hexadecimal digits");
    marks.of[FORWARD_EVENT].acked = first - 1;
    if (forward_save_marks(forward, &marks, err) < 0)
        return -1;
    hex_encode(forward->marks.stream, SEGMENT_STREAM, forward->stream);
    lane->last = first - 1;
    return 0;
}
