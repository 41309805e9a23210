/* A release with tap and profile, from pictures to a layout that robots take. */
#include "forge/profile/profile.h"

#include "base/buf.h"
#include "forge/fixture.h"
#include "release/image.h"
#include "sys/hash.h"

#include <math.h>

enum { FRAMES = 300 };

/* 300 pictures: mostly one quadrant is red or green, in runs, and what that is. */
static void make_calibration(const struct fixture *fixture, size_t count)
{
    struct err err = {0};
    cleanup_free char *dir = mem_printf("%s/calib/drive", fixture->dir);
    cleanup_buf struct buf truth = BUF_INIT(1 << 20), images = BUF_INIT(1 << 20);
    assert_ok(file_make_dirs(dir, 0755, &err), err);
    for (size_t i = 0; i < count; i++) {
        const int quadrant = (int)(i / 20 % 4), channel = (int)(i / 10 % 2);
        cleanup_free char *path = mem_printf("%s/%03zu.png", dir, i);
        fixture_picture(path, quadrant, channel);
        assert_ok(
            buf_printf(&images, &err, "%s{\"id\":%zu,\"file_name\":\"%03zu.png\"}", i ? "," : "", i + 1, i),
            err);
        assert_ok(buf_printf(&truth, &err, "%s{\"image_id\":%zu,\"category_id\":%d,\"bbox\":[%d,%d,8,8]}",
                             i ? "," : "", i + 1, channel + 1, quadrant % 2 * 8, quadrant / 2 * 8),
                  err);
    }
    cleanup_free char *text =
        mem_printf("{\"images\":[%s],\"annotations\":[%s],\"categories\":[{\"id\":1,\"name\":"
                   "\"red\"},{\"id\":2,\"name\":\"green\"}]}",
                   buf_text(&images), buf_text(&truth));
    cleanup_free char *path = mem_printf("%s/annotations.json", dir);
    fixture_write(path, text);
}

static void ask_for(const struct fixture *fixture, const char *more)
{
    struct err err = {0};
    cleanup_buf struct buf yaml = BUF_INIT(1 << 16);
    fixture_write_yaml(fixture, "quadrants.onnx", "x86_64, aarch64");
    assert_ok(file_read(fixture->yaml, &yaml, &err), err);
    assert_ok(buf_puts(&yaml, more, &err), err);
    fixture_write(fixture->yaml, buf_text(&yaml));
}

static bool pack(const struct fixture *fixture, struct pack_report *report, struct err *err)
{
    const struct pack_options options = {.make_profile = profile_make_bytes};
    *err = (struct err){0};
    int result = pack_release(fixture->yaml, fixture->out, &options, report, err);
    if (result < 0 && err->code == ERR_UNSUPPORTED)
        skip();
    return result == 0;
}

static void open_profile(const struct fixture *fixture, struct image *image, struct profile *out)
{
    struct err err = {0};
    cleanup_free char *path = NULL;
    cleanup_buf struct buf bytes = BUF_INIT(PROFILE_MAX_BYTES);
    assert_ok(image_open(fixture->out, NULL, image, &err), err);
    assert_ok(image_verify(image, NULL, &err), err);
    assert_ok(image_profile_path(image, &path, &err), err);
    assert_non_null(path);
    assert_ok(file_read(path, &bytes, &err), err);
    assert_ok(profile_parse(bytes.data, bytes.len, out, &err), err);
}

static void a_release_with_tap_and_profile_is_what_robots_take(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    struct pack_report report;
    cleanup_image struct image image = {0};
    cleanup_profile struct profile profile = {0};
    fixture_init(&fixture);
    make_calibration(&fixture, FRAMES);
    ask_for(&fixture, "tap: means\nprofile: {calib: calib, save: profile.bin}\n");
    if (!pack(&fixture, &report, &err))
        fail_msg("%s", err.text);
    assert_true(report.profile);
    open_profile(&fixture, &image, &profile);
    assert_string_equal(image.release.tap, "means");
    assert_int_equal(release_answer_count(&image.release), 1);
    assert_string_equal(profile.tap, "means");
    assert_int_equal(profile.channels, 3);
    assert_true(profile.signals[SIGNAL_LUMA].sd > 0 && profile.signals[SIGNAL_NOVELTY].sd > 0);
    assert_true(profile.signals[SIGNAL_RUN_MS].sd <= 0); /* of another machine */
    assert_true(fabs(profile.label_share[0] + profile.label_share[1] - 1) < 1e-9);
    assert_false(isnan(profile.accuracy.accuracy));

    /* What was saved makes the very same release. */
    const struct digest made = report.digest;
    ask_for(&fixture, "tap: means\nprofile: profile.bin\n");
    if (!pack(&fixture, &report, &err))
        fail_msg("%s", err.text);
    assert_true(digest_equal(&made, &report.digest));
    fixture_fini(&fixture);
}

static void without_either_a_release_is_as_before(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    struct pack_report plain, asked;
    fixture_init(&fixture);
    if (!pack(&fixture, &plain, &err))
        fail_msg("%s", err.text);
    assert_false(plain.profile);
    assert_int_equal(pack_release(fixture.yaml, fixture.out, NULL, &asked, &err), 0);
    assert_true(digest_equal(&plain.digest, &asked.digest));
    fixture_fini(&fixture);
}

static void wrong_taps_and_profiles_are_refused(void **state)
{
    static const struct {
        const char *yaml;
        enum err_code code;
        const char *says;
    } rows[] = {
        {"tap: nothing\n", ERR_REFUSED, "computes no tensor"},
        {"tap: output0\n", ERR_INVALID, ""},
        {"profile: {calib: few}\n", ERR_INVALID, "too few"},
        {"profile: {calib: nowhere}\n", ERR_NOT_FOUND, "nowhere"},
        {"profile: release.yaml\n", ERR_INVALID, "none"},
        {"profile: {frames: calib}\n", ERR_INVALID, "frames"},
    };
    struct fixture fixture;
    struct pack_report report;
    struct err err = {0};
    fixture_init(&fixture);
    cleanup_free char *few = mem_printf("%s/few", fixture.dir),
                      *one = mem_printf("%s/few/1.png", fixture.dir);
    assert_ok(file_make_dirs(few, 0755, &err), err);
    fixture_picture(one, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_for(&fixture, rows[i].yaml);
        if (pack(&fixture, &report, &err))
            fail_msg("%s was taken", rows[i].yaml);
        assert_int_equal(err.code, rows[i].code);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_false(file_exists(fixture.out));
    }
    fixture_fini(&fixture);
}

static void a_profile_of_another_tap_is_refused(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    struct pack_report report;
    fixture_init(&fixture);
    make_calibration(&fixture, FRAMES);
    ask_for(&fixture, "tap: means\nprofile: {calib: calib, save: profile.bin}\n");
    if (!pack(&fixture, &report, &err))
        fail_msg("%s", err.text);
    ask_for(&fixture, "profile: profile.bin\n");
    assert_false(pack(&fixture, &report, &err));
    assert_non_null(strstr(err.text, "made with the tap"));
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_with_tap_and_profile_is_what_robots_take),
        cmocka_unit_test(without_either_a_release_is_as_before),
        cmocka_unit_test(wrong_taps_and_profiles_are_refused),
        cmocka_unit_test(a_profile_of_another_tap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
