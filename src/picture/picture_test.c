#include "picture/picture.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <jpeglib.h>

static void fill(struct picture *picture)
{
    uint32_t state = 1;

    for (int i = 0; i < picture->width * picture->height * 3; i++) {
        state = state * 1664525u + 1013904223u;
        picture->rgb[i] = (uint8_t)(state >> 24);
    }
}

static void png_keeps_every_pixel(void **state)
{
    static const int sizes[][2] = {{1, 1}, {160, 128}, {3, 77}};
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        cleanup_picture struct picture in = {0}, out = {0};
        cleanup_buf struct buf file = BUF_INIT(1 << 20);

        assert_int_equal(picture_init(&in, sizes[i][0], sizes[i][1], &err), 0);
        fill(&in);
        assert_int_equal(picture_encode_png(&in, &file, &err), 0);
        assert_int_equal(picture_read_mem(file.data, file.len, &out, &err), 0);
        assert_int_equal(out.width, in.width);
        assert_int_equal(out.height, in.height);
        assert_memory_equal(out.rgb, in.rgb, (size_t)in.width * (size_t)in.height * 3);
    }
}

/* A JPEG of one colour. */
static void write_jpeg(struct buf *file, int components, J_COLOR_SPACE space)
{
    struct jpeg_error_mgr handler;
    struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&handler)};
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t row[64 * 4];
    struct err err = {0};

    memset(row, 200, sizeof(row));
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = 64;
    jpeg.image_height = 48;
    jpeg.input_components = components;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 48; y++)
        jpeg_write_scanlines(&jpeg, (JSAMPROW[]){row}, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(buf_put(file, bytes, size, &err), 0);
    free(bytes);
}

static void jpeg_is_read_as_rgb(void **state)
{
    static const struct {
        int components;
        J_COLOR_SPACE space;
    } kinds[] = {{3, JCS_RGB}, {1, JCS_GRAYSCALE}};
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        cleanup_buf struct buf file = BUF_INIT(1 << 20);
        cleanup_picture struct picture out = {0};

        write_jpeg(&file, kinds[i].components, kinds[i].space);
        assert_int_equal(picture_read_mem(file.data, file.len, &out, &err), 0);
        assert_int_equal(out.width, 64);
        assert_int_equal(out.height, 48);
        for (int k = 0; k < 64 * 48 * 3; k++)
            assert_in_range(out.rgb[k], 197, 203);
    }
}

