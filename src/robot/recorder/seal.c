#include "robot/recorder/seal.h"

#include "base/mem.h"
#include "robot/recorder/entry.h"
#include "robot/recorder/message.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { VERDICT_PLACES = 8192, WRITE_BYTES = 256 << 10 };

/* What the arena holds of the event, looked through before anything is written. */
struct content {
    const struct ring_verdict *verdicts[VERDICT_PLACES]; /* by sequence number */
    int64_t first_ns, last_ns, first_frame_ns, last_frame_ns;
};

struct output {
    int fd;
    uint64_t left; /* may still be written */
    size_t used;
    uint8_t bytes[WRITE_BYTES];
};

static bool inside(const struct seal *seal, const struct arena_entry *entry)
{
    return entry->time_ns >= seal->from_ns && entry->time_ns <= seal->until_ns;
}

static void see_frame(struct seal *seal, struct content *content, const struct arena_entry *entry)
{
    if (seal->facts.frames++ == 0)
        content->first_frame_ns = entry->time_ns;
    content->last_frame_ns = entry->time_ns;
}

static void see_verdict(struct seal *seal, struct content *content, const struct arena_entry *entry)
{
    const struct ring_verdict *verdict = (const void *)entry->payload;
    seal->facts.verdicts++;
    content->verdicts[verdict->seq % VERDICT_PLACES] = verdict;
    if (entry->time_ns <= seal->at_ns && verdict->generation != 0)
        seal->facts.release = verdict->release;
}

static void see_lost(struct seal *seal, const struct arena_entry *entry)
{
    const struct entry_lost *lost = (const void *)entry->payload;
    seal->facts.lost_frames += lost->frames;
    seal->facts.lost_verdicts += lost->verdicts;
}

static void see(struct seal *seal, struct content *content, const struct arena_entry *entry)
{
    if (content->first_ns == 0)
        content->first_ns = entry->time_ns;
    content->last_ns = entry->time_ns;
    if (entry->kind == ENTRY_FRAME || entry->kind == ENTRY_VALUES)
        see_frame(seal, content, entry);
    else if (entry->kind == ENTRY_VERDICT)
        see_verdict(seal, content, entry);
    else if (entry->kind == ENTRY_NOTICE)
        seal->facts.notices++;
    else if (entry->kind == ENTRY_LOST)
        see_lost(seal, entry);
}

static int64_t wall_ms(const struct seal *seal, int64_t mono_ns)
{
    return (mono_ns + seal->wall_offset_ns) / 1000000;
}

static void survey(struct seal *seal, struct content *content)
{
    struct incident_facts *facts = &seal->facts;
    for (const struct arena_entry *e = arena_first(seal->arena); e; e = arena_next(seal->arena, e))
        if (inside(seal, e))
            see(seal, content, e);
    facts->time_ms = wall_ms(seal, seal->at_ns);
    facts->from_ms = wall_ms(seal, content->first_ns ? content->first_ns : seal->at_ns);
    facts->until_ms = wall_ms(seal, content->last_ns ? content->last_ns : seal->at_ns);
    int64_t span_ns = content->last_frame_ns - content->first_frame_ns;
    facts->frame_rate = span_ns > 0 ? (double)(facts->frames - 1) * 1e9 / (double)span_ns : 0;
}

static const struct ring_verdict *verdict_on(const struct content *content, const struct arena_entry *entry)
{
    if (entry->kind != ENTRY_FRAME)
        return NULL;
    const struct entry_frame *frame = (const void *)entry->payload;
    const struct ring_verdict *verdict = content->verdicts[frame->seq % VERDICT_PLACES];
    return verdict && verdict->seq == frame->seq && verdict->stream == frame->stream ? verdict : NULL;
}

/* ---- output ---- */

static int drain(struct output *out, struct err *err)
{
    if (out->used > out->left)
        return err_set(err, ERR_NO_SPACE, "it is longer than what incidents may still take of the disk");
    out->left -= out->used;
    for (size_t done = 0; done < out->used;) {
        ssize_t some = write(out->fd, out->bytes + done, out->used - done);
        if (some < 0 && errno != EINTR)
            return err_errno(err, "write");
        done += some > 0 ? (size_t)some : 0;
    }
    out->used = 0;
    return 0;
}

static int put_bytes(const void *data, size_t len, void *arg, struct err *err)
{
    struct output *out = arg;
    const uint8_t *from = data;
    while (len > 0) {
        size_t some = MIN(len, sizeof out->bytes - out->used);
        memcpy(out->bytes + out->used, from, some);
        out->used += some;
        from += some;
        len -= some;
        if (out->used == sizeof out->bytes && drain(out, err) < 0)
            return -1;
    }
    return 0;
}

static int write_entries(const struct seal *seal, const struct content *content, struct messages *messages,
                         struct err *err)
{
    for (const struct arena_entry *e = arena_first(seal->arena); e; e = arena_next(seal->arena, e))
        if (inside(seal, e) && messages_write(messages, e, verdict_on(content, e), err) < 0)
            return -1;
    return 0;
}

static int write_all(struct seal *seal, const struct content *content, struct output *out, struct err *err)
{
    struct incident_sink sink = {put_bytes, out};
    cleanup_incident_writer struct incident_writer *writer = NULL;
    struct messages messages = {0};
    if (incident_begin(&sink, &seal->facts, seal->signer, &writer, err) < 0)
        return -1;
    int done = messages_init(&messages, incident_mcap(writer), seal->wall_offset_ns, err);
    if (done == 0)
        done = write_entries(seal, content, &messages, err);
    messages_fini(&messages);
    if (done < 0 || incident_finish(writer, err) < 0 || drain(out, err) < 0)
        return -1;
    return fsync(out->fd) < 0 ? err_errno(err, "fsync") : 0;
}

static int write_temp(struct seal *seal, const struct content *content, char *temp, struct err *err)
{
    cleanup_free struct output *out = mem_zalloc(1, sizeof *out);
    if (!out)
        return err_no_memory(err);
    out->left = seal->max_bytes ? seal->max_bytes : UINT64_MAX;
    out->fd = mkostemp(temp, O_CLOEXEC);
    if (out->fd < 0)
        return err_errno(err, "%s", temp);
    int done = write_all(seal, content, out, err);
    close(out->fd);
    return done;
}

int seal_write(struct seal *seal, struct err *err)
{
    char path[512], temp[520];
    cleanup_free struct content *content = mem_zalloc(1, sizeof *content);
    if (!content)
        return err_no_memory(err);
    if (shelf_path(seal->dir, seal->facts.id, ".mcap", path, sizeof path, err) < 0)
        return -1;
    snprintf(temp, sizeof temp, "%s" FILE_TEMP_MARK "XXXXXX", path);
    survey(seal, content);
    if (write_temp(seal, content, temp, err) == 0 && file_rename(temp, path, err) == 0)
        return 0;
    unlink(temp);
    return err_prefix(err, "incident %s", seal->facts.id);
}
