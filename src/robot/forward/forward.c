#include "robot/forward/forward.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/forward/inside.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

const uint64_t forward_bound_strides[FORWARD_CLASSES] = {
    [FORWARD_EVENT] = 0, [FORWARD_METRIC] = 8, [FORWARD_SAMPLE] = 4};

/* Shared by the files of this room. */

char *forward_path(const struct forward *forward, uint64_t number, const char *suffix)
{
    return mem_printf("%s/%020llu.%s", forward->dir, (unsigned long long)number, suffix);
}

void forward_close_places(struct lane *lane)
{
    mem_cleanup_close(&lane->reader.fd);
    mem_cleanup_close(&lane->tail.fd);
    lane->reader = (struct place){.fd = -1};
    lane->tail = (struct place){.fd = -1};
}

int forward_save_marks(struct forward *forward, const struct marks *marks, struct err *err)
{
    if (marks_write(forward->dir, marks, err) < 0)
        return -1;
    if (marks != &forward->marks)
        forward->marks = *marks;
    return 0;
}

int forward_sync(struct lane *lane, struct err *err)
{
    if (!lane->dirty || lane->fd < 0)
        return 0;
    if (fdatasync(lane->fd) < 0)
        return err_errno(err, "log");
    lane->dirty = false;
    return 0;
}

int forward_seal(struct lane *lane, struct err *err)
{
    if (forward_sync(lane, err) < 0)
        return -1;
    mem_cleanup_close(&lane->fd);
    lane->fd = -1;
    return 0;
}

struct segment *forward_add_segment(struct forward *forward, enum forward_class class, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    if (lane->count == lane->room) {
        size_t room = lane->room ? 2 * lane->room : 16;
        struct segment *more = mem_grow(lane->segments, room, sizeof *more);
        if (!more) {
            err_no_memory(err);
            return NULL;
        }
        lane->segments = more;
        lane->room = room;
    }
    lane->segments[lane->count] = (struct segment){.class = class};
    return &lane->segments[lane->count++];
}

int forward_create(struct forward *forward, const struct segment_head *head, uint64_t number,
                   const char *suffix, int *out_fd, struct err *err)
{
    uint8_t bytes[SEGMENT_HEADER];
    segment_put_head(head, bytes);
    cleanup_free char *path = forward_path(forward, number, suffix);
    if (!path)
        return err_no_memory(err);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (segment_write_at(fd, bytes, sizeof bytes, 0, err) < 0) {
        unlink(path);
        return -1;
    }
    *out_fd = TAKE_FD(fd);
    return 0;
}

/* Opening and closing. */

static int read_boot(struct forward *forward, struct err *err)
{
    cleanup_buf struct buf id = BUF_INIT(256);
    if (forward->options.boot) {
        str_copy(forward->boot, sizeof forward->boot, forward->options.boot);
        return 0;
    }
    if (file_read("/proc/sys/kernel/random/boot_id", &id, err) < 0)
        return -1;
    str_copy(forward->boot, sizeof forward->boot, buf_text(&id));
    forward->boot[strcspn(forward->boot, "\n")] = 0;
    return 0;
}

static int prepare(struct forward *forward, struct err *err)
{
    const struct forward_options *options = &forward->options;
    if (options->quota_bytes < FORWARD_MIN_QUOTA)
        return err_set(err, ERR_INVALID, "log: a quota of %llu bytes is too small; at least %d",
                       (unsigned long long)options->quota_bytes, FORWARD_MIN_QUOTA);
    forward->target = options->quota_bytes / SEGMENTS_OF_QUOTA;
    forward->dir = mem_strdup(options->dir);
    cleanup_free char *lock = file_join(options->dir, "forward.lock");
    if (!forward->dir || !lock)
        return err_no_memory(err);
    if (file_make_dirs(options->dir, 0700, err) < 0 || file_lock(lock, &forward->lock_fd, err) < 0)
        return -1;
    return read_boot(forward, err);
}

static int open_log(struct forward *forward, int64_t now_ms, struct err *err)
{
    bool damaged = false;
    int has_marks = marks_read(forward->dir, &forward->marks, &damaged, err);
    if (has_marks < 0 || forward_load(forward, has_marks == 1, now_ms, err) < 0)
        return -1;
    if (damaged)
        log_warn("log %s: its marks were damaged", forward->dir);
    return 0;
}

