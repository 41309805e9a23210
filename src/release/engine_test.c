/* An engine image on the robot: unpacked whole or not at all, and nothing that it says leads out of its directory. */
#include "release/engine.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/tar.h"

#include <limits.h>
#include <sys/stat.h>
#include <zlib.h>

static char dir[PATH_MAX], layout[PATH_MAX], engines[PATH_MAX], archive[PATH_MAX];

static int make_dirs(void **state)
{
    char path[] = "/tmp/muster-engine-XXXXXX";
    struct err err = {0};
    assert_non_null(mkdtemp(path));
    str_copy(dir, sizeof dir, path);
    snprintf(layout, sizeof layout, "%s/store", path);
    snprintf(engines, sizeof engines, "%s/engines", path);
    snprintf(archive, sizeof archive, "%s/rootfs.tar.gz", path);
    return layout_init(layout, &err);
}

static int remove_dirs(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

/* ---- an archive to the test's taste ---- */

struct content {
    const char *name, *text; /* text NULL: a directory */
    char type;               /* 0: what it is */
};

/* Another type than ours, or a name that ours would not write, with a checksum that holds. */
static void forge_header(uint8_t block[TAR_BLOCK], const struct content *content)
{
    unsigned sum = 0;
    if (content->type)
        block[156] = (uint8_t)content->type;
    memset(block, 0, 100);
    memcpy(block, content->name, strlen(content->name));
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    snprintf((char *)block + 148, 7, "%06o", sum);
    block[155] = ' ';
}

static void write_archive(const struct content *contents, size_t count, bool whole)
{
    static const uint8_t zeros[2 * TAR_BLOCK];
    gzFile file = gzopen(archive, "wb");
    struct err err = {0};
    for (size_t i = 0; i < count; i++) {
        uint8_t block[TAR_BLOCK];
        size_t size = contents[i].text ? strlen(contents[i].text) : 0;
        struct tar_entry entry = {
            .name = "x", .directory = !contents[i].text, .size = size, .executable = true};
        assert_ok(tar_format(&entry, block, &err), err);
        forge_header(block, &contents[i]);
        gzwrite(file, block, sizeof block);
        if (size > 0)
            gzwrite(file, contents[i].text, (unsigned)size);
        gzwrite(file, zeros, tar_padding(size));
    }
    if (whole)
        gzwrite(file, zeros, sizeof zeros);
    gzclose(file);
}

/* ---- a release with it ---- */

static void add_text(const char *text, const char *type, struct oci_descriptor *out)
{
    struct err err = {0};
    *out = (struct oci_descriptor){.size = strlen(text)};
    str_copy(out->media_type, sizeof out->media_type, type);
    assert_ok(layout_add_blob(layout, text, out->size, &out->digest, &err), err);
}

static void make_image(struct image *out, const char *architecture, bool with_layer)
{
    struct err err = {0};
    cleanup_free struct oci_manifest *engine = mem_zalloc(1, sizeof *engine);
    *out = (struct image){.dir = mem_strdup(layout)};
    struct oci_descriptor *layers = out->manifest.layers;
    add_text("{}", OCI_IMAGE_CONFIG_TYPE, &layers[1]);
    str_copy(layers[2].media_type, sizeof layers[2].media_type, OCI_IMAGE_LAYER_TYPE);
    assert_ok(layout_add_file(layout, archive, &layers[2].digest, &layers[2].size, &err), err);
    engine->config = layers[1];
    engine->layers[0] = layers[2];
    engine->layer_count = 1;
    cleanup_free char *text = oci_manifest_format(engine);
    add_text(text, OCI_MANIFEST_TYPE, &layers[0]);
    str_copy(layers[0].variant, sizeof layers[0].variant, architecture);
    out->manifest.layer_count = with_layer ? 3 : 2;
}

static int unpack(const struct content *contents, size_t count, bool whole, bool with_layer, char **out,
                  struct err *err)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    write_archive(contents, count, whole);
    make_image(image, ENGINE_ARCHITECTURE, with_layer);
    int result = engine_unpack(image, engines, out, err);
    image_close(image);
    return result;
}

