#include "picture/internal.h"

#include "base/mem.h"

#include <png.h>

static int read_pixels(png_image *image, struct picture *out, struct err *err)
{
    struct picture picture = {0};

    if (picture_check_size(image->width, image->height, err) < 0 ||
        picture_init(&picture, (int)image->width, (int)image->height, err) < 0)
        return -1;
    image->format = PNG_FORMAT_RGB;
    /* No background given: transparency is laid over what is in the buffer, which is black. */
    if (!png_image_finish_read(image, NULL, picture.rgb, 0, NULL)) {
        picture_fini(&picture);
        return err_set(err, ERR_INVALID, "damaged PNG picture: %s", image->message);
    }
    *out = picture;
    return 0;
}

int picture_decode_png(const void *data, size_t len, struct picture *out, struct err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    int status;

    if (!png_image_begin_read_from_memory(&image, data, len))
        return err_set(err, ERR_INVALID, "damaged PNG picture: %s", image.message);
    status = read_pixels(&image, out, err);
    png_image_free(&image);
    return status;
}

int picture_encode_png(const struct picture *picture, struct buf *out, struct err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)picture->width,
                       .height = (png_uint_32)picture->height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);

    if (buf_reserve(out, size, err) < 0)
        return -1;
    if (!png_image_write_to_memory(&image, out->data + out->len, &size, 0, picture->rgb, 0, NULL))
        return err_set(err, ERR_INTERNAL, "cannot write the PNG picture: %s", image.message);
    out->len += size;
    out->data[out->len] = 0;
    return 0;
}
