/* What waits, oldest first, and what is acknowledged. */
#include "robot/forward/inside.h"

#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>

static int read_at(int fd, uint8_t *out, size_t len, uint64_t offset, size_t *out_got, struct err *err)
{
    *out_got = 0;
    while (*out_got < len) {
        ssize_t got = pread(fd, out + *out_got, len - *out_got, (off_t)(offset + *out_got));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "log");
        if (got == 0)
            return 0;
        *out_got += (size_t)got;
    }
    return 0;
}

/* The whole record at a place into forward->record. 1, or 0 if there is none that is whole. */
static int read_record(struct forward *forward, const struct place *place, struct segment_entry *out,
                       struct err *err)
{
    struct buf *bytes = &forward->record;
    size_t got = 0;
    buf_reset(bytes);
    if (buf_reserve(bytes, SEGMENT_RECORD, err) < 0 ||
        read_at(place->fd, bytes->data, SEGMENT_RECORD, place->offset, &got, err) < 0)
        return -1;
    if (got < SEGMENT_RECORD)
        return 0;
    size_t len = (size_t)bytes->data[0] | (size_t)bytes->data[1] << 8 | (size_t)bytes->data[2] << 16 |
                 (size_t)bytes->data[3] << 24;
    if (len > FORWARD_MAX_RECORD)
        return 0;
    bytes->len = SEGMENT_RECORD;
    if (buf_reserve(bytes, len, err) < 0 ||
        read_at(place->fd, bytes->data + SEGMENT_RECORD, len, place->offset + SEGMENT_RECORD, &got, err) < 0)
        return -1;
    return got == len && segment_get_record(bytes->data, SEGMENT_RECORD + len, 0, out) ? 1 : 0;
}

static const struct segment *find(const struct lane *lane, uint64_t number)
{
    for (size_t i = 0; i < lane->count; i++)
        if (lane->segments[i].number == number)
            return &lane->segments[i];
    return NULL;
}

/* The first segment that has something above `seq`. */
static const struct segment *find_above(const struct lane *lane, uint64_t seq)
{
    for (size_t i = 0; i < lane->count; i++)
        if (lane->segments[i].count && lane->segments[i].last > seq)
            return &lane->segments[i];
    return NULL;
}

static int go_to(const struct forward *forward, struct place *place, const struct segment *segment,
                 struct err *err)
{
    cleanup_free char *path = forward_path(forward, segment->number, "seg");
    if (!path)
        return err_no_memory(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    mem_cleanup_close(&place->fd);
    *place = (struct place){.number = segment->number, .offset = SEGMENT_HEADER, .fd = fd};
    return 0;
}

/* The next record above `seq`, and the place behind it. */
static int step(struct forward *forward, enum forward_class class, struct place *place, uint64_t seq,
                struct segment_entry *out, struct err *err)
{
    const struct lane *lane = &forward->lanes[class];
    const struct segment *here = place->fd >= 0 ? find(lane, place->number) : NULL;
    const struct segment *want = find_above(lane, seq);
    if (!want)
        return 0;
    if ((here != want || place->seq > seq) && go_to(forward, place, want, err) < 0)
        return -1;
    do {
        int got = read_record(forward, place, out, err);
        if (got < 0)
            return -1;
        if (got == 0 || out->record.class != class)
            return err_set(err, ERR_CORRUPT, "log: segment %llu was changed behind its back",
                           (unsigned long long)want->number);
        place->offset += out->size;
        place->seq = out->record.seq;
    } while (out->record.seq <= seq);
    return 1;
}

/* What is offered is on the disk, and it is known afterwards that it was offered. */
static int may_offer(struct forward *forward, enum forward_class class, uint64_t seq, struct err *err)
{
    if (class == FORWARD_EVENT || seq <= forward->marks.of[class].offered)
        return 0;
    struct marks marks = forward->marks;
    marks.of[class].offered = seq + OFFERED_STRIDE - 1;
    return forward_save_marks(forward, &marks, err);
}

int forward_next(struct forward *forward, enum forward_class class, uint64_t after,
                 struct forward_record *out, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    struct segment_entry entry;
    uint64_t above = MAX(after, forward->marks.of[class].acked);
    if (forward->half && forward_settle(forward, err) < 0)
        return -1;
    int some = step(forward, class, &lane->reader, above, &entry, err);
    if (some <= 0)
        return some;
    if (forward_sync(lane, err) < 0 || may_offer(forward, class, entry.record.seq, err) < 0)
        return -1;
    *out = entry.record;
    return 1;
}

int forward_newest(struct forward *forward, enum forward_class class, uint8_t kind,
                   struct forward_record *out, struct err *err)
{
    const struct lane *lane = &forward->lanes[class];
    struct place place = {.fd = -1};
    int found = 0;
    for (size_t i = lane->count; i > 0 && found == 0; i--) {
        uint64_t seq = 0, offset = 0;
        struct segment_entry entry;
        if (go_to(forward, &place, &lane->segments[i - 1], err) < 0)
            return -1;
        while (seq < lane->segments[i - 1].last && read_record(forward, &place, &entry, err) == 1) {
            seq = entry.record.seq;
            if (entry.record.kind == kind)
                offset = place.offset;
            place.offset += entry.size;
        }
        place.offset = offset;
        if (offset)
            found = read_record(forward, &place, &entry, err);
        if (found == 1)
            *out = entry.record;
    }
    mem_cleanup_close(&place.fd);
    return found;
}

/* Acknowledged. */

/* Takes what is acknowledged out of `pending`. */
static int pass_over(struct forward *forward, enum forward_class class, uint64_t from, uint64_t seq,
                     struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    struct segment_entry entry;
    for (;;) {
        int some = step(forward, class, &lane->tail, from, &entry, err);
        if (some < 0)
            return -1;
        if (some == 0)
            return 0;
        if (entry.record.seq > seq) { /* the next one to be looked at again */
            lane->tail.offset -= entry.size;
            lane->tail.seq = from;
            return 0;
        }
        from = entry.record.seq;
        lane->pending -= MIN(lane->pending, 1U);
    }
}

/* Segments of which all is acknowledged; but the one that is being written. */
static int remove_acked(struct forward *forward, enum forward_class class, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    while (lane->count > 1 && lane->segments[0].last <= forward->marks.of[class].acked)
        if (forward_remove(forward, lane, 0, err) < 0)
            return -1;
    return 0;
}

int forward_ack(struct forward *forward, enum forward_class class, uint64_t seq, struct err *err)
{
    const struct lane *lane = &forward->lanes[class];
    if (seq > lane->last)
        return err_set(err, ERR_CONFLICT, "the server knows more of class %s than the robot",
                       forward_class_names[class]);
    if (seq <= forward->marks.of[class].acked)
        return 0;
    struct marks marks = forward->marks;
    marks.of[class].acked = seq;
    if (class != FORWARD_EVENT) { /* on the way, at no cost */
        marks.of[class].offered = MAX(marks.of[class].offered, seq + OFFERED_STRIDE);
        marks.of[class].bound = MAX(marks.of[class].bound, lane->last + forward_bound_strides[class]);
    }
    uint64_t before = forward->marks.of[class].acked;
    if (forward_save_marks(forward, &marks, err) < 0 || pass_over(forward, class, before, seq, err) < 0)
        return -1;
    return remove_acked(forward, class, err);
}
