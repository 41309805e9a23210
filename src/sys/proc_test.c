#include "base/mem.h"
#include "base/testing.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void run_collects_stdout_and_status(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(1000);
    int status = -1;
    assert_ok(proc_run(ARGV("sh", "-c", "echo one; echo two; exit 7"), 0, &out, &status, &err), err);
    assert_string_equal(buf_text(&out), "one\ntwo\n");
    assert_int_equal(status, 7);
    assert_ok(proc_run(ARGV("sh", "-c", "kill -9 $$"), 0, NULL, &status, &err), err);
    assert_int_equal(status, 128 + SIGKILL);
}

static void what_cannot_be_run_is_an_error_of_the_parent(void **state)
{
    struct err err = {0};
    int status;
    pid_t pid = -7;
    struct proc_options missing = {.argv = ARGV("muster-no-such-program")};
    assert_fails(proc_spawn(&missing, &pid, &err), err, ERR_NOT_FOUND);
    struct proc_options missing_path = {.argv = ARGV("/no/such/program")};
    assert_fails(proc_spawn(&missing_path, &pid, &err), err, ERR_NOT_FOUND);
    struct proc_options not_executable = {.argv = ARGV("/etc/passwd")};
    assert_fails(proc_spawn(&not_executable, &pid, &err), err, ERR_DENIED);
    struct proc_options no_log = {.argv = ARGV("true"), .log_path = "/no/such/dir/log"};
    assert_fails(proc_spawn(&no_log, &pid, &err), err, ERR_NOT_FOUND);
    struct proc_options both = {.argv = ARGV("true"), .detach = true, .die_with_parent = true};
    assert_fails(proc_spawn(&both, &pid, &err), err, ERR_INVALID);
    assert_int_equal(pid, -7);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1); /* and no dead child is left over */
}

static void run_is_cut_at_its_limits(void **state)
{
    struct err err = {0};
    int status;
    cleanup_buf struct buf out = BUF_INIT(100);
    assert_fails(proc_run(ARGV("sleep", "1000"), 30, NULL, &status, &err), err, ERR_TIMEOUT);
    assert_fails(proc_run(ARGV("sh", "-c", "exec >&-; sleep 1000"), 30, &out, &status, &err), err,
                 ERR_TIMEOUT);
    assert_fails(proc_run(ARGV("yes"), 0, &out, &status, &err), err, ERR_TOO_BIG);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

static void a_grandchild_that_holds_stdout_does_not_hold_us(void **state)
{
    struct err err = {0};
    int status = -1;
    cleanup_buf struct buf out = BUF_INIT(100);
    assert_ok(proc_run(ARGV("sh", "-c", "sleep 100 & echo $!"), 60000, &out, &status, &err), err);
    assert_int_equal(status, 0);
    pid_t sleeper = (pid_t)strtol(buf_text(&out), NULL, 10);
    assert_true(proc_alive(sleeper));
    kill(sleeper, SIGKILL);
}

static void a_child_has_only_the_descriptors_it_was_given(void **state)
{
    struct err err = {0};
    char log[] = "/tmp/muster-proc-XXXXXX";
    cleanup_close int log_fd = mkostemp(log, O_CLOEXEC);
    int leak = open("/dev/null", O_RDONLY); /* not CLOEXEC on purpose */
    assert_true(leak >= 0 && log_fd >= 0);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct proc_options options = {.argv = ARGV("sh", "-c", "echo hello >&3; exec ls /proc/self/fd"),
                                   .log_path = log,
                                   .keep_fd = ends[1]};
    pid_t pid;
    int status = -1;
    assert_ok(proc_spawn(&options, &pid, &err), err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char text[64] = "";
    assert_int_equal(read(ends[0], text, sizeof text - 1), 6);
    assert_string_equal(text, "hello\n");
    memset(text, 0, sizeof text);
    assert_true(pread(log_fd, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "0\n1\n2\n3\n4\n"); /* 4 is the directory that ls reads */
    close(leak);
    close(ends[0]);
    close(ends[1]);
    unlink(log);
}

static void a_child_begins_with_default_signals(void **state)
{
    struct err err = {0};
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    signal(SIGTERM, SIG_IGN);
    pid_t pid;
    int status = 0;
    struct proc_options options = {.argv = ARGV("sleep", "1000"), .die_with_parent = true};
    assert_ok(proc_spawn(&options, &pid, &err), err);
    assert_true(proc_alive(pid));
    assert_true(proc_rss_bytes(pid) > 0);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_false(proc_alive(pid));
    assert_int_equal(proc_rss_bytes(pid), 0);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* The middle process starts a child and dies; the child's pipe end tells when it is gone too. */
static void spawn_and_die(bool detach, int write_end)
{
    struct err err = {0};
    pid_t pid;
    struct proc_options options = {
        .argv = ARGV("sleep", "1000"), .detach = detach, .die_with_parent = !detach, .keep_fd = write_end};
    if (proc_spawn(&options, &pid, &err) < 0 || write(write_end, &pid, sizeof pid) != (ssize_t)sizeof pid)
        _exit(1);
    _exit(0);
}

static pid_t orphan(bool detach, int *out_read_end)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0)
        spawn_and_die(detach, ends[1]);
    close(ends[1]);
    pid_t pid = -1;
    int status = -1;
    assert_int_equal(read(ends[0], &pid, sizeof pid), sizeof pid);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 0);
    *out_read_end = ends[0];
    return pid;
}

static void a_tied_child_dies_with_its_parent_and_a_detached_one_does_not(void **state)
{
    char byte;
    cleanup_close int tied_pipe = -1;
    cleanup_close int detached_pipe = -1;
    orphan(false, &tied_pipe);
    assert_int_equal(read(tied_pipe, &byte, 1), 0); /* its end was closed: it is dead */
    pid_t detached = orphan(true, &detached_pipe);
    assert_true(proc_alive(detached));
    assert_int_equal(getsid(detached), detached);
    kill(detached, SIGKILL);
    assert_int_equal(read(detached_pipe, &byte, 1), 0);
}

static void a_zombie_is_not_alive(void **state)
{
    struct err err = {0};
    pid_t pid;
    struct proc_options options = {.argv = ARGV("true")};
    assert_ok(proc_spawn(&options, &pid, &err), err);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(proc_alive(pid));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(proc_alive(getpid()));
    assert_false(proc_alive(0));
    assert_false(proc_alive(-1));
}

static void the_own_directory_holds_this_test(void **state)
{
    cleanup_free char *dir = proc_self_dir();
    cleanup_free char *self = mem_printf("%s/%s", dir, program_invocation_short_name);
    assert_int_equal(access(self, X_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_collects_stdout_and_status),
        cmocka_unit_test(what_cannot_be_run_is_an_error_of_the_parent),
        cmocka_unit_test(run_is_cut_at_its_limits),
        cmocka_unit_test(a_grandchild_that_holds_stdout_does_not_hold_us),
        cmocka_unit_test(a_child_has_only_the_descriptors_it_was_given),
        cmocka_unit_test(a_child_begins_with_default_signals),
        cmocka_unit_test(a_tied_child_dies_with_its_parent_and_a_detached_one_does_not),
        cmocka_unit_test(a_zombie_is_not_alive),
        cmocka_unit_test(the_own_directory_holds_this_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
