/* A builder that obeys the contract of derived.h and misbehaves in every way that the contract allows. */
#include "infer/derived.h"

#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum behaviour {
    GOOD,
    SLOW,
    HANGS_IN_A_GRANDCHILD,
    CRASHES,
    EXITS_QUIETLY,
    SAYS_WHY,
    WRITES_NOTHING,
    WRITES_AN_EMPTY_FILE,
    WRITES_TOO_MUCH,
    TAKES_TOO_MUCH_MEMORY,
    LEAVES_A_LINK,
    GIVES_WRONG_OUTPUT,
    CRASHES_WHEN_VERIFIED,
    HANGS_WHEN_VERIFIED,
    BECOMES_ANOTHER_PROGRAM,
    BECOMES_A_FAILING_PROGRAM,
};

struct fake {
    enum behaviour behaviour;
    const char *version;
    char counter[128]; /* grows by one byte per build */
    size_t bytes;
};

static int fake_key(void *self, struct buf *out, struct err *err)
{
    const struct fake *fake = self;
    return buf_printf(out, err, "version %s\n", fake->version);
}

static void put(const char *path, int flags, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    char block[4096];
    memset(block, 'x', sizeof block);
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, block, MIN(sizeof block, bytes - done));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    close(fd);
}

static void hang(void)
{
    for (;;)
        pause();
}

static int write_whole(const char *target, size_t bytes, struct err *err)
{
    struct stat st;
    put(target, O_TRUNC, bytes);
    if (stat(target, &st) < 0 || (size_t)st.st_size != bytes) {
        errno = EFBIG;
        return err_errno(err, "%s", target);
    }
    return 0;
}

static int fake_build(void *self, const char *source, const char *target, struct err *err)
{
    const struct fake *fake = self;
    put(fake->counter, O_APPEND, 1);
    switch (fake->behaviour) {
    case SLOW:
        hang();
        break;
    case HANGS_IN_A_GRANDCHILD: {
        pid_t pid = fork();
        if (pid == 0)
            hang();
        char name[160];
        snprintf(name, sizeof name, "%s-%d", source, pid); /* it was there */
        put(name, O_TRUNC, 0);
        hang();
        break;
    }
    case CRASHES:
        abort();
    case EXITS_QUIETLY:
        _exit(3);
    case SAYS_WHY:
        return err_set(err, ERR_UNSUPPORTED, "operator \"Frobnicate\"\tis unknown");
    case WRITES_NOTHING:
        return 0;
    case WRITES_AN_EMPTY_FILE:
        put(target, O_TRUNC, 0);
        return 0;
    case WRITES_TOO_MUCH:
        return write_whole(target, 3 << 20, err);
    case TAKES_TOO_MUCH_MEMORY:
        if (!mem_zalloc(512 << 20, 1))
            return err_no_memory(err);
        break;
    case LEAVES_A_LINK:
        return symlink(source, target);
    case BECOMES_ANOTHER_PROGRAM:
        execlp("cp", "cp", source, target, (char *)NULL);
        _exit(9);
    case BECOMES_A_FAILING_PROGRAM:
        execlp("false", "false", (char *)NULL);
        _exit(9);
    case GOOD:
    case GIVES_WRONG_OUTPUT:
    case CRASHES_WHEN_VERIFIED:
    case HANGS_WHEN_VERIFIED:
        break;
    }
    return write_whole(target, fake->bytes, err);
}

static int fake_verify(void *self, const char *target, struct err *err)
{
    const struct fake *fake = self;
    if (fake->behaviour == CRASHES_WHEN_VERIFIED)
        raise(SIGSEGV);
    if (fake->behaviour == HANGS_WHEN_VERIFIED)
        hang();
    if (fake->behaviour == GIVES_WRONG_OUTPUT)
        return err_set(err, ERR_REFUSED, "golden case 0: output y: element 3 is 7");
    if (getpriority(PRIO_PROCESS, 0) != 19)
        return err_set(err, ERR_INTERNAL, "not at low priority");
    return file_exists(target) ? 0 : err_set(err, ERR_INTERNAL, "there is no file");
}

