/* At the start: what lies there, what is missing. */
#include "robot/forward/inside.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

struct loader {
    struct forward *forward;
    bool has_marks, found; /* marks; any segment */
    struct err *err;
    struct { /* one class */
        uint64_t previous;
        int64_t time_ms;
        bool torn; /* bytes behind the last whole record */
        struct gap gap;
    } of[FORWARD_CLASSES];
};

/* Names. */

static bool parse_name(const char *name, const char *suffix, uint64_t *out)
{
    unsigned long long number = 0;
    char again[32];
    if (sscanf(name, "%20llu", &number) != 1)
        return false;
    snprintf(again, sizeof again, "%020llu.%s", number, suffix);
    *out = number;
    return str_eq(name, again);
}

static int unlink_number(const struct forward *forward, uint64_t number, const char *suffix, struct err *err)
{
    cleanup_free char *path = forward_path(forward, number, suffix);
    if (!path)
        return err_no_memory(err);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, "%s", path);
    return 0;
}

int forward_remove(struct forward *forward, struct lane *lane, size_t index, struct err *err)
{
    const struct segment gone = lane->segments[index];
    if (unlink_number(forward, gone.number, "seg", err) < 0)
        return -1;
    lane->bytes -= gone.bytes;
    lane->count--;
    memmove(lane->segments + index, lane->segments + index + 1,
            (lane->count - index) * sizeof lane->segments[0]);
    return 0;
}

/* Replacements that a cut left half-way. */

static int read_head(const char *path, struct segment_head *out, bool *out_whole, struct err *err)
{
    uint8_t head[SEGMENT_HEADER];
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", path);
    ssize_t got = pread(fd, head, sizeof head, 0);
    *out_whole = got == (ssize_t)sizeof head && segment_get_head(head, sizeof head, out);
    return 0;
}

struct half {
    const struct forward *forward;
    struct err *err;
    int rc;
};

/* For good: one that came back after its number was given to another event would be taken for told. */
int forward_take_away(const struct forward *forward, uint64_t number, struct err *err)
{
    return unlink_number(forward, number, "new", err) < 0 ? -1 : file_fsync_dir(forward->dir, err);
}

/* If the GAP is there, what it says has to become true; if not, it must not. */
static int settle_one(const char *name, void *arg)
{
    struct half *half = arg;
    const struct forward *forward = half->forward;
    uint64_t number;
    struct segment_head head = {0};
    bool whole = false;
    half->rc = -1;
    if (!parse_name(name, "new", &number)) {
        half->rc = 0;
        return 0;
    }
    cleanup_free char *from = forward_path(forward, number, "new");
    cleanup_free char *to = forward_path(forward, number, "seg");
    if (!from || !to)
        return err_no_memory(half->err);
    if (read_head(from, &head, &whole, half->err) < 0)
        return -1;
    if (whole && head.gap && head.gap <= forward->lanes[FORWARD_EVENT].last)
        half->rc = file_rename(from, to, half->err);
    else
        half->rc = forward_take_away(forward, number, half->err);
    return half->rc;
}

static int settle_files(const struct forward *forward, struct err *err)
{
    struct half half = {.forward = forward, .err = err};
    if (file_list(forward->dir, settle_one, &half, err) < 0)
        return -1;
    return half.rc;
}

/* One segment. */

static void find_hole(struct loader *loader, const struct segment_entry *entry)
{
    const enum forward_class class = entry->record.class;
    struct forward *forward = loader->forward;
    uint64_t seq = entry->record.seq, from = seq - MIN(seq, (uint64_t)entry->skipped);
    uint64_t previous = loader->of[class].previous;
    if (previous == 0 && !loader->has_marks)
        forward->marks.of[class].acked = from - MIN(from, 1U);
    uint64_t known = MAX(previous, MAX(forward->marks.of[class].acked, forward->marks.of[class].settled)) + 1;
    if (known < from && !gap_is_full(&loader->of[class].gap))
        gap_add_range(&loader->of[class].gap, known, from - 1, loader->of[class].time_ms,
                      entry->record.time_ms);
}

static void take_entry(struct loader *loader, struct segment *segment, const struct segment_entry *entry)
{
    const struct forward_record *record = &entry->record;
    struct lane *lane = &loader->forward->lanes[record->class];
    find_hole(loader, entry);
    segment->first = segment->first ? segment->first : record->seq;
    segment->last = record->seq;
    segment->count++;
    segment->level = MAX(segment->level, record->level);
    if (record->seq > loader->forward->marks.of[record->class].acked)
        lane->pending++;
    loader->of[record->class].previous = record->seq;
    loader->of[record->class].time_ms = record->time_ms;
}

static bool is_stale(const struct loader *loader, const struct segment_head *head)
{
    return head->class == FORWARD_EVENT && loader->has_marks &&
           memcmp(head->stream, loader->forward->marks.stream, sizeof head->stream) != 0;
}

/* A segment that a later step replaced, but that a cut left there. */
static bool is_replaced(const struct lane *lane, uint64_t number)
{
    return lane->count > 0 && number <= lane->segments[lane->count - 1].until;
}

