#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64];

static char *in_dir(const char *name)
{
    char *path = file_join(dir, name);
    assert_non_null(path);
    return path;
}

static int make_test_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_test_dir(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

static int count_name(const char *name, void *arg)
{
    (*(int *)arg)++;
    return 0;
}

static int entries_in(const char *path)
{
    struct err err = {0};
    int count = 0;
    assert_ok(file_list(path, count_name, &count, &err), err);
    return count;
}

static void check_content(const char *path, const char *want)
{
    struct err err = {0};
    cleanup_buf struct buf got = BUF_INIT(1 << 20);
    assert_ok(file_read(path, &got, &err), err);
    assert_string_equal(buf_text(&got), want);
}

static void replace_writes_the_whole_content_and_mode(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("f");
    static const char *const contents[] = {"one", "", "a longer third content"};
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        assert_ok(file_replace(path, contents[i], strlen(contents[i]), 0640, &err), err);
        check_content(path, contents[i]);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        assert_int_equal(entries_in(dir), 1);
    }
}

static void create_never_overwrites(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("key");
    assert_ok(file_create(path, "secret", 6, 0600, &err), err);
    assert_fails(file_create(path, "other", 5, 0600, &err), err, ERR_EXISTS);
    check_content(path, "secret");
    assert_int_equal(entries_in(dir), 1);
}

/* A disk that is full after 4096 bytes: in a child, because the limit cannot be raised again. */
static void replace_with_a_small_limit(const char *path)
{
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    static char big[100000];
    struct err err = {0};
    bool refused = file_replace(path, big, sizeof big, 0600, &err) < 0 && err.code == ERR_TOO_BIG;
    _exit(refused ? 0 : 1);
}

static void a_failed_replace_leaves_the_old_content_and_nothing_else(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("f");
    assert_ok(file_replace(path, "old", 3, 0600, &err), err);
    pid_t child = fork();
    if (child == 0)
        replace_with_a_small_limit(path);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_content(path, "old");
    assert_int_equal(entries_in(dir), 1);
}

static void a_replace_onto_a_directory_fails_and_leaves_nothing(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("d/e");
    assert_ok(file_make_dirs(path, 0755, &err), err);
    cleanup_free char *target = in_dir("d");
    assert_fails(file_replace(target, "x", 1, 0600, &err), err, ERR_IO);
    assert_int_equal(entries_in(dir), 1);
}

/* Kills a process that replaces a file without end, at whatever instruction: always one whole content. */
static void a_kill_at_any_moment_leaves_old_or_new_whole(void **state)
{
    enum { SIZE = 5000, ROUNDS = 20 };
    cleanup_free char *path = in_dir("f");
    static char content[SIZE];
    struct err err = {0};
    memset(content, 'a', SIZE);
    assert_ok(file_replace(path, content, SIZE, 0600, &err), err);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        for (int letter = 0; child == 0; letter = (letter + 1) % 26) {
            memset(content, 'a' + letter, SIZE);
            if (file_replace(path, content, SIZE, 0600, &err) < 0)
                _exit(1);
        }
        usleep((useconds_t)(500 + round * 137));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        cleanup_buf struct buf got = BUF_INIT(SIZE);
        assert_ok(file_read(path, &got, &err), err);
        assert_int_equal(got.len, SIZE);
        for (size_t i = 1; i < SIZE; i++)
            assert_int_equal(got.data[i], got.data[0]);
    }
}

static void reads_are_limited_and_leave_the_buffer_alone_on_failure(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("f");
    assert_ok(file_replace(path, "0123456789", 10, 0600, &err), err);
    cleanup_buf struct buf got = BUF_INIT(12);
    assert_ok(buf_puts(&got, "abc", &err), err);
    assert_fails(file_read(path, &got, &err), err, ERR_TOO_BIG);
    assert_string_equal(buf_text(&got), "abc");
    assert_fails(file_read("/proc/self/maps", &got, &err), err, ERR_TOO_BIG);
    assert_string_equal(buf_text(&got), "abc");
    cleanup_free char *missing = in_dir("missing");
    assert_fails(file_read(missing, &got, &err), err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, missing));
}

