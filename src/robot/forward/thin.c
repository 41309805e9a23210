#include "robot/forward/thin.h"

#include "base/log.h"
#include "robot/forward/inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RESTLESS = 4 };

struct pass {
    struct forward *forward;
    enum forward_class class;
    size_t first, count; /* segments */
    struct thin thin;
    struct gap gap;
    struct buf out; /* records */
    struct segment result;
};

static size_t sealed_count(const struct lane *lane)
{
    return lane->fd >= 0 ? lane->count - 1 : lane->count;
}

static bool can_be_thinned(const struct forward *forward, const struct segment *segment)
{
    return segment->count > 0 && segment->restless < MAX_RESTLESS &&
           segment->last > forward->marks.of[segment->class].offered;
}

/* The oldest of the segments that were thinned least, and neighbours like it, as long as the outcome is one segment. */
static bool choose(struct pass *pass)
{
    const struct lane *lane = &pass->forward->lanes[pass->class];
    const struct segment *best = NULL;
    size_t sealed = sealed_count(lane);
    for (size_t i = 0; i < sealed; i++) {
        const struct segment *one = &lane->segments[i];
        if (can_be_thinned(pass->forward, one) &&
            (!best || one->level + one->restless < best->level + best->restless))
            best = one;
    }
    if (!best)
        return false;
    pass->first = (size_t)(best - lane->segments);
    uint64_t bytes = best->bytes;
    for (pass->count = 1; pass->count < THIN_MAX_SEGMENTS && pass->first + pass->count < sealed;
         pass->count++) {
        const struct segment *next = best + pass->count;
        bytes += next->bytes;
        if (!can_be_thinned(pass->forward, next) || next->level != best->level ||
            bytes > 2 * pass->forward->target)
            break;
    }
    return true;
}

static int read_segments(struct pass *pass, struct err *err)
{
    const struct lane *lane = &pass->forward->lanes[pass->class];
    for (size_t i = 0; i < pass->count; i++) {
        cleanup_free char *path = forward_path(pass->forward, lane->segments[pass->first + i].number, "seg");
        if (!path)
            return err_no_memory(err);
        if (thin_load(&pass->thin, path, err) < 0)
            return -1;
    }
    return 0;
}

/* What both said, into `out`. False: they do not merge, or what comes out is too large. */
static bool merge(const struct pass *pass, const struct thin_entry *a, const struct thin_entry *b,
                  struct buf *out)
{
    const struct forward_options *options = &pass->forward->options;
    struct err err = {0};
    buf_reset(out);
    return pass->class == FORWARD_METRIC && options->merge &&
           a->entry.record.level == b->entry.record.level &&
           options->merge(&a->entry.record, &b->entry.record, out, options->arg, &err) == 1 &&
           out->len <= pass->forward->target - SEGMENT_HEADER - SEGMENT_RECORD;
}

static int keep(struct pass *pass, const struct forward_record *record, uint32_t skipped, struct err *err)
{
    struct segment *result = &pass->result;
    if (segment_put_record(record, skipped, &pass->out, err) < 0)
        return -1;
    result->first = result->first ? result->first : record->seq;
    result->last = record->seq;
    result->count++;
    result->level = MAX(result->level, record->level);
    return 0;
}

static int keep_younger(struct pass *pass, const struct thin_entry *entry, uint32_t skipped, struct err *err)
{
    cleanup_buf struct buf merged = BUF_INIT(FORWARD_MAX_RECORD);
    struct forward_record record = entry->entry.record;
    record.level += pass->class == FORWARD_SAMPLE;
    if (merge(pass, &pass->thin.entries[entry->older], entry, &merged)) {
        record.data = merged.data;
        record.len = merged.len;
        record.level++;
        pass->gap.merged++;
    }
    return keep(pass, &record, skipped, err);
}

/* A GAP is full before all is said: the pairs that are left stay as they are. */
static void leave_pairs(struct pass *pass, size_t from)
{
    for (size_t i = 0; i < pass->thin.count; i++) {
        struct thin_entry *entry = &pass->thin.entries[i];
        if (entry->fate == THIN_TAKES_IN && entry->older >= from) {
            pass->thin.entries[entry->older].fate = THIN_STAYS;
            entry->fate = THIN_STAYS;
        }
    }
}

static int rewrite(struct pass *pass, struct err *err)
{
    uint32_t skipped = 0;
    for (size_t i = 0; i < pass->thin.count; i++) {
        const struct thin_entry *entry = &pass->thin.entries[i];
        const struct forward_record *record = &entry->entry.record;
        skipped += entry->entry.skipped;
        if (entry->fate == THIN_GOES && gap_is_full(&pass->gap))
            leave_pairs(pass, i);
        if (entry->fate == THIN_GOES) {
            gap_add(&pass->gap, record->seq, record->time_ms);
            skipped++;
            continue;
        }
        int rc = entry->fate == THIN_TAKES_IN ? keep_younger(pass, entry, skipped, err)
                                              : keep(pass, record, skipped, err);
        if (rc < 0)
            return -1;
        skipped = 0;
    }
    return 0;
}