static int scan(struct loader *loader, const struct segment_head *head, uint64_t number,
                const struct file_map *map)
{
    struct forward *forward = loader->forward;
    struct lane *lane = &forward->lanes[head->class];
    struct segment *segment = forward_add_segment(forward, head->class, loader->err);
    if (!segment)
        return -1;
    segment->number = number;
    segment->until = head->until;
    segment->bytes = map->size;
    lane->bytes += map->size;
    uint64_t offset = SEGMENT_HEADER;
    struct segment_entry entry;
    while (segment_get_record(map->data, map->size, offset, &entry) && entry.record.class == head->class &&
           entry.record.seq > loader->of[head->class].previous) {
        take_entry(loader, segment, &entry);
        offset += entry.size;
    }
    loader->of[head->class].torn = offset < map->size;
    if (!loader->has_marks && head->class == FORWARD_EVENT)
        memcpy(forward->marks.stream, head->stream, sizeof head->stream);
    return 0;
}

static int load_one(struct loader *loader, uint64_t number)
{
    struct forward *forward = loader->forward;
    cleanup_free char *path = forward_path(forward, number, "seg");
    cleanup_file_map struct file_map map = {0};
    struct segment_head head;
    if (!path)
        return err_no_memory(loader->err);
    if (file_map(path, &map, loader->err) < 0)
        return -1;
    forward->next_number = MAX(forward->next_number, number + 1);
    if (!segment_get_head(map.data, map.size, &head) || is_stale(loader, &head) ||
        is_replaced(&forward->lanes[head.class], number))
        return unlink_number(forward, number, "seg", loader->err);
    loader->found = true;
    return scan(loader, &head, number, &map);
}

static int visit(const char *name, void *arg)
{
    struct loader *loader = arg;
    uint64_t number;
    if (strstr(name, FILE_TEMP_MARK)) {
        cleanup_free char *path = file_join(loader->forward->dir, name);
        if (path)
            unlink(path);
    }
    if (parse_name(name, "new", &number))
        loader->forward->next_number = MAX(loader->forward->next_number, number + 1);
    if (!parse_name(name, "seg", &number))
        return 0;
    return load_one(loader, number);
}

static void forget(struct loader *loader)
{
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        struct lane *lane = &loader->forward->lanes[i];
        forward_close_places(lane);
        lane->count = 0;
        lane->pending = lane->bytes = 0;
        memset(&loader->of[i], 0, sizeof loader->of[i]);
        loader->of[i].gap.class = (enum forward_class)i;
    }
    loader->found = false;
}

static int load_all(struct loader *loader)
{
    struct err *err = loader->err;
    forget(loader);
    struct err before = *err;
    if (file_list(loader->forward->dir, visit, loader, err) < 0)
        return -1;
    return err->code != before.code ? -1 : 0; /* visit stopped */
}

/* What was written in a life before this one may be in memory only. */
static int sync_last(const struct forward *forward, struct err *err)
{
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        const struct lane *lane = &forward->lanes[i];
        if (lane->count == 0)
            continue;
        cleanup_free char *path = forward_path(forward, lane->segments[lane->count - 1].number, "seg");
        if (!path)
            return err_no_memory(err);
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fdatasync(fd) < 0)
            return err_errno(err, "%s", path);
    }
    return file_fsync_dir(forward->dir, err);
}

/* Missing numbers. */

/* The numbers after the last record that may have been given. */
static void find_tail(struct loader *loader, enum forward_class class, int64_t now_ms)
{
    struct forward *forward = loader->forward;
    struct lane *lane = &forward->lanes[class];
    const struct marks *marks = &forward->marks;
    uint64_t seen = MAX(loader->of[class].previous, marks->of[class].acked);
    lane->last = MAX(seen, marks->of[class].settled);
    bool blind = !loader->has_marks && loader->found;
    bool unclean = loader->of[class].torn || !str_eq(marks->boot, forward->boot) || blind;
    uint64_t bound = blind ? lane->last + SEGMENTS_OF_QUOTA : marks->of[class].bound;
    struct gap *gap = &loader->of[class].gap;
    bool full = gap_is_full(gap);
    if (class != FORWARD_EVENT && unclean && bound > lane->last) {
        if (!full)
            gap_add_range(gap, lane->last + 1, bound,
                          loader->of[class].time_ms ? loader->of[class].time_ms : now_ms, now_ms);
        lane->last = bound;
    }
    lane->skipped = full ? 0 : (uint32_t)(lane->last - seen);
}

int forward_pay(struct forward *forward, int64_t now_ms, struct err *err)
{
    struct marks *marks = &forward->marks;
    if (!marks->owed)
        return 0;
    if (marks->owed > forward->lanes[FORWARD_EVENT].last &&
        forward_put(forward, FORWARD_EVENT, FORWARD_KIND_GAP, now_ms, marks->owed_text,
                    strlen(marks->owed_text), true, err) < 0)
        return -1;
    marks->owed = 0;
    marks->owed_text[0] = 0;
    return 0;
}