static void a_lock_excludes_another_process_until_it_is_closed(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("lock");
    int fd = -1, second = -1;
    assert_ok(file_lock(path, &fd, &err), err);
    pid_t child = fork();
    if (child == 0) {
        close(fd); /* the parent's description still holds the lock */
        _exit(file_lock(path, &second, &err) < 0 && err.code == ERR_BUSY ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_fails(file_lock(path, &second, &err), err, ERR_BUSY);
    close(fd);
    assert_ok(file_lock(path, &second, &err), err);
    close(second);
}

static int collect(const char *name, void *arg)
{
    struct err err = {0};
    struct buf *names = arg;
    assert_ok(buf_printf(names, &err, "%s ", name), err);
    return strcmp(name, "b") == 0;
}

static void lists_are_sorted_and_can_be_stopped(void **state)
{
    struct err err = {0};
    static const char *const names[] = {"c", "a", "B", "b", ".hidden"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *path = in_dir(names[i]);
        assert_ok(file_replace(path, "", 0, 0600, &err), err);
    }
    cleanup_buf struct buf got = BUF_INIT(100);
    assert_ok(file_list(dir, collect, &got, &err), err);
    assert_string_equal(buf_text(&got), ".hidden B a b ");
}

static void trees_are_made_and_removed_without_following_links(void **state)
{
    struct err err = {0};
    cleanup_free char *deep = in_dir("x//y/z/");
    cleanup_free char *kept = in_dir("kept");
    cleanup_free char *link_path = in_dir("x/y/link");
    cleanup_free char *top = in_dir("x");
    assert_ok(file_make_dirs(deep, 0755, &err), err);
    assert_ok(file_make_dirs(deep, 0755, &err), err);
    assert_true(file_exists(deep));
    assert_ok(file_make_dirs(kept, 0755, &err), err);
    cleanup_free char *inside = in_dir("kept/f");
    assert_ok(file_replace(inside, "1", 1, 0600, &err), err);
    assert_int_equal(symlink(kept, link_path), 0);
    assert_fails(file_make_dirs(inside, 0755, &err), err, ERR_EXISTS);
    assert_ok(file_remove_tree(top, &err), err);
    assert_ok(file_remove_tree(top, &err), err);
    assert_false(file_exists(top));
    check_content(inside, "1");
}

static void maps_have_the_bytes_of_the_file(void **state)
{
    struct err err = {0};
    cleanup_free char *path = in_dir("f");
    cleanup_file_map struct file_map map = {0};
    assert_ok(file_replace(path, "", 0, 0600, &err), err);
    assert_ok(file_map(path, &map, &err), err);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    assert_ok(file_replace(path, "muster", 6, 0600, &err), err);
    assert_ok(file_map(path, &map, &err), err);
    assert_int_equal(map.size, 6);
    assert_memory_equal(map.data, "muster", 6);
    uint64_t size = 0;
    assert_ok(file_size(path, &size, &err), err);
    assert_int_equal(size, 6);
    file_unmap(&map);
    assert_fails(file_map(dir, &map, &err), err, ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_test_dir, remove_test_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replace_writes_the_whole_content_and_mode),
        TEST(create_never_overwrites),
        TEST(a_failed_replace_leaves_the_old_content_and_nothing_else),
        TEST(a_replace_onto_a_directory_fails_and_leaves_nothing),
        TEST(a_kill_at_any_moment_leaves_old_or_new_whole),
        TEST(reads_are_limited_and_leave_the_buffer_alone_on_failure),
        TEST(a_lock_excludes_another_process_until_it_is_closed),
        TEST(lists_are_sorted_and_can_be_stopped),
        TEST(trees_are_made_and_removed_without_following_links),
        TEST(maps_have_the_bytes_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
