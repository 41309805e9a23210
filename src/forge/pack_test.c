#include "forge/fixture.h"

#include "forge/pack.h"
#include "release/image.h"
#include "sys/hash.h"
#include "sys/proc.h"

#include <sys/stat.h>
#include <unistd.h>

static bool have_runtime = true;

/* Packs the fixture and gives it back, or skips where there is no ONNX Runtime. */
static struct pack_report pack(const struct fixture *fixture, const char *dir)
{
    struct pack_report report = {0};
    struct err err = {0};
    if (!have_runtime || pack_release(fixture->yaml, dir, NULL, &report, &err) < 0) {
        have_runtime = have_runtime && err.code != ERR_UNSUPPORTED;
        if (have_runtime)
            fail_msg("pack: %s", err.text);
        skip();
    }
    return report;
}

/* Twice: the later one takes the place of the first. What is in it is not looked at here. */
static void add_model_signature(const char *dir)
{
    struct err err = {0};
    cleanup_image struct image image = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 10);
    assert_ok(image_open(dir, NULL, &image, &err), err);
    assert_fails(image_model_signature(&image, &text, &err), err, ERR_NOT_FOUND);
    assert_ok(layout_set_model_signature(dir, &image, "{\"of\": \"before\"}", &err), err);
    assert_ok(layout_set_model_signature(dir, &image, "{\"of\": \"now\"}", &err), err);
    assert_ok(image_model_signature(&image, &text, &err), err);
    assert_string_equal(buf_text(&text), "{\"of\": \"now\"}");
    uint64_t freed = 0;
    assert_ok(layout_collect(dir, &freed, &err), err);
    assert_true(freed > 0);
}

/* The whole check of a release on disk, as the command line, the server and the robot make it. */
static int verify(const char *dir, const char *machine, struct err *err)
{
    cleanup_image struct image image = {0};
    if (image_open(dir, NULL, &image, err) < 0)
        return -1;
    return image_verify(&image, machine, err);
}

/* ---- a tree of files in memory ---- */

struct entry {
    char path[256];
    struct buf content;
};
struct tree {
    size_t count;
    struct entry entries[32];
};
static struct tree *reading;
static const char *reading_dir;

static int read_entry(const char *name, void *arg)
{
    struct err err = {0};
    struct stat st;
    cleanup_free char *path = mem_printf("%s/%s", reading_dir, name);
    assert_int_equal(stat(path, &st), 0);
    if (S_ISDIR(st.st_mode)) {
        const char *outer = reading_dir;
        reading_dir = path;
        assert_ok(file_list(path, read_entry, NULL, &err), err);
        reading_dir = outer;
        return 0;
    }
    struct entry *entry = &reading->entries[reading->count++];
    assert_true(reading->count <= ARRAY_LEN(reading->entries));
    snprintf(entry->path, sizeof entry->path, "%s", path);
    entry->content = (struct buf)BUF_INIT(1 << 20);
    assert_ok(file_read(path, &entry->content, &err), err);
    return 0;
}

static void tree_read(struct tree *tree, const char *dir)
{
    struct err err = {0};
    tree->count = 0;
    reading = tree;
    reading_dir = dir;
    assert_ok(file_list(dir, read_entry, NULL, &err), err);
}

static void tree_fini(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        buf_fini(&tree->entries[i].content);
}

/* ---- tests ---- */

static void the_same_input_gives_the_same_bytes(void **state)
{
    struct fixture fixture;
    fixture_init(&fixture);
    cleanup_free char *other = mem_printf("%s/other/place", fixture.dir);
    static struct tree a, b;
    struct pack_report first = pack(&fixture, fixture.out), second = pack(&fixture, other);
    assert_true(digest_equal(&first.digest, &second.digest));
    tree_read(&a, fixture.out);
    tree_read(&b, other);
    assert_int_equal(a.count, b.count);
    assert_true(a.count >= 7); /* oci-layout, index.json, manifest, config, three layers */
    for (size_t i = 0; i < a.count; i++) {
        assert_string_equal(a.entries[i].path + strlen(fixture.out), b.entries[i].path + strlen(other));
        assert_int_equal(a.entries[i].content.len, b.entries[i].content.len);
        assert_memory_equal(a.entries[i].content.data, b.entries[i].content.data, a.entries[i].content.len);
    }
    tree_fini(&a);
    tree_fini(&b);
    fixture_fini(&fixture);
}

