/* The latch over every death: of the process at any step, of the disk, of single bits. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"
#include "robot/guard/latch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64], path[96], new_path[96];

static int setup(void **state)
{
    memcpy(dir, "/tmp/muster-latch-XXXXXX", 25);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/guard.latch", dir);
    snprintf(new_path, sizeof new_path, "%s/guard.latch.new", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    unlink(new_path);
    rmdir(dir);
    return 0;
}

static struct latch_record sample(uint32_t state, uint64_t lease)
{
    struct latch_record record = {.state = state, .lease = lease, .local = lease % 2};
    str_copy(record.who, sizeof record.who, "ann");
    snprintf(record.reason, sizeof record.reason, "reason %llu", (unsigned long long)lease);
    return record;
}

static struct latch_record read_back(void)
{
    struct latch latch;
    struct latch_record record = latch_open(&latch, dir);
    latch_close(&latch);
    return record;
}

static void what_is_kept_is_there_again(void **state)
{
    struct latch latch;
    struct err err = {0};
    assert_int_equal(latch_open(&latch, dir).state, 0);
    for (uint64_t lease = 1; lease < 20; lease++) {
        struct latch_record record = sample(lease % GUARD_STATE_COUNT, lease), got;
        assert_ok(latch_keep(&latch, &record, &err), err);
        got = read_back();
        assert_int_equal(got.state, record.state);
        assert_int_equal(got.lease, record.lease);
        assert_int_equal(got.local, record.local);
        assert_string_equal(got.who, record.who);
        assert_string_equal(got.reason, record.reason);
    }
    latch_close(&latch);
}

static void the_same_again_costs_no_write(void **state)
{
    struct latch latch;
    struct stat before, after;
    struct err err = {0};
    struct latch_record record = sample(GUARD_HOLD, 3);
    (void)latch_open(&latch, dir);
    assert_ok(latch_keep(&latch, &record, &err), err);
    assert_int_equal(stat(path, &before), 0);
    assert_ok(latch_keep(&latch, &record, &err), err);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    latch_close(&latch);
    (void)latch_open(&latch, dir); /* in another life as well */
    assert_true(latch.kept);
    assert_ok(latch_keep(&latch, &record, &err), err);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    latch_close(&latch);
}

/* Every single flipped bit and every length but the right one is damage, and damage is a stop. */
static void every_flipped_bit_is_a_stop(void **state)
{
    struct latch latch;
    struct err err = {0};
    struct latch_record record = sample(GUARD_INIT, 7), bytes, parsed;
    (void)latch_open(&latch, dir);
    assert_ok(latch_keep(&latch, &record, &err), err);
    latch_close(&latch);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &bytes, sizeof bytes, 0), sizeof bytes);
    assert_true(latch_parse(&bytes, sizeof bytes, &parsed));
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        struct latch_record bad = bytes;
        ((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(latch_parse(&bad, sizeof bad, &parsed));
    }
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_false(latch_parse(&bytes, len, &parsed));
    assert_int_equal(ftruncate(fd, 100), 0);
    struct latch_record got = read_back();
    assert_int_equal(got.state, GUARD_SAFE_STOP);
    assert_true(got.lease > 1000000);
    assert_non_null(strstr(got.reason, "damaged"));
}

/* With a checksum that holds: still no state that there is, no version of ours, no text without end. */
static void seal(struct latch_record *record)
{
    const uint8_t *byte = (const uint8_t *)record;
    record->checksum = 0xcbf29ce484222325;
    for (size_t i = 0; i < offsetof(struct latch_record, checksum); i++)
        record->checksum = (record->checksum ^ byte[i]) * 0x100000001b3;
}

static void a_good_checksum_is_not_enough(void **state)
{
    struct latch_record good = sample(GUARD_HOLD, 1), bad[5], parsed;
    good.magic = 0x48434c4d;
    good.version = 1;
    seal(&good);
    assert_true(latch_parse(&good, sizeof good, &parsed));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].magic++;
    bad[1].version++;
    bad[2].state = GUARD_STATE_COUNT;
    memset(bad[3].who, 'x', sizeof bad[3].who);
    memset(bad[4].reason, 'x', sizeof bad[4].reason);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        seal(&bad[i]);
        assert_false(latch_parse(&bad[i], sizeof bad[i], &parsed));
    }
}

