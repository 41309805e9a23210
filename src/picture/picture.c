#include "picture/picture.h"

#include "base/mem.h"
#include "base/str.h"
#include "picture/internal.h"
#include "sys/file.h"

#include <strings.h>

void picture_fini(struct picture *picture)
{
    free(picture->rgb);
    *picture = (struct picture){0};
}

int picture_check_size(uint64_t width, uint64_t height, struct err *err)
{
    if (!width || !height)
        return err_set(err, ERR_INVALID, "the picture has no pixels");
    if (width > PICTURE_MAX_SIDE || height > PICTURE_MAX_SIDE || width * height > PICTURE_MAX_PIXELS)
        return err_set(
            err, ERR_TOO_BIG, "the picture is %ju x %ju pixels, at most %d x %d and %d together are read",
            (uintmax_t)width, (uintmax_t)height, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE, PICTURE_MAX_PIXELS);
    return 0;
}

int picture_init(struct picture *out, int width, int height, struct err *err)
{
    if (width < 0 || height < 0 || picture_check_size((uint64_t)width, (uint64_t)height, err) < 0)
        return -1;
    uint8_t *rgb = mem_zalloc((size_t)width * (size_t)height, 3);
    if (!rgb)
        return err_no_memory(err);
    *out = (struct picture){.width = width, .height = height, .rgb = rgb};
    return 0;
}

int picture_read_mem(const void *data, size_t len, struct picture *out, struct err *err)
{
    const uint8_t *bytes = data;

    if (len >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8))
        return picture_decode_png(data, len, out, err);
    if (len >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return picture_decode_jpeg(data, len, out, err);
    return err_set(err, ERR_INVALID, "neither a PNG nor a JPEG picture");
}

int picture_read(const char *path, struct picture *out, struct err *err)
{
    cleanup_buf struct buf file = BUF_INIT(PICTURE_MAX_FILE_BYTES);

    if (file_read(path, &file, err) < 0)
        return -1;
    if (picture_read_mem(file.data, file.len, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int picture_write_png(const char *path, const struct picture *picture, struct err *err)
{
    cleanup_buf struct buf file = BUF_INIT((size_t)PICTURE_MAX_PIXELS * 4);

    if (picture_encode_png(picture, &file, err) < 0)
        return err_prefix(err, "%s", path);
    return file_replace(path, file.data, file.len, 0644, err);
}

bool picture_is_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}
