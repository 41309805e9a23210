#include "fleet/blobs/blobs.h"

#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 300000, LIMIT = 1 << 20 };

struct fixture {
    char dir[64];
    struct blobs *blobs;
    uint8_t data[SIZE];
    struct digest digest;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    str_copy(f->dir, sizeof f->dir, "/tmp/muster-blobs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_ok(blobs_open(f->dir, LIMIT, &f->blobs, &err), err);
    for (size_t i = 0; i < SIZE; i++)
        f->data[i] = (uint8_t)(i * 31 + (i >> 8));
    f->digest = hash_bytes(f->data, SIZE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    blobs_free(f->blobs);
    assert_ok(file_remove_tree(f->dir, &err), err);
    free(f);
    return 0;
}

static int put(struct fixture *f, uint64_t offset, size_t len, uint64_t *have, struct err *err)
{
    struct blobs_part part = {
        .digest = f->digest, .offset = offset, .total = SIZE, .data = f->data + offset, .len = len};
    return blobs_put(f->blobs, &part, have, err);
}

static void reopen(struct fixture *f)
{
    struct err err = {0};
    blobs_free(f->blobs);
    f->blobs = NULL;
    assert_ok(blobs_open(f->dir, LIMIT, &f->blobs, &err), err);
}

static void assert_whole(struct fixture *f)
{
    struct err err = {0};
    static char have[SIZE];
    uint64_t size = 0;
    int fd;
    assert_ok(blobs_read(f->blobs, &f->digest, &fd, &size, &err), err);
    assert_int_equal(size, SIZE);
    assert_int_equal(read(fd, have, SIZE), SIZE);
    assert_memory_equal(have, f->data, SIZE);
    close(fd);
}

static void test_parts_in_order_with_repeats_and_restarts(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have = 0, size = 0;
    for (uint64_t offset = 0; offset < SIZE; offset += 30000) {
        assert_ok(put(f, offset, 30000, &have, &err), err);
        assert_int_equal(have, offset + 30000);
        if (have < SIZE) {
            assert_fails(blobs_size(f->blobs, &f->digest, &size, &err), err, ERR_NOT_FOUND);
            err = (struct err){0};
            assert_ok(put(f, offset, 30000, &have, &err), err); /* again */
            assert_int_equal(have, offset + 30000);
            assert_ok(put(f, offset / 2, 20000, &have, &err), err); /* overlapping */
        }
        if (offset == 90000)
            reopen(f); /* the running hash is lost, the bytes are not */
    }
    assert_whole(f);
    assert_ok(put(f, 0, 10, &have, &err), err); /* it is there: nothing to do */
    assert_int_equal(have, SIZE);
}

static void test_hole_names_the_offset(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have = 0;
    assert_ok(put(f, 0, 1000, &have, &err), err);
    assert_fails(put(f, 2000, 1000, &have, &err), err, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "go on from 1000"));
}

static void test_wrong_bytes_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have = 0, size = 0;
    f->data[SIZE / 2] ^= 1;
    assert_fails(put(f, 0, SIZE, &have, &err), err, ERR_UNTRUSTED);
    assert_fails(blobs_size(f->blobs, &f->digest, &size, &err), err, ERR_NOT_FOUND);
    f->data[SIZE / 2] ^= 1;
    err = (struct err){0};
    assert_ok(put(f, 0, SIZE, &have, &err), err);
    assert_whole(f);
}

static void test_wrong_total_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have;
    struct blobs_part part = {.digest = f->digest, .total = SIZE + 60, .data = f->data, .len = SIZE};
    assert_ok(blobs_put(f->blobs, &part, &have, &err), err);
    part.offset = SIZE;
    part.len = 50;
    assert_ok(blobs_put(f->blobs, &part, &have, &err), err);
    assert_int_equal(have, SIZE + 50);
    assert_fails(put(f, 0, SIZE, &have, &err), err, ERR_CONFLICT);
    err = (struct err){0};
    assert_ok(put(f, 0, SIZE, &have, &err), err);
    assert_whole(f);
}

static int count_entry(const char *name, void *arg)
{
    (*(int *)arg)++;
    return 0;
}

static int uploads_left(const struct fixture *f)
{
    struct err err = {0};
    int left = 0;
    cleanup_free char *uploads = file_join(f->dir, "uploads");
    assert_ok(file_list(uploads, count_entry, &left, &err), err);
    return left;
}

static void test_old_uploads_are_given_up(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have;
    assert_ok(put(f, 0, 100, &have, &err), err);
    reopen(f);
    assert_int_equal(uploads_left(f), 1);
    struct digest_text text = digest_format(&f->digest);
    cleanup_free char *path = mem_printf("%s/uploads/%s", f->dir, digest_hex(&text));
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = time(NULL) - 8 * 24 * 3600}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reopen(f);
    assert_int_equal(uploads_left(f), 0);
    assert_ok(put(f, 0, SIZE, &have, &err), err);
    assert_whole(f);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have = 0;
    struct blobs_part part = {.digest = f->digest, .total = LIMIT + 1, .data = f->data, .len = 1};
    assert_fails(blobs_put(f->blobs, &part, &have, &err), err, ERR_TOO_BIG);
    part.total = 10;
    part.len = 11;
    assert_fails(blobs_put(f->blobs, &part, &have, &err), err, ERR_INVALID);
    part.offset = UINT64_MAX;
    part.len = 1;
    assert_fails(blobs_put(f->blobs, &part, &have, &err), err, ERR_INVALID);
}

static void test_empty_blob(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t have = 1;
    struct blobs_part part = {.digest = hash_bytes("", 0), .data = "", .len = 0};
    assert_ok(blobs_put(f->blobs, &part, &have, &err), err);
    assert_int_equal(have, 0);
    assert_ok(blobs_size(f->blobs, &part.digest, &have, &err), err);
}

/* A full disk, played by a file size limit: one clear error, no partial blob, and the next try goes on. */
static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    struct err err = {0}, full = {0};
    uint64_t have = 0, size = 0;
    struct rlimit old, tight;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 100000;
    assert_ok(put(f, 0, 50000, &have, &err), err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int rc = put(f, 50000, 200000, &have, &full);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, -1);
    assert_int_equal(full.code, ERR_NO_SPACE);
    assert_fails(blobs_size(f->blobs, &f->digest, &size, &err), err, ERR_NOT_FOUND);
    err = (struct err){0};
    assert_ok(put(f, 50000, SIZE - 50000, &have, &err), err);
    assert_whole(f);
    assert_int_equal(uploads_left(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parts_in_order_with_repeats_and_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole_names_the_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_bytes_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_total_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_uploads_are_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
