#include "picture/picture.h"

#include "base/mem.h"

#include <jpeglib.h>
#include <setjmp.h>

struct writer {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr handler;
    struct jpeg_destination_mgr to;
    jmp_buf out;
    char message[JMSG_LENGTH_MAX];
    bool full;
    uint8_t row[PICTURE_MAX_SIDE * 3];
};

static void give_up(j_common_ptr jpeg)
{
    struct writer *writer = jpeg->client_data;
    jpeg->err->format_message(jpeg, writer->message);
    longjmp(writer->out, 1);
}

static void begin_output(j_compress_ptr jpeg)
{
}

static boolean no_more_room(j_compress_ptr jpeg)
{
    struct writer *writer = jpeg->client_data;
    writer->full = true;
    longjmp(writer->out, 1);
}

static void end_output(j_compress_ptr jpeg)
{
}

static void shrink_row(const struct picture_jpeg *picture, int y, uint8_t *out)
{
    int shrink = picture->shrink, pixels = shrink * shrink;
    size_t stride = (size_t)picture->width * 3;
    const uint8_t *block = picture->rgb + (size_t)y * (size_t)shrink * stride;
    for (int x = 0; x < picture->width / shrink; x++, block += 3 * shrink) {
        int sum[3] = {pixels / 2, pixels / 2, pixels / 2};
        for (int dy = 0; dy < shrink; dy++) {
            const uint8_t *from = block + (size_t)dy * stride;
            for (int dx = 0; dx < shrink; dx++, from += 3)
                for (int c = 0; c < 3; c++)
                    sum[c] += from[c];
        }
        for (int c = 0; c < 3; c++)
            *out++ = (uint8_t)(sum[c] / pixels);
    }
}

static void write_rows(struct writer *writer, const struct picture_jpeg *picture)
{
    struct jpeg_compress_struct *jpeg = &writer->jpeg;
    jpeg->image_width = (JDIMENSION)(picture->width / picture->shrink);
    jpeg->image_height = (JDIMENSION)(picture->height / picture->shrink);
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, picture->quality, TRUE);
    jpeg->dct_method = JDCT_IFAST;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        size_t y = jpeg->next_scanline;
        JSAMPROW row = writer->row;
        if (picture->shrink == 1)
            row = (JSAMPROW)(uintptr_t)(picture->rgb + y * (size_t)picture->width * 3);
        else
            shrink_row(picture, (int)y, writer->row);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static int encode(struct writer *writer, const struct picture_jpeg *picture, uint8_t *out, size_t out_size,
                  size_t *out_len, struct err *err)
{
    if (setjmp(writer->out))
        return writer->full
                   ? err_set(err, ERR_TOO_BIG, "the JPEG picture does not fit into %zu bytes", out_size)
                   : err_set(err, ERR_INTERNAL, "JPEG: %s", writer->message);
    jpeg_create_compress(&writer->jpeg);
    writer->to = (struct jpeg_destination_mgr){.next_output_byte = out,
                                               .free_in_buffer = out_size,
                                               .init_destination = begin_output,
                                               .empty_output_buffer = no_more_room,
                                               .term_destination = end_output};
    writer->jpeg.dest = &writer->to;
    write_rows(writer, picture);
    *out_len = out_size - writer->to.free_in_buffer;
    return 0;
}

int picture_encode_jpeg(const struct picture_jpeg *picture, uint8_t *out, size_t out_size, size_t *out_len,
                        struct err *err)
{
    if (picture->width < 1 || picture->height < 1 || picture->width > PICTURE_MAX_SIDE ||
        picture->height > PICTURE_MAX_SIDE || picture->shrink < 1 || picture->shrink > 64 ||
        picture->shrink > MIN(picture->width, picture->height))
        return err_set(err, ERR_INVALID, "no JPEG picture of %d x %d pixels, shrunk %d times", picture->width,
                       picture->height, picture->shrink);
    struct writer *writer = mem_zalloc(1, sizeof *writer);
    if (!writer)
        return err_no_memory(err);
    writer->jpeg.err = jpeg_std_error(&writer->handler);
    writer->handler.error_exit = give_up;
    writer->jpeg.client_data = writer;
    int status = encode(writer, picture, out, out_size, out_len, err);
    jpeg_destroy_compress(&writer->jpeg);
    free(writer);
    return status;
}
