#include "picture/internal.h"

#include "base/mem.h"

#include <jpeglib.h>
#include <setjmp.h>

/* libjpeg reports errors by a call that must not return. */
struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr handler;
    jmp_buf out;
    struct picture picture;
    char message[JMSG_LENGTH_MAX];
};

static void give_up(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;

    jpeg->err->format_message(jpeg, reader->message);
    longjmp(reader->out, 1);
}

static void count_warnings(j_common_ptr jpeg, int level)
{
    jpeg->err->num_warnings += level < 0;
}

static void fini(struct reader *reader)
{
    jpeg_destroy_decompress(&reader->jpeg);
    picture_fini(&reader->picture);
}

/* A warning of libjpeg means that pixels were made up: the file is cut or damaged. */
static int check_whole(const struct reader *reader, struct err *err)
{
    if (reader->handler.num_warnings > 0)
        return err_set(err, ERR_INVALID, "damaged JPEG picture");
    return 0;
}

static int read_head(struct reader *reader, const void *data, size_t len, struct err *err)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    jpeg_mem_src(jpeg, data, (unsigned long)len);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->num_components == 4)
        return err_set(err, ERR_UNSUPPORTED,
                       "the JPEG picture has four colour components; convert it to RGB");
    if (picture_check_size(jpeg->image_width, jpeg->image_height, err) < 0)
        return -1;
    jpeg->out_color_space = JCS_RGB;
    return picture_init(&reader->picture, (int)jpeg->image_width, (int)jpeg->image_height, err);
}

static int read_rows(struct reader *reader, struct err *err)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = reader->picture.rgb + (size_t)jpeg->output_scanline * jpeg->output_width * 3;

        jpeg_read_scanlines(jpeg, &row, 1);
        if (check_whole(reader, err) < 0)
            return -1;
    }
    jpeg_finish_decompress(jpeg);
    return check_whole(reader, err);
}

static int decode(struct reader *reader, const void *data, size_t len, struct err *err)
{
    if (setjmp(reader->out))
        return err_set(err, ERR_INVALID, "damaged JPEG picture: %s", reader->message);
    return read_head(reader, data, len, err) < 0 || read_rows(reader, err) < 0 ? -1 : 0;
}

int picture_decode_jpeg(const void *data, size_t len, struct picture *out, struct err *err)
{
    struct reader *reader = mem_zalloc(1, sizeof(*reader));
    int status;

    if (!reader)
        return err_no_memory(err);
    reader->jpeg.err = jpeg_std_error(&reader->handler);
    reader->handler.error_exit = give_up;
    reader->handler.emit_message = count_warnings;
    reader->jpeg.client_data = reader;
    jpeg_create_decompress(&reader->jpeg);
    status = decode(reader, data, len, err);
    if (!status) {
        *out = reader->picture;
        reader->picture = (struct picture){0};
    }
    fini(reader);
    free(reader);
    return status;
}
