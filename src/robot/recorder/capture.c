#include "robot/recorder/capture.h"

#include "base/mem.h"
#include "picture/picture.h"
#include "robot/recorder/entry.h"

#include <string.h>

/* The head is the robot program's word: everything that is used is checked on a copy. */
static bool sound(const struct ring *frames, const struct ring_frame *head, uint64_t seq)
{
    if (head->seq != seq || head->width < 1 || head->height < 1 || head->width > RING_MAX_PIXEL_BYTES)
        return false;
    uint64_t each = head->format == RING_FLOAT32 ? sizeof(float) : 3;
    if (head->format > RING_FLOAT32 || head->height > RING_MAX_SIDE)
        return false;
    if (head->format == RING_RGB8 && head->width > RING_MAX_SIDE)
        return false;
    return (uint64_t)head->width * head->height * each <= ring_pixel_capacity(frames);
}

static enum capture_result keep_values(const struct capture *capture, const struct ring *frames,
                                       const struct ring_frame *head, uint64_t stream, const uint8_t *payload,
                                       int64_t now_ns, size_t *out_bytes)
{
    struct entry_values *entry = (void *)capture->scratch;
    uint32_t count = MIN(head->width, (uint32_t)CAPTURE_MAX_VALUES);
    size_t len = sizeof *entry + count * sizeof entry->values[0];
    *entry = (struct entry_values){.seq = head->seq,
                                   .stream = stream,
                                   .capture_ns = head->capture_ns,
                                   .total = head->width,
                                   .count = count};
    memcpy(entry->values, payload, count * sizeof entry->values[0]);
    if (!ring_still(frames, head->seq))
        return CAPTURE_OVERTAKEN;
    void *kept = arena_put(capture->arena, ENTRY_VALUES, now_ns, len);
    if (!kept)
        return CAPTURE_NOT;
    memcpy(kept, entry, len);
    *out_bytes = len;
    return CAPTURE_KEPT;
}

static enum capture_result keep_picture(const struct capture *capture, const struct ring *frames,
                                        const struct ring_frame *head, uint64_t stream, const uint8_t *pixels,
                                        int64_t now_ns, size_t *out_bytes)
{
    struct err err = {0};
    size_t len = 0;
    int longer = (int)MAX(head->width, head->height), shorter = (int)MIN(head->width, head->height);
    int shrink = MIN(MIN((longer + capture->side - 1) / capture->side, shorter), 64);
    struct picture_jpeg picture = {.rgb = pixels,
                                   .width = (int)head->width,
                                   .height = (int)head->height,
                                   .shrink = MAX(shrink, 1),
                                   .quality = capture->quality};
    if (picture_encode_jpeg(&picture, capture->scratch, capture->scratch_bytes, &len, &err) < 0)
        return CAPTURE_NOT;
    if (!ring_still(frames, head->seq))
        return CAPTURE_OVERTAKEN;
    struct entry_frame *entry = arena_put(capture->arena, ENTRY_FRAME, now_ns, sizeof *entry + len);
    if (!entry)
        return CAPTURE_NOT;
    *entry = (struct entry_frame){.seq = head->seq,
                                  .stream = stream,
                                  .capture_ns = head->capture_ns,
                                  .width = head->width,
                                  .height = head->height,
                                  .shrink = (uint32_t)picture.shrink,
                                  .len = (uint32_t)len};
    memcpy(entry->jpeg, capture->scratch, len);
    *out_bytes = sizeof *entry + len;
    return CAPTURE_KEPT;
}

enum capture_result capture_frame(const struct capture *capture, const struct ring *frames, uint64_t stream,
                                  uint64_t seq, int64_t now_ns, size_t *out_bytes)
{
    struct ring_frame head;
    const uint8_t *body = ring_peek(frames, seq);
    *out_bytes = 0;
    if (!body || !ring_read(frames, seq, &head, sizeof head))
        return CAPTURE_OVERTAKEN;
    if (!sound(frames, &head, seq))
        return CAPTURE_NOT;
    const uint8_t *payload = body + sizeof head;
    if (head.format == RING_FLOAT32)
        return keep_values(capture, frames, &head, stream, payload, now_ns, out_bytes);
    return keep_picture(capture, frames, &head, stream, payload, now_ns, out_bytes);
}