static int write_new(struct pass *pass, uint64_t number, uint64_t until, struct err *err)
{
    struct forward *forward = pass->forward;
    struct segment_head head = {
        .class = pass->class, .gap = forward->lanes[FORWARD_EVENT].last + 1, .until = until};
    memcpy(head.stream, forward->marks.stream, sizeof head.stream);
    cleanup_close int fd = -1;
    if (forward_create(forward, &head, number, "new", &fd, err) < 0 ||
        segment_write_at(fd, pass->out.data, pass->out.len, SEGMENT_HEADER, err) < 0)
        return -1;
    if (fdatasync(fd) < 0)
        return err_errno(err, "log");
    pass->result.number = number;
    pass->result.class = pass->class;
    pass->result.until = until;
    pass->result.bytes = SEGMENT_HEADER + pass->out.len;
    return file_fsync_dir(forward->dir, err);
}

static int tell(struct pass *pass, struct err *err)
{
    char text[FORWARD_MAX_GAP];
    bool merged = pass->gap.merged == pass->gap.count;
    size_t len = gap_format(&pass->gap,
                            merged ? "no room: two became one" : "no room: every second one is gone", text);
    return forward_put(pass->forward, FORWARD_EVENT, FORWARD_KIND_GAP, pass->gap.until_ms, text, len, true,
                       err);
}

static int take_place(struct pass *pass, struct err *err)
{
    struct forward *forward = pass->forward;
    struct lane *lane = &forward->lanes[pass->class];
    cleanup_free char *from = forward_path(forward, pass->result.number, "new");
    cleanup_free char *to = forward_path(forward, pass->result.number, "seg");
    if (!from || !to)
        return err_no_memory(err);
    if (file_rename(from, to, err) < 0)
        return -1;
    forward_close_places(lane);
    lane->bytes += pass->result.bytes - lane->segments[pass->first].bytes;
    lane->segments[pass->first] = pass->result;
    while (--pass->count > 0)
        if (forward_remove(forward, lane, pass->first + 1, err) < 0)
            return -1;
    return 0;
}

static uint64_t gone_in(const struct pass *pass)
{
    uint64_t count = 0;
    for (size_t i = 0; i < pass->thin.count; i++)
        count += pass->thin.entries[i].fate == THIN_GOES;
    return count;
}

static int replace(struct pass *pass, struct err *err)
{
    struct forward *forward = pass->forward;
    struct lane *lane = &forward->lanes[pass->class];
    const uint64_t number = lane->segments[pass->first].number;
    const struct segment *newest = &lane->segments[pass->first + pass->count - 1];
    const uint64_t until = MAX(newest->number, newest->until);
    forward->half = true; /* whatever fails from here on */
    if (write_new(pass, number, until, err) < 0 || tell(pass, err) < 0) {
        struct err ignored = {0};
        forward->half = forward_take_away(forward, number, &ignored) < 0;
        return -1;
    }
    uint64_t gone = gone_in(pass);
    if (take_place(pass, err) < 0)
        return -1;
    lane->pending -= MIN(lane->pending, gone);
    forward->half = false;
    return 1;
}

static int run(struct pass *pass, struct err *err)
{
    if (forward_pay(pass->forward, 0, err) < 0)
        return -1;
    struct lane *lane = &pass->forward->lanes[pass->class];
    uint64_t offered = pass->forward->marks.of[pass->class].offered;
    if (read_segments(pass, err) < 0)
        return -1;
    if (thin_pair(&pass->thin, offered, false) == 0 && thin_pair(&pass->thin, offered, true) == 0) {
        for (size_t i = 0; i < pass->count; i++)
            lane->segments[pass->first + i].restless++;
        return 1;
    }
    return rewrite(pass, err) < 0 ? -1 : replace(pass, err);
}

int forward_thin(struct forward *forward, enum forward_class class, struct err *err)
{
    struct lane *lane = &forward->lanes[class];
    if (forward->untold)
        return 0;
    cleanup_free struct pass *pass = mem_zalloc(1, sizeof *pass);
    if (!pass)
        return err_no_memory(err);
    pass->forward = forward;
    pass->class = pass->gap.class = class;
    pass->out = (struct buf)BUF_INIT(8 * (size_t)forward->target + FORWARD_MAX_RECORD);
    if (!choose(pass)) {
        if (forward_seal(lane, err) < 0)
            return -1;
        if (!choose(pass))
            return 0;
    }
    int rc = run(pass, err);
    thin_fini(&pass->thin);
    buf_fini(&pass->out);
    return rc;
}