static const struct content good[] = {{"usr", NULL, 0},
                                      {"usr/bin", NULL, 0},
                                      {"usr/bin/runner", "program", 0},
                                      {"etc", NULL, 0},
                                      {"etc/empty", "", 0}};

static void an_engine_is_unpacked_once(void **state)
{
    struct err err = {0};
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    struct stat st;
    assert_ok(unpack(good, ARRAY_LEN(good), true, true, &first, &err), err);
    cleanup_free char *program = file_join(first, "usr/bin/runner");
    assert_int_equal(stat(program, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(st.st_size, 7);
    ino_t was = st.st_ino;
    assert_ok(unpack(good, ARRAY_LEN(good), true, true, &second, &err), err);
    assert_string_equal(first, second);
    assert_int_equal(stat(program, &st), 0);
    assert_int_equal(st.st_ino, was);
}

static void an_engine_that_no_release_has_is_removed(void **state)
{
    static const struct content others[] = {{"other", "x", 0}};
    struct err err = {0};
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    assert_ok(unpack(good, ARRAY_LEN(good), true, true, &first, &err), err);
    assert_ok(unpack(others, ARRAY_LEN(others), true, true, &second, &err), err);
    assert_false(file_exists(first)); /* index.json lists no release at all */
    cleanup_free char *other = file_join(second, "other");
    assert_true(file_exists(other));
}

static void what_leads_out_is_refused(void **state)
{
    static const struct content bad[] = {
        {"../out", "x", 0}, {"/tmp/muster-out", "x", 0}, {"usr/../../out", "x", 0},
        {"link", "x", '2'}, {"hard", "x", '1'},          {"device", "", '3'},
        {"pipe", "", '6'},  {"long", "x", 'L'},          {"missing-directory/x", "x", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        cleanup_free char *out = NULL;
        assert_int_equal(unpack(&bad[i], 1, true, true, &out, &err), -1);
        assert_null(out);
    }
    cleanup_free char *escaped = file_join(dir, "out");
    assert_false(file_exists(escaped));
    assert_false(file_exists("/tmp/muster-out"));
}

static int count_engine(const char *name, void *arg)
{
    *(size_t *)arg += !str_eq(name, "lock");
    return 0;
}

static void half_an_engine_is_none(void **state)
{
    struct err err = {0};
    cleanup_free char *out = NULL;
    size_t count = 0;
    assert_fails(unpack(good, ARRAY_LEN(good), false, true, &out, &err), err, ERR_CORRUPT);
    assert_ok(file_list(engines, count_engine, &count, &err), err);
    assert_int_equal(count, 0);
}

/* Its digest would not be signed. */
static void a_layer_that_is_none_of_the_release_is_refused(void **state)
{
    struct err err = {0};
    cleanup_free char *out = NULL;
    assert_fails(unpack(good, ARRAY_LEN(good), true, false, &out, &err), err, ERR_INVALID);
}

static void another_architecture_is_no_engine(void **state)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    write_archive(good, ARRAY_LEN(good), true);
    make_image(image, "riscv64", true);
    assert_null(engine_of(image));
    image_close(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_engine_is_unpacked_once, make_dirs, remove_dirs),
        cmocka_unit_test_setup_teardown(an_engine_that_no_release_has_is_removed, make_dirs, remove_dirs),
        cmocka_unit_test_setup_teardown(what_leads_out_is_refused, make_dirs, remove_dirs),
        cmocka_unit_test_setup_teardown(half_an_engine_is_none, make_dirs, remove_dirs),
        cmocka_unit_test_setup_teardown(a_layer_that_is_none_of_the_release_is_refused, make_dirs,
                                        remove_dirs),
        cmocka_unit_test_setup_teardown(another_architecture_is_no_engine, make_dirs, remove_dirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
