/* Pictures: PNG and JPEG files in and out of memory as RGB8.
 *
 *     struct picture picture = {0};
 *     if (picture_read("frame.png", &picture, err) < 0)
 *         return -1;
 *     ... picture.rgb[(y * picture.width + x) * 3 + channel] ...
 *     picture_fini(&picture);
 *
 * - The format is told by the first bytes, never by the name.
 * - The bytes are foreign: sizes are checked before anything is allocated. At most 8192 pixels in either
 * direction and 2^25 together, at most 64 MiB of file.
 * - Grey becomes RGB, 16 bits become 8, transparency is laid over black, CMYK is refused. Rows from the top,
 * no padding.
 * - On failure *out is untouched. Errors: INVALID (neither PNG nor JPEG, or damaged), TOO_BIG, UNSUPPORTED
 * (CMYK), NO_MEMORY, and those of file_read.
 */
#ifndef MUSTER_PICTURE_PICTURE_H
#define MUSTER_PICTURE_PICTURE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define PICTURE_MAX_SIDE 8192
#define PICTURE_MAX_PIXELS (1 << 25)
#define PICTURE_MAX_FILE_BYTES (64 << 20)

struct picture {
    int width, height; /* pixels */
    uint8_t *rgb;      /* width * height * 3 bytes, owned */
};

void picture_fini(struct picture *picture); /* leaves an empty one */
#define cleanup_picture __attribute__((cleanup(picture_fini)))

/* Allocates a black picture. */
int picture_init(struct picture *out, int width, int height, struct err *err) must_check;

int picture_read(const char *path, struct picture *out, struct err *err) must_check;
int picture_read_mem(const void *data, size_t len, struct picture *out, struct err *err) must_check;

/* Equal pixels give equal bytes (with the same libpng and zlib). */
int picture_encode_png(const struct picture *picture, struct buf *out, struct err *err) must_check;
int picture_write_png(const char *path, const struct picture *picture, struct err *err) must_check;

/* Baseline JPEG into memory of a fixed size, straight from RGB8 rows, shrunk on the way: each output pixel is the mean of
 * `shrink` x `shrink` ones (1: as it is), what is left over at the right and the bottom is not in it. Errors: TOO_BIG if
 * it does not fit into out_size, INVALID for sides out of range. */
struct picture_jpeg {
    const uint8_t *rgb; /* width * height * 3 bytes */
    int width, height;
    int shrink;  /* 1 … 64, at most the shorter side */
    int quality; /* 1 … 100 */
};
int picture_encode_jpeg(const struct picture_jpeg *picture, uint8_t *out, size_t out_size, size_t *out_len,
                        struct err *err) must_check;

/* Bilinear, pixel centres at half integers, edges repeated; the sides are scaled independently. `out` holds
 * out_width * out_height * 3 bytes and must not overlap `rgb`. All sides at least 1. */
void picture_resize(const uint8_t *rgb, int width, int height, uint8_t *out, int out_width, int out_height);

/* True for names that end in .png, .jpg or .jpeg, in upper or lower case. */
bool picture_is_name(const char *name);

#endif
