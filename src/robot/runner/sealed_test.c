/* Sealed weights and the real muster-runner: with the content key handed over by a descriptor it loads them, behind every kind of wall that is
 * here; without it, with another one or with a changed byte it does not. */
#include "base/testing.h"

#include "base/digest.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/runtime.h"
#include "release/image.h"
#include "robot/runner/fake_guard.h"
#include "robot/runner/made_release.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/seal/seal.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 3, START_MS = 60000 };

struct stage {
    char dir[64];
    char *store; /* owned */
    struct digest release, sealed_blob;
    struct seal_key key;
};
static struct stage stage;

/* A release as muster pack --seal makes it of another one. */
static void seal_release(void)
{
    struct err err = {0};
    cleanup_image struct image image = {0};
    cleanup_free char *model = NULL, *sealed = mem_printf("%s/sealed", stage.dir);
    struct oci_descriptor descriptor = {0};
    uint64_t size = 0;
    assert_ok(image_open(stage.store, NULL, &image, &err), err);
    assert_ok(image_model_path(&image, &model, &err), err);
    assert_ok(seal_key_make(&stage.key, &err), err);
    assert_ok(seal_file(model, sealed, &stage.key, &err), err);
    struct oci_descriptor *layer = NULL;
    for (size_t i = 0; i < image.manifest.layer_count; i++)
        if (str_eq(image.manifest.layers[i].media_type, MODELPACK_WEIGHT_TYPE))
            layer = &image.manifest.layers[i];
    assert_non_null(layer);
    assert_ok(layout_add_file(stage.store, sealed, &layer->digest, &layer->size, &err), err);
    str_copy(layer->media_type, sizeof layer->media_type, MUSTER_SEALED_TYPE);
    stage.sealed_blob = layer->digest;
    cleanup_free char *text = oci_manifest_format(&image.manifest);
    assert_ok(layout_add_blob(stage.store, text, strlen(text), &descriptor.digest, &err), err);
    descriptor.size = strlen(text);
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    assert_ok(layout_remove_manifest(stage.store, &image.digest, &err), err);
    assert_ok(layout_add_manifest(stage.store, &descriptor, &err), err);
    assert_ok(layout_collect(stage.store, &size, &err), err); /* the plaintext is gone */
    stage.release = descriptor.digest;
}

static int set_up(void **state)
{
    struct err err = {0};
    const struct runtime *runtime;
    const struct made_model what = {.bytes = MADE_PART_BYTES};
    assert_int_equal(setenv("ASAN_OPTIONS", "detect_leaks=0", 1),
                     0); /* by ptrace, which a confined runner may not */
    if (runtime_get(NULL, &runtime, &err) < 0) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    str_copy(stage.dir, sizeof stage.dir, "/tmp/muster-sealed-XXXXXX");
    assert_non_null(mkdtemp(stage.dir));
    assert_ok(made_release(stage.dir, &what, &stage.store, &err), err);
    seal_release();
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    free(stage.store);
    return stage.dir[0] ? file_remove_tree(stage.dir, &err) : 0;
}

/* A pipe with these bytes in it and no writer any more. */
static int pipe_with(const void *bytes, size_t len)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], bytes, len), len);
    close(ends[1]);
    return ends[0];
}

