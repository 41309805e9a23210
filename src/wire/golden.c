#include "wire/golden.h"
#include "base/mem.h"

#include <endian.h>

/* Without the terminating 0. Files of pictures only keep the first form. */
static const char magic[8] = "MGOLDEN1", magic_formats[8] = "MGOLDEN2";
enum { MAX_SIDE = 8192, MAX_ELEMENTS = 1 << 26, MAX_FLOATS = 1 << 24 };

size_t golden_frame_bytes(const struct golden_case *item)
{
    return item->format == FRAME_FLOAT32 ? (size_t)item->width * sizeof(float)
                                         : (size_t)item->width * item->height * 3;
}

static bool frame_size_ok(const struct golden_case *item)
{
    if (item->format == FRAME_FLOAT32)
        return item->width >= 1 && item->width <= MAX_FLOATS && item->height == 1;
    return item->format == FRAME_RGB8 && item->width >= 1 && item->width <= MAX_SIDE && item->height >= 1 &&
           item->height <= MAX_SIDE;
}

/* Whether the file has to say the format of each case. */
static bool needs_formats(const struct golden *golden)
{
    for (uint32_t i = 0; i < golden->count; i++)
        if (golden->cases[i].format != FRAME_RGB8)
            return true;
    return false;
}

/* ---- reading: a cursor that cannot leave the file ---- */

struct cursor {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct cursor *cursor, size_t len)
{
    if (len > cursor->left)
        return NULL;
    const uint8_t *data = cursor->at;
    cursor->at += len;
    cursor->left -= len;
    return data;
}

static bool take_u32(struct cursor *cursor, uint32_t *out)
{
    const uint8_t *data = take(cursor, 4);
    if (!data)
        return false;
    uint32_t raw;
    memcpy(&raw, data, sizeof raw);
    *out = le32toh(raw);
    return true;
}

static int cut_short(struct err *err)
{
    return err_set(err, ERR_INVALID, "the file ends too early");
}

static int read_output(struct cursor *cursor, struct golden_case *out, uint32_t index, struct err *err)
{
    uint32_t len;
    if (!take_u32(cursor, &len))
        return cut_short(err);
    if (len < 1 || len > MAX_ELEMENTS)
        return err_set(err, ERR_INVALID, "output %u has %u elements, must be from 1 to %d", index, len,
                       MAX_ELEMENTS);
    out->output_len[index] = len;
    out->outputs[index] = take(cursor, (size_t)len * sizeof(float));
    return out->outputs[index] ? 0 : cut_short(err);
}

static int read_head(struct cursor *cursor, bool formats, struct golden_case *out, struct err *err)
{
    uint32_t format = FRAME_RGB8;
    if ((formats && !take_u32(cursor, &format)) || !take_u32(cursor, &out->width) ||
        !take_u32(cursor, &out->height) || !take_u32(cursor, &out->output_count))
        return cut_short(err);
    if (format > FRAME_FLOAT32)
        return err_set(err, ERR_INVALID, "frame format %u is unknown", format);
    out->format = (enum frame_format)format;
    if (!frame_size_ok(out))
        return err_set(err, ERR_INVALID, "a frame of %u x %u is out of range", out->width, out->height);
    if (out->output_count < 1 || out->output_count > GOLDEN_MAX_OUTPUTS)
        return err_set(err, ERR_INVALID, "%u outputs, must be from 1 to %d", out->output_count,
                       GOLDEN_MAX_OUTPUTS);
    return 0;
}

static int read_case(struct cursor *cursor, bool formats, struct golden_case *out, struct err *err)
{
    if (read_head(cursor, formats, out, err) < 0)
        return -1;
    out->data = take(cursor, golden_frame_bytes(out));
    if (!out->data)
        return cut_short(err);
    for (uint32_t i = 0; i < out->output_count; i++)
        if (read_output(cursor, out, i, err) < 0)
            return -1;
    return 0;
}

int golden_parse(const uint8_t *data, size_t len, struct golden *out, struct err *err)
{
    struct cursor cursor = {.at = data, .left = len};
    memset(out, 0, sizeof *out);
    const uint8_t *head = take(&cursor, sizeof magic);
    bool formats = head && memcmp(head, magic_formats, sizeof magic_formats) == 0;
    if (!head || (!formats && memcmp(head, magic, sizeof magic) != 0))
        return err_set(err, ERR_INVALID, "golden.bin: does not start with %.8s", magic);
    if (!take_u32(&cursor, &out->count) || out->count < 1 || out->count > GOLDEN_MAX_CASES)
        return err_set(err, ERR_INVALID, "golden.bin: must hold 1 to %d cases", GOLDEN_MAX_CASES);
    for (uint32_t i = 0; i < out->count; i++)
        if (read_case(&cursor, formats, &out->cases[i], err) < 0)
            return err_prefix(err, "golden.bin: case %u", i);
    if (cursor.left)
        return err_set(err, ERR_INVALID, "golden.bin: %zu bytes behind the last case", cursor.left);
    if (formats && !needs_formats(out))
        return err_set(err, ERR_INVALID, "golden.bin: pictures only, must start with %.8s", magic);
    return 0;
}

/* ---- writing ---- */

static int put_u32(struct buf *out, uint32_t value, struct err *err)
{
    uint32_t raw = htole32(value);
    return buf_put(out, &raw, sizeof raw, err);
}

static int put_case(struct buf *out, bool formats, const struct golden_case *item, struct err *err)
{
    if ((formats && put_u32(out, (uint32_t)item->format, err) < 0) || put_u32(out, item->width, err) < 0 ||
        put_u32(out, item->height, err) < 0 || put_u32(out, item->output_count, err) < 0 ||
        buf_put(out, item->data, golden_frame_bytes(item), err) < 0)
        return -1;
    for (uint32_t i = 0; i < item->output_count; i++)
        if (put_u32(out, item->output_len[i], err) < 0 ||
            buf_put(out, item->outputs[i], (size_t)item->output_len[i] * sizeof(float), err) < 0)
            return -1;
    return 0;
}

/* The limits of the reader, so that what is written can be read. */
static int check_case(const struct golden_case *item, struct err *err)
{
    if (!frame_size_ok(item) || item->output_count < 1 || item->output_count > GOLDEN_MAX_OUTPUTS)
        return err_set(err, ERR_INVALID, "golden: a frame of %u x %u with %u outputs is out of range",
                       item->width, item->height, item->output_count);
    for (uint32_t i = 0; i < item->output_count; i++)
        if (item->output_len[i] < 1 || item->output_len[i] > MAX_ELEMENTS)
            return err_set(err, ERR_INVALID, "golden: output %u has %u elements", i, item->output_len[i]);
    return 0;
}

int golden_write(const struct golden *golden, struct buf *out, struct err *err)
{
    if (golden->count < 1 || golden->count > GOLDEN_MAX_CASES)
        return err_set(err, ERR_INVALID, "golden: %u cases, must be from 1 to %d", golden->count,
                       GOLDEN_MAX_CASES);
    for (uint32_t i = 0; i < golden->count; i++)
        if (check_case(&golden->cases[i], err) < 0)
            return -1;
    bool formats = needs_formats(golden);
    if (buf_put(out, formats ? magic_formats : magic, sizeof magic, err) < 0 ||
        put_u32(out, golden->count, err) < 0)
        return -1;
    for (uint32_t i = 0; i < golden->count; i++)
        if (put_case(out, formats, &golden->cases[i], err) < 0)
            return -1;
    return 0;
}
