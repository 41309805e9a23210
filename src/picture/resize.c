#include "picture/picture.h"

#include "base/mem.h"

/* Where an output pixel lies between two input pixels; the share of the second in 1/256. */
struct between {
    int first, second, share;
};

static struct between between(int at, int size, int out_size)
{
    int64_t twice = ((int64_t)(2 * at + 1) * size * 256) / out_size - 256; /* 512 * (position - 0.5) */
    int64_t place = MAX(twice, 0) / 2;
    int first = (int)(place >> 8);

    if (first >= size - 1)
        return (struct between){size - 1, size - 1, 0};
    return (struct between){first, first + 1, (int)(place & 255)};
}

static void blend(const uint8_t *upper, const uint8_t *lower, struct between x, int share, uint8_t *out)
{
    for (int c = 0; c < 3; c++) {
        int top = upper[x.first * 3 + c] * (256 - x.share) + upper[x.second * 3 + c] * x.share;
        int bottom = lower[x.first * 3 + c] * (256 - x.share) + lower[x.second * 3 + c] * x.share;

        out[c] = (uint8_t)((top * (256 - share) + bottom * share + 32768) >> 16);
    }
}

void picture_resize(const uint8_t *rgb, int width, int height, uint8_t *out, int out_width, int out_height)
{
    if (width == out_width && height == out_height) {
        memcpy(out, rgb, (size_t)width * (size_t)height * 3);
        return;
    }
    for (int row = 0; row < out_height; row++) {
        struct between y = between(row, height, out_height);
        const uint8_t *upper = rgb + (size_t)y.first * (size_t)width * 3;
        const uint8_t *lower = rgb + (size_t)y.second * (size_t)width * 3;

        for (int column = 0; column < out_width; column++, out += 3)
            blend(upper, lower, between(column, width, out_width), y.share, out);
    }
}
