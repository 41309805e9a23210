#include "robot/ctl/busy.h"

#include "base/mem.h"
#include "base/testing.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[32];

static int open_side(bool for_change)
{
    struct err err = {0};
    int fd = busy_open(dir, for_change, &err);
    assert_true(fd >= 0);
    return fd;
}

static void one_side_shuts_the_other_out(void **state)
{
    int program = open_side(false), second = open_side(false), agent = open_side(true);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(busy_take(program, false), 0);
        assert_int_equal(busy_take(second, false), 0); /* two programs may be busy */
        assert_int_equal(busy_take(agent, true), 1);
        busy_leave(program);
        assert_int_equal(busy_take(agent, true), 1);
        busy_leave(second);
        assert_int_equal(busy_take(agent, true), 0);
        assert_int_equal(busy_take(program, false), 1);
        assert_int_equal(busy_take(agent, true), 0); /* said twice is said */
        busy_leave(agent);
    }
    close(program);
    close(second);
    close(agent);
}

/* Who dies is busy no more. */
static void a_killed_program_is_not_busy(void **state)
{
    int agent = open_side(true), ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = {0};
        int fd = busy_open(dir, false, &err);
        _exit(fd < 0 || busy_take(fd, false) || write(ready[1], "x", 1) != 1 || pause());
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(busy_take(agent, true), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(busy_take(agent, true), 0);
    close(ready[0]);
    close(ready[1]);
    close(agent);
}

static int setup(void **state)
{
    memcpy(dir, "/tmp/muster-busy-XXXXXX", sizeof "/tmp/muster-busy-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[64];
    snprintf(path, sizeof path, "%s/" BUSY_FILE, dir);
    return unlink(path) || rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_shuts_the_other_out),
        cmocka_unit_test(a_killed_program_is_not_busy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