static void packing_again_replaces_the_release(void **state)
{
    struct err err = {0};
    struct fixture fixture;
    fixture_init(&fixture);
    struct pack_report first = pack(&fixture, fixture.out);
    fixture_write_yaml(&fixture, "quadrants.onnx", "riscv64");
    struct pack_report second = pack(&fixture, fixture.out);
    assert_false(digest_equal(&first.digest, &second.digest));
    cleanup_image struct image image = {0};
    assert_ok(image_open(fixture.out, NULL, &image, &err), err);
    assert_true(digest_equal(&image.digest, &second.digest));
    cleanup_free char *old = image_blob_path(fixture.out, &first.digest);
    assert_false(file_exists(old));
    fixture_fini(&fixture);
}

static void what_cannot_be_a_release_is_refused_and_nothing_written(void **state)
{
    static const struct {
        const char *model;
        enum err_code code;
    } rows[] = {
        {"garbage.onnx", ERR_REFUSED}, {"unknown_op.onnx", ERR_REFUSED}, {"transposed.onnx", ERR_REFUSED},
        {"nan.onnx", ERR_REFUSED},     {"make.py", ERR_REFUSED},         {"missing.onnx", ERR_NOT_FOUND},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    pack(&fixture, fixture.out);
    struct err err = {0};
    assert_ok(file_remove_tree(fixture.out, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pack_report report;
        fixture_write_yaml(&fixture, rows[i].model, "x86_64");
        assert_fails(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err, rows[i].code);
        assert_null(strchr(err.text, '\n'));
        assert_non_null(strstr(err.text, "."));
        assert_false(file_exists(fixture.out));
    }
    fixture_fini(&fixture);
}

static void a_bad_recipe_is_refused(void **state)
{
    static const char *const bad[] = {"", "schema: 1\n", "golden: [", "model: {path: x}\n", "\xff\xfe"};
    struct fixture fixture;
    fixture_init(&fixture);
    struct err err = {0};
    struct pack_report report;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        fixture_write(fixture.yaml, bad[i]);
        assert_fails(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err, ERR_INVALID);
    }
    assert_fails(pack_release("/nonexistent/release.yaml", fixture.out, NULL, &report, &err), err,
                 ERR_NOT_FOUND);
    fixture_write_yaml(&fixture, "quadrants.onnx", "x86_64");
    assert_fails(pack_release(fixture.yaml, fixture.dir, NULL, &report, &err), err, ERR_EXISTS);
    fixture_fini(&fixture);
}

static void without_golden_pictures_there_is_no_release(void **state)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pack(&fixture, fixture.out);
    cleanup_free char *golden = mem_printf("%s/golden", fixture.dir);
    struct err err = {0};
    struct pack_report report;
    assert_ok(file_remove_tree(golden, &err), err);
    assert_fails(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err, ERR_NOT_FOUND);
    assert_ok(file_make_dirs(golden, 0755, &err), err);
    cleanup_free char *broken = mem_printf("%s/0.png", golden);
    fixture_write(broken, "not a picture");
    assert_fails(pack_release(fixture.yaml, fixture.out, NULL, &report, &err), err, ERR_INVALID);
    fixture_fini(&fixture);
}

/* The heart of it: no byte of a release may change unnoticed. */
static void every_flipped_byte_is_found(void **state)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pack(&fixture, fixture.out);
    struct err err = {0};
    add_model_signature(fixture.out);
    assert_ok(verify(fixture.out, "x86_64", &err), err);
    static struct tree tree;
    tree_read(&tree, fixture.out);
    static const uint8_t masks[] = {0x01, 0x20, 0x80};
    for (size_t i = 0; i < tree.count; i++) {
        struct entry *entry = &tree.entries[i];
        FILE *file = fopen(entry->path, "r+");
        assert_non_null(file);
        for (size_t at = 0; at < entry->content.len; at++) {
            uint8_t mask = masks[at % ARRAY_LEN(masks)];
            uint8_t flipped = entry->content.data[at] ^ mask;
            assert_int_equal(pwrite(fileno(file), &flipped, 1, (off_t)at), 1);
            err = (struct err){0};
            if (verify(fixture.out, "x86_64", &err) == 0)
                fail_msg("%s: byte %zu with mask %02x was not noticed", entry->path, at, mask);
            if (err_exit_status(err.code) != 3)
                fail_msg("%s: byte %zu: %s (%s)", entry->path, at, err.text, err_code_name(err.code));
            assert_null(strchr(err.text, '\n'));
            assert_int_equal(pwrite(fileno(file), &entry->content.data[at], 1, (off_t)at), 1);
        }
        assert_int_equal(fclose(file), 0);
    }
    assert_ok(verify(fixture.out, "x86_64", &err), err);
    tree_fini(&tree);
    fixture_fini(&fixture);
}