static void jpeg_is_written(void **state)
{
    struct err err = {0};
    cleanup_picture struct picture in = {0};
    static uint8_t file[1 << 16];
    size_t len = 0;

    assert_int_equal(picture_init(&in, 67, 45, &err), 0);
    for (int y = 0; y < 45; y++)
        for (int x = 0; x < 67; x++)
            in.rgb[(y * 67 + x) * 3] = (uint8_t)(x * 3);
    for (int shrink = 1; shrink <= 4; shrink++) {
        cleanup_picture struct picture out = {0};
        struct picture_jpeg jpeg = {in.rgb, 67, 45, shrink, 90};

        assert_int_equal(picture_encode_jpeg(&jpeg, file, sizeof file, &len, &err), 0);
        assert_int_equal(picture_read_mem(file, len, &out, &err), 0);
        assert_int_equal(out.width, 67 / shrink);
        assert_int_equal(out.height, 45 / shrink);
        for (int x = 2; x < out.width - 2; x++)
            assert_in_range(out.rgb[x * 3] + 12, (x * shrink + shrink / 2) * 3,
                            (x * shrink + shrink / 2) * 3 + 24);
    }
    struct picture_jpeg jpeg = {in.rgb, 67, 45, 1, 90};
    assert_int_equal(picture_encode_jpeg(&jpeg, file, 100, &len, &err), -1);
    assert_int_equal(err.code, ERR_TOO_BIG);
    jpeg.shrink = 46;
    assert_int_equal(picture_encode_jpeg(&jpeg, file, sizeof file, &len, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void four_colour_jpeg_is_refused(void **state)
{
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct picture out = {0};
    struct err err = {0};

    write_jpeg(&file, 4, JCS_CMYK);
    assert_int_equal(picture_read_mem(file.data, file.len, &out, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(out.rgb);
}

/* Whatever is cut off or flipped: an error and an untouched result, or a picture; never a crash. */
static void damage_is_survived(void **state)
{
    cleanup_picture struct picture in = {0};
    struct buf files[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
    struct err err = {0};

    assert_int_equal(picture_init(&in, 20, 20, &err), 0);
    fill(&in);
    assert_int_equal(picture_encode_png(&in, &files[0], &err), 0);
    write_jpeg(&files[1], 3, JCS_RGB);
    for (int f = 0; f < 2; f++) {
        /* The last chunk of a PNG holds nothing; its loss need not be noticed. */
        for (size_t cut = 0; cut + 30 < files[f].len; cut += 7) {
            struct picture out = {0};
            cleanup_free uint8_t *part = mem_dup(files[f].data, cut + 1);

            assert_int_equal(picture_read_mem(part, cut, &out, &err), -1);
            assert_null(out.rgb);
        }
        for (size_t at = 0; at < files[f].len; at += 3) {
            cleanup_picture struct picture out = {0};

            files[f].data[at] ^= 0x41;
            if (picture_read_mem(files[f].data, files[f].len, &out, &err) < 0)
                assert_null(out.rgb);
            files[f].data[at] ^= 0x41;
        }
        buf_fini(&files[f]);
    }
}

static void sizes_are_limited_before_memory_is(void **state)
{
    /* The head of a PNG that claims 100000 x 100000 pixels, with a right checksum. */
    static const uint8_t huge[] = {0x89, 'P',  'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0,    0,
                                   13,   'I',  'H', 'D', 'R',  0,    1,    0x86, 0xa0, 0,    1,
                                   0x86, 0xa0, 8,   2,   0,    0,    0,    0xcc, 0xd0, 0x3b, 0x36};
    struct picture out = {0};
    struct err err = {0};

    assert_int_equal(picture_read_mem(huge, sizeof(huge), &out, &err), -1);
    assert_int_equal(picture_init(&out, PICTURE_MAX_SIDE + 1, 1, &err), -1);
    assert_int_equal(err.code, ERR_TOO_BIG);
    assert_int_equal(picture_init(&out, PICTURE_MAX_SIDE, PICTURE_MAX_SIDE, &err), -1);
    assert_int_equal(err.code, ERR_TOO_BIG);
    assert_int_equal(picture_init(&out, 0, 5, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(picture_init(&out, -1, 5, &err), -1);
}

static void resize_keeps_flat_colours_and_range(void **state)
{
    static const int sizes[][2] = {{1, 1}, {7, 5}, {160, 128}, {64, 301}};
    uint8_t *out = malloc(160 * 301 * 3);
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        cleanup_picture struct picture in = {0};

        assert_int_equal(picture_init(&in, 23, 19, &err), 0);
        memset(in.rgb, 77, 23 * 19 * 3);
        picture_resize(in.rgb, 23, 19, out, sizes[i][0], sizes[i][1]);
        for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++)
            assert_int_equal(out[k], 77);
    }
    free(out);
}

static void halving_averages(void **state)
{
    static const uint8_t in[4 * 2 * 3] = {0,   0, 0, 100, 0, 0, 200, 0, 0, 40, 0, 0,
                                          100, 0, 0, 200, 0, 0, 200, 0, 0, 40, 0, 0};
    uint8_t out[2 * 3];

    picture_resize(in, 4, 2, out, 2, 1);
    assert_int_equal(out[0], 100);
    assert_int_equal(out[3], 120);
}

static void names_tell_pictures(void **state)
{
    assert_true(picture_is_name("a.png"));
    assert_true(picture_is_name("A.JPG"));
    assert_true(picture_is_name("x.y.jpeg"));
    assert_false(picture_is_name("annotations.json"));
    assert_false(picture_is_name("png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_keeps_every_pixel),
        cmocka_unit_test(jpeg_is_read_as_rgb),
        cmocka_unit_test(jpeg_is_written),
        cmocka_unit_test(four_colour_jpeg_is_refused),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(sizes_are_limited_before_memory_is),
        cmocka_unit_test(resize_keeps_flat_colours_and_range),
        cmocka_unit_test(halving_averages),
        cmocka_unit_test(names_tell_pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