struct stage {
    char dir[64], cache[96], source[96];
    struct fake fake;
    struct derived_builder builder;
    struct derived_request request;
};

static void stage_open(struct stage *stage)
{
    struct err err = {0};
    memset(stage, 0, sizeof *stage);
    str_copy(stage->dir, sizeof stage->dir, "/tmp/muster-derived-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    snprintf(stage->cache, sizeof stage->cache, "%s/a/cache", stage->dir);
    snprintf(stage->source, sizeof stage->source, "%s/source", stage->dir);
    snprintf(stage->fake.counter, sizeof stage->fake.counter, "%s/builds", stage->dir);
    assert_ok(file_replace(stage->source, "model", 5, 0600, &err), err);
    stage->fake.version = "1";
    stage->fake.bytes = 1000;
    stage->builder = (struct derived_builder){
        .name = "fake", .self = &stage->fake, .key = fake_key, .build = fake_build, .verify = fake_verify};
    stage->request = (struct derived_request){.dir = stage->cache,
                                              .source = stage->source,
                                              .source_digest = {.bytes = {1}},
                                              .limits = {.time_ms = 60000,
                                                         .memory_bytes = 256 << 20,
                                                         .file_bytes = 1 << 20,
                                                         .cache_bytes = 2 << 20},
                                              .now_ms = 1700000000000};
}

static void stage_close(struct stage *stage)
{
    struct err err = {0};
    assert_ok(file_remove_tree(stage->dir, &err), err);
}

static uint64_t builds(const struct stage *stage)
{
    struct err err = {0};
    uint64_t size = 0;
    return file_size(stage->fake.counter, &size, &err) < 0 ? 0 : size;
}

static struct derived_result ask(struct stage *stage)
{
    struct err err = {0};
    struct derived_result result;
    assert_ok(derived_open(&stage->request, &stage->builder, &result, &err), err);
    assert_true(result.ready == (result.path != NULL));
    assert_true(result.ready == (result.why[0] == '\0'));
    return result;
}

/* The answer, without the path. */
static bool ready(struct stage *stage, bool *out_built, char why[160])
{
    cleanup_derived struct derived_result result = ask(stage);
    if (out_built)
        *out_built = result.built;
    if (why)
        str_copy(why, 160, result.why);
    return result.ready;
}

static int count_name(const char *name, void *arg)
{
    *(int *)arg += strstr(name, ".bin") || strstr(name, ".tmp");
    return 0;
}

static int files(const struct stage *stage)
{
    struct err err = {0};
    int count = 0;
    assert_ok(file_list(stage->cache, count_name, &count, &err), err);
    return count;
}

static void it_is_built_once_and_then_there(void **state)
{
    struct stage stage;
    bool built = false;
    stage_open(&stage);
    assert_true(ready(&stage, &built, NULL) && built);
    for (int i = 0; i < 5; i++)
        assert_true(ready(&stage, &built, NULL) && !built);
    stage.request.only_look = true;
    assert_true(ready(&stage, &built, NULL) && !built);
    assert_int_equal(builds(&stage), 1);
    assert_int_equal(files(&stage), 1);
    stage_close(&stage);
}

static int find_pid(const char *name, void *arg)
{
    if (str_starts(name, "source-"))
        *(pid_t *)arg = (pid_t)strtol(name + strlen("source-"), NULL, 10);
    return 0;
}

/* What the builder left running ends with it. */
static void await_grandchild_gone(const struct stage *stage)
{
    struct err err = {0};
    pid_t pid = 0;
    assert_ok(file_list(stage->dir, find_pid, &pid, &err), err);
    if (pid == 0)
        return; /* on a machine so busy that the builder did not get that far */
    for (int i = 0; i < 10000 && proc_alive(pid); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_false(proc_alive(pid));
}

static void another_program_may_build(void **state)
{
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    stage.fake.behaviour = BECOMES_ANOTHER_PROGRAM;
    cleanup_derived struct derived_result result = ask(&stage);
    assert_true(result.ready && result.built);
    cleanup_buf struct buf text = BUF_INIT(100);
    assert_ok(file_read(result.path, &text, &err), err);
    assert_string_equal(buf_text(&text), "model");
    stage_close(&stage);
}

static void whatever_goes_wrong_is_remembered_and_not_tried_over_and_over(void **state)
{
    static const struct {
        enum behaviour behaviour;
        const char *why;
    } cases[] = {
        {SLOW, "build: it took longer than 300 ms"},
        {HANGS_IN_A_GRANDCHILD, "build: it took longer than 300 ms"},
        {CRASHES, "build: it ended with signal 6"},
        {EXITS_QUIETLY, "build: it ended with status 3"},
        {SAYS_WHY, "build: operator"},
        {WRITES_NOTHING, "verify: the derived file"},
        {WRITES_AN_EMPTY_FILE, "verify: the derived file has 0 bytes"},
        {WRITES_TOO_MUCH, "build: "},
        {LEAVES_A_LINK, "verify: the derived file"},
        {GIVES_WRONG_OUTPUT, "verify: golden case 0: output y: element 3 is 7"},
        {CRASHES_WHEN_VERIFIED, "verify: it ended with signal 11"},
        {HANGS_WHEN_VERIFIED, "verify: it took longer than 300 ms"},
        {BECOMES_A_FAILING_PROGRAM, "build: it ended with status 1"},
#if !defined(__SANITIZE_ADDRESS__)
        {TAKES_TOO_MUCH_MEMORY, "build: out of memory"},
#endif
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stage stage;
        char why[160] = "";
        stage_open(&stage);
        stage.fake.behaviour = cases[i].behaviour;
        if (strstr(cases[i].why, "300 ms"))
            stage.request.limits.time_ms = 300;
        assert_false(ready(&stage, NULL, why));
        if (!str_starts(why, cases[i].why))
            fail_msg("case %zu: wanted \"%s\", got \"%s\"", i, cases[i].why, why);
        assert_int_equal(files(&stage), 0);
        if (cases[i].behaviour == HANGS_IN_A_GRANDCHILD)
            await_grandchild_gone(&stage);
        uint64_t so_far = builds(&stage);
        stage.fake.behaviour = GOOD; /* it would work now, but nobody knows */
        stage.request.limits.time_ms = 60000;
        for (int again = 0; again < 3; again++) {
            stage.request.now_ms += DERIVED_RETRY_MS / 4;
            assert_false(ready(&stage, NULL, NULL));
        }
        assert_int_equal(builds(&stage), so_far);
        stage.request.now_ms += DERIVED_RETRY_MS / 4;
        assert_true(ready(&stage, NULL, NULL)); /* a day later */
        assert_int_equal(builds(&stage), so_far + 1);
        stage_close(&stage);
    }
}

static void another_key_is_another_file_and_the_old_one_goes(void **state)
{
    struct stage stage;
    stage_open(&stage);
    stage.fake.behaviour = CRASHES;
    assert_false(ready(&stage, NULL, NULL));
    stage.fake.behaviour = GOOD;
    stage.fake.version = "2"; /* at once: another key has not failed yet */
    assert_true(ready(&stage, NULL, NULL));
    stage.fake.version = "3";
    assert_true(ready(&stage, NULL, NULL));
    assert_int_equal(files(&stage), 1);
    stage.request.source_digest.bytes[5] = 9; /* another model: both stay */
    assert_true(ready(&stage, NULL, NULL));
    assert_int_equal(files(&stage), 2);
    stage.builder.name = "other"; /* another builder: likewise */
    assert_true(ready(&stage, NULL, NULL));
    assert_int_equal(files(&stage), 3);
    assert_int_equal(builds(&stage), 5);
    stage_close(&stage);
}

static void the_folder_keeps_its_limit(void **state)
{
    struct stage stage;
    stage_open(&stage);
    stage.fake.bytes = 600 << 10; /* of 2 MiB: three fit */
    for (uint8_t i = 0; i < 6; i++) {
        stage.request.source_digest.bytes[1] = i;
        assert_true(ready(&stage, NULL, NULL));
        assert_int_equal(files(&stage), MIN(i + 1, 3));
    }
    bool built = true;
    assert_true(ready(&stage, &built, NULL)); /* the newest one is among them */
    assert_false(built);
    stage_close(&stage);
}

static char *only_file(struct stage *stage)
{
    struct derived_result result = ask(stage);
    assert_true(result.ready);
    return result.path;
}

static void a_file_that_is_not_what_was_built_is_built_anew(void **state)
{
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    cleanup_free char *path = only_file(&stage);
    bool built = false;
    assert_ok(file_replace(path, "evil", 4, 0600, &err), err);
    assert_true(ready(&stage, &built, NULL) && built);
    assert_int_equal(unlink(path), 0);
    assert_true(ready(&stage, &built, NULL) && built);
    char record[256];
    snprintf(record, sizeof record, "%.*s.json", (int)(strlen(path) - 4), path);
    assert_ok(file_replace(record, "{", 1, 0600, &err), err);
    assert_true(ready(&stage, &built, NULL) && built);
    stage_close(&stage);
}

static void a_builder_that_took_its_process_down_is_not_tried_again(void **state)
{
    struct stage stage;
    stage_open(&stage);
    stage.fake.behaviour = SLOW;
    pid_t pid = fork();
    if (pid == 0) {
        (void)ready(&stage, NULL, NULL);
        _exit(0);
    }
    while (builds(&stage) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    char why[160];
    assert_false(ready(&stage, NULL, why)); /* it is at it */
    assert_string_equal(why, "another process is building");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    stage.fake.behaviour = GOOD;
    do /* the kernel takes the lock back */
        assert_false(ready(&stage, NULL, why));
    while (str_eq(why, "another process is building"));
    assert_string_equal(why, "the last build took its process or the machine down");
    assert_int_equal(builds(&stage), 1);
    stage.request.now_ms += DERIVED_RETRY_MS;
    assert_true(ready(&stage, NULL, NULL));
    stage_close(&stage);
}

static void what_its_user_rejects_counts_as_failed(void **state)
{
    struct stage stage;
    stage_open(&stage);
    cleanup_derived struct derived_result result = ask(&stage);
    assert_true(result.ready);
    derived_reject(&stage.request, &stage.builder, &result, "it does not load");
    char why[160];
    assert_false(ready(&stage, NULL, why));
    assert_string_equal(why, "it does not load");
    assert_int_equal(files(&stage), 0);
    stage_close(&stage);
}

static void a_folder_that_cannot_be_written_is_no_error(void **state)
{
    struct stage stage;
    struct err err = {0};
    stage_open(&stage);
    cleanup_free char *parent = mem_printf("%s/a", stage.dir);
    assert_ok(file_replace(parent, "", 0, 0600, &err), err); /* a file where the folder should be */
    assert_false(ready(&stage, NULL, NULL));
    assert_int_equal(builds(&stage), 0);
    stage.request.limits.time_ms = 0;
    struct derived_result result;
    assert_fails(derived_open(&stage.request, &stage.builder, &result, &err), err, ERR_INVALID);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_built_once_and_then_there),
        cmocka_unit_test(another_program_may_build),
        cmocka_unit_test(whatever_goes_wrong_is_remembered_and_not_tried_over_and_over),
        cmocka_unit_test(another_key_is_another_file_and_the_old_one_goes),
        cmocka_unit_test(the_folder_keeps_its_limit),
        cmocka_unit_test(a_file_that_is_not_what_was_built_is_built_anew),
        cmocka_unit_test(a_builder_that_took_its_process_down_is_not_tried_again),
        cmocka_unit_test(what_its_user_rejects_counts_as_failed),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