static int run(const char *const *argv, unsigned namespaces, int key_fd, char *words, size_t size)
{
    struct err err = {0};
    pid_t pid;
    int status = 0;
    cleanup_buf struct buf text = BUF_INIT(1 << 20);
    cleanup_free char *log = mem_printf("%s/log", stage.dir);
    struct proc_options options = {
        .argv = argv, .log_path = log, .keep_fd = key_fd, .namespaces = namespaces};
    unlink(log);
    int started = proc_spawn(&options, &pid, &err);
    if (key_fd > 0)
        close(key_fd);
    assert_ok(started, err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_ok(file_read(log, &text, &err), err);
    str_copy(words, size, buf_text(&text));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int self_test(int key_fd, char *words, size_t size)
{
    struct digest_text digest = digest_format(&stage.release);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-runner",
                                "--self-test",
                                "--store",
                                stage.store,
                                "--release",
                                digest.text,
                                key_fd > 0 ? "--content-key-fd" : NULL,
                                "3",
                                NULL};
    return run(argv, 0, key_fd, words, size);
}

static void with_the_key_it_loads(void **state)
{
    char words[4096];
    int status = self_test(pipe_with(stage.key.bytes, sizeof stage.key.bytes), words, sizeof words);
    if (status != 0 || !strstr(words, "self-test passed"))
        fail_msg("%d: %s", status, words);
}

static void without_it_nothing_loads(void **state)
{
    char words[4096];
    struct seal_key other = stage.key;
    other.bytes[31] ^= 1;
    assert_int_equal(self_test(-1, words, sizeof words), REFUSED);
    assert_non_null(strstr(words, "no content key was handed over"));
    assert_int_equal(self_test(pipe_with(other.bytes, sizeof other.bytes), words, sizeof words), REFUSED);
    assert_non_null(strstr(words, "another content key"));
    assert_int_equal(self_test(pipe_with(stage.key.bytes, sizeof stage.key.bytes - 1), words, sizeof words),
                     REFUSED);
    assert_non_null(strstr(words, "holds no content key"));
}

/* Behind walls the key comes by the same descriptor. */
static void walls_hand_the_key_on(void **state)
{
    char words[8192];
    struct digest_text digest = digest_format(&stage.release);
    static const char *const runtimes[] = {NULL, "/usr/bin/crun", "/usr/bin/runc", "/usr/sbin/runc"};
    cleanup_free char *run_dir = mem_printf("%s/run", stage.dir);
    struct err err = {0};
    assert_ok(file_make_dirs(run_dir, 0755, &err), err);
    if (geteuid() != 0) {
        print_message("skipped: walls that any user may have here are the agent's to find out\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        if (runtimes[i] && access(runtimes[i], X_OK) < 0)
            continue;
        const char *argv[32] = {MUSTER_BUILD_BIN "/muster-jail",
                                "--run-dir",
                                run_dir,
                                "--store",
                                stage.store,
                                "--release",
                                digest.text,
                                "--runner",
                                MUSTER_BUILD_BIN "/muster-runner",
                                "--hand-on"};
        size_t count = 10;
        if (runtimes[i]) {
            argv[count++] = "--oci";
            argv[count++] = runtimes[i];
        }
        argv[count++] = "--";
        argv[count++] = "--content-key-fd";
        argv[count++] = "3";
        int key_fd = pipe_with(stage.key.bytes, sizeof stage.key.bytes);
        int status = run(argv, runtimes[i] ? 0 : CLONE_NEWPID, key_fd, words, sizeof words);
        print_message("%s: %d\n", runtimes[i] ? runtimes[i] : "sandbox", status);
        if (status != 0 || !strstr(words, "self-test passed"))
            fail_msg("%s: %d: %s", runtimes[i] ? runtimes[i] : "sandbox", status, words);
    }
}

/* ---- one that serves ---- */

static bool holds(const char *path, const void *secret, size_t len)
{
    struct err ignored = {0};
    cleanup_buf struct buf text = BUF_INIT(1 << 20);
    if (file_read(path, &text, &ignored) < 0)
        return false;
    return text.len >= len && memmem(text.data, text.len, secret, len) != NULL;
}

static void the_key_is_nowhere_to_be_seen(void **state)
{
    struct fake_guard guard;
    struct err err = {0};
    struct digest_text digest = digest_format(&stage.release);
    char hex[2 * sizeof stage.key.bytes + 1], path[128], target[128] = "";
    fake_guard_open(&guard);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-runner",
                                "--run-dir",
                                guard.dir,
                                "--store",
                                stage.store,
                                "--release",
                                digest.text,
                                "--generation",
                                "7",
                                "--content-key-fd",
                                "3",
                                NULL};
    int key_fd = pipe_with(stage.key.bytes, sizeof stage.key.bytes);
    struct proc_options options = {.argv = argv, .die_with_parent = true, .keep_fd = key_fd};
    pid_t pid;
    assert_ok(proc_spawn(&options, &pid, &err), err);
    close(key_fd);
    assert_true(fake_guard_meet(&guard, START_MS));
    hex_encode(stage.key.bytes, sizeof stage.key.bytes, hex);
    static const char *const files[] = {"cmdline", "environ"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
        assert_false(holds(path, stage.key.bytes, sizeof stage.key.bytes));
        assert_false(holds(path, hex, strlen(hex)));
    }
    snprintf(path, sizeof path, "/proc/%d/fd/3", (int)pid);
    if (readlink(path, target, sizeof target - 1) > 0)
        assert_false(str_starts(target, "pipe:"));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    fake_guard_close(&guard);
}

static void a_changed_byte_is_found(void **state)
{
    char words[4096];
    struct err err = {0};
    cleanup_free char *path = image_blob_path(stage.store, &stage.sealed_blob);
    cleanup_buf struct buf bytes = BUF_INIT(16 << 20);
    assert_ok(file_read(path, &bytes, &err), err);
    bytes.data[bytes.len / 2] ^= 1;
    assert_ok(file_replace(path, bytes.data, bytes.len, 0644, &err), err);
    assert_int_not_equal(self_test(pipe_with(stage.key.bytes, sizeof stage.key.bytes), words, sizeof words),
                         0);
    bytes.data[bytes.len / 2] ^= 1;
    assert_ok(file_replace(path, bytes.data, bytes.len, 0644, &err), err);
}

static void engines_are_not_derived(void **state)
{
    char words[4096];
    struct digest_text digest = digest_format(&stage.release);
    cleanup_free char *cache = mem_printf("%s/cache", stage.dir);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-runner",
                                "--build-engine",
                                "--store",
                                stage.store,
                                "--release",
                                digest.text,
                                "--cache",
                                cache,
                                NULL};
    assert_int_equal(run(argv, 0, -1, words, sizeof words), REFUSED);
    assert_non_null(strstr(words, "sealed"));
    assert_false(file_exists(cache));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_key_it_loads),   cmocka_unit_test(without_it_nothing_loads),
        cmocka_unit_test(walls_hand_the_key_on),   cmocka_unit_test(the_key_is_nowhere_to_be_seen),
        cmocka_unit_test(a_changed_byte_is_found), cmocka_unit_test(engines_are_not_derived),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
