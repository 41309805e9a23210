/* The engine image of this very machine: whole, the same bytes every time, and it unpacks. */
#include "forge/engine.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/engine.h"
#include "sys/file.h"

#include <limits.h>
#include <sys/stat.h>

static char dir[PATH_MAX];

static int make_dir(void **state)
{
    char path[] = "/tmp/muster-engine-XXXXXX";
    assert_non_null(mkdtemp(path));
    str_copy(dir, sizeof dir, path);
    return 0;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

/* Small programs will do: this test itself for the runner, a library of the system for ONNX Runtime. */
static void build(const char *name, struct engine_parts *parts)
{
    struct err err = {0};
    cleanup_free char *layout = file_join(dir, name);
    cleanup_free char *self = realpath("/proc/self/exe", NULL);
    struct engine_options options = {.program = self, .runtime = self, .created = "1970-01-01T00:00:00Z"};
    assert_ok(engine_pack(layout, &options, parts, &err), err);
}

static void equal_files_are_equal_bytes(void **state)
{
    struct engine_parts first, second;
    build("a", &first);
    build("b", &second);
    assert_true(digest_equal(&first.manifest.digest, &second.manifest.digest));
    assert_true(digest_equal(&first.rootfs.digest, &second.rootfs.digest));
    assert_true(first.file_count > 10);
}

static void what_was_built_unpacks(void **state)
{
    static const char *const wanted[] = {"usr/bin/muster-runner",
                                         "usr/lib/muster/libonnxruntime.so.1",
                                         "usr/lib/muster/libc.so.6",
                                         "etc/passwd",
                                         "store",
                                         "run/muster",
                                         "dev"};
    struct err err = {0};
    struct engine_parts parts;
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    cleanup_free char *engines = file_join(dir, "engines");
    cleanup_free char *root = NULL;
    build("a", &parts);
    *image = (struct image){.dir = file_join(dir, "a")};
    image->manifest.layer_count = 3;
    image->manifest.layers[0] = parts.manifest;
    image->manifest.layers[1] = parts.config;
    image->manifest.layers[2] = parts.rootfs;
    assert_ok(engine_unpack(image, engines, &root, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        cleanup_free char *path = file_join(root, wanted[i]);
        if (!file_exists(path))
            fail_msg("%s is missing", wanted[i]);
    }
    image_close(image);
}

static void a_missing_program_is_said(void **state)
{
    struct err err = {0};
    struct engine_parts parts;
    cleanup_free char *layout = file_join(dir, "a");
    struct engine_options options = {
        .program = "/nonexistent", .runtime = "/nonexistent", .created = "1970-01-01T00:00:00Z"};
    assert_int_equal(engine_pack(layout, &options, &parts, &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_files_are_equal_bytes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_was_built_unpacks, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_missing_program_is_said, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