static void a_directory_that_is_none_is_a_stop(void **state)
{
    struct latch latch;
    struct err err = {0};
    struct latch_record record = latch_open(&latch, "/proc/self/stat/none");
    assert_int_equal(record.state, GUARD_SAFE_STOP);
    assert_true(latch_keep(&latch, &record, &err) < 0);
    latch_close(&latch);
    record = latch_open(&latch, NULL); /* none is wanted */
    assert_int_equal(record.state, 0);
    assert_ok(latch_keep(&latch, &record, &err), err);
    latch_close(&latch);
}

/* A writer that is killed at any moment leaves the record before or the one after, never anything else. */
static void kill_at_any_moment(void **state)
{
    uint64_t least = 0;
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct latch latch;
            struct err err = {0};
            uint64_t lease = latch_open(&latch, dir).lease;
            for (;;) {
                struct latch_record record = sample(GUARD_HOLD, ++lease);
                if (latch_keep(&latch, &record, &err) < 0)
                    _exit(1);
            }
        }
        usleep(300u + (unsigned)i * 97u);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        struct latch_record got = read_back();
        assert_true(got.lease >= least);
        assert_true(got.lease < 1000000); /* not "damaged" */
        assert_true(got.state == GUARD_HOLD || got.lease == 0);
        least = got.lease;
    }
    assert_true(least > 0);
}

/* A link to somewhere, a pipe that nobody writes, a directory: damaged, at once, and nothing behind it is touched. */
static void what_is_no_file_is_a_stop(void **state)
{
    char target[96];
    struct stat st;
    snprintf(target, sizeof target, "%s/target", dir);
    struct latch latch;
    struct err err = {0};
    struct latch_record record = sample(GUARD_HOLD, 1);
    (void)latch_open(&latch, dir);
    assert_ok(latch_keep(&latch, &record, &err), err);
    latch_close(&latch);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(read_back().state, GUARD_SAFE_STOP); /* although a good record is there */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, new_path), 0);
    (void)latch_open(&latch, dir);
    record = sample(GUARD_HOLD, 2);
    assert_true(latch_keep(&latch, &record, &err) < 0); /* not through somebody's link */
    latch_close(&latch);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_size, sizeof record);
    assert_int_equal(unlink(new_path), 0);
    assert_int_equal(unlink(target), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(read_back().state, GUARD_SAFE_STOP);
}

/* The file of a life before can be written over too; it is its owner's only, old or new. */
static void an_old_file_is_written_over_where_no_new_one_goes(void **state)
{
    struct latch latch;
    struct err err = {0};
    struct stat st;
    struct latch_record record = sample(GUARD_INIT, 1);
    (void)latch_open(&latch, dir);
    assert_ok(latch_keep(&latch, &record, &err), err);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    latch_close(&latch);
    (void)latch_open(&latch, dir);
    assert_int_equal(mkdir(new_path, 0700), 0);
    record = sample(GUARD_SAFE_STOP, 2);
    int done = latch_keep(&latch, &record, &err);
    assert_int_equal(rmdir(new_path), 0);
    assert_ok(done, err);
    latch_close(&latch);
    assert_int_equal(read_back().state, GUARD_SAFE_STOP);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sizeof record);
}

/* No room for a new file, no descriptor for one: the old one is written over. */
static void a_full_disk_does_not_hinder_a_stop(void **state)
{
    struct latch latch;
    struct err err = {0};
    struct latch_record record = sample(GUARD_INIT, 1);
    (void)latch_open(&latch, dir);
    assert_ok(latch_keep(&latch, &record, &err), err);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    record = sample(GUARD_SAFE_STOP, 2);
    int done = latch_keep(&latch, &record, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_ok(done, err);
    assert_int_equal(read_back().state, GUARD_SAFE_STOP);
    latch_close(&latch);
}

int main(void)
{
#define LATCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        LATCH_TEST(what_is_kept_is_there_again),
        LATCH_TEST(the_same_again_costs_no_write),
        LATCH_TEST(every_flipped_bit_is_a_stop),
        LATCH_TEST(a_good_checksum_is_not_enough),
        LATCH_TEST(a_directory_that_is_none_is_a_stop),
        LATCH_TEST(kill_at_any_moment),
        LATCH_TEST(a_full_disk_does_not_hinder_a_stop),
        LATCH_TEST(what_is_no_file_is_a_stop),
        LATCH_TEST(an_old_file_is_written_over_where_no_new_one_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