int forward_open(const struct forward_options *options, int64_t now_ms, struct forward **out, struct err *err)
{
    cleanup_forward struct forward *forward = mem_zalloc(1, sizeof *forward);
    if (!forward)
        return err_no_memory(err);
    forward->options = *options;
    forward->lock_fd = -1;
    forward->record = (struct buf)BUF_INIT(SEGMENT_RECORD + FORWARD_MAX_RECORD);
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        forward->lanes[i].fd = -1;
        forward->lanes[i].reader.fd = forward->lanes[i].tail.fd = -1;
    }
    if (prepare(forward, err) < 0 || open_log(forward, now_ms, err) < 0)
        return err_prefix(err, "log %s", options->dir);
    *out = TAKE_PTR(forward);
    return 0;
}

/* With a goodbye: no number was given above the last one. */
static void say_goodbye(struct forward *forward)
{
    struct err err = {0};
    struct marks marks = forward->marks;
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        if (forward_sync(&forward->lanes[i], &err) < 0)
            return;
        marks.of[i].bound = forward->lanes[i].last;
    }
    if (memcmp(&marks.of, &forward->marks.of, sizeof marks.of) != 0 &&
        forward_save_marks(forward, &marks, &err) < 0)
        log_warn("log %s: %s", forward->dir, err.text);
}

void forward_free(struct forward *forward)
{
    if (!forward)
        return;
    if (forward->stream[0])
        say_goodbye(forward);
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        struct lane *lane = &forward->lanes[i];
        forward_close_places(lane);
        mem_cleanup_close(&lane->fd);
        free(lane->segments);
    }
    mem_cleanup_close(&forward->lock_fd);
    buf_fini(&forward->record);
    free(forward->dir);
    free(forward);
}

/* Appending. */

static uint64_t share_of(const struct forward *forward, enum forward_class class, bool is_gap)
{
    uint64_t quota = forward->options.quota_bytes;
    if (class != FORWARD_EVENT)
        return class == FORWARD_METRIC ? quota / 2 : quota / 4;
    return quota / 4 - (is_gap ? quota / 32 : quota / 16);
}

static int make_room(struct forward *forward, enum forward_class class, uint64_t size, bool is_gap,
                     struct err *err)
{
    uint64_t share = share_of(forward, class, is_gap);
    const struct lane *lane = &forward->lanes[class];
    while (lane->bytes + size > share) {
        int thinned = class == FORWARD_EVENT ? 0 : forward_thin(forward, class, err);
        if (thinned < 0)
            return -1;
        if (thinned == 0)
            return err_set(err, ERR_NO_SPACE, "log: no room for another %s; %llu bytes wait for the server",
                           forward_class_names[class], (unsigned long long)lane->bytes);
    }
    return 0;
}

/* No number above the bound is ever given, so that after a cut it is known which may have been. */
static int raise_bound(struct forward *forward, enum forward_class class, struct err *err)
{
    uint64_t seq = forward->lanes[class].last + 1;
    if (class == FORWARD_EVENT || seq <= forward->marks.of[class].bound)
        return 0;
    struct marks marks = forward->marks;
    marks.of[class].bound = seq + forward_bound_strides[class] - 1;
    return forward_save_marks(forward, &marks, err);
}

static int start_segment(struct forward *forward, enum forward_class class, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    struct segment_head head = {.class = class};
    memcpy(head.stream, forward->marks.stream, sizeof head.stream);
    cleanup_close int fd = -1;
    if (forward_seal(lane, err) < 0 ||
        forward_create(forward, &head, forward->next_number, "seg", &fd, err) < 0)
        return -1;
    if (fdatasync(fd) < 0)
        return err_errno(err, "log");
    if (file_fsync_dir(forward->dir, err) < 0)
        return -1;
    struct segment *segment = forward_add_segment(forward, class, err);
    if (!segment)
        return -1;
    segment->number = forward->next_number++;
    segment->bytes = SEGMENT_HEADER;
    lane->bytes += SEGMENT_HEADER;
    lane->fd = TAKE_FD(fd);
    return 0;
}