/* While there is no room it stays owed: no event is appended before it (forward_append). */
static int pay_if_there_is_room(struct forward *forward, int64_t now_ms, struct err *err)
{
    if (forward_pay(forward, now_ms, err) == 0)
        return 0;
    if (err->code != ERR_NO_SPACE)
        return -1;
    *err = (struct err){0};
    return 0;
}

/* The GAP and what makes that it is told once, in one step: first it is owed. */
static int tell_gap(struct loader *loader, enum forward_class class, int64_t now_ms, struct err *err)
{
    struct forward *forward = loader->forward;
    struct gap *gap = &loader->of[class].gap;
    struct marks marks = forward->marks;
    bool full = gap_is_full(gap);
    gap_format(gap,
               class == FORWARD_EVENT ? "damaged on the disk"
                                      : "lost with the power or damaged; the last ones may never have been",
               marks.owed_text);
    marks.owed = forward->lanes[FORWARD_EVENT].last + 1;
    marks.of[class].settled = full ? gap->last : forward->lanes[class].last;
    forward->untold |= full;
    log_warn("log %s: %llu records of class %s are missing", forward->dir, (unsigned long long)gap->count,
             forward_class_names[class]);
    if (forward_save_marks(forward, &marks, err) < 0)
        return -1;
    return pay_if_there_is_room(forward, now_ms, err);
}

/* One GAP can be owed. A second one is found again by the next start. */
static int tell_or_leave(struct loader *loader, enum forward_class class, int64_t now_ms, struct err *err)
{
    struct forward *forward = loader->forward;
    if (loader->of[class].gap.count == 0)
        return 0;
    if (!forward->marks.owed)
        return tell_gap(loader, class, now_ms, err);
    forward->lanes[class].skipped = 0;
    forward->untold = true;
    return 0;
}

/* Of events none may be missing between two: the server would wait for it for ever. */
static int settle_numbers(struct loader *loader, int64_t now_ms, struct err *err)
{
    struct forward *forward = loader->forward;
    for (size_t i = FORWARD_METRIC; i < FORWARD_CLASSES; i++)
        if (tell_or_leave(loader, (enum forward_class)i, now_ms, err) < 0)
            return -1;
    if (loader->of[FORWARD_EVENT].gap.count == 0)
        return 0;
    char why[96];
    snprintf(why, sizeof why, "%llu reports were damaged on the disk",
             (unsigned long long)loader->of[FORWARD_EVENT].gap.count);
    return forward_restart(forward, now_ms, why, err);
}

static int save_if_changed(struct forward *forward, const struct marks *before, struct err *err)
{
    struct marks *marks = &forward->marks;
    str_copy(marks->boot, sizeof marks->boot, forward->untold ? "unsettled" : forward->boot);
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        marks->of[i].bound = MAX(marks->of[i].bound, forward->lanes[i].last);
    if (memcmp(marks, before, sizeof *marks) == 0)
        return 0;
    return forward_save_marks(forward, marks, err);
}

static int new_stream(struct forward *forward, struct err *err)
{
    if (getrandom(forward->marks.stream, SEGMENT_STREAM, 0) != SEGMENT_STREAM)
        return err_errno(err, "no random numbers");
    return 0;
}

int forward_load(struct forward *forward, bool has_marks, int64_t now_ms, struct err *err)
{
    cleanup_free struct loader *loader = mem_zalloc(1, sizeof *loader);
    cleanup_free struct marks *before = mem_dup(&forward->marks, sizeof forward->marks);
    if (!loader || !before)
        return err_no_memory(err);
    *loader = (struct loader){.forward = forward, .has_marks = has_marks, .err = err};
    forward->next_number = 1;
    if (load_all(loader) < 0 || sync_last(forward, err) < 0)
        return -1;
    find_tail(loader, FORWARD_EVENT, now_ms);
    if (settle_files(forward, err) < 0 || load_all(loader) < 0)
        return -1;
    if (!has_marks && !loader->found && new_stream(forward, err) < 0)
        return -1;
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        find_tail(loader, (enum forward_class)i, now_ms);
    hex_encode(forward->marks.stream, SEGMENT_STREAM, forward->stream);
    if (!has_marks && forward_save_marks(forward, &forward->marks, err) < 0)
        return -1;
    if (pay_if_there_is_room(forward, now_ms, err) < 0 || settle_numbers(loader, now_ms, err) < 0)
        return -1;
    return save_if_changed(forward, before, err);
}

int forward_settle(struct forward *forward, struct err *err)
{
    cleanup_free struct loader *loader = mem_zalloc(1, sizeof *loader);
    if (!loader)
        return err_no_memory(err);
    *loader = (struct loader){.forward = forward, .has_marks = true, .err = err};
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        if (forward_seal(&forward->lanes[i], err) < 0)
            return -1;
    if (settle_files(forward, err) < 0 || load_all(loader) < 0)
        return -1;
    forward->half = false;
    return 0;
}
