#include "robot/agent/chore.h"

#include "base/mem.h"
#include "base/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int answers(void *arg, void *out, struct err *err)
{
    (void)err;
    memcpy(out, arg, 4);
    return 0;
}

static int refuses(void *arg, void *out, struct err *err)
{
    (void)arg, (void)out;
    return err_set(err, ERR_UNTRUSTED, "nobody signed it");
}

/* Until somebody lets it go on: whoever waited for it would wait for ever. */
static int stands_still(void *arg, void *out, struct err *err)
{
    raise(SIGSTOP);
    return answers(arg, out, err);
}

static int looks_at(void *arg, void *out, struct err *err)
{
    int fd = *(int *)arg;
    return fcntl(fd, F_GETFD) < 0 ? answers((void *)"gone", out, err)
                                  : err_set(err, ERR_INTERNAL, "inherited");
}

/* SIGKILL may come before its answer was read, but never after it was reaped: the pipe says which. */
static enum chore_state finish(struct chore *chore, void *out, struct err *err)
{
    pid_t pid = chore->pid;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return chore_poll(chore, out, err);
}

static void test_answer_comes_back(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    char out[CHORE_OUT_BYTES] = {0};
    assert_int_equal(chore_start(&chore, answers, (void *)"well", &err), 0);
    assert_int_equal(finish(&chore, out, &err), CHORE_DONE);
    assert_memory_equal(out, "well", 4);
    assert_int_equal(chore.pid, 0);
}

static void test_error_comes_back_whole(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    assert_int_equal(chore_start(&chore, refuses, NULL, &err), 0);
    assert_int_equal(finish(&chore, NULL, &err), CHORE_FAILED);
    assert_int_equal(err.code, ERR_UNTRUSTED);
    assert_string_equal(err.text, "nobody signed it");
}

static void test_nobody_waits_for_it(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    char out[CHORE_OUT_BYTES] = {0};
    int status;
    assert_int_equal(chore_start(&chore, stands_still, (void *)"late", &err), 0);
    assert_int_equal(waitpid(chore.pid, &status, WUNTRACED), chore.pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(chore_poll(&chore, out, &err), CHORE_RUNNING);
    assert_int_equal(chore_poll(&chore, out, &err), CHORE_RUNNING);
    kill(chore.pid, SIGCONT);
    assert_int_equal(finish(&chore, out, &err), CHORE_DONE);
    assert_memory_equal(out, "late", 4);
}

static void test_killed_is_an_error_that_passes(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    int status;
    assert_int_equal(chore_start(&chore, stands_still, (void *)"none", &err), 0);
    assert_int_equal(waitpid(chore.pid, &status, WUNTRACED), chore.pid);
    kill(chore.pid, SIGKILL);
    assert_int_equal(finish(&chore, NULL, &err), CHORE_FAILED);
    assert_true(err_retryable(err.code));
}

static void test_cancelled_is_dead(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    int status;
    assert_int_equal(chore_start(&chore, stands_still, (void *)"none", &err), 0);
    pid_t pid = chore.pid;
    chore_cancel(&chore);
    assert_int_equal(chore.pid, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    chore_cancel(&chore); /* of nothing */
}

static void test_keeps_no_descriptor(void **state)
{
    (void)state;
    struct err err = {0};
    struct chore chore = {0};
    cleanup_close int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int high = fcntl(low, F_DUPFD, 100); /* not even one that would survive exec */
    assert_int_equal(chore_start(&chore, looks_at, &high, &err), 0);
    assert_int_equal(finish(&chore, NULL, &err), CHORE_DONE);
    close(high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_comes_back),   cmocka_unit_test(test_error_comes_back_whole),
        cmocka_unit_test(test_nobody_waits_for_it), cmocka_unit_test(test_killed_is_an_error_that_passes),
        cmocka_unit_test(test_cancelled_is_dead),   cmocka_unit_test(test_keeps_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