/* A record that is not there must not be found there: what cannot be cut off ends its segment. */
static int take_back(struct lane *lane, const struct segment *segment)
{
    if (ftruncate(lane->fd, (off_t)segment->bytes) < 0)
        mem_cleanup_close(&lane->fd);
    return -1;
}

static int write_record(struct forward *forward, const struct forward_record *record, struct err *err)
{
    struct lane *lane = &forward->lanes[record->class];
    struct segment *segment = &lane->segments[lane->count - 1];
    struct buf *bytes = &forward->record;
    buf_reset(bytes);
    if (segment_put_record(record, lane->skipped, bytes, err) < 0)
        return -1;
    if (segment_write_at(lane->fd, bytes->data, bytes->len, segment->bytes, err) < 0)
        return take_back(lane, segment);
    if (record->class == FORWARD_EVENT && fdatasync(lane->fd) < 0) {
        err_errno(err, "log");
        return take_back(lane, segment);
    }
    lane->dirty = record->class != FORWARD_EVENT;
    forward->uncommitted |= record->class == FORWARD_METRIC;
    segment->first = segment->first ? segment->first : record->seq;
    segment->last = lane->last = record->seq;
    segment->count++;
    segment->bytes += bytes->len;
    lane->bytes += bytes->len;
    lane->skipped = 0;
    lane->pending++;
    return 0;
}

int forward_put(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                const void *data, size_t len, bool is_gap, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    uint64_t size = SEGMENT_RECORD + len;
    if (make_room(forward, class, size + SEGMENT_HEADER, is_gap, err) < 0 ||
        raise_bound(forward, class, err) < 0)
        return -1;
    if ((lane->fd < 0 || lane->segments[lane->count - 1].bytes + size > forward->target) &&
        start_segment(forward, class, err) < 0)
        return -1;
    const struct forward_record record = {
        .class = class, .kind = kind, .seq = lane->last + 1, .time_ms = time_ms, .data = data, .len = len};
    return write_record(forward, &record, err);
}

int forward_append(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                   const void *data, size_t len, struct err *err)
{
    uint64_t most = MIN((uint64_t)FORWARD_MAX_RECORD, forward->target);
    if (SEGMENT_HEADER + SEGMENT_RECORD + len > most)
        return err_set(err, ERR_TOO_BIG, "log: a record of %zu bytes; at most %llu", len,
                       (unsigned long long)most - SEGMENT_HEADER - SEGMENT_RECORD);
    if (kind == FORWARD_KIND_GAP && class == FORWARD_EVENT)
        return err_set(err, ERR_INVALID, "log: gaps are found, not told");
    if (forward->half && forward_settle(forward, err) < 0)
        return -1;
    if (class == FORWARD_EVENT && forward_pay(forward, time_ms, err) < 0)
        return -1;
    return forward_put(forward, class, kind, time_ms, data, len, false, err);
}

void forward_tick(struct forward *forward, int64_t now_ms)
{
    if (!forward->uncommitted)
        return;
    if (forward->dirty_ms == 0)
        forward->dirty_ms = now_ms;
    if (now_ms < forward->dirty_ms + COMMIT_MS)
        return;
    struct err err = {0};
    if (forward_sync(&forward->lanes[FORWARD_METRIC], &err) < 0)
        log_warn("log %s: %s", forward->dir, err.text);
    forward->uncommitted = false;
    forward->dirty_ms = 0;
}

int64_t forward_next_ms(const struct forward *forward)
{
    if (!forward->uncommitted)
        return INT64_MAX;
    return forward->dirty_ms ? forward->dirty_ms + COMMIT_MS : 0;
}

/* What it knows. */

const char *forward_stream(const struct forward *forward)
{
    return forward->stream;
}

uint64_t forward_pending(const struct forward *forward, enum forward_class class)
{
    return forward->lanes[class].pending;
}

uint64_t forward_acked(const struct forward *forward, enum forward_class class)
{
    return forward->marks.of[class].acked;
}

uint64_t forward_last(const struct forward *forward, enum forward_class class)
{
    return forward->lanes[class].last;
}

uint64_t forward_bytes(const struct forward *forward)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        bytes += forward->lanes[i].bytes;
    return bytes;
}
