/* A build that is killed, loses power or finds the disk full at every change of the file system that it makes (robot/store/powercut.h), in the
 * process that asks and in the children that build and prove. Afterwards there is a whole entry, or none and a reason. */
#include "infer/derived.h"

#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "robot/store/powercut.h"
#include "sys/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char made[] = "what was derived from the model";
static char base[] = "/tmp/muster-derived-crash-XXXXXX";
static char cache[96], source[96], graveyard[96];

static int key(void *self, struct buf *out, struct err *err)
{
    return buf_printf(out, err, "version %d\n", *(const int *)self);
}

static int build(void *self, const char *from, const char *target, struct err *err)
{
    cleanup_close int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, made, sizeof made) != (ssize_t)sizeof made)
        return err_errno(err, "%s", target);
    return 0;
}

static int verify(void *self, const char *target, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4096);
    if (file_read(target, &text, err) < 0)
        return -1;
    return text.len == sizeof made ? 0 : err_set(err, ERR_REFUSED, "not what was built");
}

static int ask(int version, int64_t now_ms, struct derived_result *out, struct err *err)
{
    const struct derived_builder builder = {
        .name = "fake", .self = &version, .key = key, .build = build, .verify = verify};
    const struct derived_request request = {.dir = cache,
                                            .source = source,
                                            .source_digest = {.bytes = {1}},
                                            .limits = {.time_ms = 60000,
                                                       .memory_bytes = 256 << 20,
                                                       .file_bytes = 1 << 20,
                                                       .cache_bytes = 1 << 20},
                                            .now_ms = now_ms};
    return derived_open(&request, &builder, out, err);
}

enum outcome { WHOLE = 0, SENSELESS = 1, NOT_READY = 2 };

/* A new version replaces what an older one has left. True: it came to its end. */
static bool live(enum powercut_mode mode, long at)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct derived_result result;
        struct err err = {0};
        powercut_arm(mode, at, graveyard);
        int rc = ask(2, 1000, &result, &err);
        _exit(rc < 0 ? SENSELESS : result.ready ? WHOLE : NOT_READY);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), SENSELESS);
    return WEXITSTATUS(status) == WHOLE;
}

static int count_file(const char *name, void *arg)
{
    assert_false(str_ends(name, ".tmp"));
    *(int *)arg += strstr(name, ".bin") != NULL;
    return 0;
}

static bool ready(int64_t now_ms, char why[160])
{
    struct err err = {0};
    cleanup_derived struct derived_result result;
    cleanup_buf struct buf text = BUF_INIT(4096);
    assert_ok(ask(2, now_ms, &result, &err), err);
    if (!result.ready) {
        str_copy(why, 160, result.why);
        return false;
    }
    assert_ok(file_read(result.path, &text, &err), err);
    assert_int_equal(text.len, sizeof made);
    assert_memory_equal(text.data, made, sizeof made);
    return true;
}

static void expect_whole_or_none(enum powercut_mode mode, long at)
{
    struct err err = {0};
    char why[160] = "";
    int files = 0;
    if (!ready(2000, why)) {
        bool known =
            strstr(why, "machine down") || strstr(why, "ended with status") || strstr(why, "No space");
        if (!known || ready(3000, why))
            fail_msg("mode %d, cut %ld: %s", (int)mode, at, why);
        assert_true(ready(2000 + DERIVED_RETRY_MS, why));
    }
    assert_ok(file_list(cache, count_file, &files, &err), err);
    assert_in_range(
        files, 1,
        2); /* the older one, if the cut came after the new one was whole: the next build sweeps it */
}

static int count_any(const char *name, void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* The next build leaves its own entry and nothing else: file, record, lock. */
static void expect_swept(void)
{
    struct err err = {0};
    struct derived_result next;
    int files = 0;
    assert_ok(ask(3, 5000, &next, &err), err);
    assert_true(next.ready);
    derived_fini(&next);
    assert_ok(file_list(cache, count_any, &files, &err), err);
    assert_int_equal(files, 3);
}

static void cut_everywhere(enum powercut_mode mode)
{
    long at = 1;
    for (bool whole = false; !whole; at++) {
        struct err err = {0};
        struct derived_result first;
        assert_ok(file_remove_tree(cache, &err), err);
        assert_ok(file_remove_tree(graveyard, &err), err);
        assert_ok(file_make_dirs(graveyard, 0700, &err), err);
        assert_ok(ask(1, 500, &first, &err), err); /* what is there already */
        assert_true(first.ready);
        derived_fini(&first);
        whole = live(mode, at);
        expect_whole_or_none(mode, at);
        expect_swept();
        assert_true(at < 200);
    }
    print_message("%ld cuts\n", at - 2);
    assert_true(at > 10);
}

static void a_kill_anywhere(void **state)
{
    cut_everywhere(CUT_KILL);
}

static void a_power_cut_anywhere(void **state)
{
    cut_everywhere(CUT_POWER);
}

static void a_disk_full_from_anywhere(void **state)
{
    cut_everywhere(CUT_ENOSPC);
}

static int set_up(void **state)
{
    struct err err = {0};
    assert_non_null(mkdtemp(base));
    snprintf(cache, sizeof cache, "%s/cache", base);
    snprintf(source, sizeof source, "%s/model", base);
    snprintf(graveyard, sizeof graveyard, "%s/graveyard", base);
    assert_ok(file_replace(source, "model", 5, 0600, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    return file_remove_tree(base, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_anywhere),
        cmocka_unit_test(a_power_cut_anywhere),
        cmocka_unit_test(a_disk_full_from_anywhere),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