/* A file that is cut short, longer or gone. */
static void every_wrong_length_is_found(void **state)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pack(&fixture, fixture.out);
    struct err err = {0};
    static struct tree tree;
    tree_read(&tree, fixture.out);
    for (size_t i = 0; i < tree.count; i++) {
        struct entry *entry = &tree.entries[i];
        const size_t lengths[] = {0, entry->content.len / 2, entry->content.len - 1};
        for (size_t l = 0; l < ARRAY_LEN(lengths); l++) {
            assert_int_equal(truncate(entry->path, (off_t)lengths[l]), 0);
            err = (struct err){0};
            assert_int_equal(verify(fixture.out, "x86_64", &err), -1);
            assert_int_equal(err_exit_status(err.code), 3);
            assert_ok(file_replace(entry->path, entry->content.data, entry->content.len, 0644, &err), err);
        }
        assert_int_equal(truncate(entry->path, (off_t)entry->content.len + 1), 0);
        err = (struct err){0};
        assert_int_equal(verify(fixture.out, "x86_64", &err), -1);
        assert_int_equal(err_exit_status(err.code), 3);
        assert_int_equal(unlink(entry->path), 0);
        err = (struct err){0};
        assert_int_equal(verify(fixture.out, "x86_64", &err), -1);
        assert_ok(file_replace(entry->path, entry->content.data, entry->content.len, 0644, &err), err);
    }
    assert_ok(verify(fixture.out, "x86_64", &err), err);
    tree_fini(&tree);
    fixture_fini(&fixture);
}

static void another_machine_is_refused(void **state)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_write_yaml(&fixture, "quadrants.onnx", "aarch64");
    pack(&fixture, fixture.out);
    struct err err = {0};
    assert_ok(verify(fixture.out, "aarch64", &err), err);
    assert_ok(verify(fixture.out, NULL, &err), err);
    assert_fails(verify(fixture.out, "x86_64", &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "x86_64"));
    fixture_fini(&fixture);
}

static void skopeo_moves_it_unchanged(void **state)
{
    if (access("/usr/bin/skopeo", X_OK) < 0)
        skip();
    struct fixture fixture;
    fixture_init(&fixture);
    struct pack_report report = pack(&fixture, fixture.out);
    struct err err = {0};
    add_model_signature(fixture.out);
    struct oci_index *index = mem_zalloc(1, sizeof *index);
    assert_ok(layout_read_index(fixture.out, index, &err), err);
    assert_int_equal(index->count, 2);
    for (size_t i = 0; i < index->count; i++) {
        cleanup_free char *from = mem_printf("oci:%s:%s", fixture.out, index->manifests[i].ref_name);
        cleanup_free char *to = mem_printf("oci:%s/moved:%s", fixture.dir, index->manifests[i].ref_name);
        const char *const argv[] = {"skopeo", "copy", "--quiet", from, to, NULL};
        int status = -1;
        assert_ok(proc_run(argv, 60000, NULL, &status, &err), err);
        assert_int_equal(status, 0);
    }
    free(index);
    cleanup_free char *moved = mem_printf("%s/moved", fixture.dir);
    cleanup_image struct image image = {0};
    assert_ok(image_open(moved, NULL, &image, &err), err);
    assert_true(digest_equal(&image.digest, &report.digest));
    assert_ok(image_verify(&image, "x86_64", &err), err);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(packing_again_replaces_the_release),
        cmocka_unit_test(what_cannot_be_a_release_is_refused_and_nothing_written),
        cmocka_unit_test(a_bad_recipe_is_refused),
        cmocka_unit_test(without_golden_pictures_there_is_no_release),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(every_wrong_length_is_found),
        cmocka_unit_test(another_machine_is_refused),
        cmocka_unit_test(skopeo_moves_it_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
