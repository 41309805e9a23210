#include "sim/frames/raw.h"

#include <endian.h>

static int put(FILE *file, const void *data, size_t len, struct err *err)
{
    return fwrite(data, 1, len, file) == len ? 0 : err_errno(err, "cannot write the frames");
}

static uint32_t float_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return htole32(bits);
}

int raw_begin(FILE *file, uint32_t frames, struct err *err)
{
    const uint32_t head[6] = {htole32(WORLD_WIDTH), htole32(WORLD_HEIGHT), htole32(frames),
                              htole32(WORLD_MAX_BOXES)};

    return put(file, "MUSTFRM1", 8, err) < 0 || put(file, head, sizeof(head), err) < 0 ? -1 : 0;
}

int raw_frame(FILE *file, int site, const uint8_t *rgb, const struct world_box *boxes, size_t count,
              struct err *err)
{
    uint32_t words[2 + WORLD_MAX_BOXES * 5] = {htole32((uint32_t)site), htole32((uint32_t)count)};

    for (size_t i = 0; i < count; i++) {
        uint32_t *at = words + 2 + i * 5;

        at[0] = htole32((uint32_t)boxes[i].label);
        at[1] = float_bits(boxes[i].x0);
        at[2] = float_bits(boxes[i].y0);
        at[3] = float_bits(boxes[i].x1);
        at[4] = float_bits(boxes[i].y1);
    }
    return put(file, rgb, WORLD_FRAME_BYTES, err) < 0 || put(file, words, sizeof(words), err) < 0 ? -1 : 0;
}
